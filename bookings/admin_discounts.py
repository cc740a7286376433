"""Discount codes in the admin, with the bookings that used them."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from bookings.models import Discount, DiscountUse
from bookings.states import WITHOUT_OCCUPANCIES
from config.kernel.money import exponent
from members.admin_scope import ReadOnlyInline, ScopedAdmin, access_of
from members.admin_words import link, said_money

_MONEY = {"amount": "amount_minor", "min_total": "min_total_minor"}


class DiscountForm(forms.ModelForm):
    """Money as people write it: 10.00, kept as 1000."""

    amount = forms.DecimalField(
        min_value=0,
        max_digits=12,
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Taken off before a tax that is added. Or give a per cent.",
    )
    min_total = forms.DecimalField(
        label="For bookings of at least",
        min_value=0,
        max_digits=12,
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="What the whole booking costs without the code.",
    )

    class Meta:
        model = Discount
        fields = (
            "workspace", "code", "percent", "valid_from", "valid_until", "resources", "max_uses",
            "max_uses_each", "is_active",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            return
        digits = exponent(self.instance.workspace.currency)
        for name, column in _MONEY.items():
            if minor := getattr(self.instance, column):
                self.initial[name] = f"{Decimal(minor).scaleb(-digits):.{digits}f}"

    def clean(self) -> dict[str, Any]:
        """The row gets its minor units here, before the rules of the model look at it."""
        cleaned: dict[str, Any] = super().clean() or {}
        workspace = cleaned.get("workspace") or getattr(self.instance, "workspace", None)
        if workspace is None:
            return cleaned
        for name, column in _MONEY.items():
            minor = (cleaned.get(name) or Decimal(0)).scaleb(exponent(workspace.currency))
            if minor % 1:
                digits = exponent(workspace.currency)
                self.add_error(
                    name, ValidationError(f"{workspace.currency} has {digits} decimals.")
                )
                continue
            setattr(self.instance, column, int(minor) or (None if name == "amount" else 0))
        return cleaned


class UseInline(ReadOnlyInline):
    model = DiscountUse
    fields = ("of_booking", "state", "email", "created_at")
    readonly_fields = fields
    verbose_name_plural = "bookings that used it"

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("booking")

    @display(description="booking")
    def of_booking(self, use: DiscountUse) -> str:
        return link("bookings_booking", use.booking_id, use.booking.reference)

    @display(description="it counts")
    def state(self, use: DiscountUse) -> str:
        ended = use.booking.state in WITHOUT_OCCUPANCIES
        return f"no: {use.booking.state}" if ended else "yes"


@admin.register(Discount)
class DiscountAdmin(ScopedAdmin):
    form = DiscountForm
    list_display = ("code", "takes_off", "used", "valid_from", "valid_until", "is_active")
    list_select_related = ("workspace",)
    list_filter = ("is_active",)
    search_fields = ("code",)
    filter_horizontal: ClassVar = ("resources",)
    inlines = (UseInline,)
    fieldsets = (
        (None, {"fields": ("workspace", "code", "is_active")}),
        ("What it takes off", {"fields": (("percent", "amount"), "resources", "min_total")}),
        ("When", {"fields": (("valid_from", "valid_until"),)}),
        ("How often", {"fields": (("max_uses", "max_uses_each"),)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        live = ~Q(uses__booking__state__in=WITHOUT_OCCUPANCIES)
        return super().get_queryset(request).annotate(live=Count("uses", filter=live))

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = db_field.related_model._default_manager.all()
        kwargs["queryset"] = access_of(request).limit(rows, "workspace", self.add_rank)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @display(description="takes off")
    def takes_off(self, row: Discount) -> str:
        if row.percent:
            return f"{row.percent} %"
        return said_money(row.amount_minor or 0, row.workspace.currency)

    @display(description="used", ordering="live")
    def used(self, row: Any) -> str:
        return str(row.live) if row.max_uses is None else f"{row.live} of {row.max_uses}"
