"""Bookings in a real calendar: each transition, and nothing else."""

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from bookings import services
from bookings.calendars import writing
from bookings.models import CalendarEvent
from holds import changing
from holds.changing import NewWindow
from tests.calendars.support import STAFF, confirm, connect, release
from tests.core.support import hold, lapse, line, tomorrow
from tests.factories import make_add_on, make_room
from tests.support.radicale import Radicale

pytestmark = pytest.mark.django_db


def test_a_hold_is_tentative_and_a_booking_confirmed(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    assert calendar.write() == 1
    (event,) = calendar.events()
    assert event.status == "TENTATIVE"
    assert event.event["SUMMARY"] == f"{room.name}: Ana"
    calendar.assert_equal()
    confirm(held.booking)
    assert calendar.write() == 1
    (event,) = calendar.events()
    assert event.status == "CONFIRMED"
    calendar.assert_equal()
    assert calendar.write() == 0, "nothing is due any more"


@pytest.mark.parametrize("state", ["released", "expired"])
def test_a_hold_that_ends_is_taken_away(radicale: Radicale, state: str) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    calendar.write()
    release(held.booking, state)
    calendar.write()
    assert calendar.events() == []


def test_a_hold_that_was_never_written_is_never_sent(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    release(hold(line(room)).booking)
    radicale.front.asked.clear()
    assert calendar.write() == 1
    assert radicale.front.asked == []


def test_a_cancelled_booking_is_taken_away(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    confirm(held.booking)
    calendar.write()
    services.cancel(booking_id=held.booking_id, actor=STAFF)
    calendar.write()
    assert calendar.events() == []


def test_a_moved_booking_moves_and_keeps_what_people_added(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    confirm(held.booking)
    calendar.write()
    (event,) = calendar.events()
    alarmed = calendar.user.asked("GET", event.href).text.replace(
        "END:VEVENT",
        "CATEGORIES:Front desk\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\n"
        "DESCRIPTION:Soon\r\nEND:VALARM\r\nEND:VEVENT",
    )
    calendar.user.put(event.href, alarmed)
    windows = [NewWindow(0, tomorrow(14), tomorrow(15))]
    changing.make(
        changing.ask(booking_id=held.booking_id, windows=windows, actor=STAFF), actor=STAFF
    )
    calendar.write()
    calendar.assert_equal()
    (moved,) = calendar.events()
    assert moved.event["DTSTART"].dt == tomorrow(14)
    assert moved.event["CATEGORIES"].cats == ["Front desk"]
    assert len(moved.event.walk("VALARM")) == 1
    assert calendar.row().outside_kind == ""


def test_a_line_that_moves_elsewhere_leaves_the_old_calendar(radicale: Radicale) -> None:
    room = make_room()
    other = make_room(workspace=room.workspace, location=room.location)
    calendar, others = connect(radicale, room), connect(radicale, other)
    held = hold(line(room))
    confirm(held.booking)
    calendar.write()
    windows = [NewWindow(0, tomorrow(9), tomorrow(10), other.pk)]
    changing.make(
        changing.ask(booking_id=held.booking_id, windows=windows, actor=STAFF), actor=STAFF
    )
    calendar.write()
    assert calendar.events() == []
    assert len(others.events()) == 1
    others.assert_equal()


def test_within_one_calendar_a_line_changes_its_resource(radicale: Radicale) -> None:
    room = make_room()
    other = make_room(workspace=room.workspace, location=room.location)
    calendar = connect(radicale, room, other)
    held = hold(line(room))
    confirm(held.booking)
    calendar.write()
    windows = [NewWindow(0, tomorrow(9), tomorrow(10), other.pk)]
    changing.make(
        changing.ask(booking_id=held.booking_id, windows=windows, actor=STAFF), actor=STAFF
    )
    calendar.write()
    (event,) = calendar.events()
    assert event.event["SUMMARY"] == f"{other.name}: Ana"


def test_a_change_that_is_not_paid_shows_where_the_booking_is(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    confirm(held.booking)
    calendar.write()
    windows = [NewWindow(0, tomorrow(9), tomorrow(12))]
    changing.place(
        changing.ask(booking_id=held.booking_id, windows=windows, actor=STAFF), actor=STAFF
    )
    calendar.write()
    (event,) = calendar.events()
    assert event.event["DTEND"].dt == tomorrow(10)


def test_several_lines_and_what_goes_with_them(radicale: Radicale) -> None:
    room = make_room()
    other = make_room(workspace=room.workspace, location=room.location)
    helmet = make_add_on(other).pool
    calendar = connect(radicale, room, other, helmet)
    hold(line(room), line(other, 11, 12))
    calendar.write()
    assert len(calendar.events()) == 2
    calendar.assert_equal()


def test_a_lapsed_hold_is_not_shown_even_before_it_is_tidied(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    calendar.write()
    lapse(held)
    CalendarEvent.objects.update(wanted_version=2)
    calendar.write()
    assert calendar.events() == []


def test_a_claim_without_calendars_asks_no_more(radicale: Radicale) -> None:
    room, connected = make_room(), make_room()
    calendar = connect(radicale, connected)
    connected.workspace.refresh_from_db()
    assert connected.workspace.writes_calendars
    assert not room.workspace.writes_calendars

    def statements(resource: object) -> int:
        with CaptureQueriesContext(database) as asked:
            hold(line(resource))  # type: ignore[arg-type]
        return len(asked)

    assert statements(room) == statements(connected), "the triggers mark, no statement does"
    assert CalendarEvent.objects.count() == 1
    calendar.connection.resources.all().delete()
    connected.workspace.refresh_from_db()
    assert not connected.workspace.writes_calendars


# --- What somebody else does there ----------------------------------------------------------------


def test_what_is_moved_outside_is_not_overwritten_unless_decided(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    calendar.write()
    calendar.move_outside(3)
    confirm(held.booking)
    calendar.write()
    row = calendar.row()
    assert row.outside_kind == "moved"
    assert row.outside_start == tomorrow(12)
    assert row.outside_end == tomorrow(13)
    (moved,) = calendar.events()
    assert moved.status == "TENTATIVE", "nothing was written over it"
    assert calendar.write() == 0
    writing.projecting.restore(row.pk)
    assert calendar.write() == 1
    calendar.assert_equal()


def test_what_is_deleted_outside_stays_deleted_unless_decided(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    calendar.write()
    calendar.user.delete(calendar.row().href)
    confirm(held.booking)
    calendar.write()
    row = calendar.row()
    assert (row.outside_kind, calendar.events()) == ("deleted", [])
    held.booking.refresh_from_db()
    assert held.booking.state == "confirmed"
    writing.projecting.restore(row.pk)
    calendar.write()
    calendar.assert_equal()


def test_what_is_cancelled_here_goes_even_if_it_was_moved_there(radicale: Radicale) -> None:
    calendar = connect(radicale, room := make_room())
    held = hold(line(room))
    calendar.write()
    calendar.move_outside(3)
    confirm(held.booking)
    calendar.write()
    assert calendar.row().outside_kind == "moved"
    services.cancel(booking_id=held.booking_id, actor=STAFF)
    calendar.write()
    assert calendar.events() == []
    assert calendar.row().outside_kind == ""
