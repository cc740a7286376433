"""Reading a connected calendar: who reads takes a lease, asks outside, and writes what came of it.

Nothing is locked while the calendar is asked. Where it does not answer, what was known before stays
as it is and counts; the connection says since when, and it is asked again after a growing while.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from bookings import freshness, lock_objects
from bookings.calendars import busy, client, feeds, outside, recurring, syncing
from bookings.calendars.delta import Delta
from bookings.models import Block, CalendarConnection, CalendarItem
from config.kernel import clock
from config.kernel.locks import locked, retried_on_deadlock
from config.kernel.outbound import OutsideError

TIMEOUT_SECONDS = 30.0
LEASE = timedelta(seconds=60)
_SOONEST, _LATEST = timedelta(seconds=15), timedelta(hours=1)
# A calendar is read again by beat a little before what is known of it is too old for a claim.
_EARLY = 0.75
_NOT_READ = (CalendarConnection.State.LEAVING, CalendarConnection.State.DISCONNECTED)

log = logging.getLogger(__name__)


def read(connection_id: UUID, *, timeout_seconds: float = TIMEOUT_SECONDS) -> bool:
    """Read a calendar once, if nobody else is; whether its busy times are known anew.

    Never raises for what is wrong outside: the connection says it.
    """
    connection = _leased(connection_id)
    if connection is None:
        return False
    began = clock.now()
    try:
        delta = _fetched(connection, timeout_seconds)
        _write(connection, delta, began)
    except client.NeedsConsent as error:
        _failed(connection, error.message, state=CalendarConnection.State.NEEDS_CONSENT)
    except OutsideError as error:
        _failed(connection, error.message)
    except _Overtaken:
        return False
    except Exception as error:
        log.exception("calendar %s could not be read", connection_id)
        _failed(connection, f"It could not be taken in ({type(error).__name__}).")
    else:
        return True
    return False


def due(*, limit: int = 100) -> list[UUID]:
    """Calendars whose time to be read has come, and that nobody is reading."""
    order = F("next_read_at").asc(nulls_first=True)
    return list(_due().order_by(order).values_list("pk", flat=True)[:limit])


def is_due(connection_id: UUID) -> bool:
    return bool(_due().filter(pk=connection_id).exists())


def _due() -> Any:
    now = clock.now()
    return _readable().filter(
        Q(next_read_at=None) | Q(next_read_at__lte=now),
        Q(reading_until=None) | Q(reading_until__lte=now),
    )


def tidy() -> int:
    """Busy times of calendars that are not read any more block nothing; how many calendars."""
    left = Block.objects.filter(
        Q(connected__reads=False) | Q(connected__connection__state__in=_NOT_READ)
    )
    ids = set(left.values_list("connected__connection", flat=True))
    for pk in ids:
        forget(pk)
    return len(ids)


@retried_on_deadlock
def forget(connection_id: UUID) -> None:
    """Drop the busy times that a calendar has no say in any more: all, where it is disconnected."""
    with transaction.atomic():
        connection = _locked(connection_id)
        gone = Block.objects.filter(connected__connection=connection)
        if connection.state not in _NOT_READ:
            gone = gone.filter(connected__reads=False)
        resources = set(gone.values_list("resource_id", flat=True))
        gone.delete()
        freshness.changed(resources)
        busy.tell(connection)
        if connection.state in _NOT_READ:
            connection.items.all().delete()
            connection.sync_token = connection.etag = ""
            connection.save(update_fields=["sync_token", "etag"])


def _readable() -> Any:
    state = CalendarConnection.State.CONNECTED
    return CalendarConnection.objects.filter(state=state, resources__reads=True).distinct()


class _Overtaken(Exception):
    """Somebody else reads it by now: this one took longer than its lease."""


def _leased(connection_id: UUID) -> CalendarConnection | None:
    """The connection, ours to read for a while; None while somebody else reads it."""
    free = Q(reading_until=None) | Q(reading_until__lte=clock.now())
    mine = CalendarConnection.objects.filter(
        free, pk=connection_id, state=CalendarConnection.State.CONNECTED
    )
    if not mine.update(reading_until=Now() + LEASE):
        return None
    return CalendarConnection.objects.get(pk=connection_id)


def _fetched(connection: CalendarConnection, timeout_seconds: float) -> Delta:
    if connection.kind == CalendarConnection.Kind.ICS:
        return feeds.fetch(connection, timeout_seconds=timeout_seconds)
    known = dict(_known(connection).values_list("href", "etag"))
    return syncing.fetch(connection, known=known, timeout_seconds=timeout_seconds)


@retried_on_deadlock
def _write(connection: CalendarConnection, delta: Delta, began: datetime) -> None:
    """Take it in: what is busy is worked out first, then written under the resources' locks."""
    files = _after(connection, delta)
    found = busy.wanted(connection, files.values(), now=began)
    with transaction.atomic():
        mine = _locked(connection.pk)
        if mine.reading_until != connection.reading_until or mine.state != connection.state:
            raise _Overtaken
        outside.notice(connection, delta, began=began)
        _keep(connection, delta)
        busy.write(connection, found)
        now = clock.now()
        CalendarConnection.objects.filter(pk=connection.pk).update(
            sync_token=delta.sync_token,
            etag=delta.etag,
            read_at=began,
            read_failing_since=None,
            read_error="",
            read_note=found.note,
            reading_until=None,
            next_read_at=now + timedelta(seconds=_EARLY * connection.max_age_seconds),
        )


def _known(connection: CalendarConnection) -> QuerySet[CalendarItem]:
    """Its files as they were read; none where it was never read at that address."""
    items = CalendarItem.objects.filter(connection=connection)
    return items if connection.read_at is not None else items.none()


def _locked(connection_id: UUID) -> CalendarConnection:
    """Its resources, in order, then the connection itself."""
    resources = CalendarConnection.objects.filter(pk=connection_id).values_list(
        "resources__resource_id", flat=True
    )
    list(lock_objects.lock_resources(each for each in resources if each))
    return locked(CalendarConnection.objects.filter(pk=connection_id)).get()


def _after(connection: CalendarConnection, delta: Delta) -> dict[str, str]:
    """The calendar's files as they are after this reading, by href."""
    whole = delta.complete and not delta.unchanged
    files = {} if whole else dict(_known(connection).values_list("href", "data"))
    for href in delta.gone:
        files.pop(href, None)
    return files | {item.href: item.data for item in delta.items}


def _keep(connection: CalendarConnection, delta: Delta) -> None:
    items = connection.items
    if connection.read_at is None:
        items.all().delete()
    elif delta.complete and not delta.unchanged:
        items.exclude(href__in=[item.href for item in delta.items]).delete()
    elif delta.gone:
        items.filter(href__in=delta.gone).delete()
    CalendarItem.objects.bulk_create(
        [
            CalendarItem(
                connection=connection,
                href=i.href,
                uid=i.uid,
                etag=i.etag,
                data=recurring.bare(i.data),
            )
            for i in delta.items
        ],
        update_conflicts=True,
        unique_fields=["connection", "href"],
        update_fields=["uid", "etag", "data"],
        batch_size=500,
    )


def _failed(connection: CalendarConnection, error: str, **changes: Any) -> None:
    """What is known stays. It is asked again after as long as it has been failing: 15 s to 1 h."""
    now = clock.now()
    since = connection.read_failing_since or now
    again = min(max(now - since, _SOONEST), _LATEST)
    log.warning("calendar %s was not read: %s", connection.pk, error)
    # One that is being let go of meanwhile goes on to be: it has events of ours to be removed.
    mine: Callable[..., Any] = CalendarConnection.objects.filter(
        pk=connection.pk, reading_until=connection.reading_until, state=connection.state
    ).update
    mine(
        read_failing_since=since,
        read_error=error[:500],
        reading_until=None,
        next_read_at=now + again,
        **changes,
    )
