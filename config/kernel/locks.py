"""Locks: ordered, refused outside a transaction, and short (design.md §3, "Lock order").

The order everywhere: idempotency key, subject limits, resources (ascending id), bookings (ascending
id), hold, due/checkout/payment. Each app's `lock_objects.py` builds on these.
"""

import functools
import hashlib
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

from django.db import OperationalError, connection, models
from django.db.transaction import TransactionManagementError

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=models.Model)

DEADLOCK = "40P01"


def require_transaction() -> None:
    """Refuse to lock where the lock would end with the statement."""
    if not connection.in_atomic_block:
        raise TransactionManagementError("a lock was asked for outside a transaction")


def locked(queryset: models.QuerySet[M]) -> models.QuerySet[M]:
    """The rows FOR NO KEY UPDATE in ascending order of id, the order that avoids deadlocks."""
    require_transaction()
    return queryset.select_for_update(no_key=True, of=("self",)).order_by("pk")


def advisory(subjects: Iterable[str]) -> None:
    """Transaction-scoped advisory locks on named subjects, in sorted order."""
    require_transaction()
    keys = sorted({_key(subject) for subject in subjects})
    if not keys:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS k", [keys])


def _key(subject: str) -> int:
    digest = hashlib.blake2b(subject.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE behind a Django database error, or an empty string."""
    return getattr(error.__cause__, "sqlstate", None) or ""


def retried_on_deadlock(work: Callable[P, R]) -> Callable[P, R]:
    """Run it once more when PostgreSQL chose it as a deadlock's victim.

    Only outside a transaction: inside one, the victim is the outermost transaction.
    """

    @functools.wraps(work)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except OperationalError as error:
            if connection.in_atomic_block or sqlstate(error) != DEADLOCK:
                raise
            return work(*args, **kwargs)

    return attempt


def lock_ids(rows: Iterable[Any]) -> list[Any]:
    """Distinct ids in the order in which they are locked."""
    return sorted(set(rows))
