"""What subscribers are told of refunds: the refund as the API shows it, and of which booking."""

from bookings.models import Booking
from bookings.webhooks import of_booking, those_wanted
from config.api import rfc3339
from config.kernel.effects import Happening
from members.webhook_messages import kicked
from members.webhook_models import WebhookMessage
from payments.api_money_back import refund_json
from payments.models import Refund

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
