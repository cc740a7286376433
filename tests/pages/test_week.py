"""The pure picture of a week: durations, fullness, cells."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

import pytest

from bookings.availability import Availability, Free
from bookings.policy import Terms
from bookings.rules import Hours, Price, Rules, WeeklySpan, Window, without
from bookings.usage import Use
from bookings.week import Choice, durations, longest_from, range_of, week

MONDAY = datetime(2026, 12, 7, tzinfo=UTC)
NOW = MONDAY - timedelta(days=1)


def rules(**changes: Any) -> Rules:
    plain = Rules(
        resource_id=uuid4(), workspace_id=uuid4(), location_id=uuid4(), category_id=uuid4(),
        name="Room", slug="room", mode="exclusive", capacity=1, timezone="UTC", currency="EUR",
        step_seconds=1800, min_seconds=3600, max_seconds=8 * 3600, buffer_before_seconds=0,
        buffer_after_seconds=0, notice_seconds=0, horizon_days=90, hold_ttl_seconds=900,
        terms=Terms(24, 0, 0, 0),
        hours=Hours(tuple(WeeklySpan(day, time(9), time(17)) for day in range(5))),
        prices=(Price("per_hour", 1000, ""),),
    )  # fmt: skip
    return replace(plain, **changes)


def available(found: Rules, *taken: tuple[float, float], now: datetime = NOW) -> Availability:
    """A week from Monday in which these hours since its beginning are taken."""
    around = range_of(MONDAY.date(), found.zone)
    opened = found.open_windows(around.start, around.end)
    cuts = [Window(MONDAY + timedelta(hours=a), MONDAY + timedelta(hours=b)) for a, b in taken]
    free = [Free(w.start, w.end, 1) for w in without(opened, cuts)]
    uses = [Use(cut, 1) for cut in cuts]
    return Availability(found, around, opened, free, cuts, now, uses)


def shown(known: Availability, minutes: int = 60, window: Window | None = None) -> Any:
    return week(known, Choice(MONDAY.date(), minutes, 1, window), MONDAY.date())


def test_a_free_weekday_and_a_closed_weekend() -> None:
    picture = shown(available(rules()))
    assert [day.fullness for day in picture.days] == ["free"] * 5 + ["shut"] * 2
    assert picture.unit_minutes == 30
    assert picture.hours[:3] == ["09:00", "", "10:00"]
    assert [part.name for part in picture.parts] == ["Morning", "Afternoon"]
    assert picture.parts[0].slots[0].start == MONDAY + timedelta(hours=9)


@pytest.mark.parametrize(
    ("taken", "fullness"),
    [
        ((9, 11), "free"),
        ((9, 13), "some"),
        ((9, 15), "most"),
        ((9, 17), "full"),
        ((9, 16.5), "full"),
    ],
)
def test_fullness_counts_what_can_still_be_booked(
    taken: tuple[float, float], fullness: str
) -> None:
    assert shown(available(rules(), taken)).days[0].fullness == fullness


def test_the_past_of_today_does_not_count() -> None:
    noon = MONDAY + timedelta(hours=13)
    today = shown(available(rules(), (13, 17), now=noon)).days[0]
    assert today.is_today
    assert today.fullness == "full"
    assert [cell.state for cell in today.cells].count("p") == 8
    assert [cell.now for cell in today.cells].index(True) == 8


def test_a_gap_too_short_for_the_shortest_booking_is_open_but_no_start() -> None:
    cells = shown(available(rules(), (9, 10), (10.5, 12))).days[0].cells
    assert [cell.state for cell in cells[:6]] == ["t", "t", "o", "t", "t", "t"]


def test_the_choice_is_marked_from_its_start_to_its_end() -> None:
    window = Window(MONDAY + timedelta(hours=10), MONDAY + timedelta(hours=12))
    cells = shown(available(rules()), 120, window).days[0].cells
    assert [cell.label for cell in cells if cell.chosen] == ["10:00", "10:30", "11:00", "11:30"]
    assert [cell.label for cell in cells if cell.first] == ["10:00"]


def test_a_long_day_of_short_steps_becomes_coarse_cells_with_every_start_beside() -> None:
    all_day = Hours(tuple(WeeklySpan(day, time(0), time(0)) for day in range(7)))
    picture = shown(available(rules(step_seconds=900, hours=all_day)))
    assert picture.unit_minutes == 60
    assert picture.is_coarse
    assert len(picture.days[0].cells) == 24
    assert sum(len(part.slots) for part in picture.parts) == 96


def test_longest_from_stops_at_what_is_taken() -> None:
    known = available(rules(), (12, 13))
    choice = Choice(MONDAY.date(), 240)
    assert longest_from(known, MONDAY + timedelta(hours=10), choice) == 120
    assert longest_from(known, MONDAY + timedelta(hours=11.5), choice) == 0
    assert longest_from(known, MONDAY + timedelta(hours=10, minutes=7), choice) == 0


def test_durations_are_fine_first_and_never_hundreds() -> None:
    assert durations(rules(), 60)[:4] == [60, 90, 120, 150]
    many = durations(rules(step_seconds=300, min_seconds=300, max_seconds=30 * 86400), 300)
    assert many[:3] == [5, 10, 15]
    assert many[-1] == 30 * 1440
    assert len(many) < 120
    assert 95 in durations(rules(), 95)
