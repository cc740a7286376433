"""Whose prices: the groups of whoever books, asked for only where some price depends on them."""

from collections.abc import Iterable
from uuid import UUID

from bookings.rules import Rules
from holds.subjects import Claimant
from members.groups import groups_of
from members.models import Member


def groups_for(
    member: Member | None, workspace_id: UUID, rules: Iterable[Rules]
) -> frozenset[UUID]:
    """A member's groups; without asking where no rule has a price for some group."""
    if member is None or not any(each.has_group_prices for each in rules):
        return frozenset()
    return groups_of(member, workspace_id=workspace_id)


def groups_of_claimant(
    who: Claimant, workspace_id: UUID, rules: Iterable[Rules]
) -> frozenset[UUID]:
    """The same for who claims: signed in, or by the address that a secret key vouches for."""
    found = list(rules)
    if who.member is None and who.vouched_for and any(each.has_group_prices for each in found):
        member = Member.objects.filter(email=who.vouched_for).first()
        return groups_for(member, workspace_id, found)
    return groups_for(who.member, workspace_id, found)
