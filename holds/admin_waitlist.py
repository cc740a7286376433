"""What the admin shows of lines; payments registers it, since removing may let go of a hold."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from holds.models import WaitlistEntry
from holds.waitlist_states import LIVE
from holds.waitlist_words import wish_text
from members.admin_filters import OpeningFilter, ScopedRelatedFilter
from members.admin_scope import ReadOnlyAdmin
from members.admin_words import link, said_moment

LABELS = {
    "waiting": "warning", "offered": "success", "taken": "info", "passed": "danger",
    "removed": "danger",
}  # fmt: skip


class LineFilter(OpeningFilter):
    """Opens on who waits or has an offer."""

    title = "places"
    parameter_name = "places"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("", "Waiting or offered"), ("offered", "Offered now"), ("taken", "Taken"),
            ("passed", "Passed over"), ("left", "Left"), ("removed", "Removed"),
            ("over", "Never freed"), ("all", "All"),
        ]  # fmt: skip

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        if self.value() == "all":
            return queryset
        return queryset.filter(state__in=[self.value()] if self.value() else LIVE)


class WaitlistAdminBase(ReadOnlyAdmin):
    """Lines, first come first."""

    list_display = ("who", "resource", "what", "quantity", "since", "state_shown", "until")
    list_display_links = ("who",)
    list_filter = (LineFilter, ("resource", ScopedRelatedFilter))
    search_fields = ("email", "name")
    ordering = ("queued_at", "id")
    fields = (
        ("who", "state_shown"), "resource", ("what", "quantity"), ("since", "until"), "hold_link",
        ("ended", "ended_because"),
    )  # fmt: skip
    readonly_fields = ("who", "state_shown", "what", "since", "until", "hold_link", "ended")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        return rows.select_related("resource__location", "workspace", "hold__booking")

    @display(description="who", ordering="email")
    def who(self, entry: WaitlistEntry) -> str:
        return f"{entry.name} ({entry.email})" if entry.name else entry.email

    @display(description="what", ordering="starts_at")
    def what(self, entry: WaitlistEntry) -> str:
        return wish_text(entry.starts_at, entry.ends_at, entry, entry.resource)

    @display(description="since", ordering="queued_at")
    def since(self, entry: WaitlistEntry) -> str:
        return said_moment(entry.queued_at, entry.workspace.timezone)

    @display(description="offer until")
    def until(self, entry: WaitlistEntry) -> str:
        return said_moment(entry.hold.expires_at if entry.hold else None, entry.workspace.timezone)

    @display(description="offered hold")
    def hold_link(self, entry: WaitlistEntry) -> str:
        return (
            link("holds_hold", entry.hold.pk, entry.hold.booking.reference) if entry.hold else "—"
        )

    @display(description="ended")
    def ended(self, entry: WaitlistEntry) -> str:
        return said_moment(entry.ended_at, entry.workspace.timezone)

    @display(description="state", label=LABELS)
    def state_shown(self, entry: WaitlistEntry) -> str:
        return entry.state
