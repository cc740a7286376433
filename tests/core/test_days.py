"""Booked by days and nights, a horizon that is released, and stretches that keep buffers apart."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.availability import alternatives, availability, next_free, slots
from bookings.checks import broken_rules
from bookings.days import Days
from bookings.errors import SlotTaken, WindowNotAllowed
from bookings.models import OpeningException
from bookings.nearest import SlotTakenNearby
from bookings.rules import Hours, WeeklySpan, Window
from bookings.selectors import rules_for
from bookings.stretches import stretches
from bookings.visibility import GUEST
from holds.claims import LineRequest
from tests.core.support import hold
from tests.core.test_pricing import RULES
from tests.factories import BlockFactory, make_pool, make_room

AUCKLAND = ZoneInfo("Pacific/Auckland")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NAIVE = datetime(2026, 11, 1, tzinfo=UTC).replace(tzinfo=None)
ALWAYS = Hours(tuple(WeeklySpan(weekday, time(0), time(0)) for weekday in range(7)))


def cabin(**more):
    rules = {"booking_unit": "day", "min_days": 1, "max_days": 5, **more}
    return make_room(**rules)


def rules_of(resource):
    return rules_for(workspace_id=resource.workspace_id, resource_ids=[resource.pk])[resource.pk]


def a_monday():
    today = datetime.now(AUCKLAND).date()
    return today + timedelta(days=7 + 7 - today.weekday())


def stay(resource, first, nights):
    rules = rules_of(resource)
    window = rules.days.window(rules.zone, first, nights)
    return LineRequest(resource.pk, window.start, window.end)


def known(resource, first, days=7):
    rules = rules_of(resource)
    start = datetime.combine(first, time(0), tzinfo=AUCKLAND)
    return availability(rules=[rules], start=start, end=start + days * DAY)[resource.pk]


def free_nights(resource, first, nights=1):
    rules = rules_of(resource)
    found = slots(known(resource, first), duration_seconds=rules.days.seconds(nights))
    return [(slot.start.astimezone(AUCKLAND).date() - first).days for slot in found]


# --- Claimed ------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_nights_are_claimed_from_check_in_to_check_out_and_next_to_each_other():
    monday, house = a_monday(), cabin()
    held = hold(stay(house, monday, 2))
    line = held.lines[0]
    first, last = (t.astimezone(AUCKLAND) for t in (line.starts_at, line.ends_at))
    assert (first.date(), first.time(), last.date(), last.time()) == (
        monday, time(15), monday + 2 * DAY, time(11),
    )  # fmt: skip
    assert free_nights(house, monday) == [2, 3, 4, 5, 6]
    assert free_nights(house, monday, 3) == [2, 3, 4, 5, 6]
    hold(stay(house, monday + 2 * DAY, 1))
    with pytest.raises(SlotTaken):
        hold(stay(house, monday + 1 * DAY, 1))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("shift", "longer", "sentence"),
    [
        (HOUR, HOUR, "It is booked by the night, from check-in at 15:00 to check-out at 11:00."),
        (timedelta(0), HOUR, "It is booked by the night"),
        (timedelta(0), -DAY, "The shortest booking is 2 nights."),
        (timedelta(0), 9 * DAY, "The longest booking is 5 nights."),
    ],
)
def test_other_windows_are_refused_in_words(shift, longer, sentence):
    house = cabin(min_days=2)
    asked = stay(house, a_monday(), 2)
    with pytest.raises(WindowNotAllowed) as refused:
        hold(LineRequest(house.pk, asked.start + shift, asked.end + longer))
    assert sentence in refused.value.message


@pytest.mark.django_db
def test_a_day_without_hours_is_no_day_and_opening_times_do_not_matter():
    monday = a_monday()
    house = cabin(hours=[(weekday, time(8), time(12)) for weekday in range(5)])
    assert free_nights(house, monday) == [0, 1, 2, 3, 4]
    assert free_nights(house, monday, 3) == [0, 1, 2]
    OpeningException.objects.create(resource=house, day=monday + DAY, label="Chimney")
    assert free_nights(house, monday) == [0, 2, 3, 4]
    asked = stay(house, monday, 3)
    said = broken_rules(rules_of(house), Window(asked.start, asked.end), quantity=1,
                        now=asked.start - DAY)  # fmt: skip
    (named,) = [f"{d:%a} {d.day} {d:%b}" for d in [monday + DAY]]
    assert said == [("hours", f"It is closed on {named}: Chimney.")]


@pytest.mark.django_db
def test_what_is_offered_can_be_claimed_night_by_night():
    monday, house = a_monday(), cabin(buffer_after_seconds=3600)
    hold(stay(house, monday + 2 * DAY, 1))
    BlockFactory(resource=house, during=(
        datetime.combine(monday + 5 * DAY, time(12), tzinfo=AUCKLAND),
        datetime.combine(monday + 5 * DAY, time(14), tzinfo=AUCKLAND),
    ))  # fmt: skip
    assert free_nights(house, monday, 2) == [0, 3, 5, 6], "nobody stays through a block at noon"
    for night in (3, 5, 0):
        hold(stay(house, monday + night * DAY, 2))
    assert free_nights(house, monday, 1) == []


@pytest.mark.django_db
def test_the_next_free_and_alternatives_are_nights_too():
    monday, house = a_monday(), cabin()
    twin = cabin(workspace=house.workspace, category=house.category)
    asked = stay(house, monday, 2)
    hold(asked)
    seconds = int((asked.end - asked.start).total_seconds())
    near = next_free(rules=rules_of(house), start=asked.start, duration_seconds=seconds)
    assert near == rules_of(house).days.window(AUCKLAND, monday + 2 * DAY, 2)
    found = alternatives(viewer=GUEST, workspace_id=house.workspace_id,
                         resource_id=house.pk, start=asked.start, end=asked.end)  # fmt: skip
    assert (twin.pk, asked.start) in {(a.resource_id, a.start) for a in found}
    lost = SlotTakenNearby(SlotTaken(line=0), house.workspace_id, [asked], knows_line=True)
    said = lost.as_problem()["next_free"]
    assert datetime.fromisoformat(said["start"]) == near.start


@pytest.mark.django_db
def test_a_pool_by_days_says_how_many_are_left():
    monday = a_monday()
    tents = make_pool(capacity=3, booking_unit="day", day_starts_at=time(9), day_ends_at=time(18),
                      max_days=7)  # fmt: skip
    asked = stay(tents, monday + DAY, 2)
    hold(LineRequest(tents.pk, asked.start, asked.end, 2))
    found = [
        (f.start.astimezone(AUCKLAND).date(), f.end.astimezone(AUCKLAND).hour, f.remaining)
        for f in known(tents, monday, 5).free
    ]
    assert found == [(monday, 9, 3), (monday + DAY, 9, 1), (monday + 3 * DAY, 18, 3)]


@pytest.mark.django_db
def test_free_stretches_are_whole_nights():
    monday, house = a_monday(), cabin()
    hold(stay(house, monday + 2 * DAY, 1))
    hold(stay(house, monday + 4 * DAY, 1))
    start = datetime.combine(monday, time(15), tzinfo=AUCKLAND)
    rules = rules_of(house)
    seen = availability(rules=[rules], start=start, end=start + 5 * DAY)[house.pk]
    said = [
        ((f.start.astimezone(AUCKLAND).date() - monday).days,
         (f.end.astimezone(AUCKLAND).date() - monday).days, f.end.astimezone(AUCKLAND).hour)
        for f in seen.free
    ]  # fmt: skip
    assert said == [(0, 2, 11), (3, 4, 11)], "nothing between a check-out and the next check-in"


# --- The horizon --------------------------------------------------------------------------------


def test_the_horizon_is_released_at_a_local_time():
    rules = replace(RULES, timezone="Pacific/Auckland", horizon_days=90, horizon_opens_at=time(9))
    before = datetime(2027, 1, 10, 8, 59, tzinfo=AUCKLAND).astimezone(UTC)
    after = before + timedelta(minutes=1)
    last = lambda now: rules.latest_start(now).astimezone(AUCKLAND)  # noqa: E731
    assert last(before).date() == date(2027, 4, 9)
    assert last(after).date() == date(2027, 4, 10)
    assert last(after).time() == time(23, 59, 59, 999999)
    late = datetime(2027, 4, 10, 22, tzinfo=AUCKLAND).astimezone(UTC)
    assert rules.bookable_from(late) == after
    window = Window(late, late + HOUR)
    open_rules = replace(rules, hours=ALWAYS)
    assert broken_rules(open_rules, window, quantity=1, now=after) == []
    sentence = (
        "It can be booked 90 days ahead. For this time that is from Sun 10 Jan, 09:00, Auckland."
    )
    assert broken_rules(open_rules, window, quantity=1, now=before) == [("horizon", sentence)]


@given(st.datetimes(NAIVE, NAIVE + 1000 * DAY, timezones=st.just(UTC)),
       st.times().map(lambda t: t.replace(microsecond=0)), st.integers(1, 400),
       st.integers(0, 60 * 24 * 3))  # fmt: skip
def test_nothing_is_bookable_before_its_release_and_everything_after(now, opens, days, minutes):
    rules = replace(RULES, timezone="Europe/Berlin", horizon_days=days, horizon_opens_at=opens)
    start = now + timedelta(days=days - 1, minutes=minutes)
    assert (start <= rules.latest_start(now)) == (now >= rules.bookable_from(start))


# --- Buffers ------------------------------------------------------------------------------------

START = datetime(2030, 6, 3, tzinfo=UTC)
TAKEN = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(1, 3)).map(
        lambda t: (Window(START + t[0] * HOUR, START + (t[0] + t[1]) * HOUR), t[2])
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(TAKEN, st.integers(0, 3), st.integers(0, 3), st.integers(1, 5), st.integers(0, 48),
       st.integers(1, 10))  # fmt: skip
def test_a_window_fits_exactly_where_the_stretches_say(taken, before, after, capacity, at, length):
    """Against a count, hour by hour: buffers included, they are invisible and count."""
    mode = "exclusive" if capacity == 1 else "pooled"
    rules = replace(RULES, mode=mode, capacity=capacity, hours=ALWAYS,
                    buffer_before_seconds=before * 3600,
                    buffer_after_seconds=after * 3600)  # fmt: skip
    span = Window(START, START + 60 * HOUR)
    found = stretches(rules, span, [span], taken)
    window = Window(START + at * HOUR, START + (at + length) * HOUR)
    occupied = rules.occupied(window)
    hours = int(occupied.duration / HOUR)
    most = max(
        sum(n for w, n in taken if w.start <= occupied.start + h * HOUR < w.end)
        for h in range(hours)
    )
    inside = [(w, n) for w, n in found if w.overlaps(window)]
    covered = sum(
        (min(w.end, window.end) - max(w.start, window.start) for w, _ in inside), timedelta(0)
    )
    said = min(n for _, n in inside) if covered == window.duration else 0
    assert said == max(0, capacity - most)


@pytest.mark.django_db
def test_free_time_that_members_see_leaves_room_for_the_buffers():
    room = make_room(buffer_before_seconds=900, buffer_after_seconds=1800)
    start = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0) + DAY
    hold(LineRequest(room.pk, start + 3 * HOUR, start + 4 * HOUR))
    seen = availability(rules=[rules_of(room)], start=start, end=start + 8 * HOUR)[room.pk]
    minutes = [((f.start - start) / HOUR * 60, (f.end - start) / HOUR * 60) for f in seen.free]
    assert minutes == [(0, 180 - 15 - 30), (240 + 30 + 15, 480)]
    for begin, end in minutes:
        for first, last in ((begin, begin + 30), (end - 30, end)):
            hold(LineRequest(room.pk, start + timedelta(minutes=first),
                             start + timedelta(minutes=last)))  # fmt: skip


@given(st.sampled_from([(15, 11), (9, 18), (0, 0), (9, 9)]), st.integers(1, 30))
def test_days_are_said_as_they_are(clock, count):
    days = Days(time(clock[0]), time(clock[1]), 1, 30)
    unit = "night" if clock == (15, 11) else "day"
    assert days.said(count) == f"{count} {unit}{'s' if count > 1 else ''}"
