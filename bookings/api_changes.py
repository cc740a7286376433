"""Changes of bookings, as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bookings.models import Booking, Change, Line
from config.api import money, rfc3339


def change_json(change: Change, booking: Booking, lines: Sequence[Line]) -> dict[str, Any]:
    """What a change makes of its booking, from the rows at hand; `lines` are the booking's."""
    positions = {str(line.pk): line.position for line in lines}
    return {
        "id": str(change.id),
        "state": change.state,
        "difference": money(change.difference_minor, booking.currency),
        "lines": [
            _line_json(wanted, positions[wanted["line"]], booking.currency)
            for wanted in change.lines
        ],
    }


def _line_json(wanted: dict[str, Any], position: int, currency: str) -> dict[str, Any]:
    return {
        "line": position,
        "resource": wanted["resource"],
        "start": rfc3339(datetime.fromisoformat(wanted["start"])),
        "end": rfc3339(datetime.fromisoformat(wanted["end"])),
        "quantity": wanted["quantity"],
        "amount": money(wanted["amount_minor"], currency),
    }
