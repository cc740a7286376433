"""Pools in the admin: how many units there are, and what is offered together with what."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from bookings.capacity import InTheWay, in_the_way
from bookings.models import AddOn, Resource, Unit
from config.kernel.money import exponent
from members.admin_scope import MANAGER, ScopedInline
from members.admin_words import said_money, said_window

_MOST_LISTED = 10


class ResourceForm(forms.ModelForm):
    """Says which bookings are in the way of fewer units; the guard decides."""

    def clean_capacity(self) -> int:
        capacity: int = self.cleaned_data["capacity"]
        before = Resource.objects.filter(pk=self.instance.pk, mode=Resource.Mode.POOLED).first()
        if before is None or capacity >= before.capacity:
            return capacity
        found = in_the_way(before, capacity)
        if found:
            zone = before.location.timezone
            raise ValidationError(f"More units than that are booked already. {said(found, zone)}")
        return capacity


def said(found: list[InTheWay], zone: str) -> str:
    """What is in the way, in a sentence: references, units and times."""
    listed = "; ".join(_said(each, zone) for each in found[:_MOST_LISTED])
    more = f"; and {len(found) - _MOST_LISTED} more" if len(found) > _MOST_LISTED else ""
    return f"In the way: {listed}{more}."


def _said(each: InTheWay, zone: str) -> str:
    what = each.reference or f"the block “{each.reason}”"
    units = "1 unit" if each.quantity == 1 else f"{each.quantity} units"
    return f"{what}, {units}, {said_window(each.window.start, each.window.end, zone)}"


class OfferForm(forms.ModelForm):
    """Prices as people write them: 3.00, kept as 300."""

    amount = forms.DecimalField(
        min_value=0, max_digits=12, initial=0, widget=UnfoldAdminDecimalFieldWidget
    )

    class Meta:
        model = AddOn
        fields = ("pool", "is_required", "max_per_unit", "price_kind", "amount", "position")

    def __init__(self, *args: Any, currency: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency
        if currency:
            self.fields["amount"].label = f"Amount in {currency}"
        if currency and self.instance.pk and not self.instance._state.adding:
            shown = Decimal(self.instance.amount_minor).scaleb(-exponent(currency))
            self.initial["amount"] = f"{shown:.{exponent(currency)}f}"

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        if self.currency and amount.scaleb(exponent(self.currency)) % 1:
            raise ValidationError(f"{self.currency} has {exponent(self.currency)} decimals.")
        return amount

    def save(self, commit: bool = True) -> AddOn:
        offer: AddOn = self.instance
        currency = offer.resource.workspace.currency
        offer.amount_minor = int(self.cleaned_data["amount"].scaleb(exponent(currency)))
        saved: AddOn = super().save(commit)
        return saved


class OfferFormSet(BaseInlineFormSet):
    """Gives each form the currency of its resource's workspace, where that is known."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        known = self.instance.workspace_id is not None
        currency = self.instance.workspace.currency if known else ""
        return super().get_form_kwargs(index) | {"currency": currency}


class OfferInline(ScopedInline):
    model = AddOn
    fk_name = "resource"
    form = OfferForm
    formset = OfferFormSet
    delete_rank = MANAGER
    fields = ("pool", "is_required", "max_per_unit", "price_kind", "amount", "position")
    verbose_name_plural = "add-ons: pools that can be booked together with it"

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "pool":
            kwargs["queryset"] = Resource.objects.filter(mode=Resource.Mode.POOLED)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if self.has_change_permission(request, obj) else ("shown",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.has_change_permission(request, obj):
            return self.fields
        return ("pool", "is_required", "max_per_unit", "price_kind", "shown")

    @display(description="amount")
    def shown(self, offer: AddOn) -> str:
        return said_money(offer.amount_minor, offer.resource.workspace.currency)


class UnitInline(ScopedInline):
    """What is written on each; optional, and no part of what is free."""

    model = Unit
    delete_rank = MANAGER
    fields = ("label", "is_active")
    verbose_name_plural = "units by label: for handing over, if you number them"
