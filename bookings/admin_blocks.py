"""Closing time in the admin: for one resource, several, or all of a place."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, cast
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldBooleanWidget,
)

from bookings.blocking import Closing, bookings_under, place_blocks
from bookings.models import Block, Booking, Location, Resource
from bookings.rules import Window
from config.kernel import clock
from members.admin_filters import OpeningFilter
from members.admin_scope import MANAGER, Access, ScopedAdmin, access_of
from members.admin_words import link, said_window
from members.models import Member


class BlockForm(forms.ModelForm):
    """A window in each resource's own time; the service writes it.

    What it would lie over is listed first, and has to be agreed to: `seen` is that list.
    """

    access: ClassVar[Access]

    resources = forms.ModelMultipleChoiceField(
        Resource.objects.none(), required=False, widget=UnfoldAdminSelectMultipleWidget
    )
    location = forms.ModelChoiceField(
        Location.objects.none(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Instead of resources: all that can be booked there.",
    )
    start = forms.SplitDateTimeField(
        widget=UnfoldAdminSplitDateTimeWidget, help_text="In the resource's time zone."
    )
    end = forms.SplitDateTimeField(widget=UnfoldAdminSplitDateTimeWidget)
    quantity = forms.IntegerField(
        label="Units",
        required=False,
        min_value=1,
        max_value=100_000,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Of a pool; blank for all of it. What is not a pool is closed as a whole.",
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    confirmed = forms.BooleanField(
        label="Place it over these bookings", required=False, widget=forms.HiddenInput
    )

    class Meta:
        model = Block
        fields = ("quantity", "kind", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        resources: Any = self.fields["resources"]
        resources.queryset = self._mine(Resource).select_related("location")
        location: Any = self.fields["location"]
        location.queryset = self._mine(Location)

    def clean(self) -> dict[str, Any]:
        """The times typed are the resource's, whatever zone the page is shown in."""
        cleaned: dict[str, Any] = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and end <= start:
            self.add_error("end", "The end comes after the start.")
        elif start and end and (resources := self._resources(cleaned)):
            quantity = cleaned.get("quantity")
            cleaned["closings"] = [
                Closing(resource, _local(resource, start, end), quantity) for resource in resources
            ]
            if not self.errors:
                self._check_seen(cleaned)
        return cleaned

    def _resources(self, cleaned: dict[str, Any]) -> list[Resource]:
        """Those named, or all of the place: not both, and not neither."""
        named, place = list(cleaned.get("resources") or ()), cleaned.get("location")
        if bool(named) == bool(place):
            self.add_error("resources", "Choose resources or a location.")
            return []
        if place is None:
            return named
        found = list(self._mine(Resource).filter(location=place).select_related("location"))
        if not found:
            self.add_error("location", "There is nothing to book there.")
        return found

    def _check_seen(self, cleaned: dict[str, Any]) -> None:
        """List what it lies over until that very list has been agreed to."""
        under = bookings_under(cleaned["closings"], clock.now())
        seen = ",".join(sorted(str(booking.pk) for booking in under))
        if not under or (cleaned.get("confirmed") and cleaned.get("seen") == seen):
            cleaned["seen_ids"] = [booking.pk for booking in under]
            return
        again = cast(QueryDict, self.data).copy()
        again["seen"] = seen
        again.pop("confirmed", None)
        self.data = again
        self.fields["confirmed"].widget = UnfoldBooleanWidget()
        raise ValidationError(_would_lie_over(under))

    def _mine(self, model: Any) -> Any:
        return self.access.limit(model.objects.all(), "workspace", MANAGER)

    def _post_clean(self) -> None:
        """The rows are made by the service; there is nothing to check on an unsaved one."""


def _local(resource: Resource, start: datetime, end: datetime) -> Window:
    zone = ZoneInfo(resource.location.timezone)
    return Window(_in_zone(start, zone), _in_zone(end, zone))


def _in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """The same figures on the clock, in another zone."""
    return timezone.make_naive(moment).replace(tzinfo=zone)


class BlockFilter(OpeningFilter):
    """Opens on blocks that are not over."""

    title = "when"
    parameter_name = "when"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("", "Now and to come"), ("past", "Over"), ("all", "All")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        if self.value() == "all":
            return queryset
        now = timezone.now()
        if self.value() == "past":
            return queryset.filter(during__endswith__lte=now)
        return queryset.filter(during__endswith__gt=now)


@admin.register(Block)
class BlockAdmin(ScopedAdmin):
    """Closing time: written through the service, which lists the bookings it lies over."""

    delete_rank = MANAGER
    list_display = ("when", "resource", "kind", "quantity_shown", "reason", "created_by")
    list_display_links = ("when",)
    list_select_related = ("resource__location", "created_by")
    list_filter = (BlockFilter, "kind")
    search_fields = ("reason", "resource__name")
    ordering = ("during",)
    add_fieldsets = (
        (
            None,
            {
                "fields": (
                    "resources", "location", "start", "end", "quantity", "kind", "reason",
                    "seen", "confirmed",
                )
            },
        ),
    )  # fmt: skip
    fields = ("resource", "when", "quantity", "kind", "reason", "created_by", "created_at")
    readonly_fields = ("when", "created_by", "created_at")

    @display(description="when", ordering="during")
    def when(self, block: Block) -> str:
        return said_window(block.during.lower, block.during.upper, block.resource.location.timezone)

    @display(description="units")
    def quantity_shown(self, block: Block) -> str:
        return "all of it" if block.resource.is_exclusive else str(block.quantity)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not _is_of_calendar(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not _is_of_calendar(obj)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Busy times come from calendars, and from nobody else."""
        if db_field.name == "kind":
            kwargs["choices"] = [c for c in Block.Kind.choices if c[0] != Block.Kind.CALENDAR]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = type("BlockForm", (BlockForm,), {"access": access_of(request)})
        return super().get_form(request, obj, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """To move a block, delete it and place another: the service looks at what lies under."""
        fixed = [*super().get_readonly_fields(request, obj), "resource", "quantity"]
        return fixed if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["reason", "kind"])
            return
        data = form.cleaned_data
        blocks, under = place_blocks(
            closings=data["closings"],
            kind=data["kind"],
            reason=data["reason"],
            seen=data["seen_ids"],
            created_by=cast(Member, request.user),
        )
        obj.__dict__.update(blocks[0].__dict__)
        if len(blocks) > 1:
            messages.success(request, f"{len(blocks)} resources are closed for that time.")
        if under:
            messages.warning(request, _lies_over(under))


def _is_of_calendar(block: Any) -> bool:
    return isinstance(block, Block) and block.kind == Block.Kind.CALENDAR


def _links(bookings: Sequence[Booking]) -> SafeString:
    return format_html_join(
        ", ", "{}", ((link("bookings_booking", b.pk, b.reference),) for b in bookings)
    )


def _would_lie_over(bookings: Sequence[Booking]) -> SafeString:
    return format_html(
        "It would lie over {}, which would stay as they are until you move or cancel them: {}. "
        "Tick “Place it over these bookings” to place it all the same.",
        f"{len(bookings)} booking{'' if len(bookings) == 1 else 's'}",
        _links(bookings),
    )


def _lies_over(bookings: Sequence[Booking]) -> SafeString:
    return format_html(
        "The block lies over {} that {} made before and stay as they are: {}.",
        f"{len(bookings)} bookings" if len(bookings) > 1 else "1 booking",
        "were" if len(bookings) > 1 else "was",
        _links(bookings),
    )
