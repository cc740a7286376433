"""The sweep that compares: what differs is found, said and healed; what is not ours is left."""

from uuid import uuid4

import pytest

from bookings.calendars import checking
from bookings.models import CalendarEvent, ConnectedResource
from tests.calendars.support import confirm, connect, release
from tests.calendars.test_client import EVENT
from tests.core.support import hold, line, tomorrow
from tests.factories import make_room
from tests.support.radicale import Radicale

pytestmark = pytest.mark.django_db
NOTHING = {"missing": 0, "different": 0, "left_behind": 0, "doubled": 0}


def test_a_calendar_that_is_right_is_said_to_be(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    hold(line(room))
    calendar.write()
    assert checking.due() == [calendar.connection.pk]
    found = checking.check(calendar.connection.pk)
    assert found is not None
    assert found.as_json() == {**NOTHING, "seen": 1}
    calendar.connection.refresh_from_db()
    assert calendar.connection.check_found == found.as_json()
    assert checking.due() == []


def test_what_was_booked_before_it_was_connected_appears(radicale: Radicale) -> None:
    held = hold(line(room := make_room()))
    confirm(held.booking)
    calendar = connect(radicale, room)
    checking.check(calendar.connection.pk)
    calendar.write()
    calendar.assert_equal()
    assert len(calendar.events()) == 1


def test_ghosts_and_differences_that_nobody_marked_are_healed(radicale: Radicale) -> None:
    """As if a trigger were off: bookings end and change, and no event is marked."""
    room = make_room()
    calendar = connect(radicale, room)
    ended, confirmed = hold(line(room)), hold(line(room, 12, 13))
    calendar.write()
    release(ended.booking)
    confirm(confirmed.booking)
    CalendarEvent.objects.update(written_version=2, wanted_version=2)
    found = checking.check(calendar.connection.pk)
    assert found is not None
    assert found.as_json() == {**NOTHING, "seen": 2, "different": 1, "left_behind": 1}
    calendar.assert_equal()
    again = checking.check(calendar.connection.pk)
    assert again is not None
    assert again.as_json() == {**NOTHING, "seen": 1}


def test_what_is_left_of_an_earlier_connection_is_taken_over_or_away(radicale: Radicale) -> None:
    room = make_room()
    calendar = connect(radicale, room)
    stays, goes = hold(line(room)), hold(line(room, 12, 13))
    calendar.write()
    CalendarEvent.objects.all().delete()
    release(goes.booking)
    assert stays.booking.state == "pending_payment"
    checking.check(calendar.connection.pk)
    calendar.write()
    calendar.assert_equal()
    assert len(calendar.events()) == 1


def test_what_is_not_ours_is_left_alone(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    hold(line(room))
    calendar.write()
    others = [f"lunch-{uuid4()}", f"{uuid4()}@surehold"]
    for uid in others:
        text = EVENT.format(uid=uid).replace("20300101", f"{tomorrow(0):%Y%m%d}")
        calendar.user.put(f"{calendar.url}{uid}.ics", text)
    found = checking.check(calendar.connection.pk)
    assert found is not None
    assert {one.uid for one in calendar.events()} >= set(others)
    assert (len(calendar.events()), len(found.left_behind)) == (3, 0)


def test_what_somebody_deleted_is_handed_over_not_written_again(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    hold(line(room))
    calendar.write()
    calendar.user.delete(calendar.row().href)
    found = checking.check(calendar.connection.pk)
    assert found is not None
    assert found.as_json() == {**NOTHING, "seen": 0, "missing": 1}
    assert (calendar.row().outside_kind, calendar.events()) == ("deleted", [])


def test_a_calendar_that_is_away_says_so(radicale: Radicale) -> None:
    calendar = connect(radicale, make_room())
    radicale.stop()
    assert checking.check(calendar.connection.pk) is None
    calendar.connection.refresh_from_db()
    assert calendar.connection.check_error
    assert calendar.connection.checked_at is None


def test_a_resource_that_is_taken_off_leaves_nothing_behind(radicale: Radicale) -> None:
    room = make_room()
    other = make_room(workspace=room.workspace, location=room.location)
    calendar = connect(radicale, room, other)
    hold(line(room), line(other))
    calendar.write()
    ConnectedResource.objects.filter(resource=room).delete()
    checking.check(calendar.connection.pk)
    calendar.assert_equal()
    assert len(calendar.events()) == 1
