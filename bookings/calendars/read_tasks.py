"""Worker and beat on calendars that are read."""

from uuid import UUID

from celery import shared_task

from bookings.calendars import outside, reading
from config.kernel import effects

TASK = "bookings.read_calendar"


@shared_task(name="bookings.read_due_calendars")
def read_due() -> int:
    """Have every calendar read whose time has come, each by itself: one that hangs keeps no other
    waiting. And tidy up after those that are read no more."""
    found = reading.due()
    for connection_id in found:
        effects.kick(TASK, str(connection_id))
    reading.tidy()
    outside.tidy()
    return len(found)


@shared_task(name=TASK)
def read(connection_id: str) -> bool:
    """Unless somebody has read it since this was asked for."""
    return reading.is_due(UUID(connection_id)) and reading.read(UUID(connection_id))
