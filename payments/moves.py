"""Moving checkouts, payments and refunds along their tables."""

from typing import TypeVar

from config.kernel.errors import VersionMismatch
from config.kernel.transitions import TransitionTable
from payments.models import Checkout, Payment, Refund
from payments.states import CHECKOUT_STATES, PAYMENT_STATES, REFUND_STATES

Row = TypeVar("Row", Checkout, Payment, Refund)


def move_checkout(checkout: Checkout, to_state: str, **columns: object) -> None:
    """Move a locked checkout; raises InvalidTransition or VersionMismatch."""
    _move(checkout, CHECKOUT_STATES, to_state, columns)


def move_payment(payment: Payment, to_state: str, **columns: object) -> None:
    """Move a locked payment; raises InvalidTransition or VersionMismatch."""
    _move(payment, PAYMENT_STATES, to_state, columns)


def move_refund(refund: Refund, to_state: str, **columns: object) -> None:
    """Move a locked refund; raises InvalidTransition or VersionMismatch."""
    _move(refund, REFUND_STATES, to_state, columns)


def _move(row: Row, table: TransitionTable, to_state: str, columns: dict[str, object]) -> None:
    table.check(row.state, to_state)
    changes = {"state": to_state, "version": row.version + 1, **columns}
    found = type(row)._default_manager.filter(pk=row.pk, version=row.version)
    if not found.update(**changes):
        raise VersionMismatch
    for name, value in changes.items():
        setattr(row, name, value)
