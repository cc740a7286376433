"""Reads of money."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Sum

from bookings.models import Booking
from config.kernel.money import Money
from payments.credits import SPENDING
from payments.models import CreditEntry, Payment
from payments.states import CAPTURED, PROCESSING


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


def money_of(booking: Booking) -> Summary:
    """Two queries."""
    return money_of_many([booking])[booking.pk]


def money_of_many(bookings: list[Booking]) -> dict[UUID, Summary]:
    """The same for many, in as many queries."""
    found: dict[UUID, list[Payment]] = {booking.pk: [] for booking in bookings}
    payments = Payment.objects.select_related("due").filter(due__booking_id__in=found)
    for payment in payments.order_by("created_at"):
        found[payment.due.booking_id].append(payment)
    credit = _credit(found)
    return {b.pk: summary(b, found[b.pk], credit.get(b.pk, 0)) for b in bookings}


def _credit(booking_ids: Iterable[UUID]) -> dict[UUID, int]:
    spent = CreditEntry.objects.filter(due__booking_id__in=list(booking_ids), kind__in=SPENDING)
    sums = spent.order_by().values_list("due__booking_id").annotate(total=Sum("amount_minor"))
    return {booking_id: -total for booking_id, total in sums}


def summary(booking: Booking, payments: list[Payment], credit_minor: int = 0) -> Summary:
    paid = sum(p.amount_minor for p in payments if p.state == CAPTURED)
    return Summary(
        total=booking.total,
        paid=Money(paid, booking.currency),
        credit=Money(credit_minor, booking.currency),
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
