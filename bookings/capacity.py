"""Where more of a pool is promised than there is, or would be: for whoever lowers a capacity or
takes units out of use. The guards decide; this says what is in the way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from django.db import transaction

from bookings import lock_objects
from bookings.models import Block, Occupancy, Resource
from bookings.windows import Window, merged
from config.kernel import clock
from config.kernel.errors import DomainError


@dataclass(frozen=True, slots=True)
class InTheWay:
    """Units of a pool in use while there are too few: a booking's, or a block's (no reference).

    `window` is what is taken, buffers included; `lapses_at` is when a hold ends by itself.
    """

    window: Window
    quantity: int
    booking_id: UUID | None = None
    reference: str = ""
    reason: str = ""
    lapses_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "booking": self.booking_id and str(self.booking_id),
            "reference": self.reference or None,
            "start": self.window.start.isoformat(),
            "end": self.window.end.isoformat(),
            "quantity": self.quantity,
            "reason": self.reason or None,
        }


class CapacityTaken(DomainError):
    """409. `in_the_way` are the bookings and blocks for which so few units are not enough."""

    code = "capacity_taken"
    status = 409
    detail = "More units than that are booked already."

    def __init__(self, in_the_way: Sequence[InTheWay]) -> None:
        super().__init__(in_the_way=[each.as_json() for each in in_the_way])
        self.in_the_way = list(in_the_way)


def set_capacity(*, resource_id: UUID, capacity: int) -> None:
    """Give a pool another number of units.

    Raises CapacityTaken with what is in the way, where more are in use at any time from now on.
    """
    with transaction.atomic():
        pool = lock_objects.lock_resources([resource_id]).get()
        found = in_the_way(pool, capacity) if capacity < pool.capacity else []
        if found:
            raise CapacityTaken(found)
        Resource.objects.filter(pk=pool.pk).update(capacity=capacity)


def in_the_way(pool: Resource, capacity: int, *, within: Window | None = None) -> list[InTheWay]:
    """What of a pool is in use while more than `capacity` units are, in order of time.

    From now on, or within a window. A hold whose time is up is in the way until it is tidied, as it
    is for the guard.
    """
    now = clock.now()
    uses = [
        each
        for each in [*_taken(pool, within), *_blocked(pool, within)]
        if within is not None or each.window.end > now
    ]
    full = overfull(uses, capacity, since=within.start if within else now)
    limits = [w for w in full if within is None or w.overlaps(within)]
    return sorted(
        (each for each in uses if any(each.window.overlaps(window) for window in limits)),
        key=lambda each: (each.window, each.reference),
    )


def overfull(uses: Iterable[InTheWay], capacity: int, *, since: datetime) -> list[Window]:
    """The stretches from a moment on in which more than `capacity` units are in use."""
    steps: list[tuple[datetime, int]] = []
    for each in uses:
        start = max(each.window.start, since)
        if start < each.window.end:
            steps += [(start, each.quantity), (each.window.end, -each.quantity)]
    found: list[Window] = []
    used, begun = 0, None
    for at, changes in groupby(sorted(steps), key=lambda step: step[0]):
        if begun is not None:
            found.append(Window(begun, at))
        used += sum(change for _, change in changes)
        begun = at if used > capacity else None
    return merged(found)


def _taken(pool: Resource, within: Window | None) -> list[InTheWay]:
    rows = Occupancy.objects.filter(resource=pool, released_at=None, exclusive=False)
    if within is not None:
        rows = rows.filter(during__overlap=(within.start, within.end))
    return [
        InTheWay(
            Window(row.during.lower, row.during.upper),
            row.quantity,
            booking_id=row.booking_id,
            reference=row.booking.reference,
            lapses_at=row.lapses_at,
        )
        for row in rows.select_related("booking")
    ]


def _blocked(pool: Resource, within: Window | None) -> list[InTheWay]:
    rows = Block.objects.filter(resource=pool)
    if within is not None:
        rows = rows.filter(during__overlap=(within.start, within.end))
    return [
        InTheWay(Window(row.during.lower, row.during.upper), row.quantity, reason=row.reason)
        for row in rows
    ]
