"""Whose prices a claim has: those of who is signed in, or whom a secret key names."""

from collections.abc import Iterable
from uuid import UUID

from bookings.group_prices import groups_for
from bookings.rules import Rules
from holds.subjects import Claimant
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
