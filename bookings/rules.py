"""One resource's rules as plain data, and the pure questions that can be asked of them.

Everything here works in UTC and takes the time as a parameter; local time appears only where
opening hours do (`hours.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

from bookings.days import Days, started_days
from bookings.hours import Hours, WeeklySpan
from bookings.local_time import moment_at
from bookings.offers import Offer
from bookings.policy import Terms
from bookings.prices import Price
from bookings.seen_by import EVERYBODY, SeenBy
from bookings.taxes import NO_TAX, Tax
from bookings.windows import Window, merged, without

__all__ = ["Days", "Hours", "Price", "Rules", "WeeklySpan", "Window", "merged", "without"]


@dataclass(frozen=True)
class Rules:
    """All that decides whether and at what price a window of one resource can be had."""

    resource_id: UUID
    workspace_id: UUID
    location_id: UUID
    category_id: UUID
    name: str
    slug: str
    mode: str
    capacity: int
    timezone: str
    currency: str
    step_seconds: int
    min_seconds: int
    max_seconds: int
    buffer_before_seconds: int
    buffer_after_seconds: int
    notice_seconds: int
    horizon_days: int
    hold_ttl_seconds: int
    terms: Terms
    hours: Hours
    prices: tuple[Price, ...]
    days: Days | None = None
    horizon_opens_at: time | None = None
    tax: Tax = NO_TAX
    only_with_others: bool = False
    offers: tuple[Offer, ...] = ()
    seen_by: SeenBy = EVERYBODY
    approval_ttl_seconds: int | None = None
    reads_calendars: bool = False

    def __post_init__(self) -> None:
        """Where days count, step and durations by the clock are those of days."""
        if self.days is not None:
            least, most = self.days.seconds(self.days.least), self.days.seconds(self.days.most)
            for name, value in {"min_seconds": least, "max_seconds": most}.items():
                object.__setattr__(self, name, value)

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def has_group_prices(self) -> bool:
        """Whether some price depends on the groups of whoever books."""
        return any(price.group_id is not None for price in self.prices)

    @property
    def is_exclusive(self) -> bool:
        return self.mode == "exclusive"

    def occupied(self, window: Window) -> Window:
        """The member's window with the buffers around it: what an occupancy takes."""
        return Window(
            window.start - timedelta(seconds=self.buffer_before_seconds),
            window.end + timedelta(seconds=self.buffer_after_seconds),
        )

    def days_of(self, window: Window) -> int:
        """How many days a window counts for: local days or nights where these are booked, else
        begun days of the local clock. At least 1, and never fewer for a later end."""
        if self.days is not None:
            return self.days.count(self.zone, window)
        return started_days(self.zone, window)

    def day_starts(self, window: Window) -> list[datetime]:
        """When each of the days begins that a window counts for: at the same local time."""
        local = window.start.astimezone(self.zone)
        later = range(1, self.days_of(window))
        return [
            window.start,
            *(moment_at(self.zone, local.date() + timedelta(days=n), local.time()) for n in later),
        ]

    def allows_length(self, seconds: float) -> bool:
        """Whether some window of about this length may be had."""
        if self.days is not None:
            return self.days.allows(seconds)
        return self.min_seconds <= seconds <= self.max_seconds

    def window_from(self, start: datetime, seconds: float) -> Window:
        """What somebody means who asks for a length from a start: where days count, whole ones."""
        if self.days is None:
            return Window(start, start + timedelta(seconds=seconds))
        count = max(1, self.days.count_for(seconds))
        return self.days.window(self.zone, start.astimezone(self.zone).date(), count)

    def minutes_of(self, window: Window) -> int:
        """A window's length as one asks for it: where days count, as if no clock changed."""
        if self.days is not None:
            return self.days.seconds(self.days_of(window)) // 60
        return int(window.duration.total_seconds()) // 60

    def spans(self, start: datetime, end: datetime) -> Iterator[Window]:
        """The opening spans that touch `[start, end)`, in UTC, in order, not merged.

        Where days count these are the days that are open, each until the next may begin.
        """
        if self.days is not None:
            return self._open_days(self.days, start, end)
        return self.hours.spans(self.zone, start, end)

    def open_windows(self, start: datetime, end: datetime) -> list[Window]:
        """The spans that touch `[start, end)`, with those that meet or overlap merged."""
        return merged(list(self.spans(start, end)))

    def latest_start(self, now: datetime) -> datetime:
        """The horizon: how far ahead a window may start.

        Released at a time of day, on the location's clock, it goes to the end of a local day.
        """
        if self.horizon_opens_at is None:
            return now + timedelta(days=self.horizon_days)
        today = now.astimezone(self.zone).date()
        released = now >= moment_at(self.zone, today, self.horizon_opens_at)
        beyond = today + timedelta(days=self.horizon_days + released)
        return moment_at(self.zone, beyond, time(0)) - timedelta(microseconds=1)

    def bookable_from(self, start: datetime) -> datetime:
        """When the horizon reaches a start."""
        if self.horizon_opens_at is None:
            return start - timedelta(days=self.horizon_days)
        day = start.astimezone(self.zone).date() - timedelta(days=self.horizon_days)
        return moment_at(self.zone, day, self.horizon_opens_at)

    def earliest_start(self, now: datetime) -> datetime:
        """The notice: how soon a window may start."""
        return now + timedelta(seconds=self.notice_seconds)

    def is_on_step(self, start: datetime) -> bool:
        """Whether a start lies a whole number of steps after an opening that contains it.

        Where days count: whether it is a day's check-in.
        """
        if self.days is not None:
            return self.window_from(start, 0).start == start
        return any(
            (start - span.start).total_seconds() % self.step_seconds == 0
            for span in self.spans(start, start + timedelta(microseconds=1))
        )

    def _open_days(self, days: Days, start: datetime, end: datetime) -> Iterator[Window]:
        first, last = (moment.astimezone(self.zone).date() for moment in (start, end))
        day = first - timedelta(days=2)
        while day <= last:
            following = day + timedelta(days=1)
            if self.hours.on(day).spans:
                opened = days.window(self.zone, day, 1)
                if self.hours.on(following).spans:
                    opened = Window(opened.start, days.window(self.zone, following, 1).start)
                if max(opened.start, start) < min(opened.end, end):
                    yield opened
            day = following
