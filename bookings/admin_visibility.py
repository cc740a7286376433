"""Whom a resource is for, on its page in the admin."""

from bookings.models import ResourceGroup
from members.admin_scope import MANAGER, ScopedInline


class AllowedGroupsInline(ScopedInline):
    """Counts where the resource is for the members of certain groups."""

    model = ResourceGroup
    fields = ("group",)
    delete_rank = MANAGER
    verbose_name = "group"
    verbose_name_plural = "groups: for a resource that only their members see"
