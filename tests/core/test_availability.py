"""When it is free: opening hours, occupancies, blocks, and what the clocks do to all of them."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.availability import (
    _TAKEN_SQL,
    Availability,
    alternatives,
    availability,
    next_free,
    next_free_of_many,
    slots,
)
from bookings.nearest import free_throughout
from bookings.rules import Hours, Rules, WeeklySpan, Window, merged, without
from bookings.selectors import rules_for
from bookings.visibility import GUEST, OPERATOR
from tests.core.support import hold, lapse, line, tomorrow
from tests.core.test_pricing import RULES
from tests.factories import BlockFactory, make_add_on, make_pool, make_room

HOUR = timedelta(hours=1)


def rules_of(*resources) -> list[Rules]:
    found = rules_for(
        workspace_id=resources[0].workspace_id, resource_ids=[r.pk for r in resources]
    )
    return [found[resource.pk] for resource in resources]


def known(resource, start=6, end=18) -> Availability:
    found = availability(rules=rules_of(resource), start=tomorrow(start), end=tomorrow(end))
    return found[resource.pk]


def free(resource, start=6, end=18):
    return [(f.start.hour, f.end.hour, f.remaining) for f in known(resource, start, end).free]


def starts(resource, start=6, end=18, **asked):
    found = slots(known(resource, start, end), **{"duration_seconds": 3600, **asked})
    return [(slot.start.hour, slot.start.minute) for slot in found]


# --- What is taken ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_occupancies_and_blocks_are_cut_out_of_the_opening_hours():
    room = make_room(hours=[(weekday, time(8), time(17)) for weekday in range(7)])
    room.location.timezone = "UTC"
    room.location.save()
    assert free(room) == [(8, 17, 1)]
    hold(line(room, 9, 10))
    BlockFactory(resource=room, during=(tomorrow(12), tomorrow(14)))
    assert free(room) == [(8, 9, 1), (10, 12, 1), (14, 17, 1)]
    assert starts(room, step_seconds=3600) == [(h, 0) for h in (8, 10, 11, 14, 15, 16)]


@pytest.mark.django_db
def test_what_lapsed_or_was_released_is_free_with_no_cron():
    room = make_room()
    held = hold(line(room, 9, 10))
    assert (9, 0) not in starts(room)
    lapse(held, seconds=0)
    assert (9, 0) in starts(room)


@pytest.mark.django_db
def test_a_visitors_own_hold_can_be_left_out():
    room = make_room()
    held = hold(line(room, 9, 10))
    span = {"start": tomorrow(9), "end": tomorrow(10)}
    (rules,) = rules_of(room)
    assert availability(rules=[rules], **span)[room.pk].free == []
    own = availability(rules=[rules], **span, ignore_booking_id=held.booking_id)
    assert [(f.start, f.end) for f in own[room.pk].free] == [(tomorrow(9), tomorrow(10))]


@pytest.mark.django_db
def test_buffers_keep_their_distance():
    room = make_room(buffer_after_seconds=1800)
    hold(line(room, 9, 10))
    found = starts(room, 7, 12)
    assert (10, 0) not in found
    assert (10, 15) not in found
    assert (10, 30) in found
    assert (7, 30) in found, "its own buffer ends as the other begins"
    assert (7, 45) not in found


@pytest.mark.django_db
def test_a_pool_says_how_many_are_left():
    pool = make_pool(capacity=5)
    hold(line(pool, 9, 11, quantity=2))
    BlockFactory(resource=pool, during=(tomorrow(10), tomorrow(12)), quantity=3)
    assert free(pool, 8, 13) == [(8, 9, 5), (9, 10, 3), (11, 12, 2), (12, 13, 5)]
    asked = known(pool, 8, 13)
    remaining = {s.start.hour: s.remaining for s in slots(asked, duration_seconds=3600)
                 if s.start.minute == 0}  # fmt: skip
    assert remaining == {8: 5, 9: 3, 11: 2, 12: 5}
    many = slots(asked, duration_seconds=3600, quantity=4, step_seconds=3600)
    assert [s.start.hour for s in many] == [8, 12]


@pytest.mark.django_db
def test_two_that_do_not_meet_do_not_add_up_in_a_pool():
    pool = make_pool(capacity=2)
    hold(line(pool, 9, 10))
    hold(line(pool, 11, 12))
    found = slots(known(pool, 8, 13), duration_seconds=4 * 3600, step_seconds=3600)
    assert next((s.start.hour, s.remaining) for s in found) == (8, 1)


@pytest.mark.django_db
def test_notice_horizon_and_duration_bound_what_is_offered():
    room = make_room(notice_seconds=3 * 86400)
    assert starts(room) == []
    room = make_room(horizon_days=1)
    later = availability(
        rules=rules_of(room), start=tomorrow(0) + 3 * 24 * HOUR, end=tomorrow(0) + 4 * 24 * HOUR
    )[room.pk]
    assert slots(later, duration_seconds=3600) == []
    room = make_room(min_seconds=7200, max_seconds=7200)
    assert starts(room) == []
    assert starts(room, duration_seconds=7200) != []


@pytest.mark.django_db
def test_what_is_offered_can_be_claimed_and_what_is_not_cannot():
    """The look and the claim agree, quarter by quarter."""
    room = make_room(hours=[(weekday, time(8), time(12)) for weekday in range(7)],
                     buffer_before_seconds=900)  # fmt: skip
    room.location.timezone = "UTC"
    room.location.save()
    hold(line(room, 10, 11))
    offered = set(starts(room, 6, 14))
    for quarter in range(6 * 4, 14 * 4):
        start = tomorrow(quarter // 4, 15 * (quarter % 4))
        ours = _can_claim(room, start)
        assert ours == ((start.hour, start.minute) in offered), start


def _can_claim(room, start) -> bool:
    from django.db import transaction

    from config.kernel.errors import DomainError
    from holds.claims import LineRequest

    try:
        with transaction.atomic():
            hold(LineRequest(room.pk, start, start + HOUR))
            transaction.set_rollback(True)
        return True
    except DomainError:
        return False


# --- Looking further ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_next_free_window():
    room = make_room()
    hold(line(room, 9, 11))
    (rules,) = rules_of(room)
    found = next_free(rules=rules, start=tomorrow(9), duration_seconds=3600)
    assert (found.start, found.end) == (tomorrow(11), tomorrow(12))
    BlockFactory(resource=room, during=(tomorrow(0), tomorrow(0) + 20 * 24 * HOUR))
    assert next_free(rules=rules, start=tomorrow(9), duration_seconds=3600) is None


@pytest.mark.django_db
def test_alternatives_are_the_same_time_elsewhere_and_the_nearest_here():
    room = make_room()
    twin = make_room(workspace=room.workspace, category=room.category)
    make_room(workspace=room.workspace)
    hold(line(room, 9, 10))
    found = alternatives(
        viewer=OPERATOR,
        workspace_id=room.workspace_id,
        resource_id=room.pk,
        start=tomorrow(9),
        end=tomorrow(10),
    )
    assert {(a.resource_id, a.start) for a in found} == {
        (twin.pk, tomorrow(9)),
        (room.pk, tomorrow(8)),
        (room.pk, tomorrow(10)),
    }
    assert {str(a.price) for a in found} == {"NZ$45.00"}


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 6])
def test_the_number_of_queries_does_not_grow(count):
    first = make_room()
    rooms = [first, *(make_room(workspace=first.workspace) for _ in range(count - 1))]
    for room in rooms:
        for hour in range(9, 9 + count):
            hold(line(room, hour, hour + 1))
    with CaptureQueriesContext(connection) as captured:
        rules = rules_of(*rooms)
        found = availability(rules=rules, start=tomorrow(0), end=tomorrow(0) + 30 * 24 * HOUR)
        for each in found.values():
            slots(each, duration_seconds=3600)
        next_free_of_many(rules=rules, start=tomorrow(0))
    assert len(captured.captured_queries) == 3


# --- Windows ------------------------------------------------------------------------------------

windows = st.lists(
    st.tuples(st.integers(0, 100), st.integers(1, 20)).map(
        lambda pair: Window(
            datetime(2030, 1, 1, tzinfo=UTC) + pair[0] * HOUR,
            datetime(2030, 1, 1, tzinfo=UTC) + (pair[0] + pair[1]) * HOUR,
        )
    ),
    max_size=8,
)


@given(windows, windows)
def test_merging_and_cutting_hour_by_hour(given_windows, taken):
    def hours(found):
        return {
            window.start + n * HOUR for window in found for n in range(int(window.duration / HOUR))
        }

    whole = merged(given_windows)
    assert hours(whole) == hours(given_windows)
    assert all(a.end < b.start for a, b in itertools.pairwise(whole))
    left = without(whole, taken)
    assert hours(left) == hours(given_windows) - hours(taken)
    assert all(window.duration > timedelta(0) for window in left)


# --- What it costs ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_is_taken_is_found_by_the_partial_indexes_alone():
    """Released and past rows are in neither index: they cost nothing."""
    room = make_room()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        values = {"ids": [room.pk], "ignored": None, "range": "[2030-01-01,2030-02-01)"}
        cursor.execute(f"EXPLAIN {_TAKEN_SQL}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "occupancy_no_overlap" in plan
    assert "occupancy_pooled_during" in plan
    assert "Seq Scan on bookings_occupancy" not in plan


@pytest.mark.django_db
def test_the_queries_are_the_same_for_a_day_and_for_two_months():
    room, pool = make_room(), make_pool()
    rules = [*rules_of(room), *rules_of(pool)]
    for days in (1, 62):
        with CaptureQueriesContext(connection) as asked:
            found = availability(
                rules=rules, start=tomorrow(0), end=tomorrow(0) + timedelta(days=days)
            )
            assert slots(found[room.pk], duration_seconds=3600)
        assert len(asked) == 1


# --- The clocks ---------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def transitions() -> list[tuple[str, datetime]]:
    """Every change of offset of every IANA zone in the next three years, as (zone, instant)."""
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    found = []
    for name in sorted(available_timezones()):
        zone, day = ZoneInfo(name), begin
        while day < begin + timedelta(days=3 * 365):
            after = day + timedelta(days=1)
            if day.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
                found.append((name, _instant(zone, day, after)))
            day = after
    return found


def _instant(zone, before, after):
    """Bisect to the minute at which the offset changes."""
    while after - before > timedelta(minutes=1):
        middle = before + (after - before) / 2
        middle = middle.replace(second=0, microsecond=0)
        if middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
            before = middle
        else:
            after = middle
    return after


ALL_DAY = Hours(tuple(WeeklySpan(weekday, time(0), time(0)) for weekday in range(7)))


def offered(zone: str, around: datetime, hours, step=900, duration=3600, now=None):
    """Slots of an empty resource on the day before, the day of and the day after."""
    rules = replace(
        RULES, timezone=zone, hours=hours, step_seconds=step, min_seconds=900, horizon_days=9999
    )
    span = Window(around - 30 * HOUR, around + 30 * HOUR)
    opened = [
        Window(max(w.start, span.start), min(w.end, span.end))
        for w in rules.open_windows(span.start, span.end)
    ]
    early = now or span.start - 24 * HOUR
    empty = Availability(rules, span, opened, [], [], early, [])
    return rules, slots(empty, duration_seconds=duration)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_no_skipped_and_each_repeated_local_time_at_every_change_of_clocks(data):
    zone, instant = data.draw(st.sampled_from(transitions()))
    duration = data.draw(st.sampled_from([900, 1800, 3600, 5400, 4 * 3600]))
    info = ZoneInfo(zone)
    _, found = offered(zone, instant, ALL_DAY, duration=duration)

    instants = [slot.start for slot in found]
    assert len(instants) == len(set(instants))
    assert instants == sorted(instants)
    locals_seen = [(s.astimezone(info).replace(tzinfo=None), s) for s in instants]
    for slot in found:
        # Real time: an hour is an hour, and the local time exists.
        assert slot.end - slot.start == timedelta(seconds=duration)
        local = slot.start.astimezone(info)
        assert local.astimezone(UTC) == slot.start
    shift = (
        instant.astimezone(info).utcoffset()
        - (instant - timedelta(minutes=1)).astimezone(info).utcoffset()
    )
    was = (instant - timedelta(minutes=1)).astimezone(info).utcoffset()
    edge = (instant + was).replace(tzinfo=None)  # the wall clock when they change it
    names = [local for local, _ in locals_seen]
    if shift > timedelta(0):
        skipped = [n for n in names if edge <= n < edge + shift]
        assert skipped == [], f"{zone}: offered what the clocks skip"
    else:
        repeated = [n for n in names if edge + shift <= n < edge]
        once_each = {n: [s for local, s in locals_seen if local == n] for n in repeated}
        for name, twice in once_each.items():
            assert len(twice) <= 2, (zone, name)
            if len(twice) == 2:
                assert twice[1] - twice[0] == -shift
        assert repeated, f"{zone}: an hour that comes twice is bookable twice"
    # The whole of these days is open: a slot starts at each quarter of real time.
    inner = [s for s in instants if abs(s - instant) < 20 * HOUR]
    assert all(b - a <= timedelta(minutes=15) for a, b in itertools.pairwise(inner))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_opening_hours_are_local_at_every_change_of_clocks(data):
    """Every offered window lies within local opening hours, whatever the clocks do.

    Where they go back over the opening time, the hour that comes again lies after it has opened.
    """
    zone, instant = data.draw(st.sampled_from(transitions()))
    opens = data.draw(st.integers(0, 20))
    closes = data.draw(st.integers(opens + 1, 23))
    info = ZoneInfo(zone)
    hours = Hours(tuple(WeeklySpan(weekday, time(opens), time(closes)) for weekday in range(7)))
    _, found = offered(zone, instant, hours, duration=900)
    assert found
    for slot in found:
        # The last moment of it, since the clocks may jump just as it ends.
        start = slot.start.astimezone(info)
        end = (slot.end - timedelta(microseconds=1)).astimezone(info)
        opening = datetime.combine(start.date(), time(opens), tzinfo=info)
        again = start.fold == 1 and slot.start >= opening.astimezone(UTC)
        assert again or start.replace(tzinfo=None) >= opening.replace(tzinfo=None), zone
        assert end.replace(tzinfo=None) < datetime.combine(start.date(), time(closes)), zone


def test_every_zone_with_a_change_of_clocks_is_among_them():
    zones = {zone for zone, _ in transitions()}
    assert {"Pacific/Auckland", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} <= zones
    assert "Asia/Tokyo" not in zones


def test_the_night_that_the_clocks_jump_in_berlin():
    jump = datetime(2027, 3, 28, 1, tzinfo=UTC)
    _, found = offered("Europe/Berlin", jump, ALL_DAY, step=1800)
    names = {s.start.astimezone(ZoneInfo("Europe/Berlin")).strftime("%d %H:%M") for s in found}
    assert "28 01:30" in names
    assert not {"28 02:00", "28 02:30"} & names
    assert "28 03:00" in names


def test_the_night_with_an_hour_twice_in_berlin():
    back = datetime(2027, 10, 31, 1, tzinfo=UTC)
    _, found = offered("Europe/Berlin", back, ALL_DAY, step=1800)
    info = ZoneInfo("Europe/Berlin")
    at_half_past = [s.start for s in found if s.start.astimezone(info).strftime("%d %H:%M")
                    == "31 02:30"]  # fmt: skip
    assert at_half_past == [
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
        datetime(2027, 10, 31, 1, 30, tzinfo=UTC),
    ]


def test_lord_howes_half_hour():
    changes = [at for zone, at in transitions() if zone == "Australia/Lord_Howe"]
    _, found = offered("Australia/Lord_Howe", changes[0], ALL_DAY, step=1800)
    gaps = {b.start - a.start for a, b in itertools.pairwise(found)}
    assert gaps == {timedelta(minutes=30)}


def test_a_night_shift_over_the_change_is_as_long_as_it_really_is():
    hours = Hours(tuple(WeeklySpan(weekday, time(22), time(6)) for weekday in range(7)))
    rules, _ = offered("Europe/Berlin", datetime(2027, 3, 28, 1, tzinfo=UTC), hours)
    lengths = [
        span.duration
        for span in rules.spans(
            datetime(2027, 3, 26, 12, tzinfo=UTC), datetime(2027, 3, 29, 12, tzinfo=UTC)
        )
    ]
    assert lengths == [8 * HOUR, 7 * HOUR, 8 * HOUR]


@pytest.mark.parametrize(
    ("opens", "closes", "first", "last"),
    [
        (time(0), time(2, 30), "00:00", "03:00"),
        (time(2, 30), time(6), "03:00", "06:00"),
        (time(2), time(3), None, None),
    ],
)
def test_hours_that_the_clocks_skip_begin_or_end_when_they_jump(opens, closes, first, last):
    """In Berlin there is no 02:30 that night: closing then is closing as it becomes 03:00."""
    info = ZoneInfo("Europe/Berlin")
    rules = replace(RULES, timezone=info.key, hours=Hours((WeeklySpan(6, opens, closes),)))
    night = datetime(2027, 3, 27, 20, tzinfo=UTC)
    found = rules.open_windows(night, night + 24 * HOUR)
    said = [(f"{w.start.astimezone(info):%H:%M}", f"{w.end.astimezone(info):%H:%M}") for w in found]
    assert said == ([(first, last)] if first else [])


@pytest.mark.django_db
def test_alternatives_have_as_many_units_free_as_were_asked_for():
    """One model's pools at two places: the other one at that time, or this one later."""
    pool = make_pool(capacity=4)
    kind = {"workspace": pool.workspace, "category": pool.category}
    far = make_pool(capacity=6, **kind)
    make_pool(capacity=2, **kind)
    make_pool(capacity=9, only_with_others=True, **kind)
    make_add_on(make_pool(capacity=9, **kind), is_required=True)
    hold(line(pool, 9, 10, quantity=2))
    found = alternatives(
        viewer=GUEST,
        workspace_id=pool.workspace_id,
        resource_id=pool.pk,
        start=tomorrow(9),
        end=tomorrow(10),
        quantity=3,
    )
    assert {(a.resource_id, a.start) for a in found} == {
        (far.pk, tomorrow(9)),
        (pool.pk, tomorrow(8)),
        (pool.pk, tomorrow(10)),
    }
    assert {str(a.price) for a in found} == {"NZ$135.00"}


@pytest.mark.django_db
def test_a_pool_is_free_throughout_with_its_buffers():
    pool = make_pool(capacity=3, buffer_after_seconds=1800)
    BlockFactory(resource=pool, during=(tomorrow(10), tomorrow(11)), quantity=2)
    asked = known(pool, 8, 13)
    assert free_throughout(asked, Window(tomorrow(9), tomorrow(10))) == 1
    assert free_throughout(asked, Window(tomorrow(9), tomorrow(9, 30))) == 3
