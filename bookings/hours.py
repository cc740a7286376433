"""Opening hours: local rules, answered in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from bookings.windows import Window

_DAY = timedelta(days=1)

# What `hours_from` reads: a column of the statement that reads a resource's rules, where `r` is
# the resource. Its own spans replace its location's.
HOURS_SQL = """
           coalesce(
               (SELECT json_agg(json_build_array(h.weekday, h.opens_at, h.closes_at))
                FROM bookings_openinghours h WHERE h.resource_id = r.id),
               (SELECT json_agg(json_build_array(h.weekday, h.opens_at, h.closes_at))
                FROM bookings_openinghours h WHERE h.location_id = r.location_id),
               '[]')"""


@dataclass(frozen=True, slots=True)
class WeeklySpan:
    """Opening hours of one weekday (0 is Monday); closing at or before opening is the next day."""

    weekday: int
    opens_at: time
    closes_at: time


@dataclass(frozen=True)
class Hours:
    """When a resource is open: weekly spans in its location's time."""

    weekly: tuple[WeeklySpan, ...] = ()

    def spans(self, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Window]:
        """The opening spans that touch `[start, end)`, in UTC, in order, not merged.

        A local time that the clocks skip opens or closes when they jump; one that comes twice
        opens at its first and closes at its first coming.
        """
        day = start.astimezone(zone).date() - _DAY
        last = end.astimezone(zone).date()
        while day <= last:
            for span in self._of_weekday(day.weekday()):
                opened = self._span_on(zone, day, span)
                if max(opened.start, start) < min(opened.end, end):
                    yield opened
            day += _DAY

    @cached_property
    def _by_weekday(self) -> dict[int, list[WeeklySpan]]:
        by_day: dict[int, list[WeeklySpan]] = {}
        for span in sorted(self.weekly, key=lambda s: (s.weekday, s.opens_at)):
            by_day.setdefault(span.weekday, []).append(span)
        return by_day

    def _of_weekday(self, weekday: int) -> list[WeeklySpan]:
        return self._by_weekday.get(weekday, [])

    def _span_on(self, zone: ZoneInfo, day: date, span: WeeklySpan) -> Window:
        closing_day = day + _DAY if span.closes_at <= span.opens_at else day
        return Window(_utc(zone, day, span.opens_at), _utc(zone, closing_day, span.closes_at))


def hours_from(said: list[Any]) -> Hours:
    """Hours from HOURS_SQL's column."""
    return Hours(
        tuple(
            WeeklySpan(weekday, time.fromisoformat(opens), time.fromisoformat(closes))
            for weekday, opens, closes in said
        )
    )


def _utc(zone: ZoneInfo, day: date, local: time) -> datetime:
    named = datetime.combine(day, local, tzinfo=zone)
    moment = named.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == named.replace(tzinfo=None):
        return moment
    return _jump(zone, named.replace(fold=1).astimezone(UTC), moment)


def _jump(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second between two moments at which the zone's clocks jump: no local time names it."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
