"""The bookings app's ordered locks (design.md §3). Nothing else takes row locks on its tables."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from bookings.models import Booking, Resource
from bookings.rules import Rules, Window
from bookings.rules_query import RULES_SQL, rules_from
from config.kernel import clock
from config.kernel.locks import lock_ids, locked, require_transaction

_NOT_TAKEN = """
    AND r.id = %s AND NOT EXISTS (
        SELECT 1 FROM bookings_occupancy o
        WHERE o.exclusive AND o.resource_id = r.id AND o.released_at IS NULL
          AND (o.lapses_at IS NULL OR o.lapses_at > clock_timestamp())
          AND o.during && tstzrange(
              %s::timestamptz - make_interval(secs => r.buffer_before_seconds),
              %s::timestamptz + make_interval(secs => r.buffer_after_seconds))
    )
"""
_LOCK_OF_BOOKING = """
    SELECT id FROM bookings_resource
    WHERE id IN (SELECT resource_id FROM bookings_occupancy WHERE booking_id = ANY(%s))
    ORDER BY id FOR NO KEY UPDATE
"""


def lock_resources(ids: Iterable[UUID]) -> QuerySet[Resource]:
    """Resources by id, ascending: what every claim and every release locks first."""
    return locked(Resource.objects.filter(pk__in=lock_ids(ids)))


def lock_rules(*, workspace_id: UUID, resource_ids: Iterable[UUID]) -> dict[UUID, Rules]:
    """Lock the active resources of a workspace and read their rules, in one statement."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(
            RULES_SQL + " AND r.id = ANY(%s) ORDER BY r.id FOR NO KEY UPDATE OF r",
            [workspace_id, lock_ids(resource_ids)],
        )
        return rules_from(cursor.fetchall())


def lock_rules_unless_taken(
    *, workspace_id: UUID, resource_id: UUID, window: Window
) -> Rules | None:
    """Lock one active resource and read its rules, unless it is unknown or taken for the window.

    For crowds: who finds the window taken does not queue for the lock. None is no verdict on its
    own but for a resource that exists, and finding it free is none at all: that is asked again
    under the lock, and the constraint decides.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(
            RULES_SQL + _NOT_TAKEN + " FOR NO KEY UPDATE OF r",
            [workspace_id, resource_id, window.start, window.end],
        )
        found = rules_from(cursor.fetchall())
    return found.get(resource_id)


def lock_resources_of(booking_ids: Iterable[UUID]) -> None:
    """Lock every resource on which these bookings have occupancies."""
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_OF_BOOKING, [lock_ids(booking_ids)])


def lock_bookings(ids: Iterable[UUID]) -> QuerySet[Booking]:
    """Bookings by id, ascending; their resources are locked before."""
    return locked(Booking.objects.filter(pk__in=lock_ids(ids)))


def now_under_locks() -> datetime:
    """The database's clock, read after the locks (design.md §3, "One clock")."""
    require_transaction()
    return clock.now()
