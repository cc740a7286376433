"""Worker and beat on calendars that are written."""

from uuid import UUID

from celery import shared_task

from bookings.calendars import checking, connecting, writing
from config.kernel import effects

SWEEP_SECONDS = 8.0


@shared_task(name="bookings.write_calendars_of")
def write_of(booking_id: str) -> int:
    """What a booking's transition has marked: each event by itself, so that no calendar waits for
    another. A single one is written at once."""
    found = writing.due_of_booking(UUID(booking_id))
    for event_id in found[1:]:
        effects.kick(writing.TASK, str(event_id))
    return int(writing.write(found[0])) if found else 0


@shared_task(name=writing.TASK)
def write(event_id: str) -> bool:
    return writing.write(UUID(event_id))


@shared_task(name="bookings.sweep_calendar_events")
def sweep() -> int:
    """What no kick told of, and what is to be tried again."""
    return writing.sweep(seconds=SWEEP_SECONDS)


@shared_task(name="bookings.check_calendars")
def check_due() -> int:
    """Compare the calendars whose turn it is; each in a task of its own, since some may hang."""
    found = checking.due()
    for connection_id in found:
        effects.kick(connecting.CHECK, str(connection_id))
    for left in connecting.leaving():
        effects.kick(connecting.LEAVE, str(left.pk))
    return len(found)


@shared_task(name=connecting.CHECK)
def check(connection_id: str) -> bool:
    return checking.check(UUID(connection_id)) is not None


@shared_task(name=connecting.LEAVE)
def leave(connection_id: str) -> bool:
    return connecting.leave(UUID(connection_id))
