"""The look under the locks: what has lapsed in the windows asked for, and what others have."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from bookings.availability import Use, peak_of
from bookings.errors import SlotTaken
from bookings.rules import Window

# One round trip under the locks: the time, and what stands in each line's window. `OFFSET 0` keeps
# the look-ups apart, so that each is one index scan whatever the planner knows of the tables.
_PROBE = """
    SELECT clock_timestamp(), w.position, o.booking_id, o.lapses_at, lower(o.during),
           upper(o.during), o.quantity
    FROM (VALUES {wanted}) AS w(position, resource_id, during)
    LEFT JOIN LATERAL (
        SELECT booking_id, lapses_at, during, quantity FROM bookings_occupancy
        WHERE exclusive AND resource_id = w.resource_id AND during && w.during
          AND released_at IS NULL
        {pooled}
        OFFSET 0
    ) o ON true
    ORDER BY w.position
"""
# Of a pool, what is blocked counts as well.
_POOLED = """
        UNION ALL
        SELECT booking_id, lapses_at, during, quantity FROM bookings_occupancy
        WHERE NOT exclusive AND resource_id = w.resource_id AND during && w.during
          AND released_at IS NULL
        UNION ALL
        SELECT NULL, NULL, k.during, k.quantity
        FROM bookings_block k JOIN bookings_resource r ON r.id = k.resource_id
        WHERE r.mode = 'pooled' AND k.resource_id = w.resource_id AND k.during && w.during
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A window, buffers included, that line `line` of a request (or its add-on) would take."""

    line: int
    resource_id: UUID
    during: Window
    is_exclusive: bool
    quantity: int = 1
    capacity: int = 1
    add_on: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What cannot be had, and how many units of it are left."""

    wanted: Wanted
    remaining: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The time, the bookings that have something lapsed there, and the first that others have."""

    now: datetime
    lapsed: list[UUID]
    taken: Taken | None

    def clear(self, expire: Callable[[list[UUID]], object]) -> None:
        """Expire what has lapsed. Raises SlotTaken with the line that somebody else has."""
        if self.lapsed:
            expire(self.lapsed)
        if self.taken is not None:
            wanted, remaining = self.taken.wanted, self.taken.remaining
            raise SlotTaken(line=wanted.line, add_on=wanted.add_on, remaining=remaining)


def look(wanted: Sequence[Wanted], *, own: set[UUID]) -> Seen:
    """One round trip under the resources' locks; what the bookings `own` have is not others'."""
    parameters: list[Any] = []
    for number, each in enumerate(wanted):
        parameters += [number, each.resource_id, each.during.start, each.during.end]
    values = ", ".join(["(%s::int, %s::uuid, tstzrange(%s, %s))"] * len(wanted))
    pooled = "" if all(each.is_exclusive for each in wanted) else _POOLED
    with connection.cursor() as cursor:
        cursor.execute(_PROBE.format(wanted=values, pooled=pooled), parameters)
        found = cursor.fetchall()
    now: datetime = found[0][0]
    lapsed = set()
    others: dict[int, list[Use]] = defaultdict(list)
    for _, number, booking_id, lapses_at, start, end, quantity in found:
        if lapses_at is not None and lapses_at <= now:
            lapsed.add(booking_id)
        elif start is not None and (booking_id is None or booking_id not in own):
            others[number].append(Use(Window(start, end), quantity))
    return Seen(now, sorted(lapsed), first_taken(wanted, others))


def first_taken(wanted: Sequence[Wanted], others: dict[int, list[Use]]) -> Taken | None:
    """The first that does not fit beside what others have and what was wanted before it.

    `others` are the uses in each window, by its place among the wanted.
    """
    for number, each in enumerate(wanted):
        before = [
            Use(w.during, w.quantity) for w in wanted[:number] if w.resource_id == each.resource_id
        ]
        uses = [*others.get(number, ()), *before]
        remaining = max(0, each.capacity - peak_of(uses, each.during))
        if remaining < each.quantity:
            return Taken(each, remaining)
    return None
