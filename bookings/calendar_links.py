"""Links that put a line of a booking into a calendar on the web; each opens a form there.

They carry no more than whoever booked sees, and no link that stands in for them: these addresses
are kept by browsers and by others' servers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from bookings.ics import source_of
from bookings.ics_entries import Shown, entry
from bookings.models import Line
from bookings.together import together


@dataclass(frozen=True, slots=True)
class CalendarLinks:
    """One event's links, by whose calendar they lead to. `name` is of what is booked."""

    name: str
    links: list[tuple[str, str]]


def links_of(lines: Iterable[Line]) -> list[CalendarLinks]:
    """For each line that stands, in order; add-ons go with theirs. The lines know their booking."""
    standing = [line for line in lines if line.cancelled_at is None]
    return [_links(group.line, group.said) for group in together(standing)]


def _links(line: Line, add_ons: str) -> CalendarLinks:
    booking = line.booking
    # No link tells when it was changed.
    source = source_of(booking, line, add_ons=add_ons, changed_at=booking.created_at)
    said = entry(source, Shown.MINE)
    start, end = said.start.astimezone(UTC), said.end.astimezone(UTC)
    event = (said.summary, said.description, said.place)
    return CalendarLinks(
        source.resource,
        [
            ("Google Calendar", _google(*event, start, end, said.zone)),
            ("Outlook.com", _outlook("outlook.live.com", *event, start, end)),
            ("Office 365", _outlook("outlook.office.com", *event, start, end)),
            ("Yahoo", _yahoo(*event, start, end)),
        ],
    )


def _google(title: str, details: str, place: str, start: datetime, end: datetime, zone: str) -> str:
    """Instants in UTC, and the zone that the event is to be kept in."""
    return _address(
        "https://calendar.google.com/calendar/render",
        action="TEMPLATE",
        text=title,
        dates=f"{start:%Y%m%dT%H%M%SZ}/{end:%Y%m%dT%H%M%SZ}",
        ctz=zone,
        details=details,
        location=place,
    )


def _outlook(
    host: str, title: str, details: str, place: str, start: datetime, end: datetime
) -> str:
    """Outlook shows instants in the reader's own zone."""
    return _address(
        f"https://{host}/calendar/0/action/compose",
        path="/calendar/action/compose",
        rru="addevent",
        subject=title,
        startdt=f"{start:%Y-%m-%dT%H:%M:%SZ}",
        enddt=f"{end:%Y-%m-%dT%H:%M:%SZ}",
        body=details,
        location=place,
    )


def _yahoo(title: str, details: str, place: str, start: datetime, end: datetime) -> str:
    """Instants in UTC, shown in the zone of the reader."""
    return _address(
        "https://calendar.yahoo.com/",
        v="60",
        title=title,
        st=f"{start:%Y%m%dT%H%M%SZ}",
        et=f"{end:%Y%m%dT%H%M%SZ}",
        desc=details,
        in_loc=place,
    )


def _address(base: str, **query: str) -> str:
    """Percent-encoded throughout: some of them read `+` as a plus."""
    return f"{base}?{urlencode(query, quote_via=quote, safe='')}"
