"""Opening hours: local rules, answered in UTC.

What a day's hours are is decided in `Hours.on`, and nowhere else: a dated exception goes before a
public holiday, that before a season, that before the weekly hours.

A resource's own rules replace its location's, level by level (`hours_from`): an exception the
location's of the same date; a holiday calendar the location's; weekly hours the location's weekly
hours, and with them its seasons, since a season is another timetable in place of that one.

A span belongs to the day on which it opens: one that goes past midnight does so even if the next
day is closed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from bookings.holiday_calendars import holiday_name
from bookings.local_time import moment_at
from bookings.spans import Spans, spans_from, spans_text
from bookings.windows import Window

_DAY = timedelta(days=1)

# What `hours_from` reads: a column of the statement that reads a resource's rules, where `r` is
# the resource. Rows of the resource and of its location come marked as such. Exceptions that are
# longer ago than the longest booking concern nobody.
_OF_BOTH = "(h.resource_id = r.id OR h.location_id = r.location_id)"
HOURS_SQL = f"""
           json_build_array(
               (SELECT json_agg(json_build_array(
                    h.resource_id IS NOT NULL, h.weekday, h.opens_at, h.closes_at))
                FROM bookings_openinghours h WHERE {_OF_BOTH}),
               (SELECT json_agg(json_build_array(
                    h.resource_id IS NOT NULL, h.name, h.first_day, h.last_day, h.yearly,
                    h.monday, h.tuesday, h.wednesday, h.thursday, h.friday, h.saturday, h.sunday))
                FROM bookings_season h WHERE {_OF_BOTH}),
               (SELECT json_agg(json_build_array(
                    h.resource_id IS NOT NULL, h.country, h.subdivision, h.effect, h.spans))
                FROM bookings_holidaycalendar h WHERE {_OF_BOTH}),
               (SELECT json_agg(json_build_array(
                    h.resource_id IS NOT NULL, h.day, h.spans, h.label))
                FROM bookings_openingexception h
                WHERE {_OF_BOTH} AND h.day > current_date - 367))::text"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class WeeklySpan:
    """Opening hours of one weekday (0 is Monday); closing at or before opening is the next day."""

    weekday: int
    opens_at: time
    closes_at: time


@dataclass(frozen=True, slots=True)
class Season:
    """A timetable in place of the usual one, from its first day to its last; of one weekday each.

    A yearly one returns: its days' years do not matter, and it may go over new year.
    """

    name: str
    first: date
    last: date
    yearly: bool
    weekdays: tuple[Spans, ...]

    def has(self, day: date) -> bool:
        if not self.yearly:
            return self.first <= day <= self.last
        first, last, this = ((d.month, d.day) for d in (self.first, self.last, day))
        return first <= this <= last if first <= last else this >= first or this <= last


@dataclass(frozen=True, slots=True)
class HolidayRule:
    """What happens on a country's public holidays: `effect` is closed, spans or usual."""

    country: str
    subdivision: str
    effect: str
    spans: Spans


@dataclass(frozen=True, slots=True)
class DayHours:
    """A day's spans, and where they come from: weekly, season, holiday or exception.

    `label` is the season's, holiday's or exception's name.
    """

    spans: Spans
    source: str = "weekly"
    label: str = ""

    @property
    def text(self) -> str:
        """ "09:00–17:00", "closed", "closed: Christmas Day"."""
        return f"{spans_text(self.spans)}{': ' if self.label else ''}{self.label}"


@dataclass(frozen=True)
class Hours:
    """When a resource is open, in its location's time."""

    weekly: tuple[WeeklySpan, ...] = ()
    seasons: tuple[Season, ...] = ()
    holidays: HolidayRule | None = None
    exceptions: dict[date, DayHours] = field(default_factory=dict)

    def on(self, day: date) -> DayHours:
        """A day's hours: its exception's, else its holiday's, its season's, the weekly ones."""
        if day in self.exceptions:
            return self.exceptions[day]
        return self._holiday(day) or self._season(day) or DayHours(self._usual[day.weekday()])

    def spans(self, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Window]:
        """The opening spans that touch `[start, end)`, in UTC, in order, not merged.

        A local time that the clocks skip opens or closes when they jump; one that comes twice
        opens at its first and closes at its first coming.
        """
        day = start.astimezone(zone).date() - _DAY
        last = end.astimezone(zone).date()
        while day <= last:
            for opens_at, closes_at in self.on(day).spans:
                closing = day + _DAY if closes_at <= opens_at else day
                opened = Window(moment_at(zone, day, opens_at), moment_at(zone, closing, closes_at))
                if max(opened.start, start) < min(opened.end, end):
                    yield opened
            day += _DAY

    @cached_property
    def _usual(self) -> list[Spans]:
        return [
            tuple(sorted((s.opens_at, s.closes_at) for s in self.weekly if s.weekday == weekday))
            for weekday in range(7)
        ]

    def _season(self, day: date) -> DayHours | None:
        """One of certain years goes before one of every year."""
        found = min((s for s in self.seasons if s.has(day)), key=lambda s: s.yearly, default=None)
        if found is None:
            return None
        return DayHours(found.weekdays[day.weekday()], "season", found.name)

    def _holiday(self, day: date) -> DayHours | None:
        rule = self.holidays
        if rule is None or rule.effect == "usual":
            return None
        name = holiday_name(rule.country, rule.subdivision, day)
        return DayHours(rule.spans, "holiday", name) if name else None


@lru_cache(maxsize=4096)
def hours_from(said: str) -> Hours:
    """Hours from HOURS_SQL's column. What is said again and again is read once."""
    weekly, seasons, holidays, exceptions = (each or [] for each in json.loads(said))
    has_own = any(row[0] for row in [*weekly, *seasons])
    seasons = [row for row in seasons if row[0] or not has_own]
    exceptions.sort(key=lambda row: row[0])  # the resource's own come last, and stay
    return Hours(
        tuple(_weekly(row) for row in _own_or_all(weekly)),
        tuple(_a_season(row) for row in seasons),
        next((_holidays(row) for row in _own_or_all(holidays)), None),
        {date.fromisoformat(row[1]): _exception(row) for row in exceptions},
    )


def _own_or_all(rows: list[list[Any]]) -> list[list[Any]]:
    return [row for row in rows if row[0]] or rows


def _weekly(row: list[Any]) -> WeeklySpan:
    _, weekday, opens, closes = row
    return WeeklySpan(weekday, time.fromisoformat(opens), time.fromisoformat(closes))


def _a_season(row: list[Any]) -> Season:
    _, name, first, last, yearly, *weekdays = row
    spans = tuple(spans_from(each) for each in weekdays)
    return Season(name, date.fromisoformat(first), date.fromisoformat(last), yearly, spans)


def _holidays(row: list[Any]) -> HolidayRule:
    _, country, subdivision, effect, spans = row
    return HolidayRule(country, subdivision, effect, spans_from(spans))


def _exception(row: list[Any]) -> DayHours:
    _, _, spans, label = row
    return DayHours(spans_from(spans), "exception", label)
