"""Why is it not free? For the operator whose member asks."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from bookings.checks import broken_rules
from bookings.rules import Rules, Window
from config.kernel import clock

_IN_THE_WAY = """
    SELECT 'occupancy', o.booking_id, b.reference, b.state, o.lapses_at, l.starts_at, l.ends_at,
           o.quantity, '', lower(o.during), upper(o.during)
    FROM bookings_occupancy o
    JOIN bookings_booking b ON b.id = o.booking_id JOIN bookings_line l ON l.id = o.line_id
    WHERE o.resource_id = %(id)s AND o.exclusive = %(exclusive)s
      AND o.during && %(range)s::tstzrange
      AND o.released_at IS NULL AND (o.lapses_at IS NULL OR o.lapses_at > clock_timestamp())
    UNION ALL
    SELECT CASE kind WHEN 'calendar' THEN kind ELSE 'block' END, NULL, '', '', NULL,
           lower(during), upper(during), quantity, reason, lower(during), upper(during)
    FROM bookings_block WHERE resource_id = %(id)s AND during && %(range)s::tstzrange
    ORDER BY 6
"""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing in the way. `until` is when a hold ends by itself; null for what stays.

    Codes: hours, notice, horizon, duration, step, quantity, block, hold, booking, buffer.
    """

    code: str
    detail: str
    start: datetime | None = None
    end: datetime | None = None
    until: datetime | None = None
    booking_id: UUID | None = None
    reference: str = ""


def explain(*, rules: Rules, start: datetime, end: datetime, quantity: int = 1) -> list[Reason]:
    """Every reason why a window of a resource is not free now; none when it is. Two queries."""
    window = Window(start, end)
    broken = broken_rules(rules, window, quantity=quantity, now=clock.now())
    reasons = [Reason(code, detail) for code, detail in broken]
    if end <= start:
        return reasons
    occupied = rules.occupied(window)
    with connection.cursor() as cursor:
        cursor.execute(
            _IN_THE_WAY,
            {
                "id": rules.resource_id,
                "exclusive": rules.is_exclusive,
                "range": f"[{occupied.start.isoformat()},{occupied.end.isoformat()})",
            },
        )
        found = cursor.fetchall()
    in_the_way = [_reason(row, window) for row in found]
    if not rules.is_exclusive and _fits(rules, found, quantity):
        return reasons
    return reasons + in_the_way


def _fits(rules: Rules, found: list[tuple], quantity: int) -> bool:
    """Whether a pool has room at the moment of its highest use within the window.

    What is taken counts with its buffers, which may meet where the members' windows do not.
    """
    uses = [(Window(*row[9:]), row[7]) for row in found]
    peak = max(
        (sum(many for use, many in uses if use.start <= at.start < use.end) for at, _ in uses),
        default=0,
    )
    return peak + quantity <= rules.capacity


def _reason(row: tuple, window: Window) -> Reason:
    kind, booking_id, reference, state, lapses_at, start, end, _, why, *_ = row
    if kind == "calendar":
        return Reason("block", f"{why}.", start, end)
    if kind == "block":
        return Reason("block", f"Blocked: {why}.", start, end)
    if not window.overlaps(Window(start, end)):
        return Reason(
            "buffer", f"The buffer of {reference} reaches into it.", start, end, lapses_at,
            booking_id, reference,
        )  # fmt: skip
    if state == "awaiting_approval":
        return Reason(
            "hold", f"Held by {reference}, which waits to be approved.", start, end, lapses_at,
            booking_id, reference,
        )  # fmt: skip
    if state == "pending_payment":
        return Reason(
            "hold", f"Held by {reference} while it is being paid.", start, end, lapses_at,
            booking_id, reference,
        )  # fmt: skip
    return Reason("booking", f"Booked: {reference}.", start, end, None, booking_id, reference)
