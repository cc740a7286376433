"""Changes of bookings, as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bookings.models import Booking, Change, Line
from config.api import money, rfc3339


def change_json(change: Change, booking: Booking, lines: Sequence[Line]) -> dict[str, Any]:
    """What a change makes of its booking, from the rows at hand; `lines` are the booking's."""
    positions = {str(line.pk): line.position for line in lines if line.parent_id is None}
    of = {str(line.pk): str(line.parent_id) for line in lines if line.parent_id is not None}
    return {
        "id": str(change.id),
        "state": change.state,
        "difference": money(change.difference_minor, booking.currency),
        "lines": [
            _line_json(wanted, positions[wanted["line"]], booking.currency)
            | {
                "add_ons": [
                    _add_on_json(each, booking.currency)
                    for each in change.lines
                    if of.get(each["line"]) == wanted["line"]
                ]
            }
            for wanted in change.lines
            if wanted["line"] in positions
        ],
    }


def _add_on_json(wanted: dict[str, Any], currency: str) -> dict[str, Any]:
    return {
        "resource": wanted["resource"],
        "quantity": wanted["quantity"],
        "amount": money(wanted["amount_minor"], currency),
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
