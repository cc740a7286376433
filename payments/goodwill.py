"""Credit for a member whose payment came when the slot was gone (design.md §6)."""

from bookings.models import Booking
from bookings.states import EXPIRED, UNDECIDED
from config.kernel.context import SYSTEM
from config.kernel.money import Money
from members.models import Member
from members.people import member_of_address
from payments.credits import enter, goodwill_expires_at, lock_account
from payments.lock_objects import LockedMoney
from payments.models import CreditEntry, Payment

SLOT_GONE = "slot_gone"


def give(money: LockedMoney, payment: Payment) -> Money | None:
    """Add the workspace's goodwill for a payment that found its slot gone; None if there is none.

    Once per payment. A guest gets the member of their address, made if need be. Nothing is given
    for duplicates, nor to who had let the slot go. Called last: it locks the credit account.
    """
    workspace, booking = money.booking.workspace, money.booking
    amount_minor = workspace.goodwill_credit_minor
    lost_it = booking.state in {*UNDECIDED, EXPIRED}
    if not amount_minor or payment.verdict_because != SLOT_GONE or not lost_it:
        return None
    if money.due.currency != workspace.currency:
        return None  # its amount was meant in another currency than this was sold in
    member = _whose(booking)
    if member is None:
        return None
    entry = enter(
        account=lock_account(workspace=workspace, member=member),
        kind=CreditEntry.Kind.GOODWILL,
        amount_minor=amount_minor,
        source="late",
        key=f"goodwill:{payment.pk}",
        actor=SYSTEM,
        reason="The slot was gone when the payment came",
        expires_at=goodwill_expires_at(workspace, money.now),
        due=money.due,
    )
    return Money(entry.amount_minor, workspace.currency)


def given_for(booking: Booking) -> Money | None:
    """What was given for a booking's payments, for its pages."""
    entries = CreditEntry.objects.filter(
        due__booking=booking, kind=CreditEntry.Kind.GOODWILL, source="late"
    ).values_list("amount_minor", flat=True)
    total = sum(entries)
    return Money(total, booking.workspace.currency) if total else None


def _whose(booking: Booking) -> Member | None:
    if booking.member is not None:
        return booking.member
    return member_of_address(booking.email) if booking.email else None
