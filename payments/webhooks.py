"""What subscribers are told of refunds: the refund as the API shows it, and of which booking."""

from bookings.models import Booking
from bookings.webhooks import of_booking, those_wanted
from config.kernel.effects import Happening
from config.kernel.shown import rfc3339
from members.webhook_messages import kicked
from members.webhook_models import WebhookMessage
from payments.models import Refund
from payments.shown import refund_json

UPDATED = "refund.updated"


def refund_updated(happening: Happening) -> list[WebhookMessage]:
    refund: Refund = happening.subject
    booking: Booking = happening.data["booking"]
    if not those_wanted([booking], UPDATED):
        return []
    brief = {
        "id": str(booking.pk),
        "reference": booking.reference,
        "state": booking.state,
        "version": booking.version,
    }
    data = {
        "refund": refund_json(refund) | {"updated_at": rfc3339(happening.at)},
        "booking": brief,
    }
    return kicked([of_booking(booking, UPDATED, data, happening)])
