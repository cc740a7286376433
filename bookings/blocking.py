"""Blocks over one resource, several or a whole place, and the bookings that they lie over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import models, transaction

from bookings import lock_objects
from bookings.models import Block, Booking, Occupancy, Resource
from bookings.stretches import Used
from bookings.windows import Window
from config.kernel.errors import DomainError, InvalidInput
from members.models import Member


class LiesOverBookings(DomainError):
    """409. Bookings that were made since the list that somebody agreed to."""

    code = "lies_over_bookings"
    status = 409
    detail = "Other bookings lie in that time by now. Look at the list again."


@dataclass(frozen=True, slots=True)
class Closing:
    """A window of one resource to be closed; `quantity` units of a pool, None for all of them."""

    resource: Resource
    window: Window
    quantity: int | None = None

    @property
    def units(self) -> int:
        if self.resource.is_exclusive:
            return 1
        return self.quantity or max(1, self.resource.capacity)


def bookings_under(closings: Sequence[Closing], now: datetime) -> list[Booking]:
    """Live bookings that blocks would lie over; for a pool, only where there is not room for both.

    Two queries, and as old as every look without a lock.
    """
    live = models.Q(lapses_at=None) | models.Q(lapses_at__gt=now)
    windows = _overlapping(closings)
    taken = list(Occupancy.objects.filter(live, windows, released_at=None))
    blocks = list(Block.objects.filter(windows))
    ids = {o.booking_id for closing in closings for o in _in_the_way(closing, taken, blocks)}
    return list(Booking.objects.filter(pk__in=ids).order_by("starts_at", "reference"))


def place_blocks(
    *,
    closings: Sequence[Closing],
    kind: str,
    reason: str,
    seen: Iterable[UUID],
    created_by: Member | None = None,
) -> tuple[list[Block], list[Booking]]:
    """Close all of it, or nothing; bookings that are there stay there.

    `seen` are the bookings that whoever asks knows it will lie over. Returns the blocks and those
    bookings. Raises InvalidInput, and LiesOverBookings when there are others by now.
    """
    if any(c.window.end <= c.window.start for c in closings):
        raise InvalidInput("The end must come after the start.", field="end")
    with transaction.atomic():
        list(lock_objects.lock_resources(c.resource.pk for c in closings))
        under = bookings_under(closings, lock_objects.now_under_locks())
        if not {booking.pk for booking in under} <= set(seen):
            raise LiesOverBookings()
        blocks = [
            Block(
                workspace_id=closing.resource.workspace_id,
                resource=closing.resource,
                during=(closing.window.start, closing.window.end),
                quantity=closing.units,
                kind=kind,
                reason=reason,
                created_by=created_by,
            )
            for closing in closings
        ]
        return Block.objects.bulk_create(blocks), under


def _overlapping(closings: Sequence[Closing]) -> models.Q:
    found = models.Q(pk__in=[])
    for closing in closings:
        window = (closing.window.start, closing.window.end)
        found |= models.Q(resource=closing.resource, during__overlap=window)
    return found


def _in_the_way(
    closing: Closing, taken: Sequence[Occupancy], blocks: Sequence[Block]
) -> list[Occupancy]:
    mine = [o for o in taken if _touches(closing, o)]
    if closing.resource.is_exclusive:
        return mine
    rows: list[Occupancy | Block] = [*mine, *(b for b in blocks if _touches(closing, b))]
    used = Used([(Window(row.during.lower, row.during.upper), row.quantity) for row in rows])
    left = closing.resource.capacity - closing.units
    return [o for o in mine if used.most(_within(closing.window, o)) > left]


def _within(window: Window, row: Occupancy) -> Window:
    return Window(max(window.start, row.during.lower), min(window.end, row.during.upper))


def _touches(closing: Closing, row: Occupancy | Block) -> bool:
    during = Window(row.during.lower, row.during.upper)
    return row.resource_id == closing.resource.pk and closing.window.overlaps(during)
