"""Whose prices a claim has: those of who is signed in, or whom a secret key names."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from bookings.group_prices import groups_for
from bookings.parts import Part
from bookings.pricing import Quote, quote, quote_add_on
from bookings.rules import Rules
from holds.subjects import Claimant, LineRequest
from members.models import Member


def groups_of_claimant(
    who: Claimant, workspace_id: UUID, rules: Iterable[Rules]
) -> frozenset[UUID]:
    """The groups of who claims: signed in, or by the address that a secret key vouches for."""
    found = list(rules)
    if who.member is None and who.vouched_for and any(each.has_group_prices for each in found):
        member = Member.objects.filter(email=who.vouched_for).first()
        return groups_for(member, workspace_id, found)
    return groups_for(who.member, workspace_id, found)


def priced_parts(
    parts: Sequence[Part],
    lines: Sequence[LineRequest],
    rules: Mapping[UUID, Rules],
    groups: frozenset[UUID],
) -> list[tuple[UUID, Quote]]:
    """What each part of a request costs, by its resource: an add-on by its line's offer of it."""
    return [(part.resource_id, _quote(part, lines, rules, groups)) for part in parts]


def _quote(
    part: Part,
    lines: Sequence[LineRequest],
    rules: Mapping[UUID, Rules],
    groups: frozenset[UUID],
) -> Quote:
    own = rules[part.resource_id]
    if part.add_on is None:
        return quote(own, part.window, part.quantity, groups=groups)
    offering = rules[lines[part.line].resource_id]
    offer = next(each for each in offering.offers if each.pool_id == part.resource_id)
    return quote_add_on(offer, part.window, part.quantity, rules=own)
