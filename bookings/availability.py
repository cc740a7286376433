"""When is it free? Opening hours minus live occupancies and blocks, in one query.

What this module says may be stale by the time it is read. It is for showing; a claim decides.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from django.db import connection

from bookings.pricing import quote
from bookings.rules import Rules, Window, merged, without
from bookings.selectors import rules_for
from bookings.stretches import stretches
from bookings.usage import Usage, Use, containing
from bookings.visibility import Viewer, visible
from config.kernel.money import Money

_LOOK_AHEAD = timedelta(days=14)

# One row per live occupancy or block that touches the range; with no row, one for the clock.
_TAKEN_SQL = """
    SELECT clock_timestamp(), t.resource_id, lower(t.during), upper(t.during), t.quantity,
           t.lapses_at
    FROM (SELECT 1) AS one LEFT JOIN (
        SELECT o.resource_id, o.during, o.quantity, o.lapses_at FROM bookings_occupancy o
        WHERE o.exclusive AND o.resource_id = ANY(%(ids)s) AND o.during && %(range)s::tstzrange
          AND o.released_at IS NULL AND (o.lapses_at IS NULL OR o.lapses_at > clock_timestamp())
          AND o.booking_id IS DISTINCT FROM %(ignored)s
        UNION ALL
        SELECT o.resource_id, o.during, o.quantity, o.lapses_at FROM bookings_occupancy o
        WHERE NOT o.exclusive AND o.resource_id = ANY(%(ids)s)
          AND o.during && %(range)s::tstzrange
          AND o.released_at IS NULL AND (o.lapses_at IS NULL OR o.lapses_at > clock_timestamp())
          AND o.booking_id IS DISTINCT FROM %(ignored)s
        UNION ALL
        SELECT b.resource_id, b.during, b.quantity, NULL FROM bookings_block b
        WHERE b.resource_id = ANY(%(ids)s) AND b.during && %(range)s::tstzrange
    ) AS t ON true
"""


@dataclass(frozen=True, slots=True)
class Free:
    """A stretch in which at least `remaining` units can be had throughout."""

    start: datetime
    end: datetime
    remaining: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A bookable start for a given duration, and what it costs."""

    start: datetime
    end: datetime
    remaining: int
    price: Money


@dataclass(frozen=True)
class Availability:
    """What is known of one resource for a range, and how fresh that is."""

    rules: Rules
    range: Window
    open: list[Window]
    free: list[Free]
    taken: list[Window]
    as_of: datetime
    uses: list[Use]

    @cached_property
    def usage(self) -> Usage:
        """The uses sorted, made when it is first asked for."""
        return Usage(self.uses)


@dataclass(frozen=True, slots=True)
class Taken:
    """One use of a resource; an unpaid hold's ends by itself at `lapses_at`."""

    resource_id: UUID
    use: Use
    lapses_at: datetime | None


@dataclass(frozen=True, slots=True)
class Alternative:
    """Somewhere else, or some other time, for someone who lost a slot."""

    resource_id: UUID
    resource_name: str
    slug: str
    start: datetime
    end: datetime
    price: Money


def availability(
    *,
    rules: Sequence[Rules],
    start: datetime,
    end: datetime,
    ignore_booking_id: UUID | None = None,
) -> dict[UUID, Availability]:
    """Free and taken stretches of each resource in `[start, end)`; one query for all of them.

    Occupancies beyond the range count as far as buffers and the longest booking reach.
    `ignore_booking_id` leaves out a visitor's own hold.
    """
    around = reach_of(rules, start, end)
    as_of, rows = taken([r.resource_id for r in rules], around, ignore_booking_id)
    uses: dict[UUID, list[Use]] = defaultdict(list)
    for row in rows:
        uses[row.resource_id].append(row.use)
    span = Window(start, end)
    return {r.resource_id: assembled(r, span, uses[r.resource_id], as_of) for r in rules}


def reach_of(rules: Sequence[Rules], start: datetime, end: datetime) -> Window:
    """A range with what may matter around it: buffers, and the longest booking after it."""
    reach = timedelta(
        seconds=max((r.buffer_before_seconds + r.buffer_after_seconds for r in rules), default=0)
    )
    longest = timedelta(seconds=max((r.max_seconds for r in rules), default=0), hours=3)
    return Window(start - reach, end + reach + longest)


def slots(
    available: Availability,
    *,
    duration_seconds: int,
    step_seconds: int | None = None,
    quantity: int = 1,
) -> list[Slot]:
    """Bookable starts of one duration: on the step, not too soon, not too far ahead.

    Starts step in real time from each opening, so that a local time which the clocks skip is not
    offered and one that comes twice is offered once each.
    """
    found: dict[datetime, Slot] = {}
    for window in _starts(available, duration_seconds, step_seconds):
        if window.start not in found:
            slot = slot_of(available, window, quantity)
            if slot is not None:
                found[window.start] = slot
    return [found[start] for start in sorted(found)]


def slot_of(available: Availability, window: Window, quantity: int = 1) -> Slot | None:
    """A window with what remains and what it costs, or None where too little is free."""
    remaining = _remaining(available, window)
    if remaining < quantity:
        return None
    price = quote(available.rules, window, quantity).total
    return Slot(window.start, window.end, remaining, price)


def next_free(
    *,
    rules: Rules,
    start: datetime,
    duration_seconds: int,
    after: datetime | None = None,
    ignore_booking_id: UUID | None = None,
) -> Window | None:
    """The window of this length nearest to `start` within two weeks after it, or None."""
    begin = after or start
    known = availability(
        rules=[rules],
        start=begin,
        end=begin + _LOOK_AHEAD,
        ignore_booking_id=ignore_booking_id,
    )
    return _first(known[rules.resource_id], duration_seconds)


def next_free_of_many(
    *, rules: Sequence[Rules], start: datetime, duration_seconds: int | None = None
) -> dict[UUID, Window | None]:
    """For cards: each resource's next bookable window (its shortest, unless a length is given)."""
    known = availability(rules=rules, start=start, end=start + _LOOK_AHEAD)
    return {
        r.resource_id: _first(known[r.resource_id], duration_seconds or r.min_seconds)
        for r in rules
    }


def alternatives(
    *,
    workspace_id: UUID,
    resource_id: UUID,
    start: datetime,
    end: datetime,
    viewer: Viewer,
    quantity: int = 1,
    count: int = 3,
) -> list[Alternative]:
    """Equivalents for a lost window: another resource of its category then, or the nearest time.

    So many units are free in each, at whichever place. What is only had with something else, or
    not without it, is no alternative. Two queries: the rules of the workspace's resources, and
    what is taken around the window.
    """
    all_rules = visible(rules_for(workspace_id=workspace_id), viewer)
    wanted = all_rules.get(resource_id)
    if wanted is None:
        return []
    kin = [r for r in all_rules.values() if _is_like(r, wanted)]
    duration = int((end - start).total_seconds())
    known = availability(rules=kin, start=start - timedelta(days=1), end=start + _LOOK_AHEAD)
    own = _nearest(known[resource_id], start, duration, count, quantity)
    others = [
        alternative
        for r in kin
        if r.resource_id != resource_id
        for alternative in _nearest(known[r.resource_id], start, duration, 1, quantity)
        if alternative.start == start
    ]
    return sorted([*own[:2], *others[: count - 1], *own[2:]][:count], key=lambda a: a.start)


def _is_like(rules: Rules, wanted: Rules) -> bool:
    """Whether it may stand in for what was wanted, which itself may."""
    if rules.resource_id == wanted.resource_id:
        return True
    alone = not rules.only_with_others and not any(offer.is_required for offer in rules.offers)
    return alone and rules.category_id == wanted.category_id


def taken(
    resource_ids: Sequence[UUID], around: Window, ignored: UUID | None = None
) -> tuple[datetime, list[Taken]]:
    """The time, and whatever is taken within a range: live occupancies and blocks. One query."""
    values = {
        "ids": list(resource_ids),
        "range": f"[{around.start.isoformat()},{around.end.isoformat()})",
        "ignored": ignored,
    }
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN_SQL, values)
        rows = cursor.fetchall()
    return rows[0][0], [
        Taken(resource_id, Use(Window(lower, upper), quantity), lapses_at)
        for _, resource_id, lower, upper, quantity, lapses_at in rows
        if resource_id is not None
    ]


def is_free(available: Availability, window: Window, quantity: int = 1) -> bool:
    """Whether so many units are free throughout a window, buffers included, while it is open."""
    return _remaining(available, window) >= quantity


def also_used(available: Availability, uses: Sequence[Use]) -> Availability:
    """The same with other uses beside: what somebody has themselves is not free to them either.

    For `slots`, `bookable` and `is_free`; the stretches `free` and `taken` stay as they were.
    """
    return replace(available, uses=[*available.uses, *uses])


def assembled(rules: Rules, span: Window, uses: list[Use], as_of: datetime) -> Availability:
    """What is open, free and taken of one resource in `span`, from its uses."""
    opened = [
        Window(max(w.start, span.start), min(w.end, span.end))
        for w in rules.open_windows(span.start, span.end)
    ]
    free = stretches(rules, span, opened, [(use.window, use.quantity) for use in uses])
    if rules.is_exclusive:
        taken = merged([use.window for use in uses])
    else:
        taken = without(opened, [window for window, _ in free])
    found = [Free(window.start, window.end, remaining) for window, remaining in free]
    return Availability(rules, span, opened, found, taken, as_of, uses)


def _remaining(available: Availability, window: Window) -> int:
    """How many units are free throughout the window, buffers included; 0 outside opening hours."""
    if not containing(_opened_beyond(available, window), window):
        return 0
    return units_free(available, available.rules.occupied(window))


def units_free(available: Availability, occupied: Window) -> int:
    """How many units nobody has at any moment of a window that has its buffers already."""
    peak = available.usage.peak(occupied)
    if available.rules.is_exclusive:
        return 0 if peak else 1
    return max(0, available.rules.capacity - peak)


def _opened_beyond(available: Availability, window: Window) -> list[Window]:
    """Opening windows, unclipped where the window reaches over the end of the range asked for."""
    if window.end <= available.range.end:
        return available.open
    return available.rules.open_windows(window.start, window.end)


def bookable(available: Availability, duration_seconds: int, quantity: int = 1) -> Iterator[Window]:
    """Windows of one length in which so many units are free, found one after the other."""
    for window in _starts(available, duration_seconds, None):
        if _remaining(available, window) >= quantity:
            yield window


def _first(available: Availability, duration_seconds: int) -> Window | None:
    return next(bookable(available, duration_seconds), None)


def _nearest(
    available: Availability, start: datetime, duration_seconds: int, count: int, quantity: int
) -> list[Alternative]:
    rules = available.rules
    free = bookable(available, duration_seconds, quantity)
    ranked = sorted(free, key=lambda w: abs(w.start - start))
    return [
        Alternative(
            rules.resource_id, rules.name, rules.slug, w.start, w.end,
            quote(rules, w, quantity).total,
        )
        for w in ranked[:count]
    ]  # fmt: skip


def _starts(
    available: Availability, duration_seconds: int, step_seconds: int | None
) -> Iterator[Window]:
    """Windows of one length on the step from each opening, within notice, horizon and range."""
    rules = available.rules
    if not rules.allows_length(duration_seconds):
        return
    earliest = max(rules.earliest_start(available.as_of), available.range.start)
    latest = min(rules.latest_start(available.as_of), available.range.end)
    if rules.days is not None:
        for day in rules.days.starts(rules.zone, earliest, latest):
            yield rules.days.window(rules.zone, day, rules.days.count_for(duration_seconds))
        return
    duration = timedelta(seconds=duration_seconds)
    step = timedelta(seconds=step_seconds or rules.step_seconds)
    fits = step_seconds is None or step_seconds % rules.step_seconds == 0
    for span in rules.spans(available.range.start, available.range.end):
        start = _first_at(span.start, step, earliest)
        while start < span.end and start < latest:
            if fits or rules.is_on_step(start):
                yield Window(start, start + duration)
            start += step


def _first_at(start: datetime, step: timedelta, earliest: datetime) -> datetime:
    """The first of `start`, `start + step`, … that is not before `earliest`."""
    if earliest <= start:
        return start
    return start - ((start - earliest) // step) * step
