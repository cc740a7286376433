"""The look under the locks: what has lapsed in the windows asked for, and what others have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from bookings.errors import SlotTaken
from bookings.rules import Window

# One round trip under the locks: the time, and what stands in each line's window. `OFFSET 0` keeps
# the look-ups apart, so that each is one index scan whatever the planner knows of the tables.
_PROBE = """
    SELECT clock_timestamp(), w.position, o.booking_id, o.exclusive, o.lapses_at
    FROM (VALUES {wanted}) AS w(position, resource_id, during)
    LEFT JOIN LATERAL (
        SELECT booking_id, exclusive, lapses_at FROM bookings_occupancy
        WHERE exclusive AND resource_id = w.resource_id AND during && w.during
          AND released_at IS NULL
        {pooled}
        OFFSET 0
    ) o ON true
    ORDER BY w.position
"""
_POOLED = """
        UNION ALL
        SELECT booking_id, exclusive, lapses_at FROM bookings_occupancy
        WHERE NOT exclusive AND resource_id = w.resource_id AND during && w.during
          AND released_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A window, buffers included, that line `line` of a request would take."""

    line: int
    resource_id: UUID
    during: Window
    is_exclusive: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The time, the bookings that have something lapsed there, and the first line others have."""

    now: datetime
    lapsed: list[UUID]
    taken: int | None

    def clear(self, expire: Callable[[list[UUID]], object]) -> None:
        """Expire what has lapsed. Raises SlotTaken with the line that somebody else has."""
        if self.lapsed:
            expire(self.lapsed)
        if self.taken is not None:
            raise SlotTaken(line=self.taken)


def look(wanted: Sequence[Wanted], *, own: set[UUID]) -> Seen:
    """One round trip under the resources' locks; what the bookings `own` have is not others'."""
    parameters: list[Any] = []
    for each in wanted:
        parameters += [each.line, each.resource_id, each.during.start, each.during.end]
    values = ", ".join(["(%s::int, %s::uuid, tstzrange(%s, %s))"] * len(wanted))
    pooled = "" if all(each.is_exclusive for each in wanted) else _POOLED
    with connection.cursor() as cursor:
        cursor.execute(_PROBE.format(wanted=values, pooled=pooled), parameters)
        found = cursor.fetchall()
    lapsed, others = set(), []
    now: datetime = found[0][0]
    for _, line, booking_id, exclusive, lapses_at in found:
        if lapses_at is not None and lapses_at <= now:
            lapsed.add(booking_id)
        elif exclusive and booking_id not in own:
            others.append(line)
    return Seen(now, sorted(lapsed), min(others, default=None))
