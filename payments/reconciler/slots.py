"""The overlap audit: from booking lines and resources, not from the table that is constrained.

So it can fail: with the exclusion constraint dropped and a slot sold twice, it says so.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from config.kernel.clock import now as database_now
from payments.models import Finding
from payments.reconciler import evidence, filing
from payments.reconciler.base import HIGH, HOUR, Check, Cursor, Page, Seen, rows

SOLD_TWICE = "sold_twice"
POOL_OVERDRAWN = "pool_overdrawn"

_BACK = timedelta(days=7)
_MOST = 200

# Lines of bookings that were promised to somebody, on these resources, touching the window. A line
# may have begun before it, by as much as the resource's longest booking.
_BOOKED = """
    SELECT l.id, l.resource_id, l.booking_id, l.starts_at, l.ends_at, l.quantity,
           r.capacity, r.mode, r.name, r.workspace_id
    FROM bookings_resource r
    JOIN bookings_line l ON l.resource_id = r.id AND l.cancelled_at IS NULL
      AND l.starts_at >= %(since)s - make_interval(
          secs => greatest(r.max_seconds, r.max_days * 90000, 2678400))
      AND l.starts_at < %(until)s AND l.ends_at > %(since)s
    JOIN bookings_booking b ON b.id = l.booking_id
      AND b.state IN ('confirmed', 'completed', 'no_show')
    WHERE r.id = ANY(%(resources)s)
"""

# One that begins before the latest end so far overlaps something; only those look for their pair.
_PAIRS = f"""
    WITH booked AS ({_BOOKED} AND r.mode = 'exclusive'),
    ordered AS (
        SELECT *, max(ends_at) OVER (
            PARTITION BY resource_id ORDER BY starts_at, id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS taken_until FROM booked
    )
    SELECT one.id AS one, two.id AS two, two.name, two.workspace_id, two.resource_id,
           one.booking_id AS one_booking, two.booking_id AS two_booking,
           two.starts_at, least(one.ends_at, two.ends_at) AS ends_at
    FROM ordered two JOIN booked one ON one.resource_id = two.resource_id
     AND (one.starts_at, one.id) < (two.starts_at, two.id) AND one.ends_at > two.starts_at
    WHERE two.starts_at < two.taken_until
    ORDER BY two.starts_at LIMIT %(most)s
"""  # noqa: S608

# Past use is not judged: what the capacity was then is not known.
_OVERDRAWN = f"""
    WITH booked AS ({_BOOKED} AND r.mode = 'pooled' AND l.ends_at > %(now)s),
    steps AS (
        SELECT resource_id, starts_at AS at, quantity AS step FROM booked
        UNION ALL SELECT resource_id, ends_at, -quantity FROM booked
    ),
    used AS (
        SELECT resource_id, at, lead(at) OVER this AS until,
               sum(step) OVER (this ROWS UNBOUNDED PRECEDING) AS units
        FROM steps WINDOW this AS (PARTITION BY resource_id ORDER BY at, step)
    )
    SELECT DISTINCT ON (r.id) r.id AS resource_id, r.name, r.workspace_id, r.capacity,
           u.at, u.units,
           ARRAY(SELECT DISTINCT b.booking_id FROM booked b WHERE b.resource_id = r.id
                 AND b.starts_at <= u.at AND b.ends_at > u.at LIMIT 20) AS bookings
    FROM used u JOIN bookings_resource r ON r.id = u.resource_id
    WHERE u.units > r.capacity AND u.until > greatest(u.at, %(now)s)
    ORDER BY r.id, u.units DESC, u.at
"""  # noqa: S608

_STILL = """
    SELECT 1 AS still FROM bookings_line one JOIN bookings_line two
      ON one.resource_id = two.resource_id
     AND one.starts_at < two.ends_at AND two.starts_at < one.ends_at
    JOIN bookings_booking a ON a.id = one.booking_id
    JOIN bookings_booking b ON b.id = two.booking_id
    WHERE one.id = %(one)s AND two.id = %(two)s
      AND one.cancelled_at IS NULL AND two.cancelled_at IS NULL
      AND a.state IN ('confirmed', 'completed', 'no_show')
      AND b.state IN ('confirmed', 'completed', 'no_show')
"""

_RESOURCES = """
    SELECT id FROM bookings_resource
    WHERE id > %(after)s ORDER BY id LIMIT %(batch)s
"""
_NIL = UUID(int=0)
_FAR = timedelta(days=3660)


class Overlaps(Check):
    """Nobody's time was promised to somebody else."""

    name = "overlaps"
    looks_for = "a slot sold twice, or a pool beyond its capacity, by booking lines"
    kinds = (SOLD_TWICE, POOL_OVERDRAWN)
    interval = HOUR
    batch = 100

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        begin = min(now - _BACK, since or now)
        return {"after": str(_NIL), "since": begin.isoformat()}

    def look(self, cursor: Cursor) -> Page:
        found = rows(_RESOURCES, {"after": cursor["after"], "batch": self.batch})
        resources = [row["id"] for row in found]
        since = datetime.fromisoformat(cursor["since"])
        until = database_now() + _FAR
        seen = seen_on(resources, since=since, until=until) if resources else []
        more = len(resources) == self.batch
        return Page(len(resources), seen, cursor | {"after": str(resources[-1])} if more else None)

    def is_gone(self, finding: Finding) -> bool:
        """A pair of the past is out of the window, and has still happened."""
        if finding.kind != SOLD_TWICE:
            return True
        one, two = finding.subject_id.split(":")
        return not rows(_STILL, {"one": one, "two": two})


def audit_booking(booking_id: UUID) -> int:
    """Look at one booking's lines just after its confirmation; how many overlaps stand."""
    span = rows(
        "SELECT array_agg(DISTINCT resource_id) AS resources, min(starts_at) AS since,"
        " max(ends_at) AS until FROM bookings_line WHERE booking_id = %(id)s",
        {"id": booking_id},
    )[0]
    if not span["resources"]:
        return 0
    seen = seen_on(span["resources"], since=span["since"], until=span["until"])
    return filing.file_all(Overlaps(), seen)


def seen_on(resources: list[UUID], *, since: datetime, until: datetime) -> list[Seen]:
    """What is wrong on these resources between two moments, with the evidence."""
    where = {"resources": resources, "since": since, "until": until, "most": _MOST}
    pairs = [_sold_twice(row) for row in rows(_PAIRS, where)]
    pools = rows(_OVERDRAWN, where | {"now": database_now()})
    return pairs + [_overdrawn(row) for row in pools]


def _sold_twice(row: dict[str, Any]) -> Seen:
    one, two = sorted([str(row["one"]), str(row["two"])])
    return Seen(
        kind=SOLD_TWICE,
        severity=HIGH,
        subject_type="lines",
        subject_id=f"{one}:{two}",
        workspace_id=row["workspace_id"],
        summary=f"{row['name']} was sold twice from {row['starts_at']:%F %H:%M} UTC",
        evidence={
            "resource": str(row["resource_id"]),
            "from": row["starts_at"].isoformat(),
            "to": row["ends_at"].isoformat(),
            "protection": evidence.protection(),
            **evidence.timelines([row["one_booking"], row["two_booking"]]),
        },
    )


def _overdrawn(row: dict[str, Any]) -> Seen:
    return Seen(
        kind=POOL_OVERDRAWN,
        severity=HIGH,
        subject_type="resource",
        subject_id=str(row["resource_id"]),
        workspace_id=row["workspace_id"],
        summary=(
            f"{row['name']}: {row['units']} units promised of {row['capacity']}"
            f" at {row['at']:%F %H:%M} UTC"
        ),
        evidence={
            "at": row["at"].isoformat(),
            "units": row["units"],
            "capacity": row["capacity"],
            "protection": evidence.protection(),
            **evidence.timelines(row["bookings"]),
        },
        fingerprint=f"{row['at'].isoformat()} {row['units']}/{row['capacity']}",
    )
