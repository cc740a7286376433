"""The catalogue in the admin: places, resources with hours and prices, blocks; and why not free."""

from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSplitDateTimeWidget,
)

from bookings import (
    admin_calendars,  # noqa: F401
    admin_discounts,  # noqa: F401
    admin_limits,  # noqa: F401  (registers it)
)
from bookings.admin_blocks import BlockAdmin
from bookings.admin_hours import HOURS_INLINES, hours_page
from bookings.admin_pools import OfferInline, ResourceForm, UnitInline
from bookings.admin_prices import ExamplePricesMixin, PriceInline
from bookings.admin_visibility import AllowedGroupsInline
from bookings.explain import Reason, explain
from bookings.models import Category, Location, Resource
from bookings.selectors import rules_for
from members.admin_durations import with_minutes
from members.admin_filters import ScopedRelatedFilter
from members.admin_scope import CLERK, ScopedAdmin
from members.admin_words import link, said_moment, said_window

__all__ = ["BlockAdmin", "CategoryAdmin", "LocationAdmin", "ResourceAdmin"]

DURATIONS = (
    "step_seconds",
    "min_seconds",
    "max_seconds",
    "buffer_before_seconds",
    "buffer_after_seconds",
    "notice_seconds",
    "hold_ttl_seconds",
    "approval_ttl_seconds",
)


# --- Places and kinds ---------------------------------------------------------------------------


@admin.register(Location)
class LocationAdmin(ScopedAdmin):
    list_display = ("name", "timezone", "address", "workspace")
    list_select_related = ("workspace",)
    search_fields = ("name", "address")
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    fields = (
        "workspace", "name", "slug", "timezone", "address", "directions", ("latitude", "longitude"),
    )  # fmt: skip
    inlines = HOURS_INLINES
    actions_detail = ("hours_to_come",)

    @action(description="Opening hours to come", permissions=["view"], icon="schedule")
    def hours_to_come(self, request: HttpRequest, object_id: str) -> HttpResponse:
        location = self.row_or_404(request, object_id, CLERK)
        return hours_page(request, self, location, location, None)


@admin.register(Category)
class CategoryAdmin(ScopedAdmin):
    list_display = ("name", "workspace")
    list_select_related = ("workspace",)
    search_fields = ("name",)
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    fields = ("workspace", "name", "slug")


# --- Resources ----------------------------------------------------------------------------------


class ExplainForm(forms.Form):
    """Which window, in the resource's own time."""

    start = forms.SplitDateTimeField(widget=UnfoldAdminSplitDateTimeWidget)
    end = forms.SplitDateTimeField(widget=UnfoldAdminSplitDateTimeWidget)
    quantity = forms.IntegerField(
        min_value=1, max_value=100_000, initial=1, widget=UnfoldAdminIntegerFieldWidget
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and end <= start:
            self.add_error("end", "The end comes after the start.")
        elif start and end and (end - start).days > 62:
            self.add_error("end", "At most 62 days at once.")
        return cleaned


def asked_to_explain(start: datetime, end: datetime) -> dict[str, str]:
    """The form's query for a window, given in the resource's own time."""
    return {
        "start_0": f"{start:%Y-%m-%d}",
        "start_1": f"{start:%H:%M}",
        "end_0": f"{end:%Y-%m-%d}",
        "end_1": f"{end:%H:%M}",
        "quantity": "1",
    }


@admin.register(Resource)
class ResourceAdmin(ExamplePricesMixin, ScopedAdmin):
    """Opens on what can be booked; “Why is it not free?” answers for any window."""

    list_display = ("name", "category", "location", "mode", "capacity_shown", "seats", "is_active")
    list_select_related = ("category", "location")
    list_filter = (
        "is_active",
        "mode",
        ("category", ScopedRelatedFilter),
        ("location", ScopedRelatedFilter),
    )
    search_fields = ("name", "description", "slug")
    prepopulated_fields: ClassVar = {"slug": ("name",)}
    form = ResourceForm
    inlines = (*HOURS_INLINES, PriceInline, OfferInline, UnitInline, AllowedGroupsInline)
    actions_detail = ("why_not_free", "hours_to_come", "example_prices")
    fieldsets = (
        (None, {"fields": ("workspace", "name", "slug", "category", "location", "is_active")}),
        ("What it is", {"fields": ("mode", "capacity", "only_with_others", "seats", "position")}),
        ("For members", {"fields": ("visibility", "description", "picture", "picture_alt")}),
        (
            "Rules",
            {
                "fields": (
                    ("min_seconds", "max_seconds"),
                    ("step_seconds", "hold_ttl_seconds"),
                    ("buffer_before_seconds", "buffer_after_seconds"),
                    ("notice_seconds", "horizon_days", "horizon_opens_at"),
                    ("needs_approval", "approval_ttl_seconds"),
                )
            },
        ),
        (
            "Days and nights",
            {
                "fields": (
                    "booking_unit",
                    ("day_starts_at", "day_ends_at"),
                    ("min_days", "max_days"),
                ),
                "description": "Where it is booked by days or nights, step and durations above do "
                "not count; a day can be booked if it has opening hours at all.",
            },
        ),
        (
            "Cancelling",
            {
                "fields": (
                    ("cancel_free_hours", "cancel_partial_hours"),
                    ("cancel_partial_percent", "cancel_fee_minor"),
                )
            },
        ),
        ("Tax", {"fields": (("tax_basis_points", "tax_is_added"),)}),
    )

    @display(description="units", ordering="capacity")
    def capacity_shown(self, resource: Resource) -> str:
        return "one" if resource.is_exclusive else f"{resource.capacity} units"

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        return with_minutes(field) if db_field.name in DURATIONS else field

    @action(description="Why is it not free?", permissions=["view"], icon="help")
    def why_not_free(self, request: HttpRequest, object_id: str) -> HttpResponse:
        resource = self.row_or_404(request, object_id, CLERK)
        zone = resource.location.timezone
        with timezone.override(ZoneInfo(zone)):
            form = ExplainForm(request.GET if "start_0" in request.GET else None)
            context = self.admin_site.each_context(request) | {
                "title": f"Why is {resource.name} not free?",
                "resource": resource,
                "zone": zone,
                "form": form,
                "reasons": _explained(resource, form) if form.is_valid() else None,
                "asked": form.is_bound and form.is_valid(),
                "opts": self.opts,
                "back": self.change_url(resource.pk),
            }
            answer = TemplateResponse(request, "admin/surehold/explain.html", context)
            return answer.render()

    @action(description="Opening hours to come", permissions=["view"], icon="schedule")
    def hours_to_come(self, request: HttpRequest, object_id: str) -> HttpResponse:
        resource = self.row_or_404(request, object_id, CLERK)
        return hours_page(request, self, resource.location, resource, resource.pk)


def _explained(resource: Resource, form: ExplainForm) -> list[dict[str, Any]]:
    """Reasons with links to what stands in the way."""
    rules = rules_for(workspace_id=resource.workspace_id, resource_ids=[resource.id])
    if resource.id not in rules:
        return [{"code": "inactive", "detail": "It is not bookable: see its page."}]
    found = explain(
        rules=rules[resource.id],
        start=form.cleaned_data["start"],
        end=form.cleaned_data["end"],
        quantity=form.cleaned_data["quantity"],
    )
    return [_reason(reason, resource.location.timezone) for reason in found]


def _reason(reason: Reason, zone: str) -> dict[str, Any]:
    return {
        "code": reason.code,
        "detail": reason.detail,
        "when": said_window(reason.start, reason.end, zone) if reason.start and reason.end else "",
        "until": said_moment(reason.until, zone) if reason.until else "",
        "booking": reason.booking_id
        and link("bookings_booking", reason.booking_id, reason.reference),
    }
