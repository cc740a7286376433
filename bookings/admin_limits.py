"""What one member may book, in the admin: managers say it for all, a category or a resource."""

from typing import Any

from django.contrib import admin
from unfold.decorators import display

from bookings.models import BookingLimit
from members.admin_scope import MANAGER, ScopedAdmin


@admin.register(BookingLimit)
class BookingLimitAdmin(ScopedAdmin):
    list_display = (
        "scope", "bookings_per_day", "bookings_per_week", "hours_per_month", "workspace",
    )  # fmt: skip
    list_select_related = ("workspace", "category", "resource")
    delete_rank = MANAGER
    fieldsets = (
        (None, {"fields": ("workspace", "category", "resource")}),
        (
            "The most that one member books",
            {"fields": ("bookings_per_day", "bookings_per_week", "hours_per_month")},
        ),
    )

    @display(description="for")
    def scope(self, limit: Any) -> str:
        return str(limit.resource or limit.category or "all of the workspace")
