"""What staff do about a finding: each resolves it with their note, in the deed's transaction.

What can be done about something at Stripe that we do not know is in `strangers.py`.
"""

from typing import Any

from django.db import transaction

from bookings.errors import SlotTaken
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.errors import InvalidTransition
from config.kernel.locks import retried_on_deadlock
from holds import ending
from payments import carrying, reacquire, receipts, refunding, winning
from payments import credits as ledger
from payments.lock_objects import LockedMoney, lock_due
from payments.models import Finding, Refund
from payments.reconciler.about import NotOffered, about, resolve
from payments.standing import standing_of
from payments.states import CAPTURE, CAPTURED

Resolution = Finding.Resolution


def dismiss(finding: Finding, *, actor: Actor, note: str) -> None:
    """Leave it as it is; it stays silent until something about it changes."""
    resolve(finding, Resolution.DISMISSED, actor, note)


@retried_on_deadlock
def refund(finding: Finding, *, actor: Actor, note: str) -> None:
    """Give back what `About.refundable` says. Raises what `refunding.request` raises."""
    it = about(finding)
    amount, due = it.refundable, it.due
    if amount is None or due is None:
        raise NotOffered
    with transaction.atomic():
        money = lock_due(due.pk)
        resolve(finding, Resolution.REFUNDED, actor, note)
        refunding.request(
            money,
            standing=standing_of([money.due]),
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
    if it.due is None or not it.can_rebook:
        raise NotOffered
    with transaction.atomic():
        money = lock_due(it.due.pk)
        if not any(p.state == CAPTURED and p.verdict == CAPTURE for p in money.payments):
            raise NotOffered("Nothing that was paid for it is still here.")
        win(money, actor, note)
        rows.insert(carrying.confirmation(money, _receipt(money)))
        resolve(finding, Resolution.REBOOKED, actor, note)


def _receipt(money: LockedMoney) -> dict[str, Any] | None:
    """The receipt that was made when the money came, as the mail shows it."""
    found = money.due.receipts.order_by("number").first()
    return receipts.as_shown(found, money.booking) if found else None


def win(money: LockedMoney, actor: Actor, note: str) -> None:
    """Make what a due buys theirs, under its locks. Raises SlotTaken (409) when it is gone.

    Raises InvalidTransition for what has ended otherwise than by its time running out.
    """
    if winning.over(money):
        raise InvalidTransition("The booking has ended; refund it, or book it anew.")
    if not winning.is_live(money) and not reacquire.reacquire(money, gives_up=True):
        raise SlotTaken
    ending.win_locked(money.hold, money.now, actor, source="finding", reason=note)
