"""Which groups of a workspace a member is in."""

from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from members.models import GroupMembership, Member


def groups_of(member: Member | None, *, workspace_id: UUID) -> frozenset[UUID]:
    """The ids of the groups that a member is in now; none for a guest, without asking."""
    if member is None:
        return frozenset()
    current = GroupMembership.objects.filter(
        Q(ends_at=None) | Q(ends_at__gt=Now()), member=member, group__workspace_id=workspace_id
    )
    return frozenset(current.values_list("group_id", flat=True))
