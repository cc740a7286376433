"""Invitations in mails: what puts an event into a member's calendar, moves it and takes it out.

RFC 5546 wants a file for each UID, so each line of a booking is one. Nobody is asked to answer:
whoever booked has accepted by booking.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from icalendar import Event, vCalAddress

from bookings.ics import calendar_of, line_event, organizer, with_add_ons
from bookings.ics_entries import Shown
from bookings.models import Booking, Line

REQUEST, CANCEL = "REQUEST", "CANCEL"


@dataclass(frozen=True, slots=True)
class Invitation:
    """One event as a mail carries it; `name` is its file's."""

    name: str
    method: str
    content: bytes

    @property
    def alternative(self) -> tuple[str, str]:
        """The part that mail programs show as an invitation: (content type, text)."""
        return (f"text/calendar; method={self.method}", self.content.decode())

    @property
    def attachment(self) -> tuple[str, str, bytes]:
        """The file, for those that take it from there; of a type that is not shown twice."""
        return (self.name, "application/ics", self.content)


def requests(booking: Booking, *, only: Collection[UUID] | None = None) -> list[Invitation]:
    """For each line that stands (of those named): it is in your calendar, at this time."""
    standing = [(line, said) for line, said in with_add_ons(booking) if line.cancelled_at is None]
    named = [each for each in standing if only is None or each[0].pk in only]
    return _invitations(booking, named or standing, REQUEST)


def cancellations(booking: Booking, *, only: Collection[UUID] | None = None) -> list[Invitation]:
    """Each event of a booking that is cancelled comes out again; or only those of the lines named.

    What was given up before has been taken out before.
    """
    ended = [
        (line, said)
        for line, said in with_add_ons(booking)
        if (line.pk in only if only is not None else line.cancelled_at is None)
    ]
    return _invitations(booking, ended, CANCEL)


def _invitations(
    booking: Booking, lines: Iterable[tuple[Line, str]], method: str
) -> list[Invitation]:
    lines, now = list(lines), datetime.now(UTC)
    return [
        Invitation(
            name=_name(booking, line, len(lines)),
            method=method,
            content=calendar_of([_event(booking, line, said, now)], method=method).to_ical(),
        )
        for line, said in lines
    ]


def _event(booking: Booking, line: Line, add_ons: str, now: datetime) -> Event:
    """Stamped with the moment it was written, as RFC 5545 §3.8.7.2 has it for a method."""
    event = line_event(booking, line, shown=Shown.MINE, add_ons=add_ons, changed_at=now)
    event["organizer"] = organizer(booking.workspace)
    event.add("attendee", _attendee(booking))
    return event


def _attendee(booking: Booking) -> vCalAddress:
    found = vCalAddress(f"mailto:{booking.email}")
    found.params.update(
        CN=booking.name or booking.email,
        CUTYPE="INDIVIDUAL",
        ROLE="REQ-PARTICIPANT",
        PARTSTAT="ACCEPTED",
        RSVP="FALSE",
    )
    return found


def _name(booking: Booking, line: Line, count: int) -> str:
    return f"{booking.reference}{f'-{line.position + 1}' if count > 1 else ''}.ics"
