"""Add-ons of a line: which it may have, which it must, and what they cost. Nothing is read here."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from bookings.errors import AddOnNotAllowed, OnlyWithOthers
from bookings.offers import Offer
from bookings.rules import Rules
from bookings.windows import Window
from config.kernel.money import round_half_up

# What a line asks for, or has: (pool, how many) of each.
Chosen = Sequence[tuple[UUID, int]]


def check_add_ons(rules: Rules, chosen: Chosen, *, quantity: int, line: int) -> None:
    """See whether a line of so many units may have these add-ons, and whether one is missing.

    Raises OnlyWithOthers, and AddOnNotAllowed with the line and the add-on's index in it (or the
    pool that is missing); both 422.
    """
    if rules.only_with_others:
        raise OnlyWithOthers(line=line)
    offers = {offer.pool_id: offer for offer in rules.offers}
    had: set[UUID] = set()
    for index, (pool_id, many) in enumerate(chosen):
        _refuse(offers.get(pool_id), pool_id, many, pool_id in had, quantity, line, index)
        had.add(pool_id)
    for offer in rules.offers:
        if offer.is_required and offer.pool_id not in had:
            raise _missing(offer, quantity, line, None)


def _refuse(
    offer: Offer | None,
    pool_id: UUID,
    many: int,
    is_named_twice: bool,
    quantity: int,
    line: int,
    index: int,
) -> None:
    if offer is None:
        raise AddOnNotAllowed(
            "This is not offered here.",
            line=line, add_on=index, resource=str(pool_id), rule="not_offered",
        )  # fmt: skip
    if is_named_twice:
        raise AddOnNotAllowed(
            f"{offer.name} is named twice.",
            line=line, add_on=index, resource=str(pool_id), rule="twice",
        )  # fmt: skip
    most = offer.max_per_unit * quantity
    if not 1 <= many <= most:
        raise AddOnNotAllowed(
            f"At most {most} of {offer.name} can be had with this.",
            line=line, add_on=index, resource=str(pool_id), rule="quantity", most=most,
        )  # fmt: skip
    if offer.is_required and many < quantity:
        raise _missing(offer, quantity, line, index)


def _missing(offer: Offer, quantity: int, line: int, index: int | None) -> AddOnNotAllowed:
    return AddOnNotAllowed(
        f"{offer.name} has to be booked with this: at least {quantity}.",
        line=line, add_on=index, resource=str(offer.pool_id), rule="required", least=quantity,
    )  # fmt: skip


def required(rules: Rules, quantity: int) -> list[tuple[UUID, int]]:
    """The fewest add-ons that a line of so many units has to have."""
    return [(offer.pool_id, quantity) for offer in rules.offers if offer.is_required]


def part_of(offer: Offer, window: Window, quantity: int) -> dict[str, Any]:
    """What so many of an add-on cost for a window: one part of a quote, rounded half up."""
    many = {
        "per_booking": Decimal(1),
        "per_unit": Decimal(quantity),
        "per_hour": Decimal(int(window.duration.total_seconds())) * quantity / 3600,
    }[offer.kind]
    return {
        "label": offer.name,
        "kind": offer.kind,
        "quantity": str(many.normalize() if many % 1 else many.quantize(Decimal(1))),
        "unit_minor": offer.amount_minor,
        "amount_minor": round_half_up(many * offer.amount_minor),
    }


def offer_of(rules: Rules | None, pool_id: UUID, frozen: Sequence[dict[str, Any]]) -> Offer:
    """The offer by which an add-on that somebody has is priced anew.

    That of its line's resource; where it is not offered any more, what it was priced by (`frozen`,
    the parts of its price).
    """
    for offer in rules.offers if rules else ():
        if offer.pool_id == pool_id:
            return offer
    part = frozen[0]
    return Offer(pool_id, part["label"], False, 1, part["kind"], part["unit_minor"])
