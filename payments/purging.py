"""The one routine that deletes history: ended holds that no money was ever attached to.

A hold goes with its booking's released occupancies, once both are older than the setting. What
stays: the booking, its lines and events, every occupancy that somebody had to the end, and whatever
a Checkout, a payment or credit belongs to, for ever. The trigger on holds lets a row go only inside
a transaction that says it is purging, and only where the booking is over; who deletes in another
way is refused.
"""

from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

LEAST_DAYS = 1
BATCH = 1000

_PERMIT = "SELECT set_config('surehold.purging', 'on', true)"
# Bookings change no more after these states but for money, of which there is none.
_PURGEABLE = """
    SELECT h.id, h.booking_id FROM holds_hold h JOIN bookings_booking b ON b.id = h.booking_id
    WHERE h.state <> 'active' AND h.change_id IS NULL
      AND h.ended_at < clock_timestamp() - make_interval(days => %(days)s)
      AND (b.state IN ('released', 'expired')
           OR (b.state IN ('completed', 'no_show', 'cancelled') AND b.total_minor = 0))
      AND NOT EXISTS (SELECT 1 FROM bookings_change c WHERE c.booking_id = b.id)
      AND NOT EXISTS (SELECT 1 FROM holds_waitlistentry w WHERE w.hold_id = h.id)
      AND NOT EXISTS (
          SELECT 1 FROM payments_due d WHERE d.booking_id = b.id AND (
              EXISTS (SELECT 1 FROM payments_checkout x WHERE x.due_id = d.id)
              OR EXISTS (SELECT 1 FROM payments_payment p WHERE p.due_id = d.id)
              OR EXISTS (SELECT 1 FROM payments_creditentry e WHERE e.due_id = d.id)))
    ORDER BY h.ended_at LIMIT %(batch)s FOR UPDATE OF h SKIP LOCKED
"""
_OCCUPANCIES = """
    DELETE FROM bookings_occupancy WHERE booking_id = ANY(%s) AND released_at IS NOT NULL
"""


def ended_holds() -> int:
    """Purge what ended more than `HOLDS_KEPT_DAYS` ago, in batches; returns how many holds."""
    days = max(LEAST_DAYS, settings.HOLDS_KEPT_DAYS)
    purged, last = 0, BATCH
    while last == BATCH:
        last = _batch(days)
        purged += last
    return purged


def _batch(days: int) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PURGEABLE, {"days": days, "batch": BATCH})
        found: list[tuple[UUID, UUID]] = cursor.fetchall()
        if found:
            cursor.execute(_PERMIT)
            cursor.execute(_OCCUPANCIES, [[booking_id for _, booking_id in found]])
            cursor.execute(
                "DELETE FROM holds_hold WHERE id = ANY(%s)", [[hold_id for hold_id, _ in found]]
            )
    return len(found)
