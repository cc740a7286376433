"""What a finding is about, and so what can be done about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bookings.models import Booking
from bookings.states import CONFIRMED, EXPIRED, PENDING, PENDING_PAYMENT
from config.kernel.context import Actor
from config.kernel.errors import DomainError
from config.kernel.money import Money
from members.models import Member
from payments import findings, refunding
from payments.models import Due, Finding, Refund
from payments.reconciler import at_stripe, failed_refunds, sums
from payments.states import FAILED


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
    missing_minor: int = 0

    @property
    def booking(self) -> Booking | None:
        return self.due.booking if self.due is not None else None

    @property
    def refundable(self) -> Money | None:
        """What refunding would give back: the money too much, or what did not arrive and has not
        been given back anew.
        """
        if self.due is None:
            return None
        amount = 0
        if self.is_of_sum:
            amount = int(self.finding.evidence.get("sum", {}).get("difference", 0))
        elif self.failed_refund is not None:
            amount = self.missing_minor
        return Money(amount, self.due.currency) if amount > 0 else None

    @property
    def is_of_sum(self) -> bool:
        """Whether it tells of a due with too much money, as far as it does of too much."""
        return self.finding.kind in {sums.CAPTURED_WITHOUT_BOOKING, sums.SUM_DIFFERS}

    @property
    def can_credit(self) -> bool:
        """Whether there is somebody to give credit to."""
        return self.member is not None

    @property
    def can_rebook(self) -> bool:
        """Whether the money is here and the booking may still be theirs."""
        due = self.due
        if due is None or self.finding.kind != sums.CAPTURED_WITHOUT_BOOKING:
            return False
        if due.change is not None:
            return due.change.state in {PENDING, EXPIRED} and due.booking.state == CONFIRMED
        is_open = due.booking.state in {PENDING_PAYMENT, EXPIRED}
        return is_open and not due.booking.needs_approval

    @property
    def can_attach(self) -> bool:
        """Whether this is money at Stripe that a booking may be waiting for."""
        return self._is_stranger and self.finding.evidence.get("status") == "succeeded"

    @property
    def returnable(self) -> Money | None:
        """A payment at Stripe that no row of ours is about, and that can go back whole."""
        told = self.finding.evidence
        can_go_back = told.get("status") in {"succeeded", "requires_capture"}
        if not self._is_stranger or not can_go_back or not told.get("amount"):
            return None
        return Money(int(told["amount"]), str(told["currency"]).upper())

    @property
    def can_record(self) -> bool:
        """Whether this is a refund at Stripe, of a payment of ours, that has no row."""
        return self.finding.kind == refunding.FOREIGN and self.due is not None

    @property
    def _is_stranger(self) -> bool:
        return self.finding.kind == at_stripe.UNEXPLAINED_PAYMENT


def about(finding: Finding) -> About:
    """What one finding is about."""
    return about_all([finding])[finding.pk]


def about_all(found: Iterable[Finding]) -> dict[UUID, About]:
    """The same for many, in a constant number of queries."""
    found = list(found)
    refunds = {
        str(refund.pk): refund
        for refund in Refund.objects.select_related("payment").filter(
            pk__in=_subjects(found, "refund")
        )
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
    missing = failed_refunds.missing(refund.pk for refund in refunds.values())
    told = {}
    for finding in found:
        due, refund = of_finding[finding.pk], refunds.get(finding.subject_id)
        told[finding.pk] = About(
            finding=finding,
            due=due,
            member=members.get(due.booking_id) if due is not None else None,
            failed_refund=refund if refund is not None and refund.state == FAILED else None,
            missing_minor=missing.get(refund.pk, 0) if refund is not None else 0,
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


def resolve(finding: Finding, resolution: str, actor: Actor, note: str) -> None:
    if not findings.resolve(finding, resolution=resolution, actor=actor, note=note):
        raise NotOffered("Somebody has closed it meanwhile.")
