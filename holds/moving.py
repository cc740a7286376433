"""Add-ons of lines that move: they go where their line goes, at the price that is offered there."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from bookings.add_ons import check_add_ons, offer_of
from bookings.changes import MovedLine
from bookings.discount_rules import Reduction, repriced
from bookings.errors import UnknownResource
from bookings.models import Line
from bookings.pricing import quote_add_on
from bookings.rules import Rules

AddOns = Mapping[UUID, list[Line]]


def add_ons_of(lines: Sequence[Line]) -> AddOns:
    """By the line that they belong to: the add-ons among a booking's lines."""
    found: dict[UUID, list[Line]] = defaultdict(list)
    for line in lines:
        if line.parent_id is not None:
            found[line.parent_id].append(line)
    return found


def with_their_lines(
    moved: Sequence[MovedLine],
    add_ons: AddOns,
    rules: Mapping[UUID, Rules],
    discount: Reduction | None = None,
) -> list[MovedLine]:
    """The add-ons as they are to be, for lines that move, with the `discount` of their booking.

    What somebody has is not taken from them because it is not offered any more; on another resource
    it has to be. Raises UnknownResource and AddOnNotAllowed (422) with the index of the line.
    """
    found = []
    for index, main in enumerate(moved):
        theirs = add_ons[main.line.pk]
        there = rules[main.resource_id]
        if main.resource_id != main.line.resource_id:
            chosen = [(line.resource_id, line.quantity) for line in theirs]
            check_add_ons(there, chosen, quantity=main.line.quantity, line=index)
        for number, line in enumerate(theirs):
            if line.resource_id not in rules:
                raise UnknownResource(line=index, add_on=number)
            found.append(_moved(line, main, there, rules[line.resource_id], discount))
    return found


def _moved(
    line: Line, main: MovedLine, there: Rules, pool: Rules, discount: Reduction | None
) -> MovedLine:
    """No hours and steps of its own; its own buffers."""
    offer = offer_of(there, line.resource_id, line.price)
    priced = quote_add_on(offer, main.window, line.quantity, rules=pool)
    if discount is not None:
        priced = repriced(priced, pool.resource_id, line.price, discount)
    return MovedLine(line, pool.resource_id, main.window, pool.occupied(main.window), priced)
