"""What staff do about a finding: each resolves it with their note, in the deed's transaction.

What can be done about something at Stripe that we do not know is in `strangers.py`.
"""

from typing import Any

from django.db import transaction

from bookings import mails
from bookings import services as bookings_services
from bookings.errors import SlotTaken
from bookings.models import Booking
from bookings.states import EXPIRED, PENDING_PAYMENT
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.errors import InvalidTransition
from config.kernel.locks import retried_on_deadlock
from holds import ending
from payments import credits as ledger
from payments import reacquire, receipts, refunding
from payments.lock_objects import LockedMoney, lock_money
from payments.models import Finding, Refund
from payments.reconciler.about import NotOffered, about, resolve
from payments.states import CAPTURE, CAPTURED

Resolution = Finding.Resolution


def dismiss(finding: Finding, *, actor: Actor, note: str) -> None:
    """Leave it as it is; it stays silent until something about it changes."""
    resolve(finding, Resolution.DISMISSED, actor, note)


@retried_on_deadlock
def refund(finding: Finding, *, actor: Actor, note: str) -> None:
    """Give back what `About.refundable` says. Raises what `refunding.request` raises."""
    it = about(finding)
    amount, booking = it.refundable, it.booking
    if amount is None or booking is None:
        raise NotOffered
    with transaction.atomic():
        money = lock_money(booking.pk)
        resolve(finding, Resolution.REFUNDED, actor, note)
        refunding.request(
            money,
            amount_minor=amount.amount_minor,
            cause=Refund.Cause.RECONCILER,
            actor=actor,
            reason=note,
        )


def credit(finding: Finding, *, amount_minor: int, actor: Actor, note: str) -> None:
    """Give the booking's member credit in its workspace. Raises what `credits.issue` raises."""
    it = about(finding)
    booking, member = it.booking, it.member
    if booking is None or member is None:
        raise NotOffered
    with transaction.atomic():
        resolve(finding, Resolution.CREDITED, actor, note)
        ledger.issue(
            workspace=booking.workspace,
            member=member,
            amount_minor=amount_minor,
            reason=note,
            source="finding",
            key=f"finding:{finding.pk}",
            actor=actor,
        )


@retried_on_deadlock
def rebook(finding: Finding, *, actor: Actor, note: str) -> None:
    """Confirm the paid booking after all, if its slot can be won. Raises SlotTaken (409)."""
    it = about(finding)
    booking = it.booking
    if booking is None or not it.can_rebook:
        raise NotOffered
    with transaction.atomic():
        money = lock_money(booking.pk)
        if not any(p.state == CAPTURED and p.verdict == CAPTURE for p in money.payments):
            raise NotOffered("Nothing that was paid for it is still here.")
        if not wins_slot(money):
            raise SlotTaken
        ending.confirm_locked(money.hold, money.now)
        bookings_services.confirm(
            money.booking, at=money.now, actor=actor, source="finding", reason=note
        )
        rows.insert(mails.confirmation(money.booking, _receipt(money.booking)))
        resolve(finding, Resolution.REBOOKED, actor, note)


def _receipt(booking: Booking) -> dict[str, Any] | None:
    """The receipt that was made when the money came, as the mail shows it."""
    found = receipts.of_booking(booking)
    return receipts.as_shown(found[0], booking) if found else None


def wins_slot(money: LockedMoney) -> bool:
    """Make the slot theirs, under its locks; False when it is gone.

    Raises InvalidTransition for a booking that has ended otherwise than by its time running out.
    """
    booking = money.booking
    if booking.state == PENDING_PAYMENT and money.hold.lapses_at > money.now:
        return True
    if booking.state not in {PENDING_PAYMENT, EXPIRED}:
        raise InvalidTransition("The booking has ended; refund it, or book it anew.")
    return reacquire.reacquire(money, gives_up=True)
