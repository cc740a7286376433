"""What staff do about a finding: each resolves it with their note, in the deed's transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from bookings.errors import SlotTaken
from bookings.models import Booking
from bookings.states import CONFIRMED, EXPIRED, PENDING, PENDING_PAYMENT
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.errors import DomainError, InvalidInput, InvalidTransition, NotFound
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import Money
from holds import ending
from members.models import Member
from payments import carrying, findings, reacquire, receipts, refunding, stripe_api, unpaid, winning
from payments import credits as ledger
from payments.lock_objects import LockedMoney, lock_due, lock_money
from payments.models import Checkout, Due, Finding, Payment, Refund
from payments.moves import move_checkout, move_payment
from payments.reconciler import stripe_objects, sums
from payments.standing import standing_of
from payments.states import AUTHORISED, CAPTURE, CAPTURED, CAPTURING, COMPLETE, OPEN

Resolution = Finding.Resolution


class NotOffered(DomainError):
    code = "not_offered"
    status = 409
    detail = "That cannot be done about this finding."


@dataclass(frozen=True, slots=True)
class About:
    """What a finding is about, where it is about a booking's money."""

    finding: Finding
    due: Due | None = None
    member: Member | None = None
    failed_refund: Refund | None = None

    @property
    def booking(self) -> Booking | None:
        return self.due.booking if self.due is not None else None

    @property
    def refundable(self) -> Money | None:
        """What refunding would give back: the money too much, or what did not arrive."""
        if self.due is None:
            return None
        amount = 0
        if self.finding.kind in {sums.CAPTURED_WITHOUT_BOOKING, sums.SUM_DIFFERS}:
            amount = int(self.finding.evidence.get("sum", {}).get("difference", 0))
        elif self.failed_refund is not None:
            amount = self.failed_refund.amount_minor
        return Money(amount, self.due.currency) if amount > 0 else None

    @property
    def can_credit(self) -> bool:
        """Whether there is somebody to give credit to."""
        return self.member is not None

    @property
    def can_rebook(self) -> bool:
        """Whether the money is here and the booking may still be theirs."""
        of_kind = self.finding.kind == sums.CAPTURED_WITHOUT_BOOKING
        due = self.due
        if due is None or not of_kind:
            return False
        if due.change is not None:
            return due.change.state in {PENDING, EXPIRED} and due.booking.state == CONFIRMED
        return due.booking.state in {PENDING_PAYMENT, EXPIRED}

    @property
    def can_attach(self) -> bool:
        """Whether this is money at Stripe that a booking may be waiting for."""
        of_kind = self.finding.kind == stripe_objects.UNEXPLAINED_PAYMENT
        return of_kind and self.finding.evidence.get("status") == "succeeded"


def about(finding: Finding) -> About:
    """What one finding is about."""
    return about_all([finding])[finding.pk]


def about_all(found: Iterable[Finding]) -> dict[UUID, About]:
    """The same for many, in a constant number of queries."""
    found = list(found)
    refunds = {
        str(refund.pk): refund
        for refund in Refund.objects.filter(pk__in=_subjects(found, "refund"))
    }
    named = {finding.pk: _due_id(finding, refunds) for finding in found}
    dues = Due.objects.select_related("booking__workspace", "booking__member", "change")
    by_id = {due.pk: due for due in dues.filter(pk__in=[pk for pk in named.values() if pk])}
    by_booking = {
        str(due.booking_id): due
        for due in dues.filter(booking_id__in=_subjects(found, "booking"), purpose="booking")
    }
    of_finding = {
        finding.pk: by_id.get(named[finding.pk]) or by_booking.get(finding.subject_id)  # type: ignore[arg-type]
        for finding in found
    }
    members = _members([due.booking for due in of_finding.values() if due is not None])
    told = {}
    for finding in found:
        due, refund = of_finding[finding.pk], refunds.get(finding.subject_id)
        told[finding.pk] = About(
            finding=finding,
            due=due,
            member=members.get(due.booking_id) if due is not None else None,
            failed_refund=refund if refund is not None and refund.state == "failed" else None,
        )
    return told


def _subjects(found: Iterable[Finding], subject_type: str) -> list[UUID]:
    ids = [_uuid(f.subject_id) for f in found if f.subject_type == subject_type]
    return [each for each in ids if each is not None]


def _due_id(finding: Finding, refunds: dict[str, Refund]) -> UUID | None:
    if finding.subject_type == "due":
        return _uuid(finding.subject_id)
    if finding.subject_id in refunds:
        return refunds[finding.subject_id].due_id
    return _uuid(finding.evidence.get("due"))


def _uuid(word: Any) -> UUID | None:
    try:
        return UUID(str(word))
    except ValueError:
        return None


def _members(bookings: list[Booking]) -> dict[UUID, Member]:
    """Who booked: the booking's member, or the member with its address."""
    addresses = {b.email.lower() for b in bookings if b.member is None and b.email}
    by_address = {m.email: m for m in Member.objects.filter(email__in=addresses)}
    known = {b.pk: b.member or by_address.get(b.email.lower()) for b in bookings}
    return {pk: member for pk, member in known.items() if member is not None}


def dismiss(finding: Finding, *, actor: Actor, note: str) -> None:
    """Leave it as it is; it stays silent until something about it changes."""
    _resolve(finding, Resolution.DISMISSED, actor, note)


@retried_on_deadlock
def refund(finding: Finding, *, actor: Actor, note: str) -> None:
    """Give back what `About.refundable` says. Raises what `refunding.request` raises."""
    it = about(finding)
    amount, due = it.refundable, it.due
    if amount is None or due is None:
        raise NotOffered
    with transaction.atomic():
        money = lock_due(due.pk)
        _resolve(finding, Resolution.REFUNDED, actor, note)
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
        _resolve(finding, Resolution.CREDITED, actor, note)
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
        if winning.over(money):
            raise InvalidTransition("The booking has ended; refund it, or book it anew.")
        if not winning.is_live(money) and not reacquire.reacquire(money, gives_up=True):
            raise SlotTaken
        ending.win_locked(money.hold, money.now, actor, source="finding", reason=note)
        rows.insert(carrying.confirmation(money, _receipt(money)))
        _resolve(finding, Resolution.REBOOKED, actor, note)


def _receipt(money: LockedMoney) -> dict[str, Any] | None:
    """The receipt that was made when the money came, as the mail shows it."""
    found = money.due.receipts.order_by("number").first()
    return receipts.as_shown(found, money.booking) if found else None


def attach(finding: Finding, *, reference: str, actor: Actor, note: str) -> None:
    """Explain a payment at Stripe: it is the money of a confirmed booking that had none.

    Raises NotFound for an unknown reference, InvalidInput when amount, currency or account are
    not the booking's, and NotOffered when the booking is paid or does not stand.
    """
    if not about(finding).can_attach:
        raise NotOffered
    account = finding.evidence.get("account", "")
    intent = stripe_api.fetch_intent_fully(finding.subject_id, account=account)
    of_workspace = {"workspace_id": finding.workspace_id} if finding.workspace_id else {}
    found = Booking.objects.filter(reference=reference.strip().upper(), **of_workspace)
    if found.count() != 1:
        raise NotFound("There is no booking with this reference here.")
    _attach(found.get().pk, intent, account)
    _resolve(finding, Resolution.ATTACHED, actor, f"{reference.strip().upper()}: {note}")


@retried_on_deadlock
def _attach(booking_id: UUID, intent: dict[str, Any], account: str) -> None:
    with transaction.atomic():
        money = lock_money(booking_id)
        due, workspace = money.due, money.booking.workspace
        if money.booking.state != CONFIRMED:
            raise NotOffered("Only a confirmed booking can take a payment.")
        if unpaid.accepted(money.payments) is not None:
            raise NotOffered("That booking has an accepted payment already.")
        came_in = (intent["amount_received"], intent["currency"].upper(), account)
        if came_in != (due.amount_minor, due.currency, workspace.charging_account):
            raise InvalidInput(f"That booking owes {due.amount}.", field="reference")
        _write_payment(money, intent, account)


def _write_payment(money: LockedMoney, intent: dict[str, Any], account: str) -> None:
    """The rows that a payment through our own Checkout would have left."""
    due = money.due
    checkout = Checkout(
        due=due,
        attempt=len(money.checkouts) + 1,
        account=account,
        livemode=intent["livemode"],
        amount_minor=due.amount_minor,
        currency=due.currency,
        title="Paid at Stripe, attached by staff",
        success_url="",
        cancel_url="",
        created_at=money.now,
        expires_at=money.now + timedelta(hours=1),
        close_requested_at=money.now,
    )
    payment = Payment(
        due=due,
        checkout=checkout,
        payment_intent_id=intent["id"],
        account=account,
        livemode=intent["livemode"],
        amount_minor=due.amount_minor,
        currency=due.currency,
        created_at=money.now,
    )
    rows.insert([checkout, payment])
    move_checkout(checkout, OPEN)
    move_checkout(checkout, COMPLETE, ended_at=money.now)
    move_payment(payment, AUTHORISED)
    move_payment(
        payment, CAPTURING, verdict=CAPTURE, verdict_because="attached", decided_at=money.now,
        settled_by="staff",
    )  # fmt: skip
    move_payment(payment, CAPTURED, captured_at=money.now)
    carrying.captured(money, payment)


def _resolve(finding: Finding, resolution: str, actor: Actor, note: str) -> None:
    if not findings.resolve(finding, resolution=resolution, actor=actor, note=note):
        raise NotOffered("Somebody has closed it meanwhile.")
