"""Whether a connected calendar has taken, since it was held, what is about to become somebody's.

A block that staff place over a hold lies there by their own decision. A calendar's busy time is
somebody else's appointment: whoever holds that time has not been told yet that it is theirs, and
nothing was charged, so that the hold gives way (design.md §6: a new block counts as gone).
"""

from uuid import UUID

from django.db import connection

from bookings.calendars import freshening
from bookings.errors import SlotTaken

_HELD = """
    FROM bookings_occupancy o JOIN bookings_resource r
      ON r.id = o.resource_id AND r.reads_calendars
    WHERE o.booking_id = %s AND o.change_id IS NOT DISTINCT FROM %s::uuid
"""
_TAKEN = f"""
    SELECT EXISTS (
        SELECT 1 {_HELD} AND o.released_at IS NULL AND EXISTS (
            SELECT 1 FROM bookings_block b
            WHERE b.resource_id = o.resource_id AND b.during && o.during AND b.kind = 'calendar'
        )
    )
"""  # noqa: S608


def look_again(booking_id: UUID, change_id: UUID | None) -> None:
    """Read the calendars behind what is held, outside of any transaction and within a short time.

    What is held without a calendar costs one query.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT o.resource_id {_HELD}", [booking_id, change_id])
        resources = [pk for (pk,) in cursor.fetchall()]
    if resources:
        freshening.read_again(resources)


def is_taken(booking_id: UUID, change_id: UUID | None) -> bool:
    """Whether a busy time lies over what is held; the caller has its resources locked."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKEN, [booking_id, change_id])
        return bool(cursor.fetchone()[0])


def refuse_taken(booking_id: UUID, change_id: UUID | None) -> None:
    """Raises SlotTaken (409) where it is."""
    if is_taken(booking_id, change_id):
        raise SlotTaken("By its calendar, somebody else has that time since.")
