"""Prices as people read them: what costs how much, taxes that come on top, the sum, taxes in it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bookings.pricing import DISCOUNT
from bookings.taxes import TAX
from config.kernel.money import Money


@dataclass(frozen=True, slots=True)
class Priced:
    """What a line is called, or nothing where it is the only one; its frozen parts; how many."""

    name: str
    parts: Sequence[dict[str, Any]]
    quantity: int = 1


@dataclass(slots=True)
class Row:
    """One row of a breakdown; `times` is how often the very same comes in it."""

    label: str
    quantity: str
    each_minor: int
    currency: str
    times: int = 1

    @property
    def amount(self) -> Money:
        return Money(self.each_minor * self.times, self.currency)

    @property
    def said(self) -> str:
        """The amount; "free" for nothing."""
        return str(self.amount) if self.each_minor else "free"


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Rows that add up to `total`, then taxes that are within it; all in one currency."""

    rows: list[Row]
    total: Money
    within: list[Row] = field(default_factory=list)

    @property
    def has_parts(self) -> bool:
        """Whether the rows say more than the sum does."""
        return len(self.rows) > 1 or any(row.times > 1 for row in self.rows)


def breakdown(lines: Iterable[Priced], currency: str) -> Breakdown:
    """All lines' parts in order, the same ones once; then discounts and taxes, each by its name.

    Both are rounded line by line, so what is shown of them is the sum of what was rounded.
    """
    rows: dict[tuple[str, str, int], Row] = {}
    summed: dict[str, Row] = {}
    within: dict[str, Row] = {}
    total = 0
    for line in lines:
        for part in line.parts:
            total += part["amount_minor"]
            if part.get("kind") == TAX and part["tax"]["inclusive"]:
                _add_to(within, part["label"], part["tax"]["amount_minor"], currency)
            elif part.get("kind") in {TAX, DISCOUNT}:
                _add_to(summed, part["label"], part["amount_minor"], currency)
            else:
                _add(line, part, rows, currency)
    beside, inside = ([r for r in f.values() if r.each_minor] for f in (summed, within))
    return Breakdown([*rows.values(), *beside], Money(total, currency), inside)


def _add(
    line: Priced, part: dict[str, Any], rows: dict[tuple[str, str, int], Row], currency: str
) -> None:
    label, quantity = _label(line, part), part.get("quantity", "1")
    if label == line.name:
        quantity = str(line.quantity)
    key = (label, quantity, part["amount_minor"])
    if key in rows:
        rows[key].times += 1
    else:
        rows[key] = Row(label, quantity, part["amount_minor"], currency)


def _label(line: Priced, part: dict[str, Any]) -> str:
    """ "Court 1, per hour"; an add-on's price bears its name already."""
    if not line.name or part["label"] == line.name:
        return str(part["label"])
    return f"{line.name}, {in_sentence(part['label'])}"


def _add_to(rows: dict[str, Row], label: str, minor: int, currency: str) -> None:
    rows.setdefault(label, Row(label, "1", 0, currency)).each_minor += minor


def in_sentence(label: str) -> str:
    """A part's label within a sentence: "Per hour" becomes "per hour", and "GST 15%" stays."""
    first, _, _ = label.partition(" ")
    return label[:1].lower() + label[1:] if first[1:].islower() or len(first) == 1 else label
