"""Beat's work on bookings: reminders, and the past."""

import logging
from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.db import transaction
from django.db.models import CharField, Exists, OuterRef
from django.db.models.functions import Cast

from bookings import mails, services
from bookings.calendars import read_tasks, write_tasks  # noqa: F401  (registers them)
from bookings.models import Booking
from bookings.states import CONFIRMED
from config.kernel import clock, rows
from config.kernel.errors import DomainError
from members.models import Notification

_AHEAD = timedelta(hours=24)
_NOT_AFTER = timedelta(hours=2)
_BATCH = 1000

log = logging.getLogger(__name__)


@shared_task(name="bookings.remind")
def remind() -> int:
    """Remind of what begins within a day, once each; returns how many mails were written.

    A booking made later than that needs no reminder: its confirmation has just come.
    """
    now = clock.now()
    reminded = Notification.objects.filter(
        kind="reminder", subject_type="booking", subject_id=Cast(OuterRef("pk"), CharField())
    )
    soon = Booking.objects.select_related("workspace").filter(
        ~Exists(reminded),
        state=CONFIRMED,
        starts_at__gt=now + _NOT_AFTER,
        starts_at__lte=now + _AHEAD,
        created_at__lte=now - _AHEAD,
    )
    due = soon.exclude(email="").order_by("starts_at", "pk")
    return sum(_remind_one(booking) for booking in due[:_BATCH])


def _remind_one(booking: Booking) -> int:
    try:
        with transaction.atomic():
            written = mails.reminder(booking)
            rows.insert(written)
    except Exception:  # another beat was quicker, or this one cannot be written: the others can
        log.exception("Booking %s could not be reminded of", booking.pk)
        return 0
    return len(written)


@shared_task(name="bookings.complete_past")
def complete_past() -> int:
    """Confirmed bookings whose time is over are completed."""
    over = Booking.objects.filter(state=CONFIRMED, ends_at__lt=clock.now()).order_by("ends_at")
    ids = list(over.values_list("pk", flat=True)[:_BATCH])
    return sum(_complete(booking_id) for booking_id in ids)


def _complete(booking_id: UUID) -> int:
    try:
        services.complete(booking_id=booking_id)
    except DomainError:
        return 0  # it went another way meanwhile
    except Exception:  # such as a resource locked for long: the others do not wait for it
        log.exception("Booking %s could not be completed", booking_id)
        return 0
    return 1
