"""Whose prices: a member's groups, asked for only where some price depends on them."""

from collections.abc import Iterable
from uuid import UUID

from bookings.rules import Rules
from members.groups import groups_of
from members.models import Member


def groups_for(
    member: Member | None, workspace_id: UUID, rules: Iterable[Rules]
) -> frozenset[UUID]:
    """A member's groups; without asking where no rule has a price for some group."""
    if member is None or not any(each.has_group_prices for each in rules):
        return frozenset()
    return groups_of(member, workspace_id=workspace_id)
