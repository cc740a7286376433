"""Reads of the catalogue and of bookings."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection

from bookings.rules import Rules, Window
from bookings.rules_query import BY_ID, OF_WORKSPACE, RULES_SQL, rules_from

_TAKEN = """
    SELECT clock_timestamp(), EXISTS (
        SELECT 1 FROM bookings_occupancy
        WHERE exclusive AND resource_id = %s AND during && tstzrange(%s, %s)
          AND released_at IS NULL AND (lapses_at IS NULL OR lapses_at > clock_timestamp()))
"""


def rules_for(
    *, workspace_id: UUID, resource_ids: Iterable[UUID] | None = None
) -> dict[UUID, Rules]:
    """The rules of a workspace's active resources (or of those named), in one query."""
    which, ids = (OF_WORKSPACE, None) if resource_ids is None else (BY_ID, list(resource_ids))
    with connection.cursor() as cursor:
        cursor.execute(
            f"{RULES_SQL}{which} ORDER BY r.position, r.name",
            {"workspace": workspace_id, "ids": ids},
        )
        return rules_from(cursor.fetchall())


def is_taken(resource_id: UUID, occupied: Window) -> tuple[datetime, bool]:
    """The time, and whether a live occupancy of an exclusive resource overlaps, buffers included.

    As stale as every look without a lock: a claim decides.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN, [resource_id, occupied.start, occupied.end])
        now, taken = cursor.fetchone()
    return now, taken
