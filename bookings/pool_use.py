"""How much of a pool is in use, asked of the database: live occupancies and blocks together.

As stale as every look without a lock: a claim decides, and the guard decides over that.
"""

from datetime import datetime
from uuid import UUID

from django.db import connection

from bookings.windows import Window

# The most units in use at once within a window: the guard's sweep (`guards.PEAK`), without what has
# lapsed. `{resource}` and `{window}` are SQL.
PEAK_LIVE = """
    SELECT coalesce(max(used), 0) FROM (
        SELECT sum(step.units) OVER (ORDER BY step.at, step.units) AS used
        FROM (
            SELECT o.during, o.quantity FROM bookings_occupancy o
            WHERE NOT o.exclusive AND o.resource_id = {resource} AND o.released_at IS NULL
              AND o.during && {window}
              AND (o.lapses_at IS NULL OR o.lapses_at > clock_timestamp())
            UNION ALL
            SELECT k.during, k.quantity FROM bookings_block k
            WHERE k.resource_id = {resource} AND k.during && {window}
        ) AS use CROSS JOIN LATERAL (VALUES
            (greatest(lower(use.during), lower({window})), use.quantity),
            (upper(use.during), -use.quantity)
        ) AS step(at, units)
    ) AS uses
"""
_PEAK = PEAK_LIVE.format(resource="%(id)s::uuid", window="tstzrange(%(start)s, %(end)s)")


def peak_of_pool(resource_id: UUID, occupied: Window) -> tuple[datetime, int]:
    """The time, and the most units of a pool in use at once within a window with its buffers."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT clock_timestamp(), ({_PEAK})",
            {"id": resource_id, "start": occupied.start, "end": occupied.end},
        )
        now, peak = cursor.fetchone()
    return now, peak
