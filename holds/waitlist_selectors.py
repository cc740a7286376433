"""Reads of places in line."""

from django.db.models import Q, QuerySet

from holds.models import WaitlistEntry
from holds.waitlist_states import LIVE
from members.models import Member, Workspace


def entries_of(workspace: Workspace) -> QuerySet[WaitlistEntry]:
    """A workspace's places in line, with what is shown of them."""
    return WaitlistEntry.objects.filter(workspace=workspace).select_related("hold")


def live_of(*, member: Member | None = None, visitor: str = "") -> list[WaitlistEntry]:
    """Where somebody waits or has an offer, the earliest time first.

    The address counts as a member's, since only the mail to it signs somebody in.
    """
    mine = Q(pk=None)
    if member is not None:
        mine |= Q(member=member) | Q(email=member.email)
    if visitor:
        mine |= Q(visitor=visitor)
    found = WaitlistEntry.objects.filter(mine, state__in=LIVE)
    return list(with_places(found).order_by("starts_at", "id"))


def with_places(entries: QuerySet[WaitlistEntry]) -> QuerySet[WaitlistEntry]:
    return entries.select_related("workspace", "resource__location", "hold")
