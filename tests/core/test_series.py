"""When a booking repeats: by the clock on the wall, as often as said, no hour that is skipped."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction

from bookings.days import Days
from bookings.models import Series
from bookings.rules import Window
from bookings.selectors import rules_for
from bookings.series import Repeat, preview, windows
from config.kernel import clock
from config.kernel.errors import InvalidInput
from holds.claims import LineRequest
from tests.core.support import hold
from tests.factories import BlockFactory, WorkspaceFactory, at, make_room

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def local(*moment: int, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime(*moment, tzinfo=zone).astimezone(UTC)  # type: ignore[misc]


def repeat(rule: str, start: datetime, length: timedelta = HOUR) -> Repeat:
    return Repeat(rule, Window(start, start + length))


def starts(rule: str, start: datetime, zone: ZoneInfo = BERLIN) -> list[str]:
    found = windows(repeat(rule, start), zone)
    return [w.start.astimezone(zone).strftime("%m-%d %H:%M") if w else "" for _, w in found]


def test_the_hour_on_the_wall_repeats_across_a_change_of_clocks() -> None:
    assert starts("FREQ=WEEKLY;COUNT=3", local(2027, 3, 21, 10)) == [
        "03-21 10:00", "03-28 10:00", "04-04 10:00",
    ]  # fmt: skip
    found = windows(repeat("FREQ=WEEKLY;COUNT=2", local(2027, 3, 21, 10)), BERLIN)
    assert [w.start.hour for _, w in found if w] == [9, 8]  # in UTC
    assert {w.duration for _, w in found if w} == {HOUR}


def test_an_hour_that_the_clocks_skip_is_left_out_and_said_so() -> None:
    found = windows(repeat("FREQ=DAILY;COUNT=3", local(2027, 3, 27, 2, 30)), BERLIN)
    assert [window is None for _, window in found] == [False, True, False]
    assert found[1][0] == datetime(2027, 3, 28, 2, 30)  # noqa: DTZ001


def test_an_hour_that_comes_twice_is_its_first_coming() -> None:
    found = windows(repeat("FREQ=DAILY;COUNT=2", local(2027, 10, 30, 2, 30)), BERLIN)
    assert found[1][1] == Window(*(datetime(2027, 10, 31, h, 30, tzinfo=UTC) for h in (0, 1)))


def test_an_occurrence_lasts_as_many_real_hours_as_the_first() -> None:
    found = windows(repeat("FREQ=DAILY;COUNT=2", local(2027, 3, 27, 1), 4 * HOUR), BERLIN)
    assert {w.duration for _, w in found if w} == {4 * HOUR}


def test_nights_repeat_from_check_in_to_check_out() -> None:
    nights = Days(time(15), time(11), 1, 14)
    first = nights.window(BERLIN, date(2027, 3, 20), 2)
    found = windows(Repeat("FREQ=WEEKLY;COUNT=3", first), BERLIN, nights)
    assert [w for _, w in found] == [
        nights.window(BERLIN, date(2027, 3, 20 + 7 * week), 2) for week in (0, 1)
    ] + [nights.window(BERLIN, date(2027, 4, 3), 2)]


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ("RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4", 4),
        ("FREQ=WEEKLY;BYDAY=MO,WE;COUNT=5", 5),
        ("FREQ=MONTHLY;COUNT=12", 12),
        ("FREQ=WEEKLY;UNTIL=20270125", 4),
        ("FREQ=WEEKLY;UNTIL=20270125T090000Z", 4),
        ("FREQ=WEEKLY;UNTIL=20270125T085959Z", 3),
    ],
)
def test_rules_of_the_standard(rule: str, count: int) -> None:
    assert len(starts(rule, local(2027, 1, 4, 10))) == count


@pytest.mark.parametrize(
    "rule",
    [
        "", "nonsense", "FREQ=WEEKLY", "FREQ=HOURLY;COUNT=5", "FREQ=SECONDLY;COUNT=5",
        "FREQ=DAILY;COUNT=61", "FREQ=DAILY;COUNT=1", "FREQ=WEEKLY;BYDAY=TU;COUNT=4",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=4", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=-3",
        "FREQ=DAILY;UNTIL=never", "FREQ=DAILY;UNTIL=20270104T25Z", "FREQ=DAILY;UNTIL=20260101",
        "FREQ=DAILY;COUNT=3\nDTSTART:20270101T000000",
        "DTSTART:20270101T000000\nFREQ=DAILY;COUNT=3",
        "FREQ=DAILY;INTERVAL=0;COUNT=3", "FREQ=DAILY;COUNT=99999999999999999999", "\0",
        "FREQ=DAILY;COUNT=3;BYHOUR=1,2,3", "FREQ=DAILY;BYSETPOS=400;COUNT=3",
    ],
)  # fmt: skip
def test_what_is_no_series_is_refused_by_name(rule: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        windows(repeat(rule, local(2027, 1, 4, 10)), BERLIN)
    assert refused.value.field == "rule"


@pytest.mark.django_db
def test_a_preview_says_what_is_in_the_way_and_costs_what_is_free(
    django_assert_num_queries: object,
) -> None:
    room = make_room(workspace=WorkspaceFactory(), horizon_days=30)
    hold(LineRequest(room.pk, at(10, days=9), at(11, days=9)))
    BlockFactory(resource=room, during=(at(9, days=10), at(12, days=10)))
    rules = rules_for(workspace_id=room.workspace_id, resource_ids=[room.pk])[room.pk]
    wanted = Repeat("FREQ=DAILY;COUNT=30", Window(at(10, days=7), at(11, days=7)))
    with django_assert_num_queries(1):  # type: ignore[operator]
        seen = preview(rules=rules, repeat=wanted)
    problems = {o.local.date(): o.problem for o in seen.occurrences if o.problem}
    taken = [day for day, problem in problems.items() if problem == "taken"]
    assert len(taken) == 2
    assert set(problems.values()) == {"taken", "horizon"}
    assert seen.total.amount_minor == 4500 * len(seen.free)
    assert len(seen.free) + len(seen.conflicts) == 30


@pytest.mark.django_db
def test_the_database_keeps_a_series_in_its_workspace() -> None:
    room, other = make_room(workspace=WorkspaceFactory()), WorkspaceFactory()
    with pytest.raises(IntegrityError, match="stays in its resource"), transaction.atomic():  # noqa: PT012
        Series.objects.create(
            workspace=other, resource=room, rule="FREQ=DAILY;COUNT=2", payment="together",
            starts_at=at(10), ends_at=at(11), created_at=clock.now(),
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
