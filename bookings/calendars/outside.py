"""What others did to our events in a connected calendar: told to the operator, who decides.

A booking is never cancelled or moved because an event was. Whoever writes calendars notices it when
there is something to be written (`writing.py`); whoever reads them notices it here. Until
it is decided nothing is written to that event.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from icalendar import Calendar, Component

from bookings.calendars import projecting
from bookings.calendars.busy import OURS, line_ids
from bookings.calendars.delta import Delta
from bookings.models import CalendarConnection, CalendarEvent, CalendarTask
from bookings.states import WITHOUT_OCCUPANCIES
from config.kernel.locks import locked, require_transaction
from members.models import Member

_OF_EVENTS = (CalendarTask.Kind.DELETED, CalendarTask.Kind.MOVED)


def notice(connection: CalendarConnection, delta: Delta, *, began: datetime) -> None:
    """Compare what was read with what we wrote; only of events that nobody was writing since
    `began`, when the calendar was asked. The caller has the connection locked.
    """
    require_transaction()
    there = {item.uid: item.data for item in delta.items if item.uid.endswith(OURS)}
    gone = connection.items.filter(href__in=delta.gone, uid__endswith=OURS)
    left = {uid for uid in gone.values_list("uid", flat=True) if uid not in there}
    if left:
        elsewhere = connection.items.filter(uid__in=left).exclude(href__in=delta.gone)
        left -= set(elsewhere.values_list("uid", flat=True))
    for row in _settled(connection, line_ids([*there, *left]), began):
        if row.uid in left:
            noticed(row, "deleted")
            continue
        event, mark = _found(there[row.uid])
        if mark not in {"", row.written, *row.sent}:
            noticed(row, "deleted" if mark == "cancelled" else "moved", event)


def _settled(
    connection: CalendarConnection, lines: list[UUID], began: datetime
) -> Iterable[CalendarEvent]:
    rows = CalendarEvent.objects.filter(
        Q(leased_until=None) | Q(leased_until__lt=Now()),
        connection=connection,
        line__in=lines,
        outside_kind="",
        written_version=F("wanted_version"),
        written_at__lt=began,
    )
    return locked(rows.exclude(written=""))


def _found(data: str) -> tuple[Component | None, str]:
    """The event of a file and its mark; of one that is malformed nothing can be told: no mark."""
    try:
        event = projecting.event_in(Calendar.from_ical(data))
        return event, projecting.mark_of(event) if event is not None else "cancelled"
    except Exception:  # in whatever way: it must not hide what else was read
        return None, ""


def noticed(row: CalendarEvent, kind: str, event: Component | None = None) -> None:
    """Somebody has deleted or moved our event: it is the operator's to decide, our booking stays.

    Opens the operator's task, or brings the one that is open up to date. `event` is what stands in
    the calendar now. The caller holds the row's lease or its lock.
    """
    projecting.write_down(row, kind, event)
    said = {"kind": kind, "outside_start": row.outside_start, "outside_end": row.outside_end}
    mine = CalendarTask.objects.filter(
        connection_id=row.connection_id, line_id=row.line_id, block_key="", closed_at=None
    )
    if mine.update(**said):
        return
    booking = row.line.booking
    CalendarTask.objects.create(
        workspace_id=booking.workspace_id,
        connection_id=row.connection_id,
        booking=booking,
        line_id=row.line_id,
        **said,
    )


# --- What is decided ------------------------------------------------------------------------------


def row_of(task: CalendarTask) -> CalendarEvent | None:
    """The event that a task is about; none once its calendar is not written any more."""
    return CalendarEvent.objects.filter(
        connection_id=task.connection_id, line_id=task.line_id
    ).first()


def restore(task: CalendarTask, *, by: Member | None) -> None:
    """The calendar is to show what we say, over what somebody did there."""
    _written_again(task)
    close(task, CalendarTask.Closed.RESTORED, by)


def leave(task: CalendarTask, *, by: Member | None) -> None:
    """It stays as it is there, and our booking as it is here: the event is written no more."""
    close(task, CalendarTask.Closed.ACCEPTED, by)


def followed(task: CalendarTask, closed_as: str, *, by: Member | None) -> None:
    """The booking went where the event is, or was cancelled: both say the same from now on."""
    _written_again(task)
    close(task, closed_as, by)


def close(task: CalendarTask, closed_as: str, by: Member | None) -> None:
    """Once: a task that was closed before stays as it was closed."""
    CalendarTask.objects.filter(pk=task.pk, closed_at=None).update(
        closed_at=Now(), closed_as=closed_as, closed_by=by
    )


def _written_again(task: CalendarTask) -> None:
    row = row_of(task)
    if row is not None and row.outside_kind:
        projecting.restore(row.pk)


def tidy() -> int:
    """Close what is over by itself: its booking has ended, went where the event is, or the event is
    as we wrote it. Returns how many."""
    open_ = CalendarTask.objects.filter(kind__in=_OF_EVENTS, closed_at=None)
    over = _over(open_.select_related("line", "booking"))
    for task, closed_as in over:
        followed(task, closed_as, by=None)
    return len(over)


def _over(tasks: QuerySet[CalendarTask]) -> list[tuple[CalendarTask, str]]:
    rows = {
        (row.connection_id, row.line_id): row
        for row in CalendarEvent.objects.exclude(outside_kind="")
    }
    over: list[tuple[CalendarTask, str]] = []
    for task in tasks:
        line, row = task.line, rows.get((task.connection_id, task.line_id))
        if row is None or line.cancelled_at or task.booking.state in WITHOUT_OCCUPANCIES:
            over.append((task, CalendarTask.Closed.GONE))
        elif (line.starts_at, line.ends_at) == (task.outside_start, task.outside_end):
            over.append((task, CalendarTask.Closed.ACCEPTED))
    return over
