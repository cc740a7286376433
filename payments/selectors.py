"""Reads of money."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings.models import Booking
from config.kernel.money import Money
from payments.models import Payment
from payments.states import CAPTURED, PROCESSING, REFUND, VOID
from payments.unpaid import THEIRS, accepted


@dataclass(frozen=True, slots=True)
class Summary:
    """What a booking costs, what is paid, and its payments, oldest first."""

    total: Money
    paid: Money
    refunded: Money
    payments: list[Payment]
    pay_again_until: datetime | None = None

    @property
    def refused(self) -> Payment | None:
        """The payment that bought nothing, for who asks what became of it."""
        return next((p for p in self.payments if p.verdict in {VOID, REFUND}), None)

    @property
    def delayed(self) -> Payment | None:
        """The payment whose bank takes its time."""
        return next((p for p in self.payments if p.state == PROCESSING), None)


def money_of(booking: Booking) -> Summary:
    """One query."""
    payments = Payment.objects.select_related("due").filter(due__booking_id=booking.pk)
    return summary(booking, list(payments.order_by("created_at")))


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
        pay_again_until=_pay_again_until(booking, payments),
    )


def _pay_again_until(booking: Booking, payments: list[Payment]) -> datetime | None:
    """The deadline of a booking whose capture failed, while nothing has been paid again."""
    if booking.state not in THEIRS or accepted(payments) is not None:
        return None
    return payments[0].due.pay_again_until if payments else None


def verdict_page(booking: Booking) -> str:
    """Which page tells the truth after paying.

    `confirmed`; `pay_again`, where its capture failed; `processing`; `lost`; `failed`, where the
    bank said no in the end; `cancelled`; or `open`: unpaid and can still be paid, or ended unpaid;
    the hold says which.
    """
    money = money_of(booking)
    if booking.state in THEIRS:
        return "pay_again" if money.pay_again_until else "confirmed"
    if booking.state == "cancelled":
        return "cancelled"
    if any(p.state in {PROCESSING, "authorised"} for p in money.payments):
        return "processing"
    if booking.state == "pending_payment":
        return "open"
    if money.refused is not None:
        return "lost"
    has_failed = any(e.kind == "payment_failed" for e in booking.events.all())
    return "failed" if has_failed else "open"
