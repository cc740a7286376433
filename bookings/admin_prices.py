"""Prices in the admin: rules in people's units, and what they come to for some examples."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import StackedInline
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
)

from bookings.models import PriceRule, Resource
from bookings.price_words import price_text
from bookings.pricing import Quote, quote
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from config.kernel import clock
from config.kernel.money import exponent
from members.admin_durations import MinutesField
from members.admin_scope import CLERK, MANAGER, ScopedInline
from members.admin_words import said_money, said_window

WEEKDAYS = [
    ("0", "Mon"), ("1", "Tue"), ("2", "Wed"), ("3", "Thu"), ("4", "Fri"), ("5", "Sat"),
    ("6", "Sun"),
]  # fmt: skip
CONDITIONS = (
    "from_seconds", "until_seconds", "weekdays", "from_time", "to_time", "first_day", "last_day",
    "from_quantity", "group",
)  # fmt: skip


class PriceForm(forms.ModelForm):
    """Prices as people write them: 45.00, kept as 4500."""

    amount = forms.DecimalField(min_value=0, max_digits=12, widget=UnfoldAdminDecimalFieldWidget)
    priority = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=99,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=(
            "0: a basic price; those add up. 1 and more: in place of the basic prices of its kind "
            "while it applies; of several the highest counts, of equals the cheapest. Blank: 0 "
            "without conditions, 1 with some."
        ),
    )
    step_seconds = MinutesField(
        label="Length of a step (minutes)",
        required=False,
        min_value=1,
        help_text="For “per started step”. Blank for the resource's own step.",
    )
    from_seconds = MinutesField(
        label="From this minute of the booking",
        required=False,
        min_value=0,
        help_text="Tiers: 120 for “from the third hour on”.",
    )
    until_seconds = MinutesField(
        label="Until this minute of the booking", required=False, min_value=1
    )
    weekdays = forms.MultipleChoiceField(
        choices=WEEKDAYS,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None ticked: every day. A time past midnight belongs to the day it began on.",
    )
    from_quantity = forms.IntegerField(
        label="From this many units",
        required=False,
        min_value=1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="The price is then that of all units.",
    )

    class Meta:
        model = PriceRule
        fields = ("kind", "amount", "label", "priority", "step_seconds", *CONDITIONS)

    def __init__(self, *args: Any, currency: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency
        self.initial["weekdays"] = list(self.initial.get("weekdays") or "")
        if self.instance._state.adding:
            for name in ("priority", "from_seconds", "from_quantity"):
                self.initial[name] = None
        if currency:
            self.fields["amount"].label = f"Amount in {currency}"
        if self.instance.pk and not self.instance._state.adding and currency:
            shown = Decimal(self.instance.amount_minor).scaleb(-exponent(currency))
            self.initial["amount"] = f"{shown:.{exponent(currency)}f}"

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        if self.currency and amount.scaleb(exponent(self.currency)) % 1:
            raise ValidationError(f"{self.currency} has {exponent(self.currency)} decimals.")
        return amount

    def clean_weekdays(self) -> str:
        return "".join(sorted(self.cleaned_data["weekdays"]))

    def clean_from_seconds(self) -> int:
        return self.cleaned_data["from_seconds"] or 0

    def clean_from_quantity(self) -> int:
        return self.cleaned_data["from_quantity"] or 1

    def clean(self) -> dict[str, Any]:
        """A price with conditions stands in place of the ones without, unless it is told not to."""
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("priority") is None:
            plain = {"from_quantity": 1}
            has_some = any(
                cleaned.get(name) not in {None, "", 0, plain.get(name)} for name in CONDITIONS
            )
            cleaned["priority"] = int(has_some)
        return cleaned

    def save(self, commit: bool = True) -> PriceRule:
        rule: PriceRule = self.instance
        currency = rule.resource.workspace.currency
        rule.amount_minor = int(self.cleaned_data["amount"].scaleb(exponent(currency)))
        saved: PriceRule = super().save(commit)
        return saved


class PriceFormSet(BaseInlineFormSet):
    """Gives each form the currency of its resource's workspace, where that is known."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        resource = self.instance
        known = resource.workspace_id is not None
        currency = resource.workspace.currency if known else ""
        return super().get_form_kwargs(index) | {"currency": currency}


class PriceInline(ScopedInline):
    model = PriceRule
    form = PriceForm
    formset = PriceFormSet
    template = StackedInline.template
    delete_rank = MANAGER
    verbose_name_plural = "prices"
    what: ClassVar = ("kind", "amount", "label")
    when: ClassVar = (
        ("priority", "step_seconds"),
        ("from_seconds", "until_seconds"),
        "weekdays",
        ("from_time", "to_time"),
        ("first_day", "last_day"),
        ("from_quantity", "group"),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("group", "resource__workspace")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only look has no form, and so no amount but this one."""
        return () if self.has_change_permission(request, obj) else ("shown",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": ("shown", "label")})]
        return [(None, {"fields": (self.what,)}), ("Only when", {"fields": self.when})]

    @display(description="price")
    def shown(self, rule: PriceRule) -> str:
        return price_text(rule, rule.resource.workspace.currency)


# --- Examples -----------------------------------------------------------------------------------


class ExampleForm(forms.Form):
    """A window in the resource's own time, how many, and whose prices."""

    start = forms.SplitDateTimeField(widget=UnfoldAdminSplitDateTimeWidget)
    end = forms.SplitDateTimeField(widget=UnfoldAdminSplitDateTimeWidget)
    quantity = forms.IntegerField(
        min_value=1, max_value=100_000, initial=1, widget=UnfoldAdminIntegerFieldWidget
    )
    group = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget, label="Member of")

    def __init__(self, *args: Any, resource: Resource, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = resource.workspace.member_groups.values_list("pk", "name")
        choices = [("", "No group"), *((str(pk), name) for pk, name in groups)]
        self.fields["group"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        start, end = cleaned.get("start"), cleaned.get("end")
        if start and end and end <= start:
            self.add_error("end", "The end comes after the start.")
        elif start and end and (end - start).days > 366:
            self.add_error("end", "At most a year.")
        return cleaned


@dataclass(frozen=True, slots=True)
class Example:
    """Tue 8 Dec 2026, 10:00–12:00, 2 units: NZ$90.00, and the parts of it."""

    when: str
    quantity: int
    total: str
    parts: list[str]


class ExamplePricesMixin:
    """“What does it cost?” on a resource's page."""

    @action(description="What does it cost?", permissions=["view"], icon="sell")
    def example_prices(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        resource = self.row_or_404(request, object_id, CLERK)
        zone = resource.location.timezone
        with timezone.override(ZoneInfo(zone)):
            asked = request.GET if "start_0" in request.GET else None
            form = ExampleForm(asked, resource=resource)
            found = rules_for(workspace_id=resource.workspace_id, resource_ids=[resource.pk])
            context = self.admin_site.each_context(request) | {
                "title": f"What does {resource.name} cost?",
                "resource": resource,
                "zone": zone,
                "form": form,
                "examples": [
                    _example(*each) for rules in found.values() for each in _asked(form, rules)
                ],
                "rules": [
                    price_text(rule, resource.workspace.currency)
                    for rule in resource.price_rules.select_related("group")
                ],
                "opts": self.opts,
                "back": self.change_url(resource.pk),
            }
            return TemplateResponse(request, "admin/surehold/example_prices.html", context).render()


def _asked(form: ExampleForm, rules: Rules) -> Iterator[tuple[Rules, Window, int, Quote]]:
    """What was asked for, or some windows of the coming week."""
    if form.is_bound:
        if not form.is_valid():
            return
        said = form.cleaned_data
        window = Window(said["start"], said["end"])
        groups = frozenset(p.group_id for p in rules.prices if str(p.group_id) == said["group"])
        priced = quote(rules, window, said["quantity"], groups=groups)  # type: ignore[arg-type]
        yield rules, window, said["quantity"], priced
        return
    for window in _usual(rules):
        for quantity in (1, 2) if rules.capacity > 1 else (1,):
            yield rules, window, quantity, quote(rules, window, quantity)


def _usual(rules: Rules) -> Iterator[Window]:
    """Morning, evening and weekend of the coming week, and the longest that can be booked."""
    tomorrow = clock.now().astimezone(rules.zone).date() + timedelta(days=1)
    two_hours = min(max(7200, rules.min_seconds), rules.max_seconds)
    tuesday, saturday = _next(tomorrow, 1), _next(tomorrow, 5)
    for day, hour in ((tuesday, 10), (tuesday, 18), (saturday, 10)):
        yield _window(rules, day, hour, two_hours)
    if rules.max_seconds > two_hours:
        yield _window(rules, tuesday, 10, rules.max_seconds)


def _next(day: date, weekday: int) -> date:
    return day + timedelta(days=(weekday - day.weekday()) % 7)


def _window(rules: Rules, day: date, hour: int, seconds: int) -> Window:
    start = datetime.combine(day, time(hour), tzinfo=rules.zone).astimezone(ZoneInfo("UTC"))
    return Window(start, start + timedelta(seconds=seconds))


def _example(rules: Rules, window: Window, quantity: int, priced: Quote) -> Example:
    parts = [
        f"{part['label']} × {part['quantity']}: {said_money(part['amount_minor'], rules.currency)}"
        for part in priced.shown
    ]
    when = said_window(window.start, window.end, rules.timezone)
    return Example(when, quantity, str(priced.total), parts)
