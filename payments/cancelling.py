"""Cancelling a booking whose money may still be moving (design.md §4)."""

from uuid import UUID

from django.db import transaction

from bookings import services
from bookings.models import Booking
from config.kernel.context import Actor
from config.kernel.locks import retried_on_deadlock
from payments.errors import PaymentInProgress
from payments.lock_objects import lock_money
from payments.states import AUTHORISED, CAPTURING


@retried_on_deadlock
def cancel(*, booking_id: UUID, actor: Actor, reason: str = "") -> Booking:
    """Cancel a confirmed booking and free its slots, once no capture is on its way.

    Raises what `bookings.services.cancel` raises, and PaymentInProgress (409) while a payment is
    being captured: its outcome comes first.
    """
    with transaction.atomic():
        money = lock_money(booking_id)
        if any(payment.state in {AUTHORISED, CAPTURING} for payment in money.payments):
            raise PaymentInProgress
        return services.cancel(booking_id=booking_id, actor=actor, reason=reason)
