"""What is busy according to an iCalendar file: pure rules, from bytes to windows (RFC 5545).

Recurrence is computed by the library `recurring-ical-events`. What stands here is what it leaves
open: which entries are busy at all, in which zone a day or a floating time lies, that nothing
malformed hides the rest, and that no rule, however often it repeats, takes longer than it may.
"""

import math
import re
import time as clock
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, vRecur
from icalendar.timezone import tzp

from bookings.local_time import moment_at
from bookings.windows import Window, merged
from config.kernel.errors import DomainError
from config.kernel.outbound import OutsideError

# The most occurrences of one rule, and steps of one from its start to the window.
MOST_OCCURRENCES = 1000
MOST_STEPS = 50_000
# The most busy windows of one calendar, and processor time to find them.
MOST_WINDOWS = 20_000
MOST_SECONDS = 30.0
_STEP_SECONDS = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3600, "DAILY": 86400, "WEEKLY": 604800}
_OFTEN = {"SECONDLY", "MINUTELY", "HOURLY"}
_FINER = {
    "SECONDLY": (),
    "MINUTELY": ("BYSECOND",),
    "HOURLY": ("BYMINUTE", "BYSECOND"),
    "DAILY": ("BYHOUR", "BYMINUTE", "BYSECOND"),
}
_BY_PARTS = ("BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE",
             "BYSECOND", "BYSETPOS")  # fmt: skip
# Parts that need a longer period than a week to mean anything: with a shorter one, no calendar
# writes them, and they may never come true.
_OF_LONG_PERIODS = ("BYWEEKNO", "BYYEARDAY", "BYSETPOS")
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_A_DAY = timedelta(days=1)
_WORDS = frozenset({
    "SUMMARY", "DESCRIPTION", "LOCATION", "ATTENDEE", "ORGANIZER", "CONTACT", "COMMENT", "ATTACH",
    "URL", "CATEGORIES", "GEO", "CONFERENCE", "RESOURCES", "NAME", "IMAGE",
})  # fmt: skip
# Of what programs add of their own, often words again (a place, a meeting's link), this is needed.
_KEPT = frozenset({"X-WR-TIMEZONE", "X-LIC-LOCATION"})
Part = Any  # a component; what its properties are is found out as it is read


class Unreadable(DomainError):
    """This is no calendar at all."""

    code = "calendar_unreadable"
    status = 422
    detail = "What came is not a calendar."


class TooMuch(OutsideError):
    """There is more of it than can be followed, or blocked."""

    code = "calendar_unavailable"
    detail = "There is too much in it that repeats."


class Effort:
    """What a whole calendar may cost: each rule is bounded by itself, and there may be thousands.

    Of this thread's own processor time, so that a busy machine follows no less.
    """

    def __init__(self) -> None:
        self._until = clock.thread_time() + MOST_SECONDS

    def refuse_more(self) -> None:
        """Raises TooMuch when it is used up."""
        if clock.thread_time() > self._until:
            raise TooMuch


@dataclass(frozen=True, slots=True)
class Entry:
    """All components of one UID: an event, its exceptions; or a list of busy periods."""

    uid: str
    parts: tuple[Part, ...]
    zone_name: str = ""

    @property
    def is_free_busy(self) -> bool:
        return self.parts[0].name == "VFREEBUSY"

    @property
    def recurs(self) -> bool:
        names = ("RRULE", "RDATE", "RECURRENCE-ID")
        return any(name in part for part in self.parts for name in names)


@dataclass(frozen=True, slots=True)
class Read:
    """A file's entries, the zone that it names for itself, and how many were malformed."""

    entries: tuple[Entry, ...]
    zone: ZoneInfo | None
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Busy:
    """Windows that are busy, in order, merged; entries left out, and rules that were cut."""

    windows: list[Window]
    skipped: int = 0
    cut: int = 0


def read(data: bytes | str) -> Read:
    """The entries of an iCalendar file. Raises Unreadable for what is no calendar."""
    try:
        calendars = Calendar.from_ical(data, multiple=True)
    except Exception as error:  # the library names no closed set of errors for garbage
        raise Unreadable from error
    found = [each for each in calendars if each.name == "VCALENDAR"]
    if not found:
        raise Unreadable
    zone = next((each for each in map(_zone_of, found) if each), None)
    groups: dict[tuple[str, str], list[Part]] = defaultdict(list)
    skipped = 0
    for calendar in found:
        for part in calendar.subcomponents:
            if part.name not in {"VEVENT", "VFREEBUSY"}:
                continue
            if _is_malformed(part):
                skipped += 1
                continue
            uid = str(part.get("UID", "")) or f"-{len(groups)}"
            groups[part.name, uid].append(part)
    named = zone.key if zone else ""
    entries = tuple(Entry(uid, tuple(parts), named) for (_, uid), parts in groups.items())
    return Read(entries, zone, skipped)


def busy(
    found: Read,
    *,
    within: Window,
    zone: tzinfo,
    ours: Container[str] = (),
    effort: Effort | None = None,
) -> Busy:
    """What is busy of the entries that touch `within`, whole occurrences, merged.

    `zone` is where days and floating times lie when the file does not say. Entries whose UID is
    `ours` are no busy times. Raises TooMuch when the `effort` for all of the calendar is used up.
    """
    effort = effort or Effort()
    where = found.zone or zone
    windows: list[Window] = []
    skipped, cut = found.skipped, 0
    for entry in found.entries:
        effort.refuse_more()
        if entry.uid in ours:
            continue
        try:
            had = list(_occurrences(entry, within, where))
        except _Over:
            continue
        except Exception:  # one malformed entry, in whatever way, hides no other
            skipped += 1
            continue
        cut += len(had) > MOST_OCCURRENCES
        windows += [each for each in had[:MOST_OCCURRENCES] if each.overlaps(within)]
    return Busy(merged(windows), skipped, cut)


def bare(data: str) -> str:
    """The same file without what it says in words: who, where, about what. That is nobody's here,
    and nothing of it decides what is busy."""
    kept, drops, depth = [], False, 0
    for line in re.split(r"\r\n|\n|\r", data.rstrip()):
        if line[:1] in (" ", "\t"):
            if not drops:
                kept.append(line)
            continue
        upper = line.upper()
        depth += upper == "BEGIN:VALARM"
        name = upper.partition(":")[0].partition(";")[0]
        is_their_own = name.startswith("X-") and name not in _KEPT
        drops = depth > 0 or name in _WORDS or is_their_own
        depth -= upper == "END:VALARM"
        if not drops:
            kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def _zone_of(calendar: Part) -> ZoneInfo | None:
    name = str(calendar.get("X-WR-TIMEZONE", ""))
    found = tzp.timezone(name) if name else None
    return found if isinstance(found, ZoneInfo) else None


def _is_malformed(part: Part) -> bool:
    if part.name == "VFREEBUSY":
        return False
    try:
        return not isinstance(part["DTSTART"].dt, date)
    except (KeyError, AttributeError, ValueError):
        return True


def _occurrences(entry: Entry, within: Window, zone: tzinfo) -> Iterator[Window]:
    """Of one entry, also some that only come near; one more than is wanted where it was cut."""
    if entry.is_free_busy:
        for part in entry.parts:
            yield from _free_busy(part, zone)
        return
    parts: Iterable[Part] = entry.parts
    if entry.recurs:
        parts = _repeated(entry, within, zone)
    for part in parts:
        if _is_busy(part) and (window := _window(part, zone)):
            yield window


def _is_busy(part: Part) -> bool:
    """A tentative event is busy; a cancelled or a transparent one is not."""
    transparent = str(part.get("TRANSP", "")).upper() == "TRANSPARENT"
    return not transparent and str(part.get("STATUS", "")).upper() != "CANCELLED"


def _window(part: Part, zone: tzinfo) -> Window | None:
    """From when to when, None for no time at all. Raises ValueError for one that ends too early."""
    starts = part["DTSTART"].dt
    if "DTEND" in part:
        ends = part["DTEND"].dt
    elif "DURATION" in part:
        ends = starts + part["DURATION"].dt
    else:
        ends = starts if isinstance(starts, datetime) else starts + _A_DAY
    window = Window(moment(starts, zone), moment(ends, zone))
    if window.end < window.start:
        raise ValueError("it ends before it starts")
    return window if window.start < window.end else None


def moment(value: date | datetime, zone: tzinfo) -> datetime:
    """In UTC: a day begins at its midnight, and a floating time is, by the clock of `zone`."""
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if value.tzinfo is None:
        named = zone if isinstance(zone, ZoneInfo) else ZoneInfo("UTC")
        return moment_at(named, value.date(), value.time()).astimezone(UTC)
    return value.astimezone(UTC)


def _free_busy(part: Part, zone: tzinfo) -> Iterator[Window]:
    listed = part.get("FREEBUSY", [])
    for each in listed if isinstance(listed, list) else [listed]:
        for period in getattr(each, "dts", None) or [each]:
            if str(each.params.get("FBTYPE", "BUSY")).upper() == "FREE":
                continue
            start, end = _period(period)
            window = Window(moment(start, zone), moment(end, zone))
            if window.start < window.end:
                yield window


def _period(period: Any) -> tuple[Any, Any]:
    start, end = getattr(period, "dt", None) or (period.start, period.end)
    return start, start + end if isinstance(end, timedelta) else end


# --- Recurrence, within bounds ------------------------------------------------------------------


def _repeated(entry: Entry, within: Window, zone: tzinfo) -> Iterator[Part]:
    """Occurrences of a series near the window, at most one more than may be."""
    until, padding = within.end, timedelta(0)
    parts = [part.copy() for part in entry.parts]
    for part, original in zip(parts, entry.parts, strict=True):
        part.subcomponents = []  # alarms are no matter
        for rule in _rules(original):
            until = min(until, _bounded(part, rule, within, zone))
    calendar = Calendar()
    calendar.add("prodid", "-//Surehold//Busy//EN")
    calendar.add("version", "2.0")
    if entry.zone_name:  # times in UTC of a file with a zone of its own repeat by that zone's clock
        calendar.add("X-WR-TIMEZONE", entry.zone_name)
    for part in parts:
        calendar.add_component(part)
    # Days and floating times are compared as if in UTC: a day more on both sides holds them all.
    if any(getattr(part["DTSTART"].dt, "tzinfo", None) is None for part in parts):
        padding = _A_DAY
    around = within.start - padding, max(until, within.start) + padding
    found = recurring_ical_events.of(calendar).between(*around)
    return (part for part, _ in zip(found, range(MOST_OCCURRENCES + 1), strict=False))


def _rules(part: Part) -> list[Any]:
    rules = part.get("RRULE", [])
    return rules if isinstance(rules, list) else [rules]


def _bounded(part: Part, rule: Any, within: Window, zone: tzinfo) -> datetime:
    """How far a rule may be followed. Raises ValueError for one that takes too many steps.

    One that repeats within the day and has begun long ago is begun anew near the window.
    """
    frequency = str(rule["FREQ"][0]).upper()
    begins, times = moment(part["DTSTART"].dt, zone), _times_within(rule, frequency)
    if frequency not in _OFTEN:
        _refuse_too_many_times(times, begins, within)
    if frequency not in _STEP_SECONDS:
        return within.end
    _refuse_what_never_comes(rule)
    step = _STEP_SECONDS[frequency] * max(1, int(rule.get("INTERVAL", [1])[0]))
    steps = (within.start - begins).total_seconds() / step
    if frequency not in _OFTEN:
        if steps > MOST_STEPS:
            raise ValueError("it takes too many steps")
        return within.end
    if steps > MOST_OCCURRENCES or steps * times > MOST_STEPS:
        _begin_later(part, rule, int(steps) - _reaching_in(part, step, zone), step)
        begins = within.start
    periods = MOST_OCCURRENCES // times + 2
    return max(begins, within.start) + timedelta(seconds=step * periods)


def _times_within(rule: Any, frequency: str) -> int:
    """How often it may come within one of its periods, or days if these are longer (RFC 5545
    §3.3.10): "daily at 8, 12 and 18" is three."""
    finer = _FINER.get(frequency, _FINER["DAILY"])
    return math.prod(len({str(each) for each in rule.get(name, [0])}) for name in finer)


def _refuse_too_many_times(times: int, begins: datetime, within: Window) -> None:
    """Raises ValueError for what the library would make a list of, longer than memory."""
    days, ahead = (within.end - begins).days, (within.end - max(begins, within.start)).days
    if times > 1 and (times * days > 4 * MOST_STEPS or times * ahead > MOST_STEPS):
        raise ValueError("it comes too often")


def _reaching_in(part: Part, step: int, zone: tzinfo) -> int:
    """How many steps before the window may still reach into it."""
    window = _window(part, zone)
    lasts = window.duration.total_seconds() if window else 0
    return 2 + min(MOST_OCCURRENCES // 2, int(lasts / step))


def _refuse_what_never_comes(rule: Any) -> None:
    """What the library would look for until the year 9999, such as the 30th of February."""
    if any(name in rule for name in _OF_LONG_PERIODS):
        raise ValueError("such a rule is not followed")
    months = [int(each) for each in rule.get("BYMONTH", range(1, 13))]
    days = [abs(int(each)) for each in rule.get("BYMONTHDAY", [1])]
    if all(day > _MONTH_DAYS[month - 1] for month in months for day in days):
        raise ValueError("that day never comes")


def _begin_later(part: Part, rule: Any, steps: int, step: int) -> None:
    """Go on so many steps later, by the same count: exact where nothing but the step counts."""
    if any(name in rule for name in _BY_PARTS):
        raise ValueError("it takes too many steps")
    gone = timedelta(seconds=steps * step)
    for name in ("DTSTART", "DTEND"):
        if name in part:
            part.add(name, part.pop(name).dt + gone)
    if "COUNT" in rule:
        left = int(rule["COUNT"][0]) - steps
        if left <= 0:
            raise _Over
        part["RRULE"] = vRecur({**part["RRULE"], "COUNT": [left]})


class _Over(ValueError):
    """All of its occurrences lie in the past."""
