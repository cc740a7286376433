"""The nearest equivalents of one line with its add-ons, for whoever did not get it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from bookings.add_ons import Chosen, check_add_ons, offer_of
from bookings.availability import Alternative, Availability, alternatives, availability
from bookings.errors import LineError
from bookings.parts import Part, can_be_had, fitting
from bookings.pricing import quote, quote_add_on
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from bookings.visibility import Viewer, visible
from config.kernel.money import Money

_LOOK_BACK = timedelta(days=1)
_LOOK_AHEAD = timedelta(days=14)


def nearby(
    *,
    workspace_id: UUID,
    resource_id: UUID,
    window: Window,
    quantity: int,
    add_ons: Chosen,
    viewer: Viewer,
    count: int,
) -> list[Alternative]:
    """Where a line with these add-ons could be had: elsewhere then, or at the nearest times.

    Prices are of all of it. Nothing where the add-ons are not what the resource offers. Two
    queries.
    """
    if not add_ons:
        return alternatives(
            workspace_id=workspace_id,
            resource_id=resource_id,
            start=window.start,
            end=window.end,
            viewer=viewer,
            quantity=quantity,
            count=count,
        )
    rules = visible(rules_for(workspace_id=workspace_id), viewer)
    wanted = rules.get(resource_id)
    if wanted is None or not _may(wanted, add_ons, quantity):
        return []
    kin = [r for r in rules.values() if r.category_id == wanted.category_id]
    kin = [r for r in kin if r.resource_id != resource_id and _may(r, add_ons, quantity)]
    pools = [rules[pool_id] for pool_id, _ in add_ons if pool_id in rules]
    known = availability(
        rules=[wanted, *kin, *pools],
        start=window.start - _LOOK_BACK,
        end=window.end + _LOOK_AHEAD,
    )
    own = _nearest(known, _parts(resource_id, window, quantity, add_ons), count)
    there = [_parts(r.resource_id, window, quantity, add_ons) for r in kin]
    others = [_said(known, parts) for parts in there if can_be_had(known, parts)]
    return sorted([*own[:2], *others[: count - 1], *own[2:]][:count], key=lambda a: a.start)


def _may(rules: Rules, add_ons: Chosen, quantity: int) -> bool:
    try:
        check_add_ons(rules, add_ons, quantity=quantity, line=0)
    except LineError:
        return False
    return True


def _parts(resource_id: UUID, window: Window, quantity: int, add_ons: Chosen) -> list[Part]:
    main = Part(0, None, resource_id, window, quantity)
    return [
        main,
        *(Part(0, n, pool_id, window, many) for n, (pool_id, many) in enumerate(add_ons)),
    ]


def _nearest(
    known: Mapping[UUID, Availability], parts: Sequence[Part], count: int
) -> list[Alternative]:
    """The same elsewhen, the nearest first."""
    wanted = parts[0].window.start
    ranked = sorted(fitting(known, parts), key=lambda moved: abs(moved[0].window.start - wanted))
    return [_said(known, moved) for moved in ranked[:count]]


def _said(known: Mapping[UUID, Availability], parts: Sequence[Part]) -> Alternative:
    main, *add_ons = parts
    rules = known[main.resource_id].rules
    total = quote(rules, main.window, main.quantity).total.amount_minor
    for part in add_ons:
        offer = offer_of(rules, part.resource_id, [])
        pool = known[part.resource_id].rules
        total += quote_add_on(offer, main.window, part.quantity, rules=pool).total.amount_minor
    return Alternative(
        resource_id=rules.resource_id,
        resource_name=rules.name,
        slug=rules.slug,
        start=main.window.start,
        end=main.window.end,
        price=Money(total, rules.currency),
    )
