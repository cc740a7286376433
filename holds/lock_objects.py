"""Locking a hold: after its resources and its booking, always (design.md §3)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

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
    """Lock resources, booking, hold and its change, in that order, and read the clock.

    The booking of a hold never changes, so reading it before the locks is safe. Raises
    Hold.DoesNotExist.
    """
    booking_id = Hold.objects.values_list("booking_id", flat=True).get(pk=hold_id)
    return _locked(booking_id, Hold.objects.filter(pk=hold_id))


def lock_hold_of(booking_id: UUID, change_id: UUID | None = None) -> LockedHold:
    """The same, from the id of the booking, or also of the change that the hold is for."""
    return _locked(booking_id, Hold.objects.filter(booking_id=booking_id, change=change_id))


def _locked(booking_id: UUID, holds: QuerySet[Hold]) -> LockedHold:
    booking = locked_booking(booking_id)
    hold = locked(holds).get()
    hold.booking = booking
    if hold.change_id is not None:
        hold.change = bookings_locks.lock_change(hold.change_id, booking)
    return LockedHold(hold, booking, bookings_locks.now_under_locks())
