"""The bookings app's ordered locks (design.md §3). Nothing else takes row locks on its tables."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery

from bookings.models import Booking, Change, Resource
from bookings.pool_use import PEAK_LIVE
from bookings.rules import Rules, Window
from bookings.rules_query import BY_ID, ONE_BY_ID, RULES_SQL, rules_from
from config.kernel import clock
from config.kernel.locks import lock_ids, locked, require_transaction
from members.models import Workspace

_OCCUPIED = """tstzrange(
                  %(start)s::timestamptz - make_interval(secs => r.buffer_before_seconds),
                  %(end)s::timestamptz + make_interval(secs => r.buffer_after_seconds))"""
# The clock stands outside of the locking part, so that it is read after the lock is had.
LOCK_IF_FREE = f"""
    SELECT found.*, clock_timestamp() FROM (
        {RULES_SQL} {ONE_BY_ID} AND NOT EXISTS (
            SELECT 1 FROM bookings_occupancy o
            WHERE o.exclusive AND o.resource_id = r.id AND o.released_at IS NULL
              AND o.during && {_OCCUPIED}
        ) AND (r.mode = 'exclusive' OR r.capacity >= %(quantity)s + (
            {PEAK_LIVE.format(resource="r.id", window=_OCCUPIED)}
        ))
        FOR NO KEY UPDATE OF r
    ) AS found
"""  # noqa: S608
_LOCK_OF_BOOKING = """
    SELECT id FROM bookings_resource
    WHERE id IN (
        SELECT resource_id FROM bookings_occupancy WHERE booking_id = ANY(%s)
        UNION ALL SELECT unnest(%s::uuid[])
    )
    ORDER BY id FOR NO KEY UPDATE
"""
# Taken as they come: who does not wait cannot be part of a deadlock.
_LOCK_FREE_OF_BOOKINGS = """
    WITH mine AS MATERIALIZED (
        SELECT booking_id, resource_id FROM bookings_occupancy WHERE booking_id = ANY(%s)
    ), had AS MATERIALIZED (
        SELECT id FROM bookings_resource WHERE id IN (SELECT resource_id FROM mine)
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    )
    SELECT booking_id FROM mine LEFT JOIN had ON had.id = mine.resource_id
    GROUP BY booking_id HAVING bool_and(had.id IS NOT NULL)
"""


def lock_resources(ids: Iterable[UUID]) -> QuerySet[Resource]:
    """Resources by id, ascending: what every claim and every release locks first."""
    return locked(Resource.objects.filter(pk__in=lock_ids(ids)))


def lock_rules(*, workspace_id: UUID, resource_ids: Iterable[UUID]) -> dict[UUID, Rules]:
    """Lock the active resources of a workspace and read their rules, in one statement."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(
            f"{RULES_SQL}{BY_ID} ORDER BY r.id FOR NO KEY UPDATE OF r",
            {"workspace": workspace_id, "ids": lock_ids(resource_ids)},
        )
        return rules_from(cursor.fetchall())


def lock_rules_if_free(
    *, workspace_id: UUID, resource_id: UUID, window: Window, quantity: int = 1
) -> tuple[Rules, datetime] | None:
    """Lock a pool with so many units left, or an exclusive resource whose window nobody has: rules,
    and the time then.

    For the usual claim of a room, which needs no second look: what came in while it waited for the
    lock, the constraint refuses. None is no verdict, and took no lock: the resource may be unknown,
    or there may be somebody in the window (live or, in a room, lapsed).
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(
            LOCK_IF_FREE,
            {
                "workspace": workspace_id,
                "id": resource_id,
                "start": window.start,
                "end": window.end,
                "quantity": quantity,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return None
    *columns, now = row
    return rules_from([columns])[resource_id], now


def lock_resources_of(booking_ids: Iterable[UUID], *, also: Iterable[UUID] = ()) -> None:
    """Lock every resource on which these bookings have occupancies, and those `also` named."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_OF_BOOKING, [lock_ids(booking_ids), lock_ids(also)])


def lock_free_resources_of(booking_ids: Iterable[UUID]) -> list[UUID]:
    """Lock those of their resources that nobody else has locked, without waiting for any.

    Returns the bookings of which every resource is locked by it.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_FREE_OF_BOOKINGS, [lock_ids(booking_ids)])
        return [booking_id for (booking_id,) in cursor.fetchall()]


def lock_bookings(ids: Iterable[UUID]) -> QuerySet[Booking]:
    """Bookings by id, ascending; their resources are locked before.

    Each comes with its workspace's `webhook_types`, so that what follows from its moves need not
    ask whether anybody subscribes.
    """
    subscribed = Workspace.objects.filter(pk=OuterRef("workspace_id")).values("webhook_types")
    rows = Booking.objects.filter(pk__in=lock_ids(ids))
    return locked(rows.annotate(webhook_types=Subquery(subscribed)))


def lock_change(change_id: UUID, booking: Booking) -> Change:
    """A change of a booking, which is locked before, with that very booking on it."""
    change = locked(Change.objects.filter(pk=change_id)).get()
    change.booking = booking
    return change


def now_under_locks() -> datetime:
    """The database's clock, read after the locks (design.md §3, "One clock")."""
    require_transaction()
    return clock.now()
