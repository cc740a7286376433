"""Making what a due buys the member's: their hold is live, or its time is won again (design.md §6).

A due buys a booking's slot, or a change of a booking that is theirs already.
"""

from django.db import transaction

from bookings.calendars import meanwhile
from bookings.states import CANCELLED, COMMITTED, CONFIRMED, EXPIRED, PENDING, RELEASED
from config.kernel.context import SYSTEM
from holds import ending
from holds.states import ACTIVE
from payments import credit_spending, reacquire, unpaid
from payments.credits import NotEnoughCredit
from payments.lock_objects import LockedMoney
from payments.models import Checkout

DUPLICATE = "duplicate"
NOT_REVIVED = "not_revived"
TOO_LATE = "too_late"
SLOT_GONE = "slot_gone"
CREDIT_GONE = "credit_gone"
NOT_APPROVED = "not_approved"


def win(money: LockedMoney, checkout: Checkout | None, source: str, *, gives_up: bool) -> str:
    """Make it theirs; why it cannot be, if so.

    The credit that was part of the payment is part of it: that gone, the slot is gone as well. So
    it is where a connected calendar has the time since, though the hold is live: nothing is charged
    for what is somebody else's. What did not come by Stripe has no Checkout. Raises OwnHoldInTheWay
    unless `gives_up`.
    """
    is_late = not is_live(money)
    refusal = NOT_APPROVED if money.booking.needs_approval else over(money)
    if not refusal and is_late and money.starts_at <= money.now:
        refusal = TOO_LATE  # nobody buys an hour that has begun without them
    if refusal:
        return refusal
    if not is_late and meanwhile.is_taken(money.booking.pk, money.hold.change_id):
        return SLOT_GONE
    try:
        with transaction.atomic():
            if is_late and not reacquire.reacquire(money, gives_up=gives_up):
                return SLOT_GONE
            if checkout is not None:
                credit_spending.debit_again(money, checkout)
    except NotEnoughCredit:
        return CREDIT_GONE
    after_time = money.hold.expires_at <= money.now
    ending.win_locked(money.hold, money.now, SYSTEM, source=source, late=after_time)
    return ""


def is_live(money: LockedMoney) -> bool:
    """Whether what is held for it still counts."""
    return money.hold.state == ACTIVE and money.hold.lapses_at > money.now


def over(money: LockedMoney) -> str:
    """Why nothing can come of it any more, whoever has the time."""
    booking, change = money.booking, money.change
    if change is None:
        if booking.state in unpaid.THEIRS:
            return DUPLICATE  # nothing is owed for it any more
        return NOT_REVIVED if booking.state in {RELEASED, CANCELLED} else ""
    if change.state == COMMITTED:
        return DUPLICATE
    is_open = change.state in {PENDING, EXPIRED} and booking.state == CONFIRMED
    return "" if is_open and booking.version == change.base_version else NOT_REVIVED
