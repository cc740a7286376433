"""A booking that is confirmed and, against all promises of a bank, not paid (design.md §4).

The member has until `Due.pay_again_until` to pay again; the slot is theirs until then.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from bookings.states import COMPLETED, CONFIRMED, NO_SHOW
from holds.states import ACTIVE
from payments.lock_objects import LockedMoney
from payments.models import Payment
from payments.states import CAPTURE, CAPTURE_FAILED

# Bookings whose slot is, or was, the member's.
THEIRS = frozenset({CONFIRMED, COMPLETED, NO_SHOW})
# However soon the slot begins, this much time there is to act on the mail.
_AT_LEAST = timedelta(minutes=15)


def accepted(payments: Iterable[Payment]) -> Payment | None:
    """The one payment that counts: a capture that failed does not."""
    counting = (p for p in payments if p.verdict == CAPTURE and p.state != CAPTURE_FAILED)
    return next(counting, None)


def owes_again(money: LockedMoney) -> bool:
    """Whether the slot is the member's and its payment is still to come."""
    is_theirs = money.booking.state in THEIRS
    return is_theirs and money.due.pay_again_until is not None and accepted(money.payments) is None


def payable_until(money: LockedMoney) -> datetime | None:
    """Until when a payment page for it may stay open; None when nothing is to be paid."""
    if owes_again(money):
        return money.due.pay_again_until
    return money.hold.expires_at if money.hold.state == ACTIVE else None


def ask_again(money: LockedMoney) -> datetime | None:
    """Set the deadline after a failed capture; None where the slot is nobody's any more.

    It is the workspace's `pay_again_seconds` from now, no later than the start, and the one set
    before where a capture failed before: failing again buys no more time.
    """
    booking, due, now = money.booking, money.due, money.now
    if booking.state not in THEIRS:
        return None
    wanted = now + timedelta(seconds=booking.workspace.pay_again_seconds)
    until = due.pay_again_until or min(wanted, booking.starts_at)
    due.pay_again_until = max(until, now + _AT_LEAST)
    due.save(update_fields=["pay_again_until"])
    return due.pay_again_until
