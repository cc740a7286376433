"""A booking as an iCalendar file."""

from icalendar import Calendar, Event, vText

from bookings.links import manage_url
from bookings.models import Booking, Line
from bookings.states import UNDECIDED, WITHOUT_OCCUPANCIES


def for_booking(booking: Booking) -> bytes:
    """One VEVENT per line, in UTC; a cancelled booking cancels its events by the same UIDs.

    Add-ons go with their line and are no events of their own.
    """
    ended = booking.state in WITHOUT_OCCUPANCIES
    calendar = Calendar()
    calendar.add("prodid", "-//Surehold//Booking//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "CANCEL" if ended else "PUBLISH")
    for line in booking.lines.filter(parent=None).select_related("resource__location"):
        calendar.add_component(_event(booking, line))
    return calendar.to_ical()


def _event(booking: Booking, line: Line) -> Event:
    location = line.resource.location
    event = Event()
    event.add("uid", f"{line.pk}@surehold")
    event.add("sequence", booking.version)
    event.add("dtstamp", booking.ended_at or booking.confirmed_at or booking.created_at)
    event.add("dtstart", line.starts_at)
    event.add("dtend", line.ends_at)
    event.add("summary", f"{line.resource.name} ({booking.workspace.name})")
    place = ", ".join(part for part in [location.name, *location.address.splitlines()] if part)
    event["location"] = vText(place)
    event.add("description", f"Booking {booking.reference}. {manage_url(booking)}")
    event.add("url", manage_url(booking))
    event.add("status", "CANCELLED" if line.cancelled_at else _status(booking))
    return event


def _status(booking: Booking) -> str:
    if booking.state in WITHOUT_OCCUPANCIES:
        return "CANCELLED"
    return "TENTATIVE" if booking.state in UNDECIDED else "CONFIRMED"
