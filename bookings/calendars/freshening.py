"""Calendars are read again before something is decided by them: before a claim, and before money
is taken. Outside of any transaction, and within a short time; then what is known counts.

A claim finds out under its locks whether a calendar of its resources is too old, and gives up with
CalendarsStale: only where somebody stands by who can read it (`fresh_first`), and only once each.
Resources without calendars say so on the row that a claim reads anyway.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.db import connection as database

from bookings.calendars import reading
from bookings.models import CalendarConnection
from bookings.rules import Rules
from config.kernel import clock

T = TypeVar("T")
# A reading that was begun goes on for so long, though nobody waits for it any more.
READING_SECONDS = 10.0
_PAUSES_SECONDS = (0.02, 0.05, 0.1, 0.2)

# Calendars that whoever stands by has tried to read; None where nobody does.
_tried: ContextVar[set[UUID] | None] = ContextVar("tried", default=None)

# What can be read, and is due if nothing was heard of it for its age. One that fails is left alone
# until beat would ask again: the crowd behind a calendar that is away does not wait for it each.
_OF_RESOURCES = """
    SELECT DISTINCT k.id FROM bookings_connectedresource c
    JOIN bookings_calendarconnection k ON k.id = c.connection_id
    WHERE c.resource_id = ANY(%(resources)s) AND c.reads AND k.state = 'connected'
      AND (k.read_failing_since IS NULL OR k.next_read_at <= clock_timestamp())
"""
# Where somebody is reading it, a claim waits for as long as that reading is young: not if the
# calendar is known to fail, nor when others have waited for the same reading in vain.
_STALE = """
      AND (k.read_at IS NULL
           OR k.read_at < clock_timestamp() - make_interval(secs => k.max_age_seconds))
      AND (k.reading_until IS NULL OR k.reading_until <= clock_timestamp()
           OR (k.read_failing_since IS NULL
               AND k.reading_until > clock_timestamp() + make_interval(secs => %(young)s)))
"""


class CalendarsStale(Exception):
    """These calendars are to be read first; not for anybody outside to see."""

    def __init__(self, connection_ids: Iterable[UUID]) -> None:
        super().__init__()
        self.connection_ids = set(connection_ids)


def fresh_first(work: Callable[[], T]) -> T:
    """Do the work; where it finds calendars too old, read them and do it again.

    Must be called outside of any transaction, else what is known counts.
    """
    if _tried.get() is not None or database.in_atomic_block:
        return work()
    token = _tried.set(set())
    try:
        while True:
            try:
                return work()
            except CalendarsStale as stale:
                refresh(stale.connection_ids)
    finally:
        _tried.reset(token)


def refuse_stale(rules: Iterable[Rules]) -> None:
    """Raises CalendarsStale where somebody stands by; one query, and none without calendars."""
    tried = _tried.get()
    if tried is None:
        return
    read = [each.resource_id for each in rules if each.reads_calendars]
    stale = set(_found(_OF_RESOURCES + _STALE, read)) - tried if read else set()
    if stale:
        tried |= stale
        raise CalendarsStale(stale)


def read_again(resource_ids: Iterable[UUID]) -> None:
    """Read the calendars of these resources whatever their age, within the short time: what counts
    is a reading that begins from now on."""
    refresh(set(_found(_OF_RESOURCES, list(resource_ids))), not_before=clock.now())


def refresh(connection_ids: set[UUID], *, not_before: datetime | None = None) -> None:
    """Read calendars side by side, and wait no longer for them than the settings say.

    One that somebody else is reading is waited for, and read anew where that reading began before
    `not_before`. What comes later is taken in all the same, for whoever comes next. Must run
    outside of any transaction.
    """
    if not connection_ids or database.in_atomic_block:
        return
    until = time.monotonic() + settings.CALENDAR_REFRESH_SECONDS
    database.close()  # who waits holds no database connection
    threads = [_Reader(each, until, not_before) for each in sorted(connection_ids)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


class _Reader(threading.Thread):
    """Reads one calendar, or waits for somebody else who does."""

    def __init__(self, connection_id: UUID, until: float, not_before: datetime | None) -> None:
        super().__init__(daemon=True, name=f"calendar-{connection_id}")
        self._id, self._until, self._not_before = connection_id, until, not_before

    def run(self) -> None:
        try:
            while not reading.read(self._id, timeout_seconds=READING_SECONDS):
                if self._waited_enough():
                    return
        finally:
            database.close()

    def _waited_enough(self) -> bool:
        """Wait until nobody is reading it; whether nothing more is to be had from reading it."""
        for seconds in self._pauses():
            row = CalendarConnection.objects.get(pk=self._id)
            database.close()
            if row.reading_until is None or row.reading_until <= datetime.now(UTC):
                known = self._not_before is None or (row.read_at and row.read_at > self._not_before)
                is_away = row.read_failing_since is not None or row.state != row.State.CONNECTED
                return bool(known or is_away)
            time.sleep(seconds)
        return True

    def _pauses(self) -> Iterable[float]:
        turn = 0
        while (left := self._until - time.monotonic()) > 0:
            yield min(_PAUSES_SECONDS[min(turn, len(_PAUSES_SECONDS) - 1)], left)
            turn += 1


def _found(sql: str, resource_ids: list[UUID]) -> list[UUID]:
    young = reading.LEASE.total_seconds() - settings.CALENDAR_REFRESH_SECONDS
    with database.cursor() as cursor:
        cursor.execute(sql, {"resources": resource_ids, "young": young})
        return [pk for (pk,) in cursor.fetchall()]
