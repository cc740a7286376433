"""What somebody had wanted, as lines that can be claimed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from bookings.models import Booking
from holds.claims import LineRequest
from payments.models import Apology


def wished(apology: Apology) -> list[LineRequest]:
    """The lines of an apology, in order."""
    return [
        LineRequest(
            UUID(line["resource"]),
            datetime.fromisoformat(line["start"]),
            datetime.fromisoformat(line["end"]),
            line["quantity"],
        )
        for line in apology.lines
    ]


def wish_of(booking: Booking) -> list[dict[str, Any]]:
    """A booking's lines, as attempts and apologies keep them."""
    return [
        {
            "resource": str(line.resource_id),
            "start": line.starts_at.isoformat(),
            "end": line.ends_at.isoformat(),
            "quantity": line.quantity,
        }
        for line in booking.lines.all()
    ]
