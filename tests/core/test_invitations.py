"""Invitations in mails: in, moved, out again, as RFC 5546 and the common clients want them."""

import base64
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes

import pytest
from django.db import transaction
from icalendar import Calendar

from bookings import mails
from bookings import services as bookings_services
from bookings.dropping import Dropped, drop
from bookings.models import Booking, Line
from bookings.services import Move
from config.kernel import clock
from holds import changing, services
from holds.claims import AddOnRequest, Claimant
from holds.lock_objects import lock_hold
from members import mail
from members.models import Notification
from tests.core.support import SOMEBODY, hold, line
from tests.factories import at, make_add_on, make_room

pytestmark = pytest.mark.django_db

# RFC 5546 §3.2.2 and §3.2.5 (SEQUENCE: always, since ours is above zero once it is theirs).
REQUIRED = {
    "REQUEST": {"ATTENDEE", "DTSTAMP", "DTSTART", "ORGANIZER", "SEQUENCE", "SUMMARY", "UID"},
    "CANCEL": {"DTSTAMP", "ORGANIZER", "SEQUENCE", "STATUS", "UID", "DTSTART", "ATTENDEE"},
}


def booked(*lines, name: str = "Ana", **room) -> Booking:
    lines = lines or (line(make_room(price=0, **room)),)
    held = hold(*lines, claimant=Claimant(email="ana@example.test", name=name))
    with transaction.atomic():
        services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    return Booking.objects.get(pk=held.booking_id)


def files(kind: str, method: str) -> list[Calendar]:
    """The calendar files of the latest mail of a kind; each is whole, and of this method."""
    payload = Notification.objects.filter(kind=kind).latest("created_at").payload
    found = [
        Calendar.from_ical(base64.b64decode(each["content"])) for each in payload["attachments"]
    ]
    for calendar in found:
        (event,) = calendar.walk("VEVENT")
        assert str(calendar["METHOD"]) == method
        assert calendar.errors == event.errors == []
        assert REQUIRED[method] <= set(event)
        assert str(calendar["VERSION"]) == "2.0"
    return found


def event(calendar: Calendar):
    return calendar.walk("VEVENT")[0]


def test_a_confirmation_invites_and_asks_for_no_answer() -> None:
    booking = booked(name="Ana, Åsa")
    (calendar,) = files("confirmation", "REQUEST")
    said = event(calendar)
    assert str(said["UID"]) == f"{booking.lines.get().pk}@surehold"
    assert int(said["SEQUENCE"]) == booking.version
    assert str(said["STATUS"]) == "CONFIRMED"
    attendee, organizer = said["ATTENDEE"], said["ORGANIZER"]
    assert attendee == "mailto:ana@example.test"
    assert attendee.params["CN"] == "Ana, Åsa"
    assert (attendee.params["RSVP"], attendee.params["PARTSTAT"]) == ("FALSE", "ACCEPTED")
    assert organizer == "mailto:bookings@localhost"
    assert organizer.params["CN"] == booking.workspace.name
    assert abs(said["DTSTAMP"].dt - clock.now()) < timedelta(minutes=5)
    assert "/b/" in str(said["DESCRIPTION"])


def test_the_mail_carries_it_as_an_invitation_and_as_a_file(mailoutbox) -> None:
    """Text, HTML and calendar as forms of one thing, the file beside them; read as bytes sent."""
    booking = booked(name="Zoë")
    mail.send(Notification.objects.get().pk)
    sent = message_from_bytes(mailoutbox[0].message().as_bytes(linesep="\r\n"))
    alternative, attached = sent.get_payload()
    assert sent.get_content_type() == "multipart/mixed"
    assert alternative.get_content_type() == "multipart/alternative"
    kinds = [part.get_content_type() for part in alternative.get_payload()]
    assert kinds == ["text/plain", "text/html", "text/calendar"]
    invitation = alternative.get_payload()[2]
    assert invitation.get_param("method") == "REQUEST"
    assert invitation.get_content_charset() == "utf-8"
    assert invitation.get_content_disposition() is None
    assert attached.get_content_type() == "application/ics"
    assert attached.get_filename() == f"{booking.reference}.ics"
    shown, file = (Calendar.from_ical(p.get_payload(decode=True)) for p in (invitation, attached))
    assert shown.to_ical() == file.to_ical()
    assert event(shown)["ATTENDEE"].params["CN"] == "Zoë"


def test_a_cancellation_takes_out_what_the_confirmation_put_in() -> None:
    booking = booked()
    (first,) = files("confirmation", "REQUEST")
    booking.workspace.contact_email = "elsewhere@example.test"
    booking.workspace.save()
    bookings_services.cancel(booking_id=booking.pk, actor=SOMEBODY)
    (last,) = files("cancellation", "CANCEL")
    before, after = event(first), event(last)
    assert str(after["STATUS"]) == "CANCELLED"
    assert before["UID"] == after["UID"]
    assert before["ORGANIZER"] == after["ORGANIZER"]
    assert int(after["SEQUENCE"]) > int(before["SEQUENCE"])
    payload = Notification.objects.get(kind="cancellation").payload
    assert payload["alternatives"][0]["type"] == "text/calendar; method=CANCEL"


def test_a_moved_booking_is_the_same_event_later_in_sequence() -> None:
    booking = booked()
    (first,) = files("confirmation", "REQUEST")
    moved_line = booking.lines.get()
    move(booking, moved_line, 12)
    (last,) = files("rescheduled", "REQUEST")
    before, after = event(first), event(last)
    assert before["UID"] == after["UID"]
    assert int(after["SEQUENCE"]) == int(before["SEQUENCE"]) + 1
    assert after["DTSTART"].dt == at(12)
    assert str(after["STATUS"]) == "CONFIRMED"


def move(booking: Booking, moved_line: Line, hour: float) -> None:
    """Free, so at once; `free` says that nobody is asked for money."""
    window = changing.NewWindow(moved_line.position, at(hour), at(hour + 1))
    with transaction.atomic():
        asked = changing.ask(booking_id=booking.pk, windows=[window], actor=SOMEBODY)
        changing.make(asked, actor=SOMEBODY, free=True)


def test_several_lines_are_files_of_their_own_and_a_part_given_up_takes_out_its_own() -> None:
    room = make_room(price=0)
    booking = booked(line(room, 9, 10), line(room, 11, 12), line(room, 13, 14))
    invited = files("confirmation", "REQUEST")
    ids = [f"{each.pk}@surehold" for each in booking.lines.order_by("position")]
    assert [str(event(calendar)["UID"]) for calendar in invited] == ids
    payload = Notification.objects.get().payload
    assert payload["alternatives"] == [], "an invitation is to one event"
    names = [each["name"] for each in payload["attachments"]]
    assert names == [f"{booking.reference}-{n}.ics" for n in (1, 2, 3)]

    given_up = booking.lines.get(position=1)
    with transaction.atomic():
        locked = Booking.objects.select_for_update().get(pk=booking.pk)
        drop(locked, [Dropped(given_up, 0)], Move("confirmed", clock.now(), SOMEBODY))
    (taken_out,) = files("lines_cancelled", "CANCEL")
    assert str(event(taken_out)["UID"]) == ids[1]
    bookings_services.cancel(booking_id=booking.pk, actor=SOMEBODY)
    assert [str(event(c)["UID"]) for c in files("cancellation", "CANCEL")] == [ids[0], ids[2]]


def test_add_ons_are_told_with_their_line_and_are_no_events() -> None:
    room = make_room(price=0)
    helmet = make_add_on(room, max_per_unit=2).pool
    booked(replace(line(room), add_ons=(AddOnRequest(helmet.pk, 2),)))
    (calendar,) = files("confirmation", "REQUEST")
    assert "2 × Helmet" in str(event(calendar)["DESCRIPTION"])


def test_a_mail_written_before_invitations_still_goes_out(mailoutbox) -> None:
    booking = booked()
    row = Notification.objects.get()
    row.payload.pop("alternatives")
    row.save(update_fields=["payload"])
    assert mail.send(row.pk) is True
    assert booking.reference in mailoutbox[0].attachments[0][0]


def test_nothing_is_rendered_for_who_has_no_address() -> None:
    booking = booked()
    booking.email = ""
    assert mails.confirmation(booking) == []
