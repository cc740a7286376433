"""What counts towards a member's limits: pure, by the clock of each place."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from bookings.limits import HOURS, PER_DAY, PER_WEEK, Booked, Limit, Period, first_beyond

ROOM, BIKE, ROOMS, BIKES = (uuid4() for _ in range(4))
# A Tuesday in Auckland that is still Monday in UTC.
MORNING = datetime(2026, 12, 7, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)


def booked(booking=None, *, start=MORNING, hours=1, resource=ROOM, zone="Pacific/Auckland"):
    category = ROOMS if resource == ROOM else BIKES
    return Booked(booking, resource, category, start, start + hours * HOUR, zone)


def limit(day=None, week=None, month=None, *, category=None, resource=None):
    return Limit(category, resource, day, week, month)


def test_the_day_is_that_of_the_place():
    had = [booked(uuid4(), start=MORNING - 10 * HOUR)]  # Monday 23:00 in Auckland
    assert first_beyond([limit(day=1)], had, [booked()]) is None
    same_day = [booked(uuid4(), start=MORNING + 10 * HOUR)]  # Tuesday 19:00 there, Tuesday in UTC
    found = first_beyond([limit(day=1)], same_day, [booked()])
    assert (found.rule, found.limit, found.used, found.asked) == (PER_DAY, 1, 1, 1)
    assert found.period == Period(date(2026, 12, 8), date(2026, 12, 9))
    assert found.frees_at == datetime(2026, 12, 8, 11, tzinfo=UTC)


def test_weeks_begin_on_monday():
    sunday = booked(uuid4(), start=datetime(2026, 12, 6, 3, tzinfo=UTC))
    friday = booked(uuid4(), start=datetime(2026, 12, 10, 23, tzinfo=UTC))
    assert first_beyond([limit(week=1)], [sunday], [booked()]) is None
    found = first_beyond([limit(week=1)], [friday], [booked()])
    assert (found.rule, found.period.first, found.period.after) == (
        PER_WEEK, date(2026, 12, 7), date(2026, 12, 14),
    )  # fmt: skip


def test_hours_add_up_over_the_month_and_may_reach_the_limit():
    had = [booked(uuid4(), hours=3), booked(uuid4(), start=MORNING + 48 * HOUR, hours=4)]
    assert first_beyond([limit(month=8)], had, [booked(hours=1)]) is None
    found = first_beyond([limit(month=8)], had, [booked(hours=1.5)])
    assert (found.rule, found.used, found.asked) == (HOURS, 7, 1.5)
    january = [booked(start=datetime(2026, 12, 31, 12, tzinfo=UTC), hours=6)]
    assert first_beyond([limit(month=8)], had, january) is None


def test_a_bundle_is_one_booking_and_its_time_is_once():
    bundle = [booked(hours=2), booked(hours=2, resource=BIKE)]
    assert first_beyond([limit(day=1, month=2)], [], bundle) is None


def test_occurrences_on_other_days_are_bookings_of_their_own():
    series = [booked(start=MORNING + n * 24 * HOUR) for n in range(4)]
    found = first_beyond([limit(week=3)], [], series)
    assert (found.rule, found.used, found.asked, found.line) == (PER_WEEK, 0, 4, 0)


def test_a_limit_counts_what_it_is_for():
    had = [booked(uuid4(), resource=BIKE)]
    assert first_beyond([limit(day=1, category=ROOMS)], had, [booked()]) is None
    assert first_beyond([limit(day=1, resource=ROOM)], had, [booked()]) is None
    assert first_beyond([limit(day=1, category=BIKES)], had, [booked()]) is None
    assert first_beyond([limit(day=1)], had, [booked()]) is not None
    assert first_beyond([limit(day=1, category=BIKES)], had, [booked(resource=BIKE)]) is not None


def test_what_stays_of_a_moved_booking_is_the_same_booking():
    stays = [booked()]
    assert first_beyond([limit(day=1)], stays, [booked(start=MORNING + 2 * HOUR)]) is None
