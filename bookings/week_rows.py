"""The heights of a week's grid: local minutes, which a day may have once, twice or not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bookings.days import Days
from bookings.local_time import moment_at
from bookings.windows import Window

DAY_MINUTES = 24 * 60
_DAY = timedelta(days=1)
_QUARTER = 15


@dataclass(frozen=True, slots=True)
class Row:
    """So many minutes from a local minute of each day; `again` is its second coming."""

    minute: int
    length: int
    again: bool = False

    @property
    def said(self) -> str:
        return f"{self.minute // 60:02}:{self.minute % 60:02}"

    @property
    def label(self) -> str:
        """Rows on the hour are labelled; not the only one of a day."""
        shown = self.minute % 60 == 0 and self.length < DAY_MINUTES
        return self.said if shown and not self.again else ""

    def on(self, day: date, zone: ZoneInfo) -> Window | None:
        """The row's real time on a day, or None where the clocks never show it."""
        if self.again:
            return self._again(day, zone)
        start = moment_of(day, self.minute, zone)
        end = moment_of(day, self.minute + self.length, zone)
        if self.length < DAY_MINUTES:
            end = min(end, start + timedelta(minutes=self.length))
        return Window(start, end) if start < end else None

    def _again(self, day: date, zone: ZoneInfo) -> Window | None:
        if not _comes_twice(day, self.minute, zone):
            return None
        named = datetime.combine(day, _clock(self.minute), tzinfo=zone)
        start = named.replace(fold=1).astimezone(UTC)
        return Window(start, start + timedelta(minutes=self.length))


def moment_of(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """A local minute of a day in real time; 1440 is the next midnight."""
    days, minute = divmod(minute, DAY_MINUTES)
    return moment_at(zone, day + days * _DAY, _clock(minute))


def rows_of(minutes: range, dates: Sequence[date], zone: ZoneInfo, days: Days | None) -> list[Row]:
    """The grid's rows; where days count, one a day. Times that come twice have a row for each."""
    if days is not None:
        return [Row(0, DAY_MINUTES)]
    rows = [Row(minute, minutes.step) for minute in minutes]
    for day in dates:
        again = [row for row in _again(day, zone, minutes.step) if row.minute in _span(minutes)]
        after = next(
            (n for n, row in enumerate(rows) if again and row.minute > again[-1].minute), len(rows)
        )
        rows[after:after] = again
    return rows


def _span(minutes: range) -> range:
    return range(minutes.start, minutes.stop)


def _again(day: date, zone: ZoneInfo, unit: int) -> Iterator[Row]:
    """Rows for the local times that come twice on a day."""
    midnight, following = (datetime.combine(d, time(0), tzinfo=zone) for d in (day, day + _DAY))
    before, after = midnight.utcoffset(), following.utcoffset()
    if before is None or after is None or before <= after:
        return
    twice = [m for m in range(0, DAY_MINUTES, _QUARTER) if _comes_twice(day, m, zone)]
    if not twice:
        return
    end = twice[-1] + _QUARTER
    for minute in range(twice[0], end, unit):
        yield Row(minute, min(unit, end - minute), again=True)


def _comes_twice(day: date, minute: int, zone: ZoneInfo) -> bool:
    named = datetime.combine(day, _clock(minute), tzinfo=zone)
    first, second = named.utcoffset(), named.replace(fold=1).utcoffset()
    return first is not None and second is not None and first > second


def _clock(minute: int) -> time:
    return time(minute // 60, minute % 60)
