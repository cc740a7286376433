"""Locking a hold: after its resources and its booking, always (design.md §3)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bookings import lock_objects as bookings_locks
from bookings.models import Booking
from bookings.services import locked_booking
from config.kernel.locks import locked
from holds.models import Hold


@dataclass(frozen=True, slots=True)
class LockedHold:
    """A hold and its booking under their locks, and the database's time after them."""

    hold: Hold
    booking: Booking
    now: datetime


def lock_hold(hold_id: UUID) -> LockedHold:
    """Lock resources, booking and hold, in that order, and read the clock.

    The booking of a hold never changes, so reading it before the locks is safe. Raises
    Hold.DoesNotExist.
    """
    booking_id = Hold.objects.values_list("booking_id", flat=True).get(pk=hold_id)
    return lock_hold_of(booking_id)


def lock_hold_of(booking_id: UUID) -> LockedHold:
    """The same, from the booking's id."""
    booking = locked_booking(booking_id)
    hold = locked(Hold.objects.filter(booking_id=booking_id)).get()
    return LockedHold(hold, booking, bookings_locks.now_under_locks())
