"""What comes nearest to a booking that somebody lost (design.md §6, "Late-payment ladder").

The same resource at the nearest time, else its like at the same time. A booking of several lines
moves as a whole: all of them by the same stretch, so that what belonged together stays together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from bookings.add_ons import check_add_ons, offer_of
from bookings.availability import availability
from bookings.errors import LineError
from bookings.models import Line
from bookings.parts import Known, Part, can_be_had, fitting, parts_of_booking
from bookings.pricing import quote, quote_add_on
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from bookings.visibility import Viewer, visible
from config.kernel.money import Money

_LOOK_BACK = timedelta(days=1)
_LOOK_AHEAD = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Moved:
    """One line or add-on as it would be: a resource, a window, how many; its price."""

    resource_id: UUID
    name: str
    window: Window
    quantity: int
    price: Money
    is_add_on: bool = False


@dataclass(frozen=True, slots=True)
class Equivalent:
    """All lines of a booking, somewhere or some time else, and free when it was looked up."""

    lines: list[Moved]

    @property
    def start(self) -> datetime:
        """Where the first line begins: with its resource, what names this equivalent."""
        return self.lines[0].window.start

    @property
    def resource_id(self) -> UUID:
        return self.lines[0].resource_id

    @property
    def price(self) -> Money:
        return Money(sum(ln.price.amount_minor for ln in self.lines), self.lines[0].price.currency)


def equivalents(
    *,
    workspace_id: UUID,
    lines: Sequence[Line],
    now: datetime,
    viewer: Viewer,
    count: int = 3,
) -> list[Equivalent]:
    """The nearest equivalents of a booking's lines (in order), the nearest first.

    Looked for from a day before the lost start to two weeks after it, never before `now`. Two
    queries, whatever the number of lines.
    """
    if not lines:
        return []
    rules = visible(rules_for(workspace_id=workspace_id), viewer)
    if any(line.resource_id not in rules for line in lines):
        return []
    parts, base = parts_of_booking(lines), max(lines[0].starts_at, now)
    wanted = rules[parts[0].resource_id]
    kin = [r for r in rules.values() if r.category_id == wanted.category_id]
    ids = {line.resource_id for line in lines} | {r.resource_id for r in kin}
    end = base + _LOOK_AHEAD + (max(part.window.end for part in parts) - parts[0].window.start)
    known = availability(rules=[rules[i] for i in ids], start=base - _LOOK_BACK, end=end)
    own = _own(known, parts, lines, base, count)
    others = _alike(known, parts, lines, kin) if parts[-1].line == 0 else []
    return [*own[:1], *others[: count - 1], *own[1:]][:count]


def _own(
    known: Known, parts: Sequence[Part], lines: Sequence[Line], base: datetime, count: int
) -> list[Equivalent]:
    """The same resources, at the times nearest to `base`; all lines by the same stretch."""
    starts = {found[0].window.start: found for found in fitting(known, parts)}
    ranked = sorted(
        (start for start in starts if start < base + _LOOK_AHEAD), key=lambda at: abs(at - base)
    )
    return [_equivalent(known, starts[start], lines) for start in ranked[:count]]


def _alike(
    known: Known, parts: Sequence[Part], lines: Sequence[Line], kin: Sequence[Rules]
) -> list[Equivalent]:
    """Other resources of the category that are free at the very same time, add-ons and all."""
    main, *add_ons = parts
    chosen = [(part.resource_id, part.quantity) for part in add_ons]
    found = []
    for rules in kin:
        there = [replace(main, resource_id=rules.resource_id), *add_ons]
        if rules.resource_id == main.resource_id or not _offers(rules, chosen, main.quantity):
            continue
        if can_be_had(known, there):
            found.append(_equivalent(known, there, lines))
    return found


def _offers(rules: Rules, chosen: list[tuple[UUID, int]], quantity: int) -> bool:
    try:
        check_add_ons(rules, chosen, quantity=quantity, line=0)
    except LineError:
        return False
    return True


def _equivalent(known: Known, parts: Sequence[Part], lines: Sequence[Line]) -> Equivalent:
    """The parts as they are priced there; an add-on by the offer of its line's resource."""
    mains = [part for part in parts if part.add_on is None]
    frozen = {(ln.resource_id, ln.quantity): ln.price for ln in lines if ln.parent_id is not None}
    found = []
    for part in parts:
        rules = known[part.resource_id].rules
        if part.add_on is None:
            price = quote(rules, part.window, part.quantity).total
        else:
            offering = known[mains[part.line].resource_id].rules
            price_was = frozen[part.resource_id, part.quantity]
            offer = offer_of(offering, part.resource_id, price_was)
            price = quote_add_on(offer, part.window, part.quantity, rules=rules).total
        is_add_on = part.add_on is not None
        moved = Moved(part.resource_id, rules.name, part.window, part.quantity, price, is_add_on)
        found.append(moved)
    return Equivalent(found)
