"""Local times in calendar files, and the clocks told with them, around every change of a clock."""

import warnings
from datetime import UTC, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from dateutil.tz import tzical

from bookings.ics_zones import local_times, timezone_of

FIRST, LAST = 2025, 2030
ZONES = [
    "Pacific/Auckland", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Sao_Paulo",
    "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo",
    "Africa/Casablanca", "Africa/Cairo", "Asia/Gaza", "Pacific/Chatham", "America/St_Johns",
    "Antarctica/Troll", "Etc/GMT+5", "Asia/Beirut",
]  # fmt: skip


def changes(zone: ZoneInfo) -> list[datetime]:
    """The instants (UTC, to the minute) at which a zone's clock changes."""
    found, moment = [], datetime(FIRST, 1, 1, tzinfo=UTC)
    while moment.year <= LAST:
        later = moment + timedelta(hours=12)
        if moment.astimezone(zone).utcoffset() != later.astimezone(zone).utcoffset():
            low, high = moment, later
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) // 2
                same = middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high.replace(second=0, microsecond=0))
        moment = later
    return found


def read(zone: str):
    """The zone as another library reads it from our VTIMEZONE alone."""
    told = timezone_of(zone, FIRST, LAST)
    assert told is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tzical(StringIO(told.to_ical().decode().replace("\r\n", "\n"))).get(zone)


@pytest.mark.parametrize("name", ZONES)
def test_each_instant_around_a_change_reads_as_the_zone_has_it(name: str) -> None:
    zone, told = ZoneInfo(name), read(name)
    around = [timedelta(minutes=m) for m in (-121, -61, -31, -1, 0, 1, 29, 59, 61, 121)]
    instants = [change + step for change in changes(zone) for step in around]
    instants += [datetime(year, month, 15, 12, tzinfo=UTC) for year in (2026, 2029)
                 for month in range(1, 13)]  # fmt: skip
    for instant in instants:
        start, end = local_times(instant, instant + timedelta(minutes=5), name)
        assert start.astimezone(UTC) == instant
        assert end.astimezone(UTC) == instant + timedelta(minutes=5)
        if start.tzinfo is not UTC:
            naive = start.replace(tzinfo=None)
            assert naive - told.utcoffset(naive) == instant.replace(tzinfo=None)
            assert instant.astimezone(told).replace(tzinfo=None) == naive


def test_the_second_of_two_equal_hours_is_in_utc() -> None:
    """When clocks go back in Berlin 02:30 comes twice; a local time would mean the first."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = first + timedelta(hours=1)
    three = second + timedelta(hours=1)
    assert local_times(first, three, "Europe/Berlin")[0].tzinfo == ZoneInfo("Europe/Berlin")
    assert local_times(second, three, "Europe/Berlin")[0].tzinfo is UTC
    assert local_times(first, second, "Europe/Berlin")[1].tzinfo is UTC


def test_onsets_are_by_the_clock_before_and_told_as_rules() -> None:
    told = timezone_of("Europe/Berlin", 2026, 2029)
    assert told is not None
    text = told.to_ical().decode()
    assert "DTSTART:20250330T020000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3" in text
    assert "DTSTART:20251026T030000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10" in text
    assert "RDATE" not in text
    moon = timezone_of("Africa/Casablanca", 2026, 2029)
    assert moon is not None
    assert "RDATE" in moon.to_ical().decode(), "by the moon: no rule of the calendar"


def test_utc_needs_no_zone() -> None:
    assert timezone_of("UTC", 2026, 2027) is None
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert local_times(noon, noon, "UTC") == (noon, noon)
