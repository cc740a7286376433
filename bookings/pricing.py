"""What a window costs: deterministic, in integer minor units, part by part.

Which rules count when is in `prices.py`. What they count is said here: the real time in which a
rule counts (per hour), the steps, days (`Rules.days_of`) or booking that begin while it does, each
for every unit. Each rule gives one part, rounded half up; then come what a minimum adds, a discount
(`discount_rules.py`) and the tax (`taxes.py`), and the line is their sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from bookings.add_ons import part_of
from bookings.offers import Offer
from bookings.price_times import stretches
from bookings.prices import MINIMUM, PER_BOOKING, PER_DAY, PER_HOUR, PER_STEP
from bookings.rules import Price, Rules, Window
from bookings.taxes import TAX, Tax, tax_of, tax_part, tax_upon
from config.kernel.money import Money, round_half_up, round_to_coin

DISCOUNT, ROUNDING = "discount", "rounding"
_HOUR = 3600
_LABELS = {
    PER_HOUR: "Per hour", PER_STEP: "Per started step", PER_DAY: "Per day",
    PER_BOOKING: "Per booking", MINIMUM: "Minimum charge",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quote:
    """A line's total and the parts that add up to it.

    A part is `{label, kind, quantity, unit_minor, amount_minor}`; `quantity` is a decimal string:
    hours, steps, days, or how many. That of kind `tax` has `tax` besides (see `tax_part`).
    """

    total: Money
    parts: list[dict[str, Any]]

    @property
    def tax(self) -> Tax:
        return tax_of(self.parts)

    @property
    def priced(self) -> list[dict[str, Any]]:
        """The parts that the price rules gave, without discount and tax."""
        return [part for part in self.parts if part.get("kind") not in {DISCOUNT, ROUNDING, TAX}]

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The parts that people read as a sum: a tax that prices include is none of them."""
        return [p for p in self.parts if p.get("kind") != TAX or not p["tax"]["inclusive"]]

    @property
    def before_discount_minor(self) -> int:
        """What the rules come to: before a discount, and before a tax that is added."""
        return sum(part["amount_minor"] for part in self.priced)


def quote(
    rules: Rules, window: Window, quantity: int = 1, *, groups: frozenset[UUID] = frozenset()
) -> Quote:
    """The price of a member-facing window (buffers are free) for a quantity of units.

    `groups` are those of the member who books. Under the same rules a booking that ends later
    never costs less.
    """
    mine = [price for price in rules.prices if price.is_for(quantity, groups)]
    counted = stretches(mine, window, rules.zone)
    parts = [
        _part(price, many)
        for price, within in counted
        if price.kind != MINIMUM and (many := _many(price, within, rules, window, quantity))
    ]
    return summed(parts + _minimum(counted, window, parts), rules.currency, rules.tax)


def frozen(parts: list[dict[str, Any]], currency: str) -> Quote:
    """A line's quote as it was frozen."""
    return Quote(Money(sum(part["amount_minor"] for part in parts), currency), parts)


def summed(
    parts: list[dict[str, Any]], currency: str, tax: Tax, *, off: Sequence[dict[str, Any]] = ()
) -> Quote:
    """What the rules gave, less a discount's parts, with the tax of the line as a whole.

    Where cards are charged in tens of the minor unit (KWD), the line is rounded to those, half up.
    """
    found = [*parts, *off]
    costs = sum(part["amount_minor"] for part in found)
    whole = costs + (tax_upon(costs, tax.basis_points) if tax.is_added else 0)
    by = round_to_coin(Decimal(whole), currency) - whole
    if by:
        found.append({
            "label": "Rounding", "kind": ROUNDING, "quantity": "1", "unit_minor": by,
            "amount_minor": by,
        })  # fmt: skip
    if tax.basis_points:
        found.append(tax_part(tax, costs if tax.is_added else costs + by))
    return frozen(found, currency)


def quote_add_on(offer: Offer, window: Window, quantity: int, *, rules: Rules) -> Quote:
    """The price of so many of an add-on for its line's window: the offer's, not the pool's own.

    `rules` are the pool's: whose tax it is.
    """
    return summed([part_of(offer, window, quantity)], rules.currency, rules.tax)


def _many(
    price: Price, within: list[Window], rules: Rules, window: Window, quantity: int
) -> Decimal:
    """How many hours, or steps, days or bookings begun, a rule counts, each for every unit."""
    if price.kind == PER_HOUR:
        real = sum((each.duration for each in within), timedelta())
        return Decimal(int(real.total_seconds())) * quantity / _HOUR
    if price.kind == PER_STEP:
        step = timedelta(seconds=price.step_seconds or rules.step_seconds)
        begun = sum(
            _steps(each.end - window.start, step) - _steps(each.start - window.start, step)
            for each in within
        )
    elif price.kind == PER_DAY:
        starts = rules.day_starts(window)
        begun = sum(any(w.start <= start < w.end for w in within) for start in starts)
    else:
        begun = int(within[0].start == window.start)
    return Decimal(begun * quantity)


def _steps(time: timedelta, step: timedelta) -> int:
    """How many steps have been started after so much time."""
    return -(-time // step)


def _minimum(
    counted: list[tuple[Price, list[Window]]], window: Window, parts: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What is missing to the minimum charge of a line; what is free stays free."""
    least = max(
        (p for p, within in counted if p.kind == MINIMUM and within[0].start == window.start),
        key=lambda price: price.amount_minor,
        default=None,
    )
    total = sum(part["amount_minor"] for part in parts)
    if least is None or not 0 < total < least.amount_minor:
        return []
    missing = least.amount_minor - total
    return [_part(least, Decimal(1)) | {"unit_minor": missing, "amount_minor": missing}]


def _part(price: Price, many: Decimal) -> dict[str, Any]:
    return {
        "label": price.label or _LABELS[price.kind],
        "kind": price.kind,
        "quantity": str(many.normalize() if many % 1 else many.quantize(Decimal(1))),
        "unit_minor": price.amount_minor,
        "amount_minor": round_half_up(many * price.amount_minor),
    }
