"""Every change of every zone's clocks in three years, and what must hold at each of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from bookings.availability import Availability, Free, Slot, slots
from bookings.days import Days
from bookings.hours import Hours, WeeklySpan
from bookings.local_time import clock_text
from bookings.rules import Rules, Window
from bookings.stretches import stretches
from bookings.week import Choice, range_of, week
from tests.core.test_pricing import RULES

BEGIN, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2029, 11, 1, tzinfo=UTC)
HOUR, DAY, QUARTER = timedelta(hours=1), timedelta(days=1), timedelta(minutes=15)
EVERY_DAY = range(7)


@dataclass(frozen=True)
class Change:
    """One change: the zone's clocks, the moment, and by how much they go forward (or back)."""

    zone: str
    at: datetime
    by: timedelta

    @property
    def info(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def repeated(self) -> Iterator[datetime]:
        """The quarters of an hour, in UTC, whose local time comes twice."""
        moment = self.at + self.by
        while moment < self.at - self.by:
            yield moment
            moment += QUARTER


@lru_cache(maxsize=1)
def changes() -> list[Change]:
    """Of zones whose clocks and their names go alike, one stands for all."""
    seen: dict[tuple[object, ...], list[Change]] = {}
    for name in sorted(available_timezones() - {"localtime"}):
        found = list(_changes_of(name))
        info = ZoneInfo(name)
        offset = BEGIN.astimezone(info).utcoffset()
        names = tuple((c.at + c.by).astimezone(info).tzname() for c in found)
        seen.setdefault((offset, names, tuple((c.at, c.by) for c in found)), found)
    return sorted((c for each in seen.values() for c in each), key=lambda c: (c.zone, c.at))


def _changes_of(name: str) -> Iterator[Change]:
    info, moment = ZoneInfo(name), BEGIN
    while moment < END:
        following = moment + DAY
        by = _offset(info, following) - _offset(info, moment)
        if by:
            yield Change(name, _instant(info, moment, following), by)
        moment = following


def _offset(info: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(info).utcoffset() or timedelta(0)


def _instant(info: ZoneInfo, before: datetime, after: datetime) -> datetime:
    was = _offset(info, before)
    while after - before > timedelta(minutes=1):
        middle = (before + (after - before) / 2).replace(second=0, microsecond=0)
        before, after = (middle, after) if _offset(info, middle) == was else (before, middle)
    return after


def empty(rules: Rules, span: Window) -> Availability:
    """Nobody has anything; it is known a day before the range."""
    opened = [
        Window(max(w.start, span.start), min(w.end, span.end))
        for w in rules.open_windows(span.start, span.end)
    ]
    free = [Free(w.start, w.end, n) for w, n in stretches(rules, span, opened, [])]
    return Availability(rules, span, opened, free, [], span.start - 7 * DAY, [])


def rules_in(change: Change, hours: Hours, days: Days | None = None, step: int = 900) -> Rules:
    return replace(
        RULES, timezone=change.zone, hours=hours, days=days, step_seconds=step, min_seconds=900,
        horizon_days=9999,
    )  # fmt: skip


def every_day(opens: time, closes: time) -> Hours:
    return Hours(tuple(WeeklySpan(weekday, opens, closes) for weekday in EVERY_DAY))


def offered(rules: Rules, change: Change, seconds: int) -> list[Slot]:
    around = Window(change.at - 30 * HOUR, change.at + 30 * HOUR)
    return slots(empty(rules, around), duration_seconds=seconds)


# --- What must hold -----------------------------------------------------------------------------


def check_starts(change: Change) -> None:
    """Around the clock: real local times, none skipped, a repeated one once each, told apart."""
    seconds = 5400
    found = offered(rules_in(change, every_day(time(0), time(0))), change, seconds)
    starts = [slot.start for slot in found]
    assert starts == sorted(set(starts)), change
    assert all(slot.end - slot.start == timedelta(seconds=seconds) for slot in found), change
    _check_real(change, starts)
    near = [s for s in starts if abs(s - change.at) < 20 * HOUR]
    assert all(b - a <= QUARTER for a, b in pairwise(near)), change
    if change.by < timedelta(0):
        twice = set(change.repeated())
        on_step = {s for s in starts if change.at + change.by <= s < change.at - change.by}
        assert on_step >= twice, (change, "both comings are offered")


def _check_real(change: Change, starts: Sequence[datetime]) -> None:
    said: dict[tuple[date, str], datetime] = {}
    skipped = _skipped(change)
    for start in starts:
        local = start.astimezone(change.info)
        assert local.astimezone(UTC) == start, change
        named = local.replace(tzinfo=None)
        assert skipped is None or not skipped[0] <= named < skipped[1], (change, named)
        text = clock_text(start, change.info)
        twice = change.by < timedelta(0) and (
            change.at + change.by <= start < change.at - change.by
        )
        assert ("(" in text) == twice, (change, text)
        assert (local.date(), text) not in said, (change, text, "two of the same name")
        said[local.date(), text] = start


def _skipped(change: Change) -> tuple[datetime, datetime] | None:
    if change.by < timedelta(0):
        return None
    edge = (change.at - timedelta(seconds=1)).astimezone(change.info).replace(tzinfo=None)
    edge += timedelta(seconds=1)
    return edge, edge + change.by


def check_hours(change: Change) -> None:
    """No slot outside of the opening hours, whatever the clocks do."""
    for opens, closes in [(time(1), time(4)), (time(2, 30), time(9)), (time(22), time(2, 30))]:
        rules = rules_in(change, every_day(opens, closes))
        for slot in offered(rules, change, 900):
            last = slot.end - timedelta(microseconds=1)
            for moment in (slot.start, last):
                assert _is_within(change.info, moment, opens, closes), (change, opens, slot)


def _is_within(info: ZoneInfo, moment: datetime, opens: time, closes: time) -> bool:
    """By the clock's face; a time that comes again, after opening and before the second closing."""
    local = moment.astimezone(info)
    face = local.replace(tzinfo=None, fold=0).time()
    inside = opens <= face < closes if opens < closes else face >= opens or face < closes
    first_coming = local.replace(fold=0).astimezone(UTC)
    return inside or (
        local.fold == 1 and first_coming < moment and _just_before(info, moment, opens)
    )


def _just_before(info: ZoneInfo, moment: datetime, opens: time) -> bool:
    """The hour that comes again lies after it opened for the first time."""
    day = moment.astimezone(info).date()
    return datetime.combine(day, opens, tzinfo=info).astimezone(UTC) <= moment


NIGHTS = Days(time(15), time(11), 1, 10)
WHOLE = Days(time(0), time(0), 1, 10)
ODD = Days(time(2, 30), time(2, 15), 1, 10)


def check_days(change: Change) -> None:
    """Windows of days are whole local days: they begin and end by the clock, and tile."""
    for days in (NIGHTS, WHOLE, ODD):
        rules = rules_in(change, every_day(time(9), time(17)), days)
        around = Window(change.at - 4 * DAY, change.at + 2 * DAY)
        for count in (1, 2, 4):
            found = slots(empty(rules, around), duration_seconds=days.seconds(count))
            assert 5 <= len(found) <= 7, (change, days, count)
            for slot in found:
                _check_stay(change, days, count, Window(slot.start, slot.end))
            if days is WHOLE and count == 1:
                assert all(a.end == b.start for a, b in pairwise(found)), (change, "no gap")


def _check_stay(change: Change, days: Days, count: int, stay: Window) -> None:
    first, last = (moment.astimezone(change.info) for moment in (stay.start, stay.end))
    assert (last.date() - first.date()).days == count, (change, stay)
    assert days.count(change.info, stay) == count, (change, stay)
    for local, face in ((first, days.starts_at), (last, days.ends_at)):
        shown = local.replace(tzinfo=None, fold=0).time()
        named = datetime.combine(local.date(), face)
        skipped = _skipped(change)
        if skipped and skipped[0] <= named < skipped[1]:
            assert local.astimezone(UTC) == change.at, "skipped: as the clocks jump"
        else:
            assert (shown, local.fold) == (face, 0), (change, local)


def check_week(change: Change) -> None:
    """The page's grid has each start once, with the moment it stands for."""
    rules = rules_in(change, every_day(time(0), time(0)), step=1800)
    first = change.at.astimezone(change.info).date() - 3 * DAY
    around = range_of(first, change.info)
    known = empty(rules, around)
    shown = week(known, Choice(first, 15), first)
    cells = [c for day in shown.days for c in day.cells if c.start]
    starts = [c.start for c in cells if c.start]
    assert len(starts) == len(set(starts)), (change, "no start stands in two cells")
    if not shown.is_coarse:
        assert sorted(starts) == [s.start for s in slots(known, duration_seconds=900)], change


CHECKS = (check_starts, check_hours, check_days, check_week)
