"""One resource's rules as plain data, and the pure questions that can be asked of them.

Everything here works in UTC and takes the time as a parameter; local time appears only where
opening hours do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

from bookings.policy import Terms

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """`[start, end)`, half open, both with a time zone."""

    start: datetime
    end: datetime

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    def overlaps(self, other: "Window") -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, other: "Window") -> bool:
        return self.start <= other.start and other.end <= self.end


@dataclass(frozen=True, slots=True)
class WeeklySpan:
    """Opening hours of one weekday (0 is Monday); closing at or before opening is the next day."""

    weekday: int
    opens_at: time
    closes_at: time


@dataclass(frozen=True, slots=True)
class Price:
    """One price rule: `kind` is per_hour or per_booking."""

    kind: str
    amount_minor: int
    label: str


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
    hours: tuple[WeeklySpan, ...]
    prices: tuple[Price, ...]

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
        """The opening spans that touch `[start, end)`, in UTC, in order, not merged.

        A local time that the clocks skip opens or closes when they jump; one that comes twice
        opens at its first and closes at its first coming.
        """
        day = start.astimezone(self.zone).date() - _DAY
        last = end.astimezone(self.zone).date()
        while day <= last:
            for span in self._of_weekday(day.weekday()):
                opened = self._span_on(day, span)
                if max(opened.start, start) < min(opened.end, end):
                    yield opened
            day += _DAY

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

    @cached_property
    def _by_weekday(self) -> dict[int, list[WeeklySpan]]:
        by_day: dict[int, list[WeeklySpan]] = {}
        for span in sorted(self.hours, key=lambda s: (s.weekday, s.opens_at)):
            by_day.setdefault(span.weekday, []).append(span)
        return by_day

    def _of_weekday(self, weekday: int) -> list[WeeklySpan]:
        return self._by_weekday.get(weekday, [])

    def _span_on(self, day: date, span: WeeklySpan) -> Window:
        closing_day = day + _DAY if span.closes_at <= span.opens_at else day
        return Window(self._utc(day, span.opens_at), self._utc(closing_day, span.closes_at))

    def _utc(self, day: date, local: time) -> datetime:
        named = datetime.combine(day, local, tzinfo=self.zone)
        moment = named.astimezone(UTC)
        if moment.astimezone(self.zone).replace(tzinfo=None) == named.replace(tzinfo=None):
            return moment
        return _jump(self.zone, named.replace(fold=1).astimezone(UTC), moment)


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


def merged(windows: Sequence[Window]) -> list[Window]:
    """Windows that meet or overlap become one; the result is in order."""
    result: list[Window] = []
    for window in sorted(windows):
        if result and window.start <= result[-1].end:
            result[-1] = Window(result[-1].start, max(result[-1].end, window.end))
        else:
            result.append(window)
    return result


def without(windows: Sequence[Window], taken: Sequence[Window]) -> list[Window]:
    """What is left of ordered, disjoint windows once the taken ones are cut out."""
    left: list[Window] = []
    cuts = merged(taken)
    for window in windows:
        start = window.start
        for cut in cuts:
            if cut.end <= start or cut.start >= window.end:
                continue
            if start < cut.start:
                left.append(Window(start, cut.start))
            start = cut.end
        if start < window.end:
            left.append(Window(start, window.end))
    return left
