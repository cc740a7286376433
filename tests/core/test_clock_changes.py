"""Time at every change of every zone's clocks in the next three years, and with the checks off."""

import os
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings import local_time
from bookings.availability import Slot
from bookings.days import Days, started_days
from bookings.local_time import clock_text, repeated
from bookings.windows import Window
from bookings.words import window_text
from config.kernel.money import Money
from tests.core import clock_changes
from tests.core.clock_changes import CHECKS, changes

HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
BACK = datetime(2027, 10, 31, 1, tzinfo=UTC)


EVERY = 1 if os.environ.get("SUREHOLD_ALL_CLOCKS") else 3


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_at_every_change_of_clocks(check):
    """At a third of them, unless `SUREHOLD_ALL_CLOCKS=1` asks for all."""
    for change in changes()[::EVERY]:
        check(change)


def test_the_changes_are_those_of_all_kinds_of_zones():
    found = changes()
    kinds = {change.zone for change in found}
    assert len(found) > 150
    assert len(kinds) > 30
    assert timedelta(minutes=30) in {change.by for change in found}, "Lord Howe's half hour"
    assert timedelta(hours=2) in {change.by for change in found}, "Troll's two hours"
    local = [c.at.astimezone(c.info) for c in found if c.by > timedelta(0)]
    assert any(moment.hour == 1 for moment in local), "some skip midnight itself"


def fails(check):
    for change in changes():
        try:
            check(change)
        except AssertionError:
            return True
    return False


def by_the_face(known, *, duration_seconds):
    """What steps by the clock's face would offer: never both of a repeated time."""
    info, length = known.rules.zone, timedelta(seconds=duration_seconds)
    face, found = known.range.start.astimezone(info).replace(tzinfo=None), []
    while (start := face.replace(tzinfo=info).astimezone(UTC)) < known.range.end:
        found.append(Slot(start, start + length, 1, Money(0, "NZD")))
        face += timedelta(minutes=15)
    return found


def days_of_24_hours(days, zone, first, count):
    start = local_time.moment_at(zone, first, days.starts_at)
    return Window(start, start + timedelta(seconds=days.seconds(count)))


def test_the_checks_fail_without_what_they_are_about(monkeypatch):
    """The controls: steps by the face, no labels, days of 24 hours."""
    with monkeypatch.context() as patched:
        patched.setattr(clock_changes, "slots", by_the_face)
        assert fails(clock_changes.check_starts)
    with monkeypatch.context() as patched:
        patched.setattr(local_time, "repeated", lambda *_: "")
        assert fails(clock_changes.check_starts)
    with monkeypatch.context() as patched:
        patched.setattr(Days, "window", days_of_24_hours)
        assert fails(clock_changes.check_days)


def test_a_time_that_comes_twice_says_which():
    assert clock_text(BACK - HOUR / 2, BERLIN) == "02:30 (summer time)"
    assert clock_text(BACK + HOUR / 2, BERLIN) == "02:30 (standard time)"
    assert clock_text(BACK + HOUR, BERLIN) == "03:00"
    assert window_text(BACK - HOUR / 2, BACK + HOUR / 2, BERLIN) == (
        "Sun 31 Oct, 02:30 (summer time)–02:30 (standard time), Berlin"
    )


def test_where_it_is_not_summer_the_offset_says_it():
    casablanca = ZoneInfo("Africa/Casablanca")
    (back, *_) = [c for c in changes() if c.zone == "Africa/Casablanca" and c.by < timedelta(0)]
    assert repeated(back.at - HOUR / 2, casablanca) == "UTC+1"
    assert repeated(back.at + HOUR / 2, casablanca) == "UTC+0"


# --- Days ---------------------------------------------------------------------------------------

ZONES = st.sampled_from(sorted({change.zone for change in changes()}))
MOMENTS = st.integers(0, 3 * 365 * 24 * 4).map(lambda n: clock_changes.BEGIN + n * HOUR / 4)


@given(ZONES, MOMENTS, st.integers(1, 4000), st.integers(0, 400))
def test_a_later_end_never_counts_fewer_days(zone, start, quarters, more):
    info, end = ZoneInfo(zone), start + quarters * HOUR / 4
    count = started_days(info, Window(start, end))
    assert started_days(info, Window(start, end + more * HOUR / 4)) >= count
    assert abs(count - quarters / 96) <= 1.1


@given(ZONES, MOMENTS, st.integers(0, 23), st.integers(0, 23), st.integers(1, 60))
def test_as_many_days_are_counted_as_were_asked_for(zone, moment, opens, closes, count):
    info, days = ZoneInfo(zone), Days(time(opens), time(closes), 1, 60)
    first = moment.astimezone(info).date()
    stay = days.window(info, first, count)
    assert days.count(info, stay) == count
    assert days.count_between(first, days.last_date(first, count)) == count
    if days.seconds(1) >= 5 * 3600:
        assert days.count_for(stay.duration.total_seconds()) == count
        assert days.count_for(days.seconds(count)) == count


def test_a_day_of_the_clock_is_one_day_when_it_has_25_hours():
    ten = datetime(2027, 10, 30, 10, tzinfo=BERLIN)
    again = datetime(2027, 10, 31, 10, tzinfo=BERLIN)
    assert again.astimezone(UTC) - ten.astimezone(UTC) == 25 * HOUR
    window = Window(ten.astimezone(UTC), again.astimezone(UTC))
    assert started_days(BERLIN, window) == 1
    assert started_days(BERLIN, Window(window.start, window.end + HOUR / 4)) == 2
