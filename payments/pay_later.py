"""Reminding of what is to be paid later, before its deadline: once each, by the sweep."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import CharField, Exists, OuterRef
from django.db.models.functions import Cast

from bookings import mails
from bookings.states import CONFIRMED
from config.kernel import clock, rows
from members.models import Notification
from payments.models import Due

# How long before the deadline; what is to be paid sooner than that has just been said.
_AHEAD = timedelta(hours=72)


def to_remind(*, limit: int = 100) -> list[UUID]:
    """Dues whose deadline is near, that nobody has been told of since they were made."""
    now = clock.now()
    told = Notification.objects.filter(
        kind__in=["pay_soon", "capture_failed"],
        subject_type="booking",
        subject_id=Cast(OuterRef("booking_id"), CharField()),
    )
    near = Due.objects.filter(
        ~Exists(told),
        booking__state=CONFIRMED,
        pay_again_until__gt=now,
        pay_again_until__lte=now + _AHEAD,
        created_at__lte=now - timedelta(hours=24),
    ).exclude(booking__email="")
    return list(near.order_by("pay_again_until").values_list("pk", flat=True)[:limit])


def remind(due_id: UUID) -> bool:
    """Write the mail; False when it has been paid meanwhile, or another sweep was quicker."""
    with transaction.atomic():
        due = Due.objects.select_related("booking__workspace").get(pk=due_id)
        if due.pay_again_until is None:
            return False
        rows.insert(mails.pay_soon(due.booking, amount=due.amount, until=due.pay_again_until))
    return True
