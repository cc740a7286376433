"""The look under the locks: what has lapsed in the windows asked for, and what others have."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from bookings.errors import SlotTaken
from bookings.rules import Window
from bookings.usage import Usage, Use

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

# The same where a busy pool would send hundreds of rows: what has lapsed, and as one use the most
# units that others have at once (the sweep of `pool_use.PEAK_LIVE`, without the claimant's own).
_SUMMED = """
    WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
    SELECT clock.now, w.position, o.lapsed, o.peak
    FROM clock, (VALUES {wanted}) AS w(position, resource_id, during)
    CROSS JOIN LATERAL (
        WITH found AS MATERIALIZED (
            SELECT booking_id, lapses_at, during, quantity FROM bookings_occupancy
            WHERE exclusive AND resource_id = w.resource_id AND during && w.during
              AND released_at IS NULL
            {pooled}
        )
        SELECT (
            SELECT array_agg(DISTINCT booking_id) FROM found WHERE lapses_at <= clock.now
        ) AS lapsed, (
            SELECT coalesce(max(used), 0) FROM (
                SELECT sum(step.units) OVER (ORDER BY step.at, step.units) AS used
                FROM found CROSS JOIN LATERAL (VALUES
                    (greatest(lower(found.during), lower(w.during)), found.quantity),
                    (upper(found.during), -found.quantity)
                ) AS step(at, units)
                WHERE (found.lapses_at IS NULL OR found.lapses_at > clock.now)
                  AND (found.booking_id IS NULL OR NOT found.booking_id = ANY (%s::uuid[]))
            ) AS uses
        ) AS peak
    ) AS o
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
    resources = {each.resource_id for each in wanted}
    if all(each.is_exclusive for each in wanted):
        return _rows_there(wanted, own, pooled="")
    if len(resources) < len(wanted):  # several of one pool: when each is taken matters
        return _rows_there(wanted, own, pooled=_POOLED)
    return _summed(wanted, own)


def _rows_there(wanted: Sequence[Wanted], own: set[UUID], *, pooled: str) -> Seen:
    values, parameters = _values(wanted)
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


def _summed(wanted: Sequence[Wanted], own: set[UUID]) -> Seen:
    values, parameters = _values(wanted)
    with connection.cursor() as cursor:
        cursor.execute(_SUMMED.format(wanted=values, pooled=_POOLED), [*parameters, sorted(own)])
        found = cursor.fetchall()
    lapsed = {booking_id for _, _, ids, _ in found for booking_id in ids or ()}
    others = {number: [Use(wanted[number].during, peak)] for _, number, _, peak in found}
    return Seen(found[0][0], sorted(lapsed), first_taken(wanted, others))


def _values(wanted: Sequence[Wanted]) -> tuple[str, list[Any]]:
    parameters: list[Any] = []
    for number, each in enumerate(wanted):
        parameters += [number, each.resource_id, each.during.start, each.during.end]
    return ", ".join(["(%s::int, %s::uuid, tstzrange(%s, %s))"] * len(wanted)), parameters


def first_taken(wanted: Sequence[Wanted], others: dict[int, list[Use]]) -> Taken | None:
    """The first that does not fit beside what others have and what was wanted before it.

    `others` are the uses in each window, by its place among the wanted.
    """
    for number, each in enumerate(wanted):
        before = [
            Use(w.during, w.quantity) for w in wanted[:number] if w.resource_id == each.resource_id
        ]
        uses = [*others.get(number, ()), *before]
        remaining = max(0, each.capacity - Usage(uses).peak(each.during))
        if remaining < each.quantity:
            return Taken(each, remaining)
    return None
