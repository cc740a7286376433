"""Money's locks come last: due, checkouts, payments (design.md §3)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings.models import Booking
from config.kernel.locks import locked
from holds.lock_objects import LockedHold, lock_hold_of
from holds.models import Hold
from payments.models import Checkout, Due, Payment


@dataclass(frozen=True, slots=True)
class LockedMoney:
    """Everything a decision about money looks at, under its locks, and the time after them."""

    held: LockedHold
    due: Due
    checkouts: dict[UUID, Checkout]
    payments: list[Payment]

    @property
    def booking(self) -> Booking:
        return self.held.booking

    @property
    def hold(self) -> Hold:
        return self.held.hold

    @property
    def now(self) -> datetime:
        return self.held.now


def lock_money(booking_id: UUID) -> LockedMoney:
    """Resources, booking, hold, due, checkouts and payments of a booking, in that order."""
    held = lock_hold_of(booking_id)
    due = locked(Due.objects.filter(booking_id=booking_id, purpose=Due.Purpose.BOOKING)).get()
    checkouts = {c.pk: c for c in locked(Checkout.objects.filter(due=due))}
    payments = list(locked(Payment.objects.filter(due=due)))
    return LockedMoney(held, due, checkouts, payments)
