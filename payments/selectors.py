"""Reads of money."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q, Sum
from django.db.models.functions import Coalesce

from bookings.models import Booking
from bookings.states import AWAITING_APPROVAL, UNDECIDED
from config.kernel.money import Money
from payments.credits import SPENDING
from payments.models import CreditEntry, Due, Payment, Refund
from payments.standing import GIVEN_BACK
from payments.states import CAPTURE_FAILED, CAPTURED, FAILED, PROCESSING, REFUND, SUCCEEDED, VOID
from payments.unpaid import THEIRS, accepted


@dataclass(frozen=True, slots=True)
class Summary:
    """What a booking costs, what is paid by card, what with credit (spent and not given back),
    and its payments, oldest first.
    """

    total: Money
    paid: Money
    credit: Money
    refunded: Money
    payments: list[Payment]
    refunds: list[Refund]
    pay_again: Due | None = None
    waived: Money | None = None

    @property
    def pay_again_until(self) -> datetime | None:
        """The deadline of a booking that is theirs and still to be paid."""
        return self.pay_again.pay_again_until if self.pay_again else None

    @property
    def is_authorised(self) -> bool:
        """Whether a card is authorised and nobody has decided about it yet."""
        return any(p.state == "authorised" and not p.verdict for p in self.payments)

    @property
    def is_by_card(self) -> bool:
        """Whether what is paid came by card; what staff took by hand did not."""
        return not any(p.is_external for p in self.payments)

    @property
    def was_refused(self) -> bool:
        """Whether it is owed since a bank did not hand over what it had promised."""
        return any(p.state == CAPTURE_FAILED for p in self.payments)

    @property
    def on_its_way(self) -> Money:
        """What has been asked for and has not reached the card yet."""
        waiting = [r.amount_minor for r in self.refunds if r.state not in {SUCCEEDED, FAILED}]
        return Money(sum(waiting), self.total.currency)

    @property
    def refused(self) -> Payment | None:
        """The payment that bought nothing, for who asks what became of it."""
        return next((p for p in self.payments if p.verdict in {VOID, REFUND}), None)

    @property
    def delayed(self) -> Payment | None:
        """The payment whose bank takes its time."""
        return next((p for p in self.payments if p.state == PROCESSING), None)


def money_of_many(bookings: list[Booking]) -> dict[UUID, Summary]:
    """What each booking's money is, in six queries however many."""
    found: dict[UUID, list[Payment]] = {booking.pk: [] for booking in bookings}
    payments = Payment.objects.select_related("due").filter(due__booking_id__in=found)
    for payment in payments.order_by("created_at"):
        found[payment.due.booking_id].append(payment)
    refunds: dict[UUID, list[Refund]] = {booking.pk: [] for booking in bookings}
    for refund in Refund.objects.select_related("due").filter(due__booking_id__in=found):
        refunds[refund.due.booking_id].append(refund)
    credit, returned = _credit(found)
    owing = _owing(found)
    waived = dict(
        Due.objects.filter(booking_id__in=found, waived_minor__gt=0)
        .values_list("booking_id")
        .annotate(Sum("waived_minor"))
    )
    return {
        b.pk: replace(
            summary(b, found[b.pk], refunds[b.pk], credit.get(b.pk, 0), returned.get(b.pk, 0)),
            pay_again=_still_owed(b, owing.get(b.pk), found[b.pk]),
            waived=Money(waived[b.pk], b.currency) if b.pk in waived else None,
        )
        for b in bookings
    }


def _owing(booking_ids: Iterable[UUID]) -> dict[UUID, Due]:
    """By booking: the due that has a deadline."""
    late = Due.objects.filter(booking_id__in=list(booking_ids), pay_again_until__isnull=False)
    return {due.booking_id: due for due in late}


def _credit(booking_ids: Iterable[UUID]) -> tuple[dict[UUID, int], dict[UUID, int]]:
    """By booking: the credit that pays for it, and what of it refunds gave back."""
    by_refund = Q(kind=CreditEntry.Kind.RETURNED, source__in=GIVEN_BACK)
    entries = CreditEntry.objects.filter(
        due__booking_id__in=list(booking_ids), kind__in=SPENDING
    ).order_by()
    sums = entries.values_list("due__booking_id").annotate(
        paid=Coalesce(Sum("amount_minor", filter=~by_refund), 0),
        back=Coalesce(Sum("amount_minor", filter=by_refund), 0),
    )
    found = list(sums)
    return {pk: -paid for pk, paid, _ in found}, {pk: back for pk, _, back in found}


def summary(
    booking: Booking,
    payments: list[Payment],
    refunds: list[Refund],
    credit_minor: int,
    returned_minor: int,
) -> Summary:
    """`refunded` is what has succeeded, and the spent credit that was given back."""
    paid = sum(p.amount_minor for p in payments if p.state == CAPTURED)
    given = sum(r.amount_minor for r in refunds if r.state == SUCCEEDED)
    return Summary(
        total=booking.total,
        paid=Money(paid, booking.currency),
        credit=Money(credit_minor, booking.currency),
        refunded=Money(given + returned_minor, booking.currency),
        payments=payments,
        refunds=refunds,
    )


def due_again(booking: Booking, payments: Iterable[Payment]) -> Due | None:
    """What of a booking that is theirs is still to be paid by its deadline: its due, or that of a
    change, whose capture failed or which is paid later (`Due.pay_again_until`).
    """
    return _still_owed(booking, _owing([booking.pk]).get(booking.pk), payments)


def _still_owed(booking: Booking, due: Due | None, payments: Iterable[Payment]) -> Due | None:
    if due is None or booking.state not in THEIRS:
        return None
    return None if accepted(p for p in payments if p.due_id == due.pk) else due


def verdict_page(booking: Booking) -> str:
    """Which page tells the truth after paying.

    `confirmed`; `awaiting`, where staff are to approve it; `pay_again`, where its capture failed;
    `processing`; `lost`; `failed`, where the
    bank said no in the end; `cancelled`; or `open`: unpaid and can still be paid, or ended unpaid;
    the hold says which.
    """
    payments = list(Payment.objects.select_related("due").filter(due__booking_id=booking.pk))
    if booking.state in THEIRS:
        return "pay_again" if due_again(booking, payments) else "confirmed"
    if booking.state == "cancelled":
        return "cancelled"
    if booking.state == AWAITING_APPROVAL and booking.requested_at is not None:
        return "awaiting"
    if any(p.state in {PROCESSING, "authorised"} for p in payments):
        return "processing"
    if booking.state in UNDECIDED:
        return "open"
    if any(p.verdict in {VOID, REFUND} for p in payments):
        return "lost"
    has_failed = any(e.kind == "payment_failed" for e in booking.events.all())
    return "failed" if has_failed else "open"
