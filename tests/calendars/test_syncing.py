"""A CalDAV calendar is read as far as it changed; what others do to our events is told."""

import pytest
from icalendar import Calendar

from bookings.calendars import outside, reading, syncing
from bookings.models import Block, CalendarConnection, CalendarItem, CalendarTask
from bookings.states import CANCELLED, CONFIRMED
from tests.calendars.served import at, blocks, read
from tests.calendars.support import Connected, confirm, connect, release
from tests.core.support import hold, line, tomorrow
from tests.factories import make_room
from tests.support.radicale import Radicale

pytestmark = pytest.mark.django_db
NINE, TEN = tomorrow(9), tomorrow(10)


def reading_calendar(radicale: Radicale, room) -> Connected:
    calendar = connect(radicale, room)
    calendar.connection.resources.update(reads=True)
    return calendar


def put(calendar: Connected, name: str, *window, uid: str = "", more: str = "") -> str:
    event = at(*window, uid or name, more)
    href = f"{calendar.url}{name}.ics"
    calendar.user.put(
        href,
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\n"
        f"DTSTAMP:20260101T000000Z\r\n{event}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    )
    return href


def test_only_what_changed_is_asked_for(radicale: Radicale) -> None:
    calendar = reading_calendar(radicale, room := make_room())
    stays = put(calendar, "a", NINE, TEN)
    goes = put(calendar, "b", tomorrow(12), tomorrow(13))
    assert read(calendar.connection)
    assert blocks(room) == [(NINE, TEN), (tomorrow(12), tomorrow(13))]
    first = Block.objects.get(during__startswith=NINE).pk
    radicale.front.asked.clear()
    assert read(calendar.connection)
    assert radicale.front.methods() == ["REPORT"]
    calendar.user.delete(goes)
    put(calendar, "c", tomorrow(15), tomorrow(16))
    radicale.front.asked.clear()
    assert read(calendar.connection)
    assert radicale.front.methods() == ["REPORT", "REPORT"]
    assert blocks(room) == [(NINE, TEN), (tomorrow(15), tomorrow(16))]
    assert Block.objects.get(during__startswith=NINE).pk == first
    assert CalendarItem.objects.filter(href=stays.removeprefix(radicale.address)).exists()
    assert CalendarItem.objects.count() == 2


@pytest.mark.parametrize("token", ["http://radicale.org/ns/sync/" + "0" * 64, "nonsense"])
def test_a_token_that_is_refused_means_all_of_it_anew(radicale: Radicale, token: str) -> None:
    calendar = reading_calendar(radicale, room := make_room())
    gone = put(calendar, "a", NINE, TEN)
    put(calendar, "b", tomorrow(12), tomorrow(13))
    read(calendar.connection)
    calendar.user.delete(gone)
    CalendarConnection.objects.update(sync_token=token)
    assert read(calendar.connection)
    assert blocks(room) == [(tomorrow(12), tomorrow(13))]
    assert calendar.connection.sync_token not in {"", token}
    assert CalendarItem.objects.count() == 1


@pytest.mark.long
def test_a_server_without_tokens_is_compared_by_entity_tags(
    radicale: Radicale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncing, "_SYNC", syncing._SYNC.replace("sync-collection", "no-such"))
    calendar = reading_calendar(radicale, room := make_room())
    gone = put(calendar, "a", NINE, TEN)
    put(calendar, "b", tomorrow(12), tomorrow(13))
    assert read(calendar.connection)
    assert len(blocks(room)) == 2
    calendar.user.delete(gone)
    radicale.front.asked.clear()
    assert read(calendar.connection)
    assert radicale.front.methods()[-1] == "PROPFIND"
    assert blocks(room) == [(tomorrow(12), tomorrow(13))]
    assert calendar.connection.sync_token == ""


@pytest.mark.long
def test_while_the_server_is_away_what_is_known_counts(radicale: Radicale) -> None:
    calendar = reading_calendar(radicale, room := make_room())
    put(calendar, "a", NINE, TEN)
    read(calendar.connection)
    radicale.front.fail(500)
    assert not read(calendar.connection)
    assert calendar.connection.read_failing_since is not None
    assert blocks(room) == [(NINE, TEN)]
    radicale.front.behave()
    put(calendar, "b", tomorrow(12), tomorrow(13))
    assert read(calendar.connection)
    assert len(blocks(room)) == 2
    assert calendar.connection.read_failing_since is None


@pytest.mark.long
def test_credentials_that_are_refused_stop_the_reading_and_block_still(radicale: Radicale) -> None:
    calendar = reading_calendar(radicale, room := make_room())
    put(calendar, "a", NINE, TEN)
    read(calendar.connection)
    calendar.connection.password = "wrong"
    calendar.connection.next_read_at = None
    calendar.connection.save()
    assert reading.due() == [calendar.connection.pk]
    assert not read(calendar.connection)
    assert calendar.connection.state == "needs_consent"
    assert blocks(room) == [(NINE, TEN)]
    assert reading.due() == []


@pytest.mark.long
def test_another_address_is_another_calendar(radicale: Radicale) -> None:
    calendar = reading_calendar(radicale, room := make_room())
    confirm(hold(line(room, 9, 10)).booking)
    calendar.write()
    put(calendar, "a", tomorrow(12), tomorrow(13))
    read(calendar.connection)
    calendar.connection.url = calendar.user.calendar("another")
    calendar.connection.save()
    assert read(calendar.connection)
    assert blocks(room) == []
    assert not CalendarItem.objects.exists()
    assert not CalendarTask.objects.exists()


# --- Our own events -------------------------------------------------------------------------------


@pytest.fixture
def booked(radicale: Radicale) -> Connected:
    """A booking whose event stands in a calendar that is read as well."""
    calendar = reading_calendar(radicale, room := make_room())
    confirm(hold(line(room, 9, 10)).booking)
    calendar.write()
    read(calendar.connection)
    assert blocks(room) == []
    assert not CalendarTask.objects.exists()
    return calendar


def untouched(task: CalendarTask) -> bool:
    task.booking.refresh_from_db()
    line = task.booking.lines.get()
    return (task.booking.state, line.starts_at, line.ends_at) == (CONFIRMED, NINE, TEN)


def test_an_event_deleted_outside_is_a_task_and_can_be_restored(booked: Connected) -> None:
    (found,) = booked.events()
    booked.user.delete(found.href)
    read(booked.connection)
    task = CalendarTask.objects.get()
    assert (task.kind, task.closed_at) == ("deleted", None)
    assert untouched(task)
    assert booked.write() == 0
    read(booked.connection)
    assert CalendarTask.objects.get().pk == task.pk
    outside.restore(task, by=None)
    assert booked.write() == 1
    booked.assert_equal()
    read(booked.connection)
    task = CalendarTask.objects.get()
    assert task.closed_as == "restored"
    assert untouched(task)


def test_an_event_of_ours_that_was_mangled_hides_nothing_else() -> None:
    mangled = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:a\r\n{}END:VEVENT\r\nEND:VCALENDAR\r\n"
    for line_ in ("", "DTSTART:soon\r\n", "DTSTART:20300101T090000Z\r\nDURATION:long\r\n"):
        assert outside._found(mangled.format(line_)) == (None, "")
    assert outside._found("nothing") == (None, "")


@pytest.mark.long
def test_an_event_deleted_outside_can_be_left_deleted(booked: Connected) -> None:
    (found,) = booked.events()
    booked.user.delete(found.href)
    read(booked.connection)
    task = CalendarTask.objects.get()
    outside.leave(task, by=None)
    assert booked.write() == 0
    read(booked.connection)
    assert outside.tidy() == 0
    task = CalendarTask.objects.get()
    assert task.closed_as == "accepted"
    assert untouched(task)
    assert booked.events() == []


def test_an_event_moved_outside_is_a_task_that_says_where_to(booked: Connected) -> None:
    booked.move_outside(hours=3)
    read(booked.connection)
    task = CalendarTask.objects.get()
    assert (task.kind, task.outside_start, task.outside_end) == (
        "moved", tomorrow(12), tomorrow(13),
    )  # fmt: skip
    assert untouched(task)
    booked.move_outside(hours=1)
    read(booked.connection)
    assert booked.write() == 0
    outside.restore(task, by=None)
    booked.write()
    booked.assert_equal()
    assert untouched(task)


@pytest.mark.long
def test_what_people_add_to_it_is_no_task(booked: Connected) -> None:
    (found,) = booked.events()
    file = Calendar.from_ical(booked.user.asked("GET", found.href).content)
    file.walk("VEVENT")[0].add("categories", ["mine"])
    booked.user.put(found.href, file.to_ical())
    read(booked.connection)
    assert not CalendarTask.objects.exists()


@pytest.mark.long
def test_what_we_ourselves_move_and_remove_is_no_task(booked: Connected) -> None:
    booking = booked.row().line.booking
    release(booking, CANCELLED)
    booked.write()
    read(booked.connection)
    assert booked.events() == []
    assert not CalendarTask.objects.exists()


@pytest.mark.long
def test_a_task_closes_when_its_booking_has_ended(booked: Connected) -> None:
    booked.move_outside(hours=3)
    read(booked.connection)
    release(booked.row().line.booking, CANCELLED)
    assert outside.tidy() == 1
    assert CalendarTask.objects.get().closed_as == "gone"
    booked.write()
    assert booked.events() == []
