"""A booking as iCalendar: the event of a line, and a file of them (RFC 5545, RFC 5546)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parseaddr

from django.conf import settings
from django.db.models import Min
from icalendar import Calendar, Event, vCalAddress, vText

from bookings.ics_entries import Entry, Shown, Source, entry
from bookings.ics_zones import local_times, timezone_of
from bookings.links import absolute, manage_url
from bookings.models import Booking, Line
from members.models import Workspace

PRODUCT = "-//Surehold//Booking//EN"


def line_event(
    booking: Booking,
    line: Line,
    *,
    shown: Shown = Shown.NAMES,
    add_ons: str | None = None,
    changed_at: datetime | None = None,
) -> Event:
    """One line's event: UID `<line id>@surehold`, SEQUENCE the booking's version.

    As `shown` may see it: staff unless said otherwise. `add_ons` is what goes with the line, as
    words, and `changed_at` when the version came about; both are read where nobody says, so that a
    version is always the same event. The calendar it stands in needs its zone: see `calendar_of`.
    """
    source = source_of(booking, line, add_ons=add_ons, changed_at=changed_at)
    return event_of(entry(source, shown, link_for(booking, shown)))


def calendar_of(events: Sequence[Event], *, method: str = "") -> Calendar:
    """A calendar with these events and the zones that they name."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    if method:
        calendar.add("method", method)
    starts = [event["DTSTART"] for event in events]
    years = [start.dt.year for start in starts] or [0]
    for zone in dict.fromkeys(start.params["TZID"] for start in starts if "TZID" in start.params):
        found = timezone_of(zone, min(years), max(years) + 2)
        if found is not None:
            calendar.add_component(found)
    for event in events:
        calendar.add_component(event)
    return calendar


def for_booking(booking: Booking) -> bytes:
    """The file for whoever booked: an event for each line, also for those that were given up.

    Add-ons go with their line and are no events of their own.
    """
    changed_at = changed(booking)
    events = [
        line_event(booking, line, shown=Shown.MINE, add_ons=said, changed_at=changed_at)
        for line, said in with_add_ons(booking)
    ]
    for event in events:
        event["organizer"] = organizer(booking.workspace)
    return calendar_of(events, method="PUBLISH").to_ical()


def source_of(
    booking: Booking, line: Line, *, add_ons: str | None = None, changed_at: datetime | None = None
) -> Source:
    """What the models say of a line; `ics_feed.py` reads the same by SQL."""
    location = line.resource.location
    return Source(
        line_id=line.pk,
        booking_id=booking.pk,
        reference=booking.reference,
        version=booking.version,
        state=booking.state,
        is_dropped=line.cancelled_at is not None,
        who=booking.name or booking.email,
        resource=line.resource.name,
        quantity=line.quantity,
        add_ons=_add_ons_of(line) if add_ons is None else add_ons,
        workspace=booking.workspace.name,
        location=location.name,
        address=location.address,
        zone=location.timezone,
        start=line.starts_at,
        end=line.ends_at,
        changed_at=changed_at or changed(booking),
    )


def event_of(said: Entry) -> Event:
    """An entry as the library's event, written in full."""
    event = Event()
    event.add("uid", said.uid)
    event.add("sequence", said.sequence)
    event.add("dtstamp", said.changed_at.astimezone(UTC))
    event.add("last-modified", said.changed_at.astimezone(UTC))
    start, end = local_times(said.start, said.end, said.zone)
    event.add("dtstart", start)
    event.add("dtend", end)
    event.add("status", said.status)
    event["summary"] = vText(said.summary)
    for name, text in [("location", said.place), ("description", said.description)]:
        if text:
            event[name] = vText(text)
    if said.url:
        event.add("url", said.url)
    return event


def link_for(booking: Booking, shown: Shown) -> str:
    """Where an event leads: whoever booked to its page, staff to the admin, others nowhere."""
    if shown is Shown.MINE:
        return manage_url(booking)
    return absolute(staff_path(booking.pk)) if shown is Shown.NAMES else ""


def staff_path(booking_id: object) -> str:
    """A booking's page in the admin, which wants signing in; `bookings` knows it as a path."""
    return f"/admin/bookings/booking/{booking_id}/change/"


def changed(booking: Booking) -> datetime:
    """When the booking's version came about by its history, or else when it was made."""
    found = booking.events.filter(version=booking.version).aggregate(at=Min("at"))["at"]
    return found or booking.created_at


def with_add_ons(booking: Booking) -> Iterable[tuple[Line, str]]:
    """The lines that are events, each with what goes with it as words."""
    lines = list(booking.lines.select_related("resource__location"))
    for line in lines:
        if line.parent_id is None:
            yield line, _said([each for each in lines if each.parent_id == line.pk], line)


def organizer(workspace: Workspace) -> vCalAddress:
    """Who invites: the address that our mails come from, under the workspace's name.

    Not its contact address: clients take an invitation and its cancellation only from one and the
    same organizer, and best from the sender, and a contact address may change in between.
    """
    found = vCalAddress(f"mailto:{parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}")
    found.params["CN"] = workspace.name
    return found


def _add_ons_of(line: Line) -> str:
    return _said(list(line.add_ons.select_related("resource")), line)


def _said(add_ons: list[Line], line: Line) -> str:
    """ "2 × Helmet, 1 × Lock": without those given up, unless the line was given up with them."""
    standing = [each for each in add_ons if line.cancelled_at or not each.cancelled_at]
    return ", ".join(f"{each.quantity} × {each.resource.name}" for each in standing)
