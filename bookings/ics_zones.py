"""Times in a place's zone, as iCalendar writes them, and the VTIMEZONE that says what it means."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard, vRecur

_IS_UTC = frozenset({"UTC", "Etc/UTC"})
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)
# A rule is told as a rule only where it was seen to hold for so many years.
_YEARS = 3


def local_times(start: datetime, end: datetime, zone: str) -> tuple[datetime, datetime]:
    """A window as it stands in the file: in the zone, or in UTC where the zone's clock is unclear.

    When clocks go back an hour passes twice, and a local time in it means the first (RFC 5545
    §3.3.5). A window that begins or ends in the second is written in UTC.
    """
    if zone not in _IS_UTC:
        here = ZoneInfo(zone)
        first, last = start.astimezone(here), end.astimezone(here)
        if not first.fold and not last.fold:
            return first, last
    return start.astimezone(UTC), end.astimezone(UTC)


@lru_cache(maxsize=256)
def timezone_of(zone: str, first_year: int, last_year: int) -> Timezone | None:
    """The VTIMEZONE for the years from `first_year` through `last_year`; None for UTC.

    The library's own search for the changes of a clock leaps over what lasts less than two months
    (Casablanca's Ramadan) and tells those ahead by the clock that they end at, where RFC 5545
    §3.6.5 wants the clock before. So they are found here. Those that follow a yearly rule are told
    as that rule, since not every client reads dates one by one.
    """
    if zone in _IS_UTC:
        return None
    parts: dict[tuple[timedelta, timedelta, str], list[datetime]] = defaultdict(list)
    for before, after, name, onset in _changes(ZoneInfo(zone), first_year - 1, last_year):
        parts[before, after, name].append(onset)
    behind = min(after for _, after, _ in parts)
    found = Timezone()
    found.add("tzid", zone)
    for (before, after, name), onsets in parts.items():
        # The clock ahead is daylight time, also where the law calls it standard (Dublin): clients
        # reckon with that.
        part = TimezoneStandard() if after == behind else TimezoneDaylight()
        part.TZOFFSETFROM, part.TZOFFSETTO = before, after
        part.add("tzname", name)
        part.DTSTART = onsets[0]
        if rule := _yearly(onsets, last_year):
            part.add("rrule", vRecur(rule))
        elif onsets[1:]:
            part.add("rdate", onsets[1:])
        found.add_component(part)
    return found


def _changes(
    zone: ZoneInfo, first_year: int, last_year: int
) -> Iterator[tuple[timedelta, timedelta, str, datetime]]:
    """What the clock is at first, then each change: from and to which offset, its name, and when by
    the clock before. No change is looked for within a day of another.
    """
    here = datetime(first_year, 1, 1, tzinfo=UTC)
    offset = _offset(here, zone)
    yield offset, offset, _name(here, zone), here.replace(tzinfo=None)
    while here.year <= last_year:
        after = here + _DAY
        if _offset(after, zone) != offset:
            moment = _between(here, after, zone)
            now = _offset(moment, zone)
            yield offset, now, _name(moment, zone), (moment + offset).replace(tzinfo=None)
            offset = now
        here = after


def _between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second at which the clock has changed."""
    offset = _offset(before, zone)
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        before, after = (middle, after) if _offset(middle, zone) == offset else (before, middle)
    return after


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _name(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).tzname() or zone.key


def _yearly(onsets: Sequence[datetime], last_year: int) -> dict[str, Any] | None:
    """ "The last Sunday of March" as a rule, if every onset through the last year keeps it."""
    years = [onset.year for onset in onsets]
    if len(years) < _YEARS or years != list(range(years[0], last_year + 1)):
        return None
    kept = {(o.month, o.weekday(), o.time()) for o in onsets}
    if len(kept) > 1:
        return None
    if all(o.day + 7 > monthrange(o.year, o.month)[1] for o in onsets):
        which = -1
    elif len({(o.day - 1) // 7 for o in onsets}) == 1:
        which = (onsets[0].day - 1) // 7 + 1
    else:
        return None
    day = f"{which}{_DAYS[onsets[0].weekday()]}"
    return {"freq": "yearly", "bymonth": onsets[0].month, "byday": day}
