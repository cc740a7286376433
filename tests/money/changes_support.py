"""Changing bookings in tests, and what they come to."""

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction

from bookings.models import Booking, Change, Line, Occupancy, Resource
from config.kernel.context import Actor
from config.kernel.database_errors import translated
from holds.changing import NewWindow
from holds.models import Hold
from payments import holding, rescheduling
from payments.rescheduling import Outcome, Settling, Wish
from tests.core.support import tomorrow

MEMBER = Actor("visitor", "somebody")


def window(
    start: float, end: float, resource: Resource | None = None, position: int = 0
) -> NewWindow:
    """Tomorrow from one hour to another (14.5 is half past two), on a resource or where it is."""
    day = tomorrow(0)
    return NewWindow(
        position,
        day + timedelta(hours=start),
        day + timedelta(hours=end),
        resource.pk if resource else None,
    )


def move(held: Hold, *windows: NewWindow, **options: Any) -> Outcome:
    """Reschedule as staff would, in a transaction of its own, Checkouts in the way closed first."""
    settling = Settling(**{k: options.pop(k) for k in ("how", "to") if k in options})
    wish = Wish(held.booking_id, windows, settling=settling, **options)

    def attempt() -> Outcome:
        with transaction.atomic():
            return rescheduling.reschedule(wish, actor=MEMBER)

    try:
        return holding.placed(attempt)
    except IntegrityError as error:
        raise translated(error) or error from error


def wait_for(held: Hold, *windows: NewWindow, **options: Any) -> Hold:
    """The hold of a change that has to be paid for."""
    hold = move(held, *windows, **options).hold
    assert hold is not None
    return hold


def hours(booking_id: Any) -> list[tuple[float, float]]:
    """When a booking's lines are, in hours of tomorrow."""
    day = tomorrow(0)
    return [
        ((ln.starts_at - day) / timedelta(hours=1), (ln.ends_at - day) / timedelta(hours=1))
        for ln in Line.objects.filter(booking_id=booking_id).order_by("position")
    ]


def taken(resource: Resource) -> list[tuple[float, float]]:
    """What is taken of a resource, in hours of tomorrow, piece by piece."""
    day = tomorrow(0)
    found = Occupancy.objects.filter(resource=resource, released_at=None).order_by("during")
    return [
        ((o.during.lower - day) / timedelta(hours=1), (o.during.upper - day) / timedelta(hours=1))
        for o in found
    ]


def change_of(held: Hold) -> Change:
    return Change.objects.get(pk=held.change_id)


def total(held: Hold) -> int:
    return Booking.objects.get(pk=held.booking_id).total_minor
