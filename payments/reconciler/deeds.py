"""What staff do about a finding: each resolves it with their note, in the deed's transaction.

What can be done about something at Stripe that we do not know is in `strangers.py`.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import transaction

from bookings.errors import SlotTaken
from bookings.states import CANCELLED
from config.kernel import rows
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import InvalidInput, InvalidTransition
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import Money
from holds import ending
from payments import carrying, findings, reacquire, receipts, refunding, winning
from payments import credits as ledger
from payments.lock_objects import LockedMoney, lock_due
from payments.models import Due, Finding, Payment, Refund
from payments.reconciler import failed_refunds, filing, sums
from payments.reconciler.about import About, NotOffered, about, resolve
from payments.standing import left_of, standing_of
from payments.states import CAPTURE, CAPTURED

Resolution = Finding.Resolution


def dismiss(finding: Finding, *, actor: Actor, note: str) -> None:
    """Leave it as it is; it stays silent until something about it changes."""
    resolve(finding, Resolution.DISMISSED, actor, note)


@retried_on_deadlock
def refund(finding: Finding, *, actor: Actor, note: str, expects_minor: int | None = None) -> None:
    """Give back what `About.refundable` says. Raises what `refunding.request` raises.

    NotOffered when that is no longer so, or not `expects_minor`, which its reader was shown: what
    was given back in another way meanwhile is not given twice.
    """
    it = about(finding)
    amount = it.refundable
    if amount is None or it.due is None or expects_minor not in {None, amount.amount_minor}:
        raise NotOffered
    with transaction.atomic():
        money = lock_due(it.due.pk)
        is_so = _is_still_so(it, amount)
        if is_so:
            resolve(finding, Resolution.REFUNDED, actor, note)
            _give_back(it, money, _Back(amount.amount_minor, Refund.To.CARD, actor, note))
    if not is_so:
        _tell_anew(it)


@retried_on_deadlock
def credit(finding: Finding, *, amount_minor: int, actor: Actor, note: str) -> None:
    """Give the booking's member credit in its workspace.

    What could be refunded becomes credit first, so that the matter is settled as far as that goes;
    what is more, or all of it where nothing could be, is goodwill. Raises InvalidInput, NotOffered
    when what could be refunded has changed, and what `refunding.request` raises.
    """
    it = about(finding)
    if it.due is None or it.member is None:
        raise NotOffered
    if amount_minor <= 0:
        raise InvalidInput("More than nothing.", field="amount_minor")
    with transaction.atomic():
        money = lock_due(it.due.pk)
        amount = it.refundable
        is_so = amount is None or _is_still_so(it, amount)
        if is_so:
            of_payment = min(amount_minor, amount.amount_minor) if amount is not None else 0
            resolve(finding, Resolution.CREDITED, actor, note)
            _give_goodwill(it, amount_minor - of_payment, actor, note)
            _give_back(it, money, _Back(of_payment, Refund.To.CREDIT, actor, note))
    if not is_so:
        _tell_anew(it)


@dataclass(frozen=True, slots=True)
class _Back:
    """What is to be given back about a finding, where to, by whom and why."""

    amount_minor: int
    to: str
    actor: Actor
    note: str


def _is_still_so(it: About, amount: Money) -> bool:
    """Under money's locks: whether that much can still be given back about it."""
    if it.failed_refund is not None:
        missing = failed_refunds.missing([it.failed_refund.pk])
        return missing[it.failed_refund.pk] == amount.amount_minor
    seen = sums.seen_of(UUID(it.finding.subject_id))
    if seen is None or seen.kind != it.finding.kind:
        return False
    return bool(seen.evidence["sum"]["difference"] == amount.amount_minor)


def _tell_anew(it: About) -> None:
    """Nothing was done: let the finding say how it stands by now. Raises NotOffered."""
    if it.is_of_sum:
        seen = sums.seen_of(UUID(it.finding.subject_id))
        filing.file_all(sums.Dues(), [seen] if seen is not None else [])
        if seen is None or seen.kind != it.finding.kind:
            findings.resolve(it.finding, resolution=Resolution.CAUSE_GONE, actor=SYSTEM)
    raise NotOffered("That has changed meanwhile. Please look at it again.")


def _give_back(it: About, money: LockedMoney, back: _Back) -> None:
    """Take it from the payment whose refund failed; else from payments that bought nothing first,
    and from what was accepted only then.
    """
    if it.failed_refund is not None:
        _give_back_of(it.failed_refund.payment, money, back, _cause(it.failed_refund))
        return
    dues, rest = _parts(money), back.amount_minor
    useless = Payment.objects.filter(due__in=dues, state=CAPTURED).exclude(verdict=CAPTURE)
    for payment in useless.order_by("created_at"):
        part = min(rest, left_of(payment))
        _give_back_of(payment, money, replace(back, amount_minor=part), Refund.Cause.RECONCILER)
        rest -= part
    if rest:
        refunding.request(
            money,
            standing=standing_of(dues),
            amount_minor=rest,
            to=back.to,
            cause=Refund.Cause.RECONCILER,
            actor=back.actor,
            reason=back.note,
        )


def _give_back_of(payment: Payment, money: LockedMoney, back: _Back, cause: str) -> None:
    if back.amount_minor:
        refunding.request_of(
            money,
            payment,
            amount_minor=back.amount_minor,
            to=back.to,
            cause=cause,
            actor=back.actor,
            reason=back.note,
        )


def _cause(failed: Refund) -> str:
    """What is given anew is given for the same cause: a cancellation's share, a cheaper change.

    Of a payment that bought nothing the cause decides only what the member is told, and that is
    another thing now.
    """
    was_accepted = failed.payment.verdict == CAPTURE
    return failed.cause if was_accepted else Refund.Cause.RECONCILER


def _parts(money: LockedMoney) -> list[Due]:
    """What the sum of a due is made of: once its booking is cancelled, of all its dues."""
    is_cancelled = money.booking.state == CANCELLED
    return list(money.booking.dues.order_by("-created_at")) if is_cancelled else [money.due]


def _give_goodwill(it: About, amount_minor: int, actor: Actor, note: str) -> None:
    if not amount_minor or it.booking is None or it.member is None:
        return
    ledger.issue(
        workspace=it.booking.workspace,
        member=it.member,
        amount_minor=amount_minor,
        reason=note,
        source="finding",
        key=f"finding:{it.finding.pk}",
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
