"""What a calendar is to show of a line: read from the booking whenever it is written or compared.

An event is a projection. Nothing of it is kept but what was written last and what may have arrived
besides, so that a change made by somebody else can be told from our own (ADR 10).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.db.models import F, Q
from icalendar import Calendar, Component, Event

from bookings import ics
from bookings.models import Booking, CalendarEvent, ConnectedResource, Line, Occupancy
from bookings.states import UNDECIDED, WITHOUT_OCCUPANCIES
from config.kernel import clock

# In `CalendarEvent.sent`: that it was taken away, or may have been.
GONE = "gone"
_OURS = frozenset({
    "UID", "SEQUENCE", "DTSTAMP", "CREATED", "LAST-MODIFIED", "DTSTART", "DTEND", "DURATION",
    "STATUS", "SUMMARY", "LOCATION", "DESCRIPTION", "URL", "X-SUREHOLD-VERSION",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand there: an event, and what of it counts (see `mark_of`)."""

    event: Event
    mark: str
    status: str


def wanted(row: CalendarEvent) -> Wanted | None:
    """The truth about a row's line just now; None when its calendar is to show nothing."""
    line = Line.objects.select_related("booking__workspace", "resource__location").get(
        pk=row.line_id
    )
    if not _is_shown(line, row):
        return None
    event = ics.line_event(line.booking, line)
    event["x-surehold-version"] = str(row.wanted_version)
    return Wanted(event, mark_of(event), str(event["STATUS"]))


def _is_shown(line: Line, row: CalendarEvent) -> bool:
    booking = line.booking
    if line.cancelled_at is not None or booking.state in WITHOUT_OCCUPANCIES:
        return False
    written = ConnectedResource.objects.filter(
        connection_id=row.connection_id, resource_id=line.resource_id, writes=True
    )
    return written.exists() and (booking.state not in UNDECIDED or _is_held(booking))


def _is_held(booking: Booking) -> bool:
    """Whether it has its time still: a hold that lapsed frees it before anybody tidies up."""
    live = Q(lapses_at=None) | Q(lapses_at__gt=clock.now())
    return Occupancy.objects.filter(live, booking=booking, released_at=None).exists()


def mark_of(event: Component) -> str:
    """What counts of an event: when it is, in UTC, and whether it takes place at all.

    Servers write an event anew in their own way, and people add alarms and colours. None of that
    is a change that somebody has to decide on.
    """
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return "cancelled"
    start, end = times_of(event)
    repeated = "/repeated" if "RRULE" in event or "RDATE" in event else ""
    return f"{_moment(start)}/{_moment(end)}{repeated}"


def times_of(event: Any) -> tuple[Any, Any]:
    """Start and end as they stand there; an event without an end ends as it begins."""
    start = event["DTSTART"].dt
    if "DTEND" in event:
        return start, event["DTEND"].dt
    return start, start + event["DURATION"].dt if "DURATION" in event else start


def _moment(value: datetime | date) -> str:
    if not isinstance(value, datetime):
        return f"{value:%Y%m%d}"
    if value.tzinfo is None:
        return f"{value:%Y%m%dT%H%M%S}"
    return f"{value.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def href_for(row: CalendarEvent) -> str:
    """Where a row's event stands: by its UID, so that writing twice is writing once."""
    return row.href or f"{row.connection.url.rstrip('/')}/{quote(row.uid, safe='')}.ics"


def file_of(aim: Wanted, current: Calendar | None = None) -> bytes:
    """The file to be written. Of what stands there, what people have added is kept: alarms,
    colours, categories, guests."""
    event = aim.event.copy(recursive=True)
    found = event_in(current) if current is not None else None
    if found is not None:
        for name, value in found.items():
            if name.upper() not in _OURS:
                event[name] = value
        for part in found.subcomponents:
            event.add_component(part)
    return bytes(ics.calendar_of([event]).to_ical())


def event_in(calendar: Calendar) -> Event | None:
    """The file's event, the main one if it is a series by now."""
    events: Sequence[Event] = [each for each in calendar.walk("VEVENT") if isinstance(each, Event)]
    main = [event for event in events if "RECURRENCE-ID" not in event]
    return next(iter(main or events), None)


# --- What somebody else did -----------------------------------------------------------------------


def write_down(row: CalendarEvent, kind: str, event: Component | None = None) -> None:
    """What somebody did to our event, "deleted" or "moved"; `outside.noticed` makes a task of it.

    Written by whoever holds the row's lease or its lock, once for each thing that was done.
    """
    start, end = times_of(event) if event is not None else (None, None)
    CalendarEvent.objects.filter(pk=row.pk).update(
        outside_kind=kind,
        outside_at=clock.now(),
        outside_start=_utc(start),
        outside_end=_utc(end),
    )
    row.refresh_from_db()


def restore(row_id: UUID) -> None:
    """It was decided: the calendar is to show what we say, over what somebody did there."""
    CalendarEvent.objects.filter(pk=row_id).update(
        outside_kind="", outside_at=None, outside_start=None, outside_end=None,
        written="", sent=[], etag="", wanted_version=F("wanted_version") + 1,
        wanted_at=clock.now(), due_at=clock.now(), attempts=0,
    )  # fmt: skip


def _utc(value: datetime | date | None) -> datetime | None:
    """An all-day event begins at midnight, as far as that says anything."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - made aware below
    return value if value.tzinfo else value.replace(tzinfo=UTC)
