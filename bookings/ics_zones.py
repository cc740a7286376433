"""Times in a place's zone, as iCalendar writes them, and the VTIMEZONE that says what it means."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard, vRecur

_IS_UTC = frozenset({"UTC", "Etc/UTC"})
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
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

    The library finds the changes of the clock but writes those ahead by the clock that they end at;
    RFC 5545 §3.6.5 wants them by the clock before. Changes that follow a yearly rule are told as
    that rule, since not every client reads dates one by one.
    """
    if zone in _IS_UTC:
        return None
    found = Timezone.from_tzid(
        zone, first_date=date(first_year - 1, 1, 1), last_date=date(last_year + 1, 1, 1)
    )
    del found["COMMENT"]
    for part in found.subcomponents:
        _tell_changes(part, last_year)
    return found


def _tell_changes(part: TimezoneStandard | TimezoneDaylight, last_year: int) -> None:
    ahead = max(part.TZOFFSETTO - part.TZOFFSETFROM, timedelta())
    seen = [part.DTSTART, *(moment for moment, _ in part.rdates)]
    onsets = sorted(moment - ahead for moment in seen)
    part.DTSTART = onsets[0]
    part.pop("RDATE", None)
    rule = _yearly(onsets, last_year)
    if rule:
        part.add("rrule", vRecur(rule))
    elif onsets[1:]:
        part.add("rdate", onsets[1:])


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
