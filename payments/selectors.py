"""Reads of money."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Sum

from bookings.models import Booking
from config.kernel.money import Money
from payments.models import CreditEntry, Payment, Refund
from payments.standing import BY_REFUND
from payments.states import CAPTURED, FAILED, PROCESSING, SUCCEEDED


@dataclass(frozen=True, slots=True)
class Summary:
    """What a booking costs, what is paid, and its payments, oldest first."""

    total: Money
    paid: Money
    refunded: Money
    payments: list[Payment]
    refunds: list[Refund]

    @property
    def on_its_way(self) -> Money:
        """What has been asked for and has not reached the card yet."""
        waiting = [r.amount_minor for r in self.refunds if r.state not in {SUCCEEDED, FAILED}]
        return Money(sum(waiting), self.total.currency)


def money_of(booking: Booking) -> Summary:
    """Three queries."""
    return money_of_many([booking])[booking.pk]


def money_of_many(bookings: list[Booking]) -> dict[UUID, Summary]:
    """The same for many."""
    found: dict[UUID, list[Payment]] = {booking.pk: [] for booking in bookings}
    payments = Payment.objects.select_related("due").filter(due__booking_id__in=found)
    for payment in payments.order_by("created_at"):
        found[payment.due.booking_id].append(payment)
    refunds: dict[UUID, list[Refund]] = {booking.pk: [] for booking in bookings}
    for refund in Refund.objects.select_related("due").filter(due__booking_id__in=found):
        refunds[refund.due.booking_id].append(refund)
    returned = _returned(list(found))
    return {b.pk: summary(b, found[b.pk], refunds[b.pk], returned.get(b.pk, 0)) for b in bookings}


def _returned(booking_ids: list[UUID]) -> dict[UUID, int]:
    """Spent credit that refunds gave back, by booking."""
    entries = CreditEntry.objects.filter(
        due__booking_id__in=booking_ids, kind=CreditEntry.Kind.RETURNED, source=BY_REFUND
    )
    summed = entries.values("due__booking_id").annotate(total=Sum("amount_minor"))
    return {row["due__booking_id"]: row["total"] for row in summed}


def summary(
    booking: Booking, payments: list[Payment], refunds: list[Refund], returned_minor: int
) -> Summary:
    """`refunded` is what has succeeded, and the spent credit that was given back."""
    paid = sum(p.amount_minor for p in payments if p.state == CAPTURED)
    given = sum(r.amount_minor for r in refunds if r.state == SUCCEEDED)
    return Summary(
        total=booking.total,
        paid=Money(paid, booking.currency),
        refunded=Money(given + returned_minor, booking.currency),
        payments=payments,
        refunds=refunds,
    )


def verdict_page(booking: Booking) -> str:
    """Which page tells the truth after paying: `confirmed`, `processing`, `lost` or `open`.

    `open` is unpaid and can still be paid, or ended unpaid; the hold says which.
    """
    if booking.state in {"confirmed", "completed", "no_show"}:
        return "confirmed"
    payments = list(Payment.objects.filter(due__booking_id=booking.pk))
    if any(p.state in {PROCESSING, "authorised"} for p in payments):
        return "processing"
    if booking.state != "pending_payment" and any(p.verdict == "void" for p in payments):
        return "lost"
    return "open"
