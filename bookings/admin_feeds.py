"""Calendar links of resources and locations, in the admin: made, shown again, revoked."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from bookings import ics_feeds
from bookings.models import CalendarFeed
from members.admin_filters import OpeningFilter
from members.admin_scope import MANAGER, RevocableAdmin
from members.admin_words import Deed, ask_then_do
from members.models import Member


class LiveFilter(OpeningFilter):
    """Opens on the links that are good."""

    title = "state"
    parameter_name = "links"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "Good"), ("revoked", "Revoked"), ("all", "All")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        return queryset.filter(revoked_at__isnull=self.value() != "revoked")


@admin.register(CalendarFeed)
class CalendarFeedAdmin(RevocableAdmin):
    """A link is a secret: managers make and see them. Members' own are not shown here."""

    view_rank = MANAGER
    list_display = ("place", "shown", "name", "workspace", "is_live", "last_fetched_on")
    list_select_related = ("workspace", "resource", "location")
    list_filter = (LiveFilter, "shown")
    search_fields = ("name", "resource__name", "location__name")
    fields = ("workspace", "resource", "location", "shown", "name")
    actions_detail = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(member=None)

    @display(description="of")
    def place(self, feed: CalendarFeed) -> str:
        return str(feed.resource or feed.location)

    @display(description="state", label={"good": "success", "revoked": "danger"})
    def is_live(self, feed: CalendarFeed) -> str:
        return "revoked" if feed.revoked_at else "good"

    @display(description="secret address")
    def address(self, feed: CalendarFeed) -> str:
        if feed.revoked_at:
            return "—"
        return ics_feeds.address_of(feed) or "It cannot be shown any more: make a new one."

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        told = ("address", "created_by", "created_at", "last_fetched_on", "revoked_at")
        return (*self.fields, *told) if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        told = ("address", "created_by", "created_at", "last_fetched_on", "revoked_at")
        fixed = ("workspace", "resource", "location", "shown")
        return (*fixed, *told) if obj else ()

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "shown":
            kwargs["choices"] = [c for c in CalendarFeed.Shows.choices if c[0] != "mine"]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        obj.created_by = request.user if isinstance(request.user, Member) else None
        ics_feeds.save_new(obj)

    @action(
        description="Revoke…",
        permissions=["revoke"],
        icon="link_off",
        variant=ActionVariant.DANGER,
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        feed = self.row_or_404(request, object_id, MANAGER)
        deed = Deed(
            title=f"Revoke the link of {feed.resource or feed.location}",
            effects=["Calendar programs that read it are told that it is gone, for good."],
            button="Revoke the link",
            done="The link is revoked.",
            back=self.change_url(feed.pk),
            perform=lambda _reason: ics_feeds.revoke(feed),
            asks_reason=False,
        )
        return ask_then_do(request, self.admin_site, CalendarFeed, deed)
