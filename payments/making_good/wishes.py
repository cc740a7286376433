"""What somebody had wanted, as lines that can be claimed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from bookings.models import Booking
from holds.claims import AddOnRequest, LineRequest
from holds.parts import requests_of
from payments.models import Apology


def wished(apology: Apology) -> list[LineRequest]:
    """The lines of an apology, in order."""
    return [
        LineRequest(
            UUID(line["resource"]),
            datetime.fromisoformat(line["start"]),
            datetime.fromisoformat(line["end"]),
            line["quantity"],
            tuple(
                AddOnRequest(UUID(each["resource"]), each["quantity"])
                for each in line.get("add_ons", ())
            ),
        )
        for line in apology.lines
    ]


def wish_of(booking: Booking) -> list[dict[str, Any]]:
    """A booking's lines, as attempts and apologies keep them."""
    return [_said(line) for line in requests_of(list(booking.lines.all()))]


def _said(line: LineRequest) -> dict[str, Any]:
    said = {
        "resource": str(line.resource_id),
        "start": line.start.isoformat(),
        "end": line.end.isoformat(),
        "quantity": line.quantity,
    }
    if line.add_ons:
        said["add_ons"] = [
            {"resource": str(each.resource_id), "quantity": each.quantity} for each in line.add_ons
        ]
    return said
