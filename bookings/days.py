"""Resources booked by whole days or nights: from a check-in time to a check-out time.

Days are local days, whatever the clocks do; how many real hours they have is another matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bookings.local_time import moment_at
from bookings.windows import Window

_DAY = timedelta(days=1)
_TOLERANCE = timedelta(hours=3)  # by how much clocks may make a day longer or shorter

# What `days_from` reads: a column of the statement that reads a resource's rules, where `r` is
# the resource.
DAYS_SQL = """
           CASE WHEN r.booking_unit = 'day' THEN
               json_build_array(r.day_starts_at, r.day_ends_at, r.min_days, r.max_days)
           END"""


@dataclass(frozen=True, slots=True)
class Days:
    """Check-in and check-out in local time, and how many days or nights may be had at once.

    Check-out at or before check-in is on the next day, as with opening hours: from 15:00 to 11:00
    are nights, from 09:00 to 18:00 are days, from 00:00 to 00:00 are whole local days.
    """

    starts_at: time
    ends_at: time
    least: int
    most: int

    @property
    def over_midnight(self) -> bool:
        return self.ends_at <= self.starts_at

    @property
    def unit(self) -> str:
        """What people call one of them: "night" or "day"."""
        return "night" if self.ends_at < self.starts_at and self.ends_at > time(0) else "day"

    def said(self, count: int) -> str:
        """ "1 night", "3 days"."""
        return f"{count} {self.unit}{'' if count == 1 else 's'}"

    def window(self, zone: ZoneInfo, first: date, count: int) -> Window:
        """So many days or nights from check-in on the first day."""
        last = first + (count if self.over_midnight else count - 1) * _DAY
        return Window(moment_at(zone, first, self.starts_at), moment_at(zone, last, self.ends_at))

    def count(self, zone: ZoneInfo, window: Window) -> int:
        """How many days or nights a window has, by its local dates; at least 1."""
        first, last = window.start.astimezone(zone).date(), window.end.astimezone(zone).date()
        return max(1, (last - first).days + (0 if self.over_midnight else 1))

    def last_date(self, first: date, count: int) -> date:
        """The date on which so many end, as people say it: whole days end on their last."""
        return first + (count if self._ends_later else count - 1) * _DAY

    def count_between(self, first: date, last: date) -> int:
        """How many somebody means who names the first date and the last; at least 1."""
        return max(1, (last - first).days + (0 if self._ends_later else 1))

    def seconds(self, count: int) -> int:
        """How long so many are while no clock changes."""
        length = self._one() + (count - 1) * _DAY
        return int(length.total_seconds())

    def count_for(self, seconds: float) -> int:
        """How many days or nights a length of time stands for; an hour more or less is as good."""
        length = timedelta(seconds=seconds) - min(_TOLERANCE, self._one() / 2)
        return max(0, -(-length // _DAY))

    def allows(self, seconds: float) -> bool:
        """Whether a length of time stands for a number that may be had."""
        return self.least <= self.count_for(seconds) <= self.most

    def starts(self, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[date]:
        """The days whose check-in lies in `[start, end)`."""
        day, last = start.astimezone(zone).date() - _DAY, end.astimezone(zone).date()
        while day <= last:
            if start <= moment_at(zone, day, self.starts_at) < end:
                yield day
            day += _DAY

    @property
    def _ends_later(self) -> bool:
        return self.over_midnight and self.ends_at > time(0)

    def _one(self) -> timedelta:
        since, until = (datetime.combine(date.min, t) for t in (self.starts_at, self.ends_at))
        return until - since + (_DAY if self.over_midnight else timedelta(0))


def days_from(said: list[Any] | None) -> Days | None:
    """A day rule from DAYS_SQL's column; None for a resource that is booked by the clock."""
    if said is None:
        return None
    starts_at, ends_at, least, most = said
    return Days(time.fromisoformat(starts_at), time.fromisoformat(ends_at), least, most)


def started_days(zone: ZoneInfo, window: Window) -> int:
    """How many days of a local clock have begun: from 10:00 to 10:00 is one, whatever the clocks.

    Never fewer for a later end.
    """
    local = window.start.astimezone(zone)
    count = max(1, (window.end - window.start) // _DAY - 1)
    while moment_at(zone, local.date() + count * _DAY, local.time()) < window.end.astimezone(UTC):
        count += 1
    return count
