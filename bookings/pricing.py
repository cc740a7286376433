"""What a window costs: deterministic, in integer minor units, part by part."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bookings.add_ons import part_of
from bookings.offers import Offer
from bookings.rules import Price, Rules, Window
from config.kernel.money import Money, round_half_up

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Quote:
    """A total and the parts that add up to it, each `{label, quantity, unit_minor, amount_minor}`.

    `quantity` is a decimal string: hours, or how many.
    """

    total: Money
    parts: list[dict[str, Any]]


def quote(rules: Rules, window: Window, quantity: int = 1) -> Quote:
    """The price of a member-facing window (buffers are free) for a quantity of units.

    Each rule gives one part, rounded half up to a minor unit; the total is their sum.
    """
    parts = [_part(price, window, quantity) for price in rules.prices]
    total = sum(part["amount_minor"] for part in parts)
    return Quote(Money(total, rules.currency), parts)


def quote_add_on(offer: Offer, window: Window, quantity: int, *, currency: str) -> Quote:
    """The price of so many of an add-on for its line's window: the offer's, not the pool's own."""
    part = part_of(offer, window, quantity)
    return Quote(Money(part["amount_minor"], currency), [part])


def _part(price: Price, window: Window, quantity: int) -> dict[str, Any]:
    if price.kind == "per_hour":
        seconds = Decimal(int(window.duration.total_seconds()))
        many = seconds * quantity / _HOUR
        label = price.label or "Per hour"
    else:
        many, label = Decimal(quantity), price.label or "Per booking"
    return {
        "label": label,
        "kind": price.kind,
        "quantity": str(many.normalize() if many % 1 else many.quantize(Decimal(1))),
        "unit_minor": price.amount_minor,
        "amount_minor": round_half_up(many * price.amount_minor),
    }
