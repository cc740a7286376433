"""A booking and a change of one in JSON, from the rows at hand: for the API and for subscribers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bookings.models import Booking, Change, Line
from bookings.shown_prices import discount_json, parts_json
from config.kernel.shown import money, rfc3339, rfc3339_or_none


def booking_brief(booking: Booking, lines: list[Line]) -> dict[str, Any]:
    """What a hold says of its booking, from the rows at hand."""
    return {
        "id": str(booking.id),
        "reference": booking.reference,
        "state": booking.state,
        "version": booking.version,
        "lines": [
            line_json(line, booking.currency)
            | {
                "add_ons": [
                    _add_on_json(each, booking.currency)
                    for each in lines
                    if each.parent_id == line.pk
                ]
            }
            for line in lines
            if line.parent_id is None
        ],
        "total": money(booking.total_minor, booking.currency),
        "discount": discount_json(
            (booking.price.get("discount") or {}).get("code"),
            (line.price for line in lines),
            booking.currency,
        ),
    }


def line_json(line: Line, currency: str) -> dict[str, Any]:
    return {
        "resource": str(line.resource_id),
        "start": rfc3339(line.starts_at),
        "end": rfc3339(line.ends_at),
        "quantity": line.quantity,
        "amount": money(line.amount_minor, currency),
        "parts": parts_json(line.price, currency),
        "cancelled_at": rfc3339_or_none(line.cancelled_at),
    }


def _add_on_json(line: Line, currency: str) -> dict[str, Any]:
    return {
        "resource": str(line.resource_id),
        "quantity": line.quantity,
        "amount": money(line.amount_minor, currency),
    }


def change_json(change: Change, booking: Booking, lines: Sequence[Line]) -> dict[str, Any]:
    """What a change makes of its booking, from the rows at hand; `lines` are the booking's."""
    positions = {str(line.pk): line.position for line in lines if line.parent_id is None}
    of = {str(line.pk): str(line.parent_id) for line in lines if line.parent_id is not None}
    return {
        "id": str(change.id),
        "state": change.state,
        "difference": money(change.difference_minor, booking.currency),
        "lines": [
            _moved_line_json(wanted, positions[wanted["line"]], booking.currency)
            | {
                "add_ons": [
                    _moved_add_on_json(each, booking.currency)
                    for each in change.lines
                    if of.get(each["line"]) == wanted["line"]
                ]
            }
            for wanted in change.lines
            if wanted["line"] in positions
        ],
    }


def _moved_add_on_json(wanted: dict[str, Any], currency: str) -> dict[str, Any]:
    return {
        "resource": wanted["resource"],
        "quantity": wanted["quantity"],
        "amount": money(wanted["amount_minor"], currency),
    }


def _moved_line_json(wanted: dict[str, Any], position: int, currency: str) -> dict[str, Any]:
    return {
        "line": position,
        "resource": wanted["resource"],
        "start": rfc3339(datetime.fromisoformat(wanted["start"])),
        "end": rfc3339(datetime.fromisoformat(wanted["end"])),
        "quantity": wanted["quantity"],
        "amount": money(wanted["amount_minor"], currency),
    }
