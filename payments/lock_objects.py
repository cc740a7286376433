"""Money's locks come last: due, checkouts, payments (design.md §3)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings.models import Booking, Change
from config.kernel import clock
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
    def change(self) -> Change | None:
        """The change that the due is for; None for the booking's own."""
        return self.held.hold.change

    @property
    def starts_at(self) -> datetime:
        """When the first of what the due buys begins."""
        return self.change.starts_at if self.change else self.booking.starts_at

    @property
    def now(self) -> datetime:
        return self.held.now


def lock_money(booking_id: UUID, change_id: UUID | None = None) -> LockedMoney:
    """Resources, booking, hold, due, checkouts and payments of a booking, in that order.

    With a change: the same, with the hold and the due of that change. All who move a booking's
    money hold its booking's lock, so that what other dues of it say is exact as well.
    """
    held = lock_hold_of(booking_id, change_id)
    due = locked(Due.objects.filter(booking_id=booking_id, change=change_id)).get()
    checkouts = {c.pk: c for c in locked(Checkout.objects.filter(due=due))}
    payments = list(locked(Payment.objects.filter(due=due)))
    return LockedMoney(held, due, checkouts, payments)


def lock_money_behind(booking: Booking) -> LockedMoney:
    """The same for the booking's own due, where the caller holds its booking and hold already.

    No resource is locked: an effect of a booking's end comes after those, and must not go back.
    """
    hold = Hold.objects.get(booking=booking, change=None)
    hold.booking = booking
    held = LockedHold(hold, booking, clock.now())
    due = locked(Due.objects.filter(booking=booking, change=None)).get()
    checkouts = {c.pk: c for c in locked(Checkout.objects.filter(due=due))}
    return LockedMoney(held, due, checkouts, list(locked(Payment.objects.filter(due=due))))


def lock_due(due_id: UUID) -> LockedMoney:
    """The same, from a due's id; what it is for never changes."""
    booking_id, change_id = Due.objects.values_list("booking_id", "change_id").get(pk=due_id)
    return lock_money(booking_id, change_id)
