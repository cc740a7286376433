"""What a discount takes off: pure functions over quotes, in integer minor units.

A percentage is taken off each line, rounded half up. A fixed amount is spread over the lines in
proportion to what they cost (largest remainders, so that the shares add up to it) and never takes
more than there is. Both come off before a tax that is added. What would be left but is too little
to be charged to a card is let go: the booking is free then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from bookings.pricing import DISCOUNT, Quote, summed
from bookings.taxes import taxes_of
from config.kernel.money import round_half_up, smallest_charge


@dataclass(frozen=True, slots=True)
class Reduction:
    """A discount as a booking freezes it: a share or an amount, for some resources or for all."""

    code: str
    percent: int | None = None
    amount_minor: int | None = None
    resource_ids: frozenset[UUID] | None = None

    def is_for(self, resource_id: UUID) -> bool:
        return self.resource_ids is None or resource_id in self.resource_ids

    def as_json(self) -> dict[str, Any]:
        ids = self.resource_ids
        return {
            "code": self.code,
            "percent": self.percent,
            "amount_minor": self.amount_minor,
            "resources": None if ids is None else sorted(map(str, ids)),
        }


def frozen_reduction(price: dict[str, Any]) -> Reduction | None:
    """The discount in a booking's frozen price, if it has one."""
    said = price.get("discount")
    if not said:
        return None
    ids = said["resources"]
    kept = None if ids is None else frozenset(map(UUID, ids))
    return Reduction(said["code"], said["percent"], said["amount_minor"], kept)


def reduced(lines: Sequence[tuple[UUID, Quote]], by: Reduction) -> list[Quote]:
    """The quotes of a booking's lines (each with its resource) less what its discount takes off."""
    found = _reduced(lines, by)
    left = sum(quote.total.amount_minor for quote in found)
    if not 0 < left < smallest_charge(lines[0][1].total.currency):
        return found
    return [
        _less(quote, by.code, quote.before_discount_minor if by.is_for(resource) else 0)
        for resource, quote in lines
    ]


def _reduced(lines: Sequence[tuple[UUID, Quote]], by: Reduction) -> list[Quote]:
    costs = [q.before_discount_minor if by.is_for(resource) else 0 for resource, q in lines]
    if by.percent is not None:
        shares = [round_half_up(Decimal(cost * by.percent) / 100) for cost in costs]
    else:
        shares = _spread(by.amount_minor or 0, costs)
    return [_less(q, by.code, share) for (_, q), share in zip(lines, shares, strict=True)]


def repriced(
    quote: Quote, resource_id: UUID, before: Sequence[dict[str, Any]], by: Reduction
) -> Quote:
    """A moved line's new quote with the discount that its booking has.

    A percentage is of the new price; of a fixed amount the line keeps the share that it had, as
    far as it costs so much. `before` is what the line froze.
    """
    if by.percent is not None:
        return _reduced([(resource_id, quote)], by)[0]
    share = -sum(part["unit_minor"] for part in before if part.get("kind") == DISCOUNT)
    return _less(quote, by.code, share)


def without_discount(quote: Quote) -> Quote:
    """The same line as it would be with no discount, under the tax that it has."""
    return summed(quote.priced, quote.total.currency, quote.tax)


def snapshot(quotes: Sequence[Quote], by: Reduction | None = None) -> dict[str, Any]:
    """What a booking freezes of its lines' quotes: totals, parts, taxes by rate, the discount."""
    kept: dict[str, Any] = {
        "lines": [{"total_minor": q.total.amount_minor, "parts": q.parts} for q in quotes],
        "taxes": taxes_of([q.parts for q in quotes]),
    }
    return kept | ({"discount": by.as_json()} if by else {})


def _less(quote: Quote, code: str, share: int) -> Quote:
    if share <= 0:
        return without_discount(quote)
    taken = min(share, quote.before_discount_minor)
    part = {
        "label": f"Discount {code}",
        "kind": DISCOUNT,
        "quantity": "1",
        "unit_minor": -share,
        "amount_minor": -taken,
    }
    return summed(quote.priced, quote.total.currency, quote.tax, off=[part])


def _spread(amount: int, costs: Sequence[int]) -> list[int]:
    """Shares of an amount in proportion to the costs, no more than they come to."""
    total = sum(costs)
    amount = min(amount, total)
    if not amount:
        return [0] * len(costs)
    shares = [amount * cost // total for cost in costs]
    left = amount - sum(shares)
    by_remainder = sorted(range(len(costs)), key=lambda i: (-(amount * costs[i] % total), i))
    for index in by_remainder[:left]:
        shares[index] += 1
    return shares
