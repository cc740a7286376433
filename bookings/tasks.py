"""Beat's work on bookings: reminders, and the past."""

from datetime import timedelta

from celery import shared_task
from django.db import transaction

from bookings import mails, services
from bookings.models import Booking
from bookings.states import CONFIRMED
from config.kernel import clock, rows
from config.kernel.errors import DomainError
from members.models import Notification

_AHEAD = timedelta(hours=24)
_NOT_AFTER = timedelta(hours=2)
_BATCH = 200


@shared_task(name="bookings.remind")
def remind() -> int:
    """Remind of what begins within a day, once each; returns how many mails were written.

    A booking made later than that needs no reminder: its confirmation has just come.
    """
    now = clock.now()
    soon = Booking.objects.select_related("workspace").filter(
        state=CONFIRMED,
        starts_at__gt=now + _NOT_AFTER,
        starts_at__lte=now + _AHEAD,
        created_at__lte=now - _AHEAD,
    )
    mails_lately = Notification.objects.filter(
        kind="reminder", subject_type="booking", created_at__gt=now - 2 * _AHEAD
    )
    done = set(mails_lately.values_list("subject_id", flat=True))
    return sum(_remind_one(booking) for booking in soon[:_BATCH] if str(booking.pk) not in done)


def _remind_one(booking: Booking) -> int:
    with transaction.atomic():
        written = mails.reminder(booking)
        taken = Notification.objects.filter(once__in=[mail.once for mail in written])
        if taken.exists():
            return 0
        rows.insert(written)
        return len(written)


@shared_task(name="bookings.complete_past")
def complete_past() -> int:
    """Confirmed bookings whose time is over are completed."""
    over = Booking.objects.filter(state=CONFIRMED, ends_at__lt=clock.now()).order_by("ends_at")
    return sum(_complete(booking_id) for booking_id in over.values_list("pk", flat=True)[:_BATCH])


def _complete(booking_id) -> int:  # type: ignore[no-untyped-def]
    try:
        services.complete(booking_id=booking_id)
    except DomainError:
        return 0  # it went another way meanwhile
    return 1
