"""One resource's rules as plain data, and the pure questions that can be asked of them.

Everything here works in UTC and takes the time as a parameter; local time appears only where
opening hours do (`hours.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

from bookings.hours import Hours, WeeklySpan
from bookings.policy import Terms
from bookings.prices import Price
from bookings.seen_by import EVERYBODY, SeenBy
from bookings.windows import Window, merged, without

__all__ = ["Hours", "Price", "Rules", "WeeklySpan", "Window", "merged", "without"]


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
    seen_by: SeenBy = EVERYBODY
    approval_ttl_seconds: int | None = None

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def is_exclusive(self) -> bool:
        return self.mode == "exclusive"

    def occupied(self, window: Window) -> Window:
        """The member's window with the buffers around it: what an occupancy takes."""
        return Window(
            window.start - timedelta(seconds=self.buffer_before_seconds),
            window.end + timedelta(seconds=self.buffer_after_seconds),
        )

    def spans(self, start: datetime, end: datetime) -> Iterator[Window]:
        """The opening spans that touch `[start, end)`, in UTC, in order, not merged."""
        return self.hours.spans(self.zone, start, end)

    def open_windows(self, start: datetime, end: datetime) -> list[Window]:
        """The spans that touch `[start, end)`, with those that meet or overlap merged."""
        return merged(list(self.spans(start, end)))

    def latest_start(self, now: datetime) -> datetime:
        """The horizon: how far ahead a window may start."""
        return now + timedelta(days=self.horizon_days)

    def earliest_start(self, now: datetime) -> datetime:
        """The notice: how soon a window may start."""
        return now + timedelta(seconds=self.notice_seconds)

    def is_on_step(self, start: datetime) -> bool:
        """Whether a start lies a whole number of steps after an opening that contains it."""
        return any(
            (start - span.start).total_seconds() % self.step_seconds == 0
            for span in self.spans(start, start + timedelta(microseconds=1))
        )
