"""Times, money and links as staff read them, and the page that asks before something is done."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from config.kernel.errors import DomainError
from config.kernel.money import Money
from members.admin_scope import explained


def said_moment(moment: datetime | None, zone: str) -> str:
    """Tue 8 Dec 2026, 14:00; an em dash for none."""
    if moment is None:
        return "—"
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"


def said_window(start: datetime, end: datetime, zone: str) -> str:
    """Tue 8 Dec 2026, 14:00–15:30, Auckland."""
    first, last = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    until = f"{last:%H:%M}" if last.date() == first.date() else said_moment(end, zone)
    city = zone.rsplit("/", 1)[-1].replace("_", " ")
    return f"{said_moment(start, zone)}–{until}, {city}"


def said_money(amount_minor: int, currency: str) -> str:
    return str(Money(amount_minor, currency))


def link(name: str, row_id: Any, text: str) -> SafeString:
    """A link to a row's admin page, by the name of its URL ("bookings_booking")."""
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{name}_change", args=[row_id]), text)


class ReasonForm(forms.Form):
    """Why, in words that are kept."""

    reason = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the history, and shown to the member where it concerns them.",
    )


class OptionalReasonForm(ReasonForm):
    """The same, where the deed explains itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False


@dataclass(frozen=True)
class Deed:
    """Something about to be done: what it is called, what it will do, and how it is done.

    `effects` are sentences shown before the button, whose label names the effect. `perform` takes
    the reason and calls one service; `done` is said afterwards. A deed that asks for more than a
    reason brings its own `form`, and `perform` takes that form, valid.
    """

    title: str
    effects: list[str]
    button: str
    done: str
    back: str
    perform: Callable[[Any], Any]
    dangerous: bool = True
    asks_reason: bool = True
    form: type[ReasonForm] | None = None


def ask_then_do(request: HttpRequest, site: AdminSite, model: Any, deed: Deed) -> HttpResponse:
    """GET shows what would happen; POST does it and says so, or says why not."""
    form_class = deed.form or (ReasonForm if deed.asks_reason else OptionalReasonForm)
    form = form_class(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _did(request, deed, form):
        messages.success(request, deed.done)
        return HttpResponseRedirect(deed.back)
    context = site.each_context(request) | {
        "title": deed.title,
        "deed": deed,
        "form": form,
        "opts": model._meta,
    }
    status = 200 if request.method == "GET" else 422
    return TemplateResponse(request, "admin/surehold/confirm.html", context, status=status)


def _did(request: HttpRequest, deed: Deed, form: ReasonForm) -> bool:
    try:
        deed.perform(form if deed.form else form.cleaned_data["reason"].strip())
    except (DomainError, DatabaseError) as error:
        sentence = explained(error)
        if sentence is None:
            raise
        form.add_error(None, sentence)
        return False
    return True
