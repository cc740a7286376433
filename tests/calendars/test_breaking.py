"""Crashes, outages and repetitions: whatever happens, the calendar equals our truth afterwards."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bookings import services
from bookings.calendars import client, projecting, writing
from bookings.models import CalendarConnection, CalendarEvent
from tests.calendars.any_order import in_any_order
from tests.calendars.support import STAFF, Connected, confirm, connect, release
from tests.core.support import hold, line
from tests.core.threads import together
from tests.factories import make_room
from tests.support.radicale import Radicale

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hanging servers are given up soon."""
    opened = client.opened
    monkeypatch.setattr(client, "opened", lambda c, **_: opened(c, timeout_seconds=0.5))


class Crashed(BaseException):
    """The worker is gone: nothing after this runs."""


def crash_in(monkeypatch: pytest.MonkeyPatch, calendar: Connected, name: str) -> None:
    """A worker dies there, once, and its lease runs out."""

    def die(*args: Any, **kwargs: Any) -> None:
        raise Crashed

    with monkeypatch.context() as patched:
        patched.setattr(writing, name, die)
        with pytest.raises(Crashed):
            calendar.write()
    CalendarEvent.objects.update(leased_until=datetime.now(UTC) - timedelta(seconds=1))


@pytest.mark.parametrize("end", ["", "released", "confirmed"])
def test_a_crash_after_the_put_makes_no_double_and_no_ghost(
    radicale: Radicale, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Whatever the booking has become meanwhile."""
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    crash_in(monkeypatch, calendar, "_written")
    assert len(calendar.events()) == 1
    assert calendar.row().written_version == 0
    if end == "released":
        release(held.booking)
    elif end == "confirmed":
        confirm(held.booking)
    calendar.write()
    calendar.assert_equal()
    assert calendar.row().outside_kind == ""


def test_control_without_the_lines_own_name_there_would_be_a_double(
    radicale: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar = connect(radicale, room := make_room())
    hold(line(room))
    calls = iter(range(10))
    aimed = projecting.wanted

    def anew(row: CalendarEvent) -> projecting.Wanted | None:
        """As one would without thinking: every attempt has a UID and a name of its own."""
        aim, n = aimed(row), next(calls)
        row.href = f"{calendar.url}{n}.ics"
        if aim is not None:
            aim.event["UID"] = f"another-{n}"
        return aim

    monkeypatch.setattr(projecting, "wanted", anew)
    crash_in(monkeypatch, calendar, "_written")
    calendar.write()
    assert len(calendar.events()) == 2


@pytest.mark.parametrize("lost", ["PUT", "DELETE"])
def test_an_answer_that_is_lost(radicale: Radicale, lost: str) -> None:
    """The server did it, and we do not know."""
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    if lost == "DELETE":
        calendar.write()
        release(held.booking)
    radicale.front.lose_answers(lost)
    assert calendar.write() == 0
    assert len(calendar.events()) == (1 if lost == "PUT" else 0)
    radicale.front.behave()
    calendar.write()
    calendar.assert_equal()
    assert (calendar.row().outside_kind, calendar.row().error) == ("", "")


def test_a_delete_whose_answer_is_lost_and_then_it_is_wanted_again(radicale: Radicale) -> None:
    """An expired booking that a late payment won back: that it is gone was our own doing."""
    calendar = connect(radicale, room := make_room())
    confirm(hold(line(room)).booking)
    calendar.write()
    calendar.connection.resources.update(writes=False, reads=True)
    CalendarEvent.objects.update(wanted_version=9)
    radicale.front.lose_answers("DELETE")
    calendar.write()
    radicale.front.behave()
    calendar.connection.resources.update(writes=True, reads=False)
    CalendarEvent.objects.update(wanted_version=10)
    calendar.write()
    calendar.assert_equal()
    assert len(calendar.events()) == 1


@pytest.mark.parametrize(
    "way",
    [
        "stopped",
        pytest.param("broken", marks=pytest.mark.long),
        pytest.param("hanging", marks=pytest.mark.long),
    ],
)
def test_a_server_that_is_away_shows_the_truth_when_it_is_back(
    radicale: Radicale, way: str
) -> None:
    calendar = connect(radicale, room := make_room())
    cancelled, moved = hold(line(room)), hold(line(room, 12, 13))
    for held in (cancelled, moved):
        confirm(held.booking)
    calendar.write()
    {"stopped": radicale.stop, "broken": radicale.front.fail, "hanging": radicale.front.hang}[way]()
    services.cancel(booking_id=cancelled.booking_id, actor=STAFF)
    hold(line(room, 15, 16))
    radicale.front.asked.clear()
    assert calendar.write() == 0
    assert len(radicale.front.asked) <= 2, "one event tries a calendar that is away, not each"
    connection = CalendarConnection.objects.get(pk=calendar.connection.pk)
    assert connection.write_failing_since is not None
    assert connection.write_error
    assert connection.write_retry_at is not None
    assert writing.sweep(seconds=5) == 0, "it is left alone for a while"
    radicale.front.behave()
    radicale.start()
    assert calendar.write() == 2
    calendar.assert_equal()
    connection.refresh_from_db()
    assert (connection.write_failing_since, connection.write_error) == (None, "")


def test_a_calendar_that_hangs_delays_no_other(radicale: Radicale) -> None:
    away, well = connect(radicale, one := make_room()), connect(radicale, other := make_room())
    CalendarConnection.objects.filter(pk=away.connection.pk).update(url="http://127.0.0.1:9/a/b/")
    for hour in (9, 11, 13):
        hold(line(one, hour, hour + 1))
    hold(line(other))
    assert writing.sweep(seconds=5) == 1
    well.assert_equal()


def test_one_event_that_the_server_stumbles_over_keeps_no_other_from_being_written(
    radicale: Radicale,
) -> None:
    calendar = connect(radicale, room := make_room())
    first, _ = hold(line(room)), hold(line(room, 12, 13))
    stumbled = CalendarEvent.objects.get(line__booking=first.booking).pk

    def stumbles() -> None:
        leased = writing.lease(stumbled)
        assert leased is not None
        writing._failed(leased, client.CalendarUnavailable("It answers 500.", status=500))
        calendar.connection.refresh_from_db()

    stumbles()
    assert calendar.connection.write_failing_since is not None
    CalendarConnection.objects.update(write_retry_at=None)
    (probe,) = writing.due()
    assert probe != stumbled
    assert writing.write(probe)
    stumbles()
    assert calendar.connection.write_failing_since is None
    assert calendar.connection.write_error == "It answers 500."
    assert stumbled not in writing.due()
    calendar.write()
    calendar.assert_equal()


def test_a_refused_password_waits_for_somebody(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    hold(line(room))
    CalendarConnection.objects.filter(pk=calendar.connection.pk).update(password="")
    calendar.write()
    calendar.connection.refresh_from_db()
    assert calendar.connection.state == "needs_consent"
    radicale.front.asked.clear()
    calendar.write()
    assert radicale.front.asked == [], "nothing is tried meanwhile: accounts are locked for less"
    calendar.connection.password, calendar.connection.state = calendar.user.password, "connected"
    calendar.connection.save()
    calendar.write()
    calendar.assert_equal()


def test_a_lease_is_had_by_one(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    hold(line(room))
    row = calendar.row()
    assert writing.lease(row.pk) is not None
    assert writing.lease(row.pk) is None
    assert not writing.write(row.pk)
    assert radicale.front.asked == []


def test_a_late_worker_changes_nothing(radicale: Radicale) -> None:
    """Its lease is over, another has written since, and then its own request arrives."""
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    late = writing.lease(calendar.row().pk)
    assert late is not None
    CalendarEvent.objects.update(leased_until=datetime.now(UTC) - timedelta(seconds=1))
    confirm(held.booking)
    calendar.write()
    with pytest.raises(writing._LeaseLost):
        writing._made(late)
    (event,) = calendar.events()
    assert event.status == "CONFIRMED"
    assert calendar.row().written_version == calendar.row().wanted_version


def test_control_unconditional_requests_would_undo_what_came_later(
    radicale: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same late worker, whose request asks for nothing: the booking is tentative again."""
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    late = writing.lease(calendar.row().pk)
    assert late is not None
    CalendarEvent.objects.update(leased_until=datetime.now(UTC) - timedelta(seconds=1))
    confirm(held.booking)
    calendar.write()
    asked = writing._asked
    monkeypatch.setattr(writing, "_asked", lambda *given: asked(*given[:4], {}))
    writing._made(late)
    (event,) = calendar.events()
    assert event.status == "TENTATIVE"


@pytest.mark.django_db(transaction=True)
def test_two_workers_on_one_event_write_it_once(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    hold(line(room))
    row_id = calendar.row().pk
    radicale.front.asked.clear()
    said = together([lambda: writing.write(row_id)] * 4)
    assert sorted(map(bool, said)) == [False, False, False, True]
    assert radicale.front.methods() == ["PUT"]
    calendar.assert_equal()


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_workers_and_bookings_at_once(radicale: Radicale) -> None:
    """Writers sweep without a pause while holds are confirmed and released under them."""
    calendar = connect(radicale, room := make_room())

    def lives(hour: int) -> bool:
        for turn in range(3):
            booking = hold(line(room, hour, hour + 1)).booking
            if turn == 2 and hour % 2:
                confirm(booking)
            else:
                release(booking)
        return True

    works = [lambda hour=hour: lives(hour) for hour in range(6, 14)]
    works += [lambda: bool(writing.sweep(seconds=3)) for _ in range(3)]
    said = together(works)
    assert not [each for each in said if isinstance(each, Exception)]
    calendar.write()
    calendar.assert_equal()
    assert len(calendar.events()) == 4
    assert not CalendarEvent.objects.exclude(outside_kind="").exists()


def test_what_changes_while_it_is_written_is_written_again(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    leased = writing.lease(calendar.row().pk)
    assert leased is not None
    confirm(held.booking)
    stands = writing._made(leased)
    assert stands is not None
    writing._written(leased, stands)
    row = calendar.row()
    assert row.written_version < row.wanted_version
    calendar.write()
    calendar.assert_equal()


def test_in_any_order(radicale: Radicale) -> None:
    in_any_order(radicale, seed=5, steps=40)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_in_any_order_at_length(radicale: Radicale, seed: int) -> None:
    in_any_order(radicale, seed=seed, steps=int(os.environ.get("CALENDAR_STEPS", "80")))
