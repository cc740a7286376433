"""Busy times of a calendar as blocks: what is wanted, written as a difference, in one transaction.

Rows that are still right stay as they are, so that a calendar that is read again and again locks
its resources and writes nothing. The blocks belong to what reads calendars, and to nobody else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection as database
from django.db.models import Q
from django.db.models.functions import Now

from bookings import freshness
from bookings.calendars import recurring
from bookings.models import (
    DAY,
    Block,
    CalendarConnection,
    CalendarItem,
    CalendarTask,
    ConnectedResource,
    Line,
    Resource,
)
from bookings.windows import Window, merged
from config.kernel.locks import require_transaction

OURS = "@surehold"
_A_DAY = timedelta(days=1)
_BATCH = 1000
_LIES_OVER = """
    SELECT DISTINCT ON (b.id, o.line_id)
           b.id, o.line_id, o.booking_id, lower(b.during), upper(b.during)
    FROM bookings_block b
    JOIN bookings_connectedresource c ON c.id = b.connected_id
    JOIN bookings_occupancy o ON o.resource_id = b.resource_id AND o.during && b.during
     AND o.released_at IS NULL AND o.lapses_at IS NULL
    JOIN bookings_booking k ON k.id = o.booking_id AND k.state = 'confirmed'
    WHERE c.connection_id = %s
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The busy windows of each connected resource, and what could not be read of the calendar."""

    windows: dict[UUID, list[Window]]
    note: str = ""


def read_for(connection: CalendarConnection) -> list[ConnectedResource]:
    """The resources that the calendar blocks; none where it is disconnected."""
    if connection.state in {connection.State.DISCONNECTED, connection.State.LEAVING}:
        return []
    connected = connection.resources.filter(reads=True)
    return list(connected.select_related("resource__location").order_by("resource_id"))


def wanted(connection: CalendarConnection, items: Iterable[str], *, now: datetime) -> Wanted:
    """What is busy for each resource, from the files of a calendar; nothing is locked.

    From the day before to the end of the farthest horizon: by whole days, so that the same files
    mean the same rows all day. Raises TooMuch (`recurring.py`).
    """
    served, effort = read_for(connection), recurring.Effort()
    files, malformed = _files(items, effort)
    ours = _lines_of_ours(connection, files)
    by_zone: dict[str, recurring.Busy] = {}
    windows = {}
    for each in served:
        zone = each.resource.location.timezone
        if zone not in by_zone:
            within = _reach([c.resource for c in served], now)
            by_zone[zone] = _busy(files, within, zone, ours, effort)
        windows[each.pk] = by_zone[zone].windows
    return Wanted(windows, _note(by_zone.values(), malformed))


def write(connection: CalendarConnection, found: Wanted) -> int:
    """Make the blocks of a calendar what is wanted; how many rows changed.

    The caller holds the resources' locks. A block that lies over a booking opens a task.
    """
    require_transaction()
    standing = list(Block.objects.filter(connected__connection=connection))
    missing = {(key, window) for key, windows in found.windows.items() for window in windows}
    gone = []
    for block in standing:
        assert block.connected_id is not None
        key = (block.connected_id, Window(block.during.lower, block.during.upper))
        if key in missing:
            missing.discard(key)
        else:
            gone.append(block)
    added = _added(connection, missing)
    if gone:
        Block.objects.filter(pk__in=[block.pk for block in gone]).delete()
    if added or gone:
        freshness.changed({block.resource_id for block in [*added, *gone]})
    tell(connection)
    return len(added) + len(gone)


def _added(connection: CalendarConnection, missing: set[tuple[UUID, Window]]) -> list[Block]:
    resources = dict(connection.resources.values_list("pk", "resource_id"))
    blocks = [
        Block(
            workspace_id=connection.workspace_id,
            resource_id=resources[key],
            during=(window.start, window.end),
            kind=Block.Kind.CALENDAR,
            reason=f"Busy in {connection.name}"[:200],
            connected_id=key,
        )
        for key, window in sorted(missing, key=lambda each: (str(each[0]), each[1]))
    ]
    return Block.objects.bulk_create(blocks, batch_size=_BATCH)


def tell(connection: CalendarConnection) -> None:
    """Bookings under the calendar's busy times: one task for each such pair, open while it is so,
    unless somebody has seen it and left it at that.

    A hold is nobody's yet: settlement looks at the busy times before it becomes somebody's.
    """
    pairs = {(str(pair[0]), pair[1]): pair for pair in _pairs(connection)}
    told = CalendarTask.objects.filter(
        Q(closed_at=None) | Q(closed_as=CalendarTask.Closed.ACCEPTED),
        connection=connection,
        kind=CalendarTask.Kind.LIES_OVER,
    )
    known = {(task.block_key, task.line_id): task for task in told}
    over = [t.pk for pair, t in known.items() if pair not in pairs and t.closed_at is None]
    if over:
        CalendarTask.objects.filter(pk__in=over).update(
            closed_at=Now(), closed_as=CalendarTask.Closed.GONE
        )
    CalendarTask.objects.bulk_create(
        CalendarTask(
            workspace_id=connection.workspace_id,
            connection=connection,
            booking_id=booking_id,
            line_id=line_id,
            kind=CalendarTask.Kind.LIES_OVER,
            block_key=key,
            outside_start=start,
            outside_end=end,
        )
        for (key, _), (_, line_id, booking_id, start, end) in pairs.items()
        if (key, line_id) not in known
    )


def _pairs(connection: CalendarConnection) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(_LIES_OVER, [connection.pk])
        return list(cursor.fetchall())


def _files(items: Iterable[str], effort: recurring.Effort) -> tuple[list[recurring.Read], int]:
    files, malformed = [], 0
    for data in items:
        effort.refuse_more()
        try:
            files.append(recurring.read(data))
        except recurring.Unreadable:
            malformed += 1
    return files, malformed


def _lines_of_ours(connection: CalendarConnection, files: list[recurring.Read]) -> set[str]:
    """The UIDs in these files that are events of this workspace's own lines.

    Of another workspace's, the owner of the calendar has booked something there: they are busy.
    """
    uids = {entry.uid for each in files for entry in each.entries if entry.uid.endswith(OURS)}
    return {
        f"{pk}{OURS}"
        for pk in Line.objects.filter(
            pk__in=line_ids(uids), booking__workspace_id=connection.workspace_id
        ).values_list("pk", flat=True)
    }


def line_ids(uids: Iterable[str]) -> list[UUID]:
    """The lines that such UIDs name; others are left out."""
    found = []
    for uid in uids:
        try:
            found.append(UUID(uid.removesuffix(OURS)))
        except ValueError:
            continue
    return found


def _busy(
    files: list[recurring.Read],
    within: Window,
    zone: str,
    ours: set[str],
    effort: recurring.Effort,
) -> recurring.Busy:
    where = ZoneInfo(zone)
    each = [recurring.busy(f, within=within, zone=where, ours=ours, effort=effort) for f in files]
    windows = merged([
        Window(max(w.start, within.start), min(w.end, within.end))
        for found in each for w in found.windows
    ])  # fmt: skip
    if len(windows) > recurring.MOST_WINDOWS:
        raise recurring.TooMuch
    return recurring.Busy(windows, sum(f.skipped for f in each), sum(f.cut for f in each))


def _reach(resources: Sequence[Resource], now: datetime) -> Window:
    """From the day before to where the longest booking of the farthest horizon may end."""
    today = datetime.combine(now.astimezone(UTC).date(), time(), tzinfo=UTC)
    farthest = max((_days_ahead(each) for each in resources), default=0)
    return Window(today - _A_DAY, today + timedelta(days=farthest + 3))


def _days_ahead(resource: Resource) -> int:
    by_days = resource.booking_unit == resource.Unit.DAY
    longest = resource.max_days if by_days else resource.max_seconds // DAY + 1
    return resource.horizon_days + longest


def _note(found: Iterable[recurring.Busy], malformed: int) -> str:
    worst = max(found, key=lambda each: each.skipped + each.cut, default=None)
    skipped, cut = (worst.skipped + malformed, worst.cut) if worst else (malformed, 0)
    said = []
    if skipped:
        said.append(f"{skipped} could not be read and are left out")
    if cut:
        said.append(f"{cut} repeat too often and are followed for a while only")
    return "Of its entries " + ", ".join(said) + "." if said else ""


def kept(connection: CalendarConnection) -> dict[str, CalendarItem]:
    """What was read of it before, by href."""
    return {item.href: item for item in CalendarItem.objects.filter(connection=connection)}
