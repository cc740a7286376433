"""The sweep that compares: what differs is found, said and healed; what is not ours is left."""

from uuid import uuid4

import pytest
from icalendar import Event

from bookings.calendars import checking
from bookings.models import CalendarConnection, CalendarEvent, ConnectedResource
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


@pytest.mark.parametrize("end", ["released", "expired"])
def test_a_request_that_comes_late_leaves_no_ghost(radicale: Radicale, end: str) -> None:
    """It created what had been taken away before it came: nothing of it is known here any more."""
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    calendar.write()
    row = calendar.row()
    late = calendar.user.asked("GET", row.href).content
    release(held.booking, end)
    calendar.write()
    assert (calendar.events(), calendar.row().written, calendar.row().sent) == ([], "", [])
    calendar.user.put(row.href, late)
    found = checking.check(calendar.connection.pk)
    assert found is not None
    assert found.as_json() == {**NOTHING, "seen": 1, "left_behind": 1}
    assert calendar.events() == []
    assert not CalendarEvent.objects.exclude(outside_kind="").exists()


@pytest.mark.parametrize("names", [("a", "z"), ("z", "a")], ids=["first", "last"])
def test_of_doubles_the_one_that_we_wrote_stays_however_they_are_listed(
    names: tuple[str, str],
) -> None:
    room = make_room()
    connection = CalendarConnection.objects.create(
        workspace=room.workspace, kind="caldav", name="Desk", url="https://dav.test/a%40b/desk/"
    )
    ConnectedResource.objects.create(connection=connection, resource=room, reads=False)
    held = hold(line(room))
    line_id = held.booking.lines.get().pk
    CalendarEvent.objects.update(href=f"{connection.url}{line_id}%40surehold.ics")
    ours = f"https://dav.test/a@b/desk/{line_id}@surehold.ics"
    stray, elses = f"{connection.url}copy.ics", [f"{connection.url}{name}.ics" for name in names]
    mine = [checking._Seen(href, "", "", Event()) for href in (ours, stray)]
    listed = {
        line_id: sorted(mine, key=lambda one: one.href, reverse=names[0] == "z"),
        uuid4(): [checking._Seen(href, "", "", Event()) for href in elses],  # another Surehold's
    }
    found = checking.Differences()
    seen = checking._one_of_each(connection, listed, found)
    assert (seen[line_id].href, found.doubled) == (ours, [stray])


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_a_calendar_that_is_away_says_so(radicale: Radicale) -> None:
    calendar = connect(radicale, make_room())
    radicale.stop()
    assert checking.check(calendar.connection.pk) is None
    calendar.connection.refresh_from_db()
    assert calendar.connection.check_error
    assert calendar.connection.checked_at is None


@pytest.mark.long
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
