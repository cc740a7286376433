"""Making a calendar equal our truth, one event at a time (ADR 10).

A row is leased in one transaction, which also reads the truth and writes down what is about to be
sent; the calendar is asked and written outside of any; the outcome stands in another. Every request
is conditional: it creates what is not there, or replaces and removes exactly what was read. So a
request that comes late, or twice, or from a worker whose lease is over, changes nothing; and after
a crash what stands there is known as ours, since it had been written down.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from caldav.lib import error as caldav_errors
from django.db import transaction
from django.db.models import F, Q, QuerySet
from icalendar import Calendar

from bookings.calendars import client, outside, projecting
from bookings.calendars.projecting import GONE, Wanted
from bookings.models import CalendarConnection, CalendarEvent
from config.kernel import clock, effects
from config.kernel.outbound import OutsideError

log = logging.getLogger(__name__)

TASK = "bookings.write_calendar_event"
LEASE = timedelta(seconds=90)
WRITTEN_STATES = ("connected", "leaving")
_TRIES = 4
_MOST_SENT = 20
_LONGEST_PAUSE = timedelta(minutes=15)
_CONFLICT = frozenset({403, 405, 409, 412})
# Answers about this one event; everything else is about the calendar, and no event is tried then.
_ABOUT_THE_EVENT = frozenset({400, 403, 404, 405, 409, 412, 413, 415, 422})


class _LeaseLost(Exception):
    """Somebody else has the row by now: whatever is to be written, they write it."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A row that is ours to write for a while: up to which version, and what it is to show.

    `before` is what had been sent without an answer when it was taken.
    """

    row: CalendarEvent
    lease: UUID
    version: int
    aim: Wanted | None
    before: list[str]

    @property
    def is_first(self) -> bool:
        """Nothing of it was ever sent: what stands there is an earlier connection's."""
        return not (self.before or self.row.written or self.row.etag)


@dataclass(frozen=True, slots=True)
class _Stands:
    """What stands in the calendar after all: nothing, or a file with its entity tag."""

    href: str = ""
    etag: str = ""
    file: Calendar | None = None


def write(event_id: UUID) -> bool:
    """Make one event equal our truth if it is due and nobody else is at it; say whether it is.

    A calendar that does not answer is tried again later; one that refuses our credentials waits
    for consent.
    """
    leased = lease(event_id)
    if leased is None:
        return False
    try:
        stands = _made(leased)
    except _LeaseLost:
        return False
    except client.NeedsConsent as error:
        _needs_consent(leased, error)
        return False
    except OutsideError as error:
        _failed(leased, error)
        return False
    if stands is not None:
        _written(leased, stands)
    return True


def due(*, limit: int = 500) -> list[UUID]:
    """Events that nobody is writing and whose time has come: what the kicks missed.

    Of a calendar that is away only one, which finds out whether it is back.
    """
    now = clock.now()
    waiting = _open(now).select_related("connection").order_by("due_at")
    probing: set[UUID] = set()
    found: list[UUID] = []
    for row in waiting[:limit]:
        if row.connection.write_failing_since is not None:
            if row.connection_id in probing:
                continue
            probing.add(row.connection_id)
        found.append(row.pk)
    return found


def due_of_booking(booking_id: UUID) -> list[UUID]:
    """The events that a booking's transition has marked."""
    return list(_open(clock.now()).filter(line__booking=booking_id).values_list("pk", flat=True))


def sweep(*, seconds: float) -> int:
    """Write what is due, for about so long; returns how many are as they should be."""
    until = time.monotonic() + seconds
    done = 0
    while time.monotonic() < until and (found := due()):
        before = done
        for event_id in found:
            if time.monotonic() >= until:
                break
            done += write(event_id)
        if done == before:
            break
    return done


def _open(now: datetime) -> QuerySet[CalendarEvent]:
    return CalendarEvent.objects.filter(
        Q(leased_until=None) | Q(leased_until__lte=now),
        Q(connection__write_retry_at=None) | Q(connection__write_retry_at__lte=now),
        written_version__lt=F("wanted_version"),
        outside_kind="",
        due_at__lte=now,
        connection__state__in=WRITTEN_STATES,
    )


def lease(event_id: UUID) -> Leased | None:
    """Take the row for a while. The version is read before the truth, which so is no older."""
    with transaction.atomic():
        rows = _open(clock.now()).filter(pk=event_id).select_related("connection")
        row = rows.select_for_update(no_key=True, skip_locked=True, of=("self",)).first()
        if row is None:
            return None
        aim = projecting.wanted(row)
        taken = Leased(row, uuid4(), row.wanted_version, aim, list(row.sent))
        _note_sent(row, taken)
        row.save(update_fields=["lease", "leased_until", "attempts", "sent", "href"])
        return taken


def _note_sent(row: CalendarEvent, taken: Leased) -> None:
    """What is about to be sent is known beforehand, whatever becomes of us or of the answer.

    What was never sent need not be taken away.
    """
    row.lease, row.leased_until = taken.lease, clock.now() + LEASE
    row.attempts += 1
    sending = taken.aim.mark if taken.aim is not None else GONE
    if taken.aim is not None or not taken.is_first:
        row.sent = [*[each for each in row.sent if each != sending], sending][-_MOST_SENT:]
        row.href = projecting.href_for(row)


# --- Asking and writing, outside of any transaction -----------------------------------------------


def _made(leased: Leased) -> _Stands | None:
    """The calendar made equal; None when somebody else changed it, which is not ours to undo."""
    if leased.aim is None and leased.is_first:
        return _Stands()
    with client.opened(leased.row.connection) as calendar:
        href = projecting.href_for(leased.row)
        for attempt in range(_TRIES):
            if attempt:
                _renew(leased)
            # What is there is always read first, but for what was never sent before.
            is_new = leased.is_first and attempt == 0
            found = _Stands(href) if is_new else _read(calendar, href)
            if leased.aim is None:
                stands = _removed(calendar, found)
            else:
                if _is_decided_outside(leased, found):
                    return None
                stands = _put(calendar, leased, found)
            if stands is not None:
                return stands
            href = _elsewhere(calendar, leased.row) or href
    raise client.CalendarUnavailable("It changes while it is written.", status=409)


def _is_decided_outside(leased: Leased, found: _Stands) -> bool:
    """Whether somebody else has deleted or moved it. It is handed over, and left as it is."""
    row, aim = leased.row, leased.aim
    if found.file is None:
        if not row.etag or GONE in leased.before:
            return False
        _handed_over(leased, "deleted", found)
        return True
    event = projecting.event_in(found.file)
    mark = projecting.mark_of(event) if event is not None else "cancelled"
    if leased.is_first or mark in {row.written, *leased.before, aim.mark if aim else ""}:
        return False
    _handed_over(leased, "deleted" if mark == "cancelled" else "moved", found)
    return True


def _handed_over(leased: Leased, kind: str, found: _Stands) -> None:
    event = projecting.event_in(found.file) if found.file is not None else None
    with transaction.atomic():
        if not _settle(leased, etag=found.etag, attempts=0, error=""):
            raise _LeaseLost
        outside.noticed(leased.row, kind, event if kind == "moved" else None)


def _read(calendar: Any, href: str) -> _Stands:
    answer = calendar.client.request(href, "GET", "", {"Accept": "text/calendar"})
    if answer.status in {404, 410}:
        return _Stands(href)
    _refuse_unless(answer.status == 200, answer.status)
    file = Calendar.from_ical(answer.raw)
    return _Stands(href, str(answer.headers.get("ETag", "")), file)


def _put(calendar: Any, leased: Leased, found: _Stands) -> _Stands | None:
    """Create or replace; None when it is not (any more) what was read."""
    assert leased.aim is not None
    headers = {"Content-Type": "text/calendar; charset=utf-8"}
    if found.file is None:
        headers["If-None-Match"] = "*"
    elif found.etag:
        headers["If-Match"] = found.etag
    content = projecting.file_of(leased.aim, found.file).decode()
    status, answered = _asked(calendar, found.href, "PUT", content, headers)
    if status in _CONFLICT:
        return None
    _refuse_unless(status in {200, 201, 204}, status)
    # A server that has written it in its own way says no tag: it is asked what stands there.
    return _Stands(found.href, answered) if answered else _read(calendar, found.href)


def _removed(calendar: Any, found: _Stands) -> _Stands | None:
    """Nothing of ours stands there; None when it has changed since it was read."""
    if found.file is None:
        return _Stands()
    headers = {"If-Match": found.etag} if found.etag else {}
    status, _ = _asked(calendar, found.href, "DELETE", "", headers)
    if status in {404, 410}:
        return _Stands()
    if status in _CONFLICT:
        return None
    _refuse_unless(status in {200, 202, 204}, status)
    return _Stands()


def _asked(
    calendar: Any, href: str, method: str, content: str, headers: dict[str, str]
) -> tuple[int, str]:
    """The status and the entity tag of an answer; a 403 about a rule of CalDAV's is a status."""
    try:
        answer = calendar.client.request(href, method, content, headers)
    except caldav_errors.AuthorizationError as error:
        if error.status == 403 and error.preconditions:
            return 403, ""
        raise
    return answer.status, str(answer.headers.get("ETag", ""))


def _elsewhere(calendar: Any, row: CalendarEvent) -> str:
    """Where our UID stands, if the server or somebody else has put it under another name."""
    for found in calendar.search(uid=row.uid, event=True):
        if str(found.icalendar_component.get("UID", "")) == row.uid:
            return client.absolute(row.connection.url, str(found.url))
    return ""


def _refuse_unless(is_right: bool, status: int) -> None:
    if not is_right:
        raise client.CalendarUnavailable(f"It answered with status {status}.", status=status)


# --- Outcomes -------------------------------------------------------------------------------------


def _settle(leased: Leased, **columns: Any) -> bool:
    """Write the outcome and give the lease back; not when the lease is somebody else's by now."""
    mine = CalendarEvent.objects.filter(pk=leased.row.pk, lease=leased.lease)
    return bool(mine.update(lease=None, leased_until=None, **columns))


def _renew(leased: Leased) -> None:
    """Before anything is read again: what is read is then still there for us to write."""
    mine = CalendarEvent.objects.filter(pk=leased.row.pk, lease=leased.lease)
    if not mine.update(leased_until=clock.now() + LEASE):
        raise _LeaseLost


def _written(leased: Leased, stands: _Stands) -> None:
    now = clock.now()
    mark = leased.aim.mark if leased.aim is not None else ""
    settled = _settle(
        leased,
        written_version=leased.version,
        written_at=now,
        href=stands.href,
        etag=stands.etag,
        written=mark,
        sent=[],
        attempts=0,
        error="",
    )
    CalendarConnection.objects.filter(pk=leased.row.connection_id).update(
        written_at=now,
        write_failing_since=None,
        write_error="",
        write_retry_at=None,
        write_attempts=0,
    )
    newer = CalendarEvent.objects.filter(pk=leased.row.pk, wanted_version__gt=leased.version)
    if settled and newer.exists():
        effects.kick(TASK, str(leased.row.pk))


def _failed(leased: Leased, error: OutsideError) -> None:
    """The event waits, and the whole calendar if it does not answer."""
    log.warning("calendar %s was not written: %s", leased.row.connection_id, error)
    said = str(error)[:500]
    pause = _pause(leased.row.attempts)
    connection = CalendarConnection.objects.get(pk=leased.row.connection_id)
    if client.status_of(error) in _ABOUT_THE_EVENT or _fails_alone(leased.row, connection):
        _settle(leased, error=said, due_at=clock.now() + pause)
        CalendarConnection.objects.filter(pk=connection.pk).update(write_error=said)
        return
    _settle(leased, error=said, due_at=clock.now())  # the next to try whether it is back is another
    attempts = connection.write_attempts + 1
    CalendarConnection.objects.filter(pk=connection.pk).update(
        write_error=said,
        write_failing_since=connection.write_failing_since or clock.now(),
        write_attempts=attempts,
        write_retry_at=clock.now() + _pause(attempts),
    )


def _fails_alone(row: CalendarEvent, connection: CalendarConnection) -> bool:
    """Whether others were written since it failed last: a server may stumble over one event."""
    written_at = connection.written_at
    return row.attempts > 1 and written_at is not None and bool(written_at > row.due_at)


def _pause(attempts: int) -> timedelta:
    return min(_LONGEST_PAUSE, timedelta(seconds=5 * 2 ** min(attempts - 1, 10)))


def _needs_consent(leased: Leased, error: client.NeedsConsent) -> None:
    _settle(leased, error=str(error)[:500])
    needs_consent(leased.row.connection, str(error))


def needs_consent(connection: CalendarConnection, said: str) -> None:
    """Our credentials are refused: nothing is tried until somebody connects it again."""
    rows = CalendarConnection.objects.filter(pk=connection.pk)
    # One that is being let go of cannot be asked any more: it is let go of as it is.
    rows.filter(state="leaving").update(leaving_since=clock.now() - timedelta(days=2))
    found = rows.filter(state="connected").update(state="needs_consent", write_error=said[:500])
    if found:
        log.warning("calendar %s needs consent", connection.pk)
