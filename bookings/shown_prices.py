"""Prices in JSON: rules, the parts of a line, taxes and discounts."""

from collections.abc import Iterable
from datetime import date, time
from typing import Any

from bookings.models import PriceRule
from bookings.pricing import DISCOUNT
from config.kernel.shown import money


def price_json(price: PriceRule, currency: str) -> dict[str, Any]:
    """A price rule with the moments, quantities and members that it is for."""
    return {
        "kind": price.kind,
        "label": price.label,
        "amount": money(price.amount_minor, currency),
        "priority": price.priority,
        "step_seconds": price.step_seconds,
        "from_seconds": price.from_seconds,
        "until_seconds": price.until_seconds,
        "weekdays": [int(day) for day in price.weekdays],
        "from_time": _said(price.from_time),
        "to_time": _said(price.to_time),
        "first_day": _said(price.first_day),
        "last_day": _said(price.last_day),
        "from_quantity": price.from_quantity,
        "group": price.group_id and str(price.group_id),
    }


def parts_json(parts: Iterable[dict[str, Any]], currency: str) -> list[dict[str, Any]]:
    """The parts of a frozen or quoted line."""
    return [_part_json(part, currency) for part in parts]


def _part_json(part: dict[str, Any], currency: str) -> dict[str, Any]:
    said = {
        "label": part["label"],
        "kind": part["kind"],
        "quantity": part["quantity"],
        "unit": money(part["unit_minor"], currency),
        "amount": money(part["amount_minor"], currency),
    }
    return said | ({"tax": tax_json(part["tax"], currency)} if "tax" in part else {})


def tax_json(tax: dict[str, Any], currency: str) -> dict[str, Any]:
    return {
        "name": tax["name"],
        "basis_points": tax["basis_points"],
        "inclusive": tax["inclusive"],
        "amount": money(tax["amount_minor"], currency),
        "net": money(tax["net_minor"], currency),
    }


def discount_json(
    code: str | None, lines: Iterable[Iterable[dict[str, Any]]], currency: str
) -> dict[str, Any] | None:
    """The code of a booking and what it takes off its lines; None without one."""
    if not code:
        return None
    parts = (part for line in lines for part in line)
    off = -sum(part["amount_minor"] for part in parts if part.get("kind") == DISCOUNT)
    return {"code": code, "amount": money(off, currency)}


def _said(value: time | date | None) -> str | None:
    return value.isoformat() if value else None
