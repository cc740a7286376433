"""Reads of money."""

from dataclasses import dataclass
from uuid import UUID

from bookings.models import Booking
from config.kernel.money import Money
from payments.models import Payment
from payments.states import CAPTURED, PROCESSING


@dataclass(frozen=True, slots=True)
class Summary:
    """What a booking costs, what is paid, and its payments, oldest first."""

    total: Money
    paid: Money
    refunded: Money
    payments: list[Payment]


def money_of(booking: Booking) -> Summary:
    """One query."""
    payments = Payment.objects.filter(due__booking_id=booking.pk).order_by("created_at")
    return summary(booking, list(payments))


def money_of_many(bookings: list[Booking]) -> dict[UUID, Summary]:
    """The same for many, in one query."""
    found: dict[UUID, list[Payment]] = {booking.pk: [] for booking in bookings}
    payments = Payment.objects.select_related("due").filter(due__booking_id__in=found)
    for payment in payments.order_by("created_at"):
        found[payment.due.booking_id].append(payment)
    return {booking.pk: summary(booking, found[booking.pk]) for booking in bookings}


def summary(booking: Booking, payments: list[Payment]) -> Summary:
    paid = sum(p.amount_minor for p in payments if p.state == CAPTURED)
    return Summary(
        total=booking.total,
        paid=Money(paid, booking.currency),
        refunded=Money(0, booking.currency),
        payments=payments,
    )


def verdict_page(booking: Booking) -> str:
    """Which page tells the truth after paying: `confirmed`, `processing`, `lost` or `open`.

    `open` is unpaid and can still be paid, or ended unpaid; the hold says which.
    """
    if booking.state in {"confirmed", "completed", "no_show"}:
        return "confirmed"
    payments = money_of(booking).payments
    if any(p.state in {PROCESSING, "authorised"} for p in payments):
        return "processing"
    if booking.state != "pending_payment" and any(p.verdict == "void" for p in payments):
        return "lost"
    return "open"
