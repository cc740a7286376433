"""Comparing a connected calendar with our bookings: the sweep that proves it (ADR 10).

It lists what stands there under our UIDs, over all of the time that can be booked, and compares
that with what bookings say. It writes nothing itself: what differs is marked, and whoever writes
events looks at each under its lease. So it heals what nobody marked, what a server forgot, and
what was left behind, and hands over what somebody else did.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q
from icalendar import Event

from bookings.calendars import client, projecting, writing
from bookings.models import CalendarConnection, CalendarEvent, Line
from config.kernel import clock
from config.kernel.outbound import OutsideError

EVERY = timedelta(minutes=15)
_LEASE = timedelta(minutes=10)
_WITHIN_SECONDS = 300.0  # to list all of it; less than the lease
_BACK = timedelta(days=1)
_AHEAD = timedelta(days=740)
# So much is asked for at once: what a full calendar has in it stays within an answer's bounds.
_SLICE = timedelta(days=185)
# Lines that are to be shown and have no row: connected since, or a mark that two transactions
# missed of each other.
_ADD = """
    INSERT INTO bookings_calendarevent (id, connection_id, line_id)
    SELECT gen_random_uuid(), c.connection_id, l.id
    FROM bookings_connectedresource c
    JOIN bookings_line l ON l.resource_id = c.resource_id
    JOIN bookings_booking b ON b.id = l.booking_id
    WHERE c.connection_id = %s AND c.writes AND l.cancelled_at IS NULL
      AND l.ends_at > clock_timestamp() AND l.starts_at < clock_timestamp() + interval '740 days'
      AND b.state NOT IN ('released', 'expired', 'cancelled')
    ON CONFLICT (connection_id, line_id) DO NOTHING
"""


@dataclass
class Differences:
    """What a comparison found: counted, and by row."""

    missing: list[UUID] = field(default_factory=list)
    different: list[UUID] = field(default_factory=list)
    left_behind: list[UUID] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    seen: int = 0

    def as_json(self) -> dict[str, int]:
        return {
            "seen": self.seen,
            "missing": len(self.missing),
            "different": len(self.different),
            "left_behind": len(self.left_behind),
            "doubled": len(self.doubled),
        }


@dataclass(frozen=True, slots=True)
class _Seen:
    """One of our events as it stands there."""

    href: str
    mark: str
    status: str
    event: Event


def due() -> list[UUID]:
    """Calendars whose turn it is."""
    now = clock.now()
    turn = CalendarConnection.objects.filter(
        Q(checking_until=None) | Q(checking_until__lte=now),
        kind__in=["caldav", "google"],
        state="connected",
        check_due_at__lte=now,
    )
    return list(turn.order_by("check_due_at").values_list("pk", flat=True)[:20])


def check(connection_id: UUID) -> Differences | None:
    """Compare one calendar with our bookings and heal what differs; None when it is not its turn
    or it does not answer, which is written on it."""
    connection = _lease(connection_id)
    if connection is None:
        return None
    try:
        found = compare(connection)
    except client.NeedsConsent as error:
        writing.needs_consent(connection, str(error))
        _over(connection, check_error=str(error)[:500])
        return None
    except OutsideError as error:
        _over(connection, check_error=str(error)[:500])
        return None
    heal(connection, found)
    _over(connection, check_error="", checked_at=clock.now(), check_found=found.as_json())
    return found


def add_missing_rows(connection_id: UUID) -> int:
    """Rows for what the calendar is to show from now on; returns how many were missing."""
    with database.cursor() as cursor:
        cursor.execute(_ADD, [connection_id])
        return cursor.rowcount


def compare(connection: CalendarConnection) -> Differences:
    """What stands there against what is to stand there. Rows that are due are left out: they are
    about to be written."""
    add_missing_rows(connection.pk)
    began = clock.now()
    found = Differences()
    listed: dict[UUID, list[_Seen]] = defaultdict(list)
    with client.opened(connection, within_seconds=_WITHIN_SECONDS) as calendar:
        for line_id, each in _ours(calendar, connection):
            listed[line_id].append(each)
    seen = _one_of_each(connection, listed, found)
    found.seen = len(seen)
    rows = {row.line_id: row for row in _settled(connection, began, seen)}
    for line_id, row in rows.items():
        _compared(row, seen.get(line_id), found)
    _unknown(connection, seen, found)
    return found


def _one_of_each(
    connection: CalendarConnection, listed: dict[UUID, list[_Seen]], found: Differences
) -> dict[UUID, _Seen]:
    """The event that is the line's: the one where we wrote it, else the first; others are doubles
    of it, in whatever order the calendar lists them."""
    rows = CalendarEvent.objects.filter(connection=connection, line__in=list(listed))
    written = {line: _path(href) for line, href in rows.values_list("line_id", "href")}
    seen: dict[UUID, _Seen] = {}
    for line_id, each in listed.items():
        mine = [one for one in each if _path(one.href) == written.get(line_id)]
        seen[line_id] = (mine or each)[0]
        if line_id in written:
            found.doubled += [one.href for one in each if one is not seen[line_id]]
    return seen


def _path(href: str) -> str:
    """Servers write the same address in more than one way: `@` and `%40`."""
    return unquote(urlsplit(href).path)


def heal(connection: CalendarConnection, found: Differences) -> None:
    """Mark what differs and write it at once; of doubles the one that is not ours is removed."""
    ids = [*found.missing, *found.different, *found.left_behind]
    for row_id in ids:
        CalendarEvent.objects.filter(pk=row_id).update(
            wanted_version=F("wanted_version") + 1, wanted_at=clock.now(), due_at=clock.now()
        )
    if found.doubled:
        _remove_doubles(connection, found.doubled)
    for row_id in ids:
        writing.write(row_id)


def _compared(row: CalendarEvent, seen: _Seen | None, found: Differences) -> None:
    aim = projecting.wanted(row)
    if aim is None:
        if seen is not None:
            # It stands there, whatever we know: a request that came late, a server set back.
            CalendarEvent.objects.filter(pk=row.pk, lease=None).update(
                href=seen.href, written=seen.mark
            )
        if seen is not None or row.written:
            found.left_behind.append(row.pk)
    elif seen is None:
        if _is_within(aim.event):
            found.missing.append(row.pk)
    elif (seen.mark, seen.status) != (aim.mark, aim.status):
        found.different.append(row.pk)


def _is_within(event: Event) -> bool:
    """Whether it would have been listed."""
    start, end = projecting.times_of(event)
    now = clock.now()
    return bool(end > now and start < now + _AHEAD)


def _settled(
    connection: CalendarConnection, began: datetime, seen: Iterable[UUID]
) -> Iterator[CalendarEvent]:
    """Rows that nothing is due for, and that were not written while the calendar was listed: of
    what is to stand there, of what we left there, and of whatever does stand there."""
    rows = CalendarEvent.objects.filter(
        Q(written_at=None) | Q(written_at__lt=began),
        connection=connection,
        written_version__gte=F("wanted_version"),
        outside_kind="",
        lease=None,
    )
    shown = ~Q(written="") | Q(line__booking__state__in=_STANDING) | Q(line__in=list(seen))
    return rows.filter(shown, line__ends_at__gt=began).select_related("connection").iterator()


_STANDING = ["pending_payment", "awaiting_approval", "confirmed"]


def _ours(calendar: Any, connection: CalendarConnection) -> Iterator[tuple[UUID, _Seen]]:
    """Our events, by the line that the UID names, each file once."""
    now, listed = clock.now(), set()
    start, until = now - _BACK, now + _AHEAD
    while start < until:
        for each in calendar.search(event=True, start=start, end=start + _SLICE, expand=False):
            href = client.absolute(connection.url, str(each.url))
            line_id = _line_id(each.icalendar_instance)
            if line_id is None or href in listed:
                continue
            listed.add(href)
            event = projecting.event_in(each.icalendar_instance)
            assert event is not None
            status = str(event.get("STATUS", "CONFIRMED")).upper()
            yield line_id, _Seen(href, projecting.mark_of(event), status, event)
        start += _SLICE


def _line_id(file: Any) -> UUID | None:
    event = projecting.event_in(file)
    uid = str(event.get("UID", "")) if event is not None else ""
    name, _, host = uid.partition("@")
    try:
        return UUID(name) if host == "surehold" else None
    except ValueError:
        return None


def _unknown(connection: CalendarConnection, seen: dict[UUID, _Seen], found: Differences) -> None:
    """Ours by a line of this workspace, without a row: left by an earlier connection.

    What names no line of ours is somebody else's, and is left alone.
    """
    known = CalendarEvent.objects.filter(connection=connection, line__in=list(seen))
    without = set(seen) - set(known.values_list("line_id", flat=True))
    lines = Line.objects.filter(pk__in=without, booking__workspace=connection.workspace_id)
    for line_id in lines.values_list("pk", flat=True):
        row, _ = CalendarEvent.objects.get_or_create(
            connection=connection, line_id=line_id,
            defaults={"href": seen[line_id].href, "written": seen[line_id].mark},
        )  # fmt: skip
        found.left_behind.append(row.pk)


def _remove_doubles(connection: CalendarConnection, hrefs: list[str]) -> None:
    with client.opened(connection) as calendar:
        asked: Any = calendar.client
        for href in hrefs:
            asked.request(href, "DELETE")


def _lease(connection_id: UUID) -> CalendarConnection | None:
    with transaction.atomic():
        now = clock.now()
        row = (
            CalendarConnection.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(Q(checking_until=None) | Q(checking_until__lte=now))
            .filter(pk=connection_id, state="connected")
            .exclude(kind="ics")
            .first()
        )
        if row is not None:
            row.checking_until = now + _LEASE
            row.save(update_fields=["checking_until"])
        return row


def _over(connection: CalendarConnection, **columns: Any) -> None:
    CalendarConnection.objects.filter(pk=connection.pk).update(
        checking_until=None, check_due_at=clock.now() + EVERY, **columns
    )
