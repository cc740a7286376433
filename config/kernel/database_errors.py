"""From the database's refusals to the errors that callers may see."""

from collections.abc import Callable

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError

from config.kernel.errors import DomainError, TemporarilyUnavailable
from config.kernel.locks import sqlstate

# lock_not_available, query_canceled, deadlock_detected, too_many_connections, shutdown kinds,
# read_only_sql_transaction, idle_in_transaction_session_timeout, disk_full, out_of_memory.
_BUSY = {
    "55P03", "57014", "40P01", "53300", "57P01", "57P02", "57P03", "25006", "25P03",
    "53100", "53200",
}  # fmt: skip

_rules: dict[str, Callable[[], DomainError]] = {}


def names(constraint: str, error: Callable[[], DomainError]) -> None:
    """Say which DomainError a constraint's refusal means to a caller."""
    _rules[constraint] = error


def constraint_of(error: BaseException) -> str:
    """The name of the constraint that refused, or an empty string."""
    diag = getattr(error.__cause__, "diag", None)
    return getattr(diag, "constraint_name", None) or ""


def translated(error: DatabaseError | InterfaceError) -> DomainError | None:
    """What to tell the caller, or None when it is a bug and must be seen as one."""
    if isinstance(error, IntegrityError):
        rule = _rules.get(constraint_of(error))
        return rule() if rule else None
    if isinstance(error, OperationalError | InterfaceError):
        state = sqlstate(error)
        if not state or state in _BUSY or state.startswith("08"):
            return TemporarilyUnavailable()
    return None
