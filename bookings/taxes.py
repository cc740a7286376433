"""The tax of a line: included in its price, or added to it.

It is computed once on the whole line, after a discount, and rounded half up to a minor unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from config.kernel.money import round_half_up

TAX = "tax"
_WHOLE = 10_000


@dataclass(frozen=True, slots=True)
class Tax:
    """A rate in basis points (1500 is 15 per cent), and whether it is added to the prices."""

    name: str = "Tax"
    basis_points: int = 0
    is_added: bool = False

    @property
    def label(self) -> str:
        """GST 15%"""
        return f"{self.name} {self.basis_points / 100:g}%"


NO_TAX = Tax()


def tax_within(total_minor: int, basis_points: int) -> int:
    """The tax that a price includes, in minor units: 1500 basis points of 115.00 are 15.00."""
    return round_half_up(Decimal(total_minor * basis_points) / (_WHOLE + basis_points))


def tax_upon(net_minor: int, basis_points: int) -> int:
    """The tax that is added to a price, in minor units."""
    return round_half_up(Decimal(net_minor * basis_points) / _WHOLE)


def tax_part(tax: Tax, amount_minor: int) -> dict[str, Any]:
    """The part of a line that tells its tax: it costs something only where the tax is added.

    `tax` in it says `{name, basis_points, inclusive, amount_minor, net_minor}`.
    """
    if tax.is_added:
        inside, net = tax_upon(amount_minor, tax.basis_points), amount_minor
    else:
        inside = tax_within(amount_minor, tax.basis_points)
        net = amount_minor - inside
    costs = inside if tax.is_added else 0
    return {
        "label": tax.label,
        "kind": TAX,
        "quantity": "1",
        "unit_minor": costs,
        "amount_minor": costs,
        "tax": {
            "name": tax.name,
            "basis_points": tax.basis_points,
            "inclusive": not tax.is_added,
            "amount_minor": inside,
            "net_minor": net,
        },
    }


def gross_parts(label: str, kind: str, gross_minor: int, tax: Tax) -> list[dict[str, Any]]:
    """The parts of an amount that has its tax in it already, such as what is kept of a line."""
    within = tax_within(gross_minor, tax.basis_points)
    costs = gross_minor - within if tax.is_added else gross_minor
    part: dict[str, Any] = {"label": label, "kind": kind, "quantity": "1"}
    part |= {"unit_minor": costs, "amount_minor": costs}
    if not tax.basis_points:
        return [part]
    said = tax_part(tax, costs)
    added = within if tax.is_added else 0
    said |= {"unit_minor": added, "amount_minor": added}
    said["tax"] |= {"amount_minor": within, "net_minor": gross_minor - within}
    return [part, said]


def tax_of(parts: Iterable[dict[str, Any]]) -> Tax:
    """The tax under which the parts of a line were frozen."""
    for part in parts:
        if part.get("kind") == TAX:
            said = part["tax"]
            return Tax(said["name"], said["basis_points"], not said["inclusive"])
    return NO_TAX


def taxes_of(lines: Iterable[Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What the lines' parts say of tax, added up by rate; in the order in which they come."""
    found: dict[tuple[str, int, bool], dict[str, Any]] = {}
    for part in (part for parts in lines for part in parts if part.get("kind") == TAX):
        said = part["tax"]
        key = (said["name"], said["basis_points"], said["inclusive"])
        known = found.setdefault(key, {**said, "amount_minor": 0, "net_minor": 0})
        known["amount_minor"] += said["amount_minor"]
        known["net_minor"] += said["net_minor"]
    return list(found.values())
