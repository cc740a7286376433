"""A resource's week as a page shows it: days with their fullness, a grid of cells, start times.

Pure: everything comes from one `Availability`. Times are compared in UTC; local time decides only
which day and row something is shown in, so that a day on which the clocks change has its hours
once, twice or not at all, as they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from bookings import week_days
from bookings.availability import Availability, Slot, slots
from bookings.days import Days
from bookings.local_time import clock_text
from bookings.rules import Rules, Window
from bookings.week_days import day_lengths
from bookings.week_rows import DAY_MINUTES, Row, moment_of, rows_of

DAYS = 7
_MOST_ROWS = 36
_DAY = timedelta(days=1)
# Where the middle of the day begins and ends, in hours.
_PARTS = (("Morning", 0, 12), ("Afternoon", 12, 17), ("Evening", 17, 24))

# How far apart durations are offered, by how long they are, in minutes.
_COARSER = ((1440, 1440), (240, 60), (120, 30), (0, 0))

FREE, OPEN, TAKEN, CLOSED, PAST = "", "o", "t", "x", "p"


@dataclass(frozen=True, slots=True)
class Choice:
    """What the visitor has chosen so far."""

    day: date
    minutes: int
    quantity: int = 1
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One step of one day: how it looks (`state`), and the start it stands for if it has one.

    `left` is how many units of a pool can be had from that start, where some cannot; `few`: see
    `few_of`.
    """

    label: str
    state: str
    start: datetime | None = None
    chosen: bool = False
    first: bool = False
    now: bool = False
    left: int | None = None
    few: bool = False

    @property
    def css(self) -> str:
        marks = [self.state, "sel" * self.chosen, "a" * self.first, "now" * self.now]
        return " ".join(filter(None, marks))

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to say of it: closed or over."""
        return self.state in {CLOSED, PAST}


@dataclass(frozen=True, slots=True)
class Day:
    """One day: its cells for the grid, how full it is as a word and a class of the dot, and a note
    where its hours are not the usual ones."""

    date: date
    cells: list[Cell]
    fullness: str
    is_today: bool
    is_chosen: bool
    note: str = ""

    @property
    def fullness_word(self) -> str:
        return _FULLNESS[self.fullness]


_FULLNESS = {
    "free": "mostly free",
    "some": "partly taken",
    "most": "nearly full",
    "full": "nothing free",
    "shut": "closed",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Start times of one part of the chosen day."""

    name: str
    slots: list[Slot]


@dataclass(frozen=True)
class Week:
    """Seven days from `first`. `unit_minutes` is the height of a cell."""

    zone: ZoneInfo
    days: list[Day]
    parts: list[Part]
    hours: list[str]
    unit_minutes: int
    is_coarse: bool
    as_of: datetime
    durations: list[int] = field(default_factory=list)
    step_minutes: int = 0

    @property
    def is_closed(self) -> bool:
        return all(day.fullness == "shut" for day in self.days)

    @property
    def is_full(self) -> bool:
        return not self.is_closed and all(day.fullness in {"full", "shut"} for day in self.days)


def range_of(first: date, zone: ZoneInfo) -> Window:
    """The seven local days from `first`, in real time."""
    return Window(moment_of(first, 0, zone), moment_of(first + DAYS * _DAY, 0, zone))


def week(available: Availability, choice: Choice, first: date) -> Week:
    """Everything the resource page draws of a week."""
    rules = available.rules
    dates = [first + n * _DAY for n in range(DAYS)]
    rows, unit = _rows(available, dates)
    startable = slots(available, duration_seconds=rules.min_seconds, quantity=choice.quantity)
    canvas = _Canvas(available, choice, rows, _by_day(startable, rules.zone))
    return Week(
        zone=rules.zone,
        days=[canvas.day(day) for day in dates],
        parts=_parts(available, choice),
        hours=[row.label for row in rows],
        unit_minutes=unit,
        is_coarse=rules.days is None and unit * 60 > rules.step_seconds,
        as_of=available.as_of,
        durations=durations(rules, choice.minutes),
        step_minutes=DAY_MINUTES if rules.days else rules.step_seconds // 60,
    )


def turns(first: date, rules: Rules, now: datetime) -> dict[str, date | None]:
    """The weeks before and after, as far as there is anything to book."""
    today = now.astimezone(rules.zone).date()
    before, after = first - DAYS * _DAY, first + DAYS * _DAY
    last = rules.latest_start(now).astimezone(rules.zone).date()
    return {
        "before": max(before, today) if first > today else None,
        "after": after if after <= last else None,
        "last_day": last,
    }


def durations(rules: Rules, chosen: int) -> list[int]:
    """Minutes to choose from: every step at first, coarser further on, always the one chosen."""
    if rules.days is not None:
        return day_lengths(rules.days, chosen)
    step, longest = rules.step_seconds // 60, rules.max_seconds // 60
    found = {rules.min_seconds // 60, longest}
    minutes = rules.min_seconds // 60
    while minutes <= longest:
        found.add(minutes)
        coarse = max(step, next(by for least, by in _COARSER if minutes >= least))
        minutes = minutes + (coarse if minutes % coarse == 0 else step)
    return sorted(found | {chosen})


def longest_from(available: Availability, start: datetime, choice: Choice) -> int:
    """The most minutes that can be had from `start`, at most those chosen; 0 when none can."""
    rules = available.rules
    step = DAY_MINUTES if rules.days else rules.step_seconds // 60
    minutes = choice.minutes
    while minutes * 60 >= rules.min_seconds:
        found = slot_at(available, start, minutes, choice.quantity)
        if found is not None:
            return minutes
        minutes -= step
    return 0


def slot_at(available: Availability, start: datetime, minutes: int, quantity: int) -> Slot | None:
    """The bookable slot that starts exactly then, or None."""
    then = replace(available, range=Window(start, start + timedelta(seconds=1)))
    found = slots(then, duration_seconds=minutes * 60, quantity=quantity)
    return next((slot for slot in found if slot.start == start), None)


def few_of(capacity: int) -> int:
    """How many units of a pool are so few that one should hurry: a quarter at most, or three."""
    return max(3, capacity // 4)


@dataclass(frozen=True)
class _Canvas:
    """What every cell of a week is drawn from."""

    available: Availability
    choice: Choice
    rows: list[Row]
    startable: dict[date, list[Slot]]

    def day(self, day: date) -> Day:
        zone = self.available.rules.zone
        today = self.available.as_of.astimezone(zone).date()
        return Day(
            date=day,
            cells=[self._cell(day, row) for row in self.rows],
            fullness=self._fullness(day),
            is_today=day == today,
            is_chosen=day == self.choice.day,
            note=self._note(day),
        )

    def _note(self, day: date) -> str:
        """What makes its hours other than usual: "closed: Christmas Day"."""
        hours = self.available.rules.hours.on(day)
        return hours.text if hours.source != "weekly" and hours.label else ""

    def _cell(self, day: date, row: Row) -> Cell:
        zone = self.available.rules.zone
        span = row.on(day, zone)
        if span is None:
            return Cell("", CLOSED)
        slot = next(
            (s for s in self.startable.get(day, []) if span.start <= s.start < span.end), None
        )
        chosen, capacity = self.choice.window, self.available.rules.capacity
        left = slot.remaining if slot and slot.remaining < capacity else None
        return Cell(
            label=clock_text(slot.start, zone) if slot else row.said,
            state=FREE if slot else self._state(day, span),
            start=slot.start if slot else None,
            chosen=chosen is not None and self._is_chosen(day, span, chosen),
            first=chosen is not None and span.start <= chosen.start < span.end,
            now=span.start <= self.available.as_of < span.end,
            left=left,
            few=left is not None and left <= few_of(capacity),
        )

    def _is_chosen(self, day: date, span: Window, chosen: Window) -> bool:
        days = self.available.rules.days
        if days is None:
            return chosen.overlaps(span)
        return chosen.start <= days.window(self.available.rules.zone, day, 1).start < chosen.end

    def _state(self, day: date, span: Window) -> str:
        available, quantity = self.available, self.choice.quantity
        if available.rules.days is not None:
            return self._day_state(available.rules.days, day)
        if not any(o.overlaps(span) for o in available.open):
            return CLOSED
        if span.start < available.rules.earliest_start(available.as_of):
            return PAST
        free = any(
            f.remaining >= quantity and f.start < span.end and span.start < f.end
            for f in available.free
        )
        return OPEN if free else TAKEN

    def _day_state(self, days: Days, day: date) -> str:
        if not week_days.is_open(self.available, day):
            return CLOSED
        if week_days.is_past(self.available, days, day):
            return PAST
        return OPEN if week_days.is_free(self.available, days, day, self.choice.quantity) else TAKEN

    def _fullness(self, day: date) -> str:
        """Of the time that could still be booked that day, how much is gone."""
        rules, now = self.available.rules, self.available.as_of
        if rules.days is not None and self.startable.get(day):
            return "free"
        if rules.days is not None:
            shut = self._day_state(rules.days, day) in {CLOSED, PAST}
            return "shut" if shut else "full"
        whole = Window(moment_of(day, 0, rules.zone), moment_of(day + _DAY, 0, rules.zone))
        rest = Window(max(whole.start, rules.earliest_start(now)), whole.end)
        opened = _overlap(self.available.open, rest)
        if not opened or rest.end <= rest.start:
            return "shut"
        if not self.startable.get(day):
            return "full"
        enough = [f for f in self.available.free if f.remaining >= self.choice.quantity]
        free = _overlap([Window(f.start, f.end) for f in enough], rest) / opened
        return "free" if free > 0.67 else "some" if free > 0.33 else "most"


def _overlap(windows: Iterable[Window], around: Window) -> float:
    """Seconds of the windows within another one."""
    seconds = 0.0
    for window in windows:
        start, end = max(window.start, around.start), min(window.end, around.end)
        seconds += max(0.0, (end - start).total_seconds())
    return seconds


def _parts(available: Availability, choice: Choice) -> list[Part]:
    """The chosen day's starts for the chosen duration, by part of the day."""
    zone = available.rules.zone
    found = slots(available, duration_seconds=choice.minutes * 60, quantity=choice.quantity)
    mine = _by_day(found, zone).get(choice.day, [])
    parts = [
        Part(name, [s for s in mine if begin <= s.start.astimezone(zone).hour < end])
        for name, begin, end in _PARTS
    ]
    return [part for part in parts if part.slots]


def _by_day(found: Sequence[Slot], zone: ZoneInfo) -> dict[date, list[Slot]]:
    days: dict[date, list[Slot]] = {}
    for slot in found:
        days.setdefault(slot.start.astimezone(zone).date(), []).append(slot)
    return days


def _open_minutes(available: Availability, dates: Sequence[date]) -> tuple[int, int]:
    """The local minutes of the day between which something is open in this week."""
    zone = available.rules.zone
    first, last = DAY_MINUTES, 0
    for opened in available.open:
        start, end = opened.start.astimezone(zone), opened.end.astimezone(zone)
        ends_at = end.hour * 60 + end.minute
        if start.date() != end.date():
            first = 0 if ends_at else min(first, start.hour * 60 + start.minute)
            last = DAY_MINUTES
        else:
            first, last = min(first, start.hour * 60 + start.minute), max(last, ends_at)
    return (first // 60 * 60, last) if first < last else (9 * 60, 17 * 60)


def _rows(available: Availability, dates: Sequence[date]) -> tuple[list[Row], int]:
    """The grid's rows and their height in minutes."""
    rules = available.rules
    opens, closes = _open_minutes(available, dates)
    unit = DAY_MINUTES if rules.days else _unit(rules, opens, closes)
    return rows_of(range(opens, closes, unit), dates, rules.zone, rules.days), unit


def _unit(rules: Rules, opens: int, closes: int) -> int:
    """A cell's height in minutes: the step, or a multiple that keeps the week on a screen."""
    step = rules.step_seconds // 60
    unit = max(step, 15)
    for candidate in (15, 30, 60, 120):
        if candidate >= step and candidate % step == 0:
            unit = candidate
            if (closes - opens) / unit <= _MOST_ROWS:
                break
    return unit
