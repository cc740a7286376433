"""Booking the same time again and again: what can be had is shown first, one button takes it."""

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from bookings.forms import instant
from bookings.group_prices import groups_for
from bookings.models import Resource
from bookings.rules import Window
from bookings.selectors import rules_for
from bookings.series import MOST, Preview, Repeat, preview
from bookings.views import viewer_of
from bookings.visibility import may_see_row
from config.kernel.errors import DomainError, InvalidInput
from holds.forms import ContactForm
from members.idempotency import Answer
from members.models import Member
from members.pages import actor_of, member_of, private, says_what_happened, see_other, submitted
from payments import holding, series
from payments.placing import claimant_of

RULES = {
    "day": "FREQ=DAILY",
    "week": "FREQ=WEEKLY",
    "fortnight": "FREQ=WEEKLY;INTERVAL=2",
    "month": "FREQ=MONTHLY",
}
EVERY = [
    ("week", "Every week"),
    ("fortnight", "Every two weeks"),
    ("month", "Every month"),
    ("day", "Every day"),
]


class RepeatForm(forms.Form):
    """The first time, how often it comes, how many times, and what to do about conflicts."""

    start = forms.CharField(max_length=40, widget=forms.HiddenInput)
    end = forms.CharField(max_length=40, widget=forms.HiddenInput)
    quantity = forms.IntegerField(
        min_value=1, max_value=10_000, required=False, widget=forms.HiddenInput
    )
    every = forms.ChoiceField(choices=EVERY, label="How often")
    times = forms.IntegerField(min_value=2, max_value=MOST, label="How many times")
    skip = forms.ChoiceField(
        choices=[("yes", "Leave out times that are taken"), ("no", "All of them, or none")],
        label="If a time is taken",
    )

    def repeat(self) -> Repeat:
        """Raises InvalidInput for a window that cannot be read: our own pages send none."""
        said = self.cleaned_data
        start, end = instant(said["start"]), instant(said["end"])
        if start is None or end is None or not start < end:
            raise InvalidInput("This form does not name a time. Choose one again.", field="start")
        rule = f"{RULES[said['every']]};COUNT={said['times']}"
        return Repeat(rule, Window(start, end), said["quantity"] or 1)


@require_http_methods(["GET", "HEAD", "POST"])
@private
@says_what_happened
def repeat(request: HttpRequest, slug: str, resource_slug: str) -> HttpResponse:
    """GET shows each time, whether it can be had, and the price; POST takes what was shown."""
    resource = _resource(request, slug, resource_slug)
    form = RepeatForm({"every": "week", "times": "8", "skip": "yes", **request.GET.dict()})
    if not form.is_valid():
        return _page(request, resource, form, status=422 if "times" in request.GET else 200)
    if request.method != "POST":
        return _page(request, resource, form)
    contact = ContactForm(request.POST) if series.is_paid_each(resource) else None
    if contact is not None and not contact.is_valid():
        return _page(request, resource, form, contact=contact, status=422)
    try:
        answer = _placed(request, resource, form, contact)
    except DomainError as error:
        if error.status == 503:
            raise
        return _page(request, resource, form, contact=contact, refused=error.as_problem())
    if answer.status >= 400:
        return _page(request, resource, form, contact=contact, refused=answer.body)
    return see_other(answer.body["to"])


def _placed(
    request: HttpRequest, resource: Resource, form: RepeatForm, contact: ContactForm | None
) -> Answer:
    said = contact.cleaned_data if contact else {}
    who = claimant_of(request, email=said.get("email", ""), name=said.get("name", ""))
    wish = series.Wish(
        resource=resource,
        repeat=form.repeat(),
        skips_conflicts=form.cleaned_data["skip"] == "yes",
        expects_minor=_expected(request),
    )

    def work() -> Answer:
        placed = series.place(wish, claimant=who, actor=actor_of(request))
        return Answer(201, {"to": _next(placed)})

    asked = {"resource": str(resource.pk), **form.cleaned_data, "expects": wish.expects_minor}
    return holding.placed(lambda: submitted(request, "pages.series", asked, work))


def _next(placed: series.Placed) -> str:
    """The hold to be paid; or, paid each, the first of the bookings."""
    first = placed.holds[0]
    if placed.series.payment == placed.series.Payment.TOGETHER:
        return reverse("holds:hold", args=[first.token])
    return reverse("payments:series", args=[first.token])


def _expected(request: HttpRequest) -> int:
    said = request.POST.get("expects", "")
    if not (said.isascii() and said.isdigit() and len(said) < 13):
        raise InvalidInput("This form is damaged. Load the page again.", field="expects")
    return int(said)


def _page(
    request: HttpRequest,
    resource: Resource,
    form: RepeatForm,
    *,
    contact: ContactForm | None = None,
    refused: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    words: dict[str, Any] = {
        "workspace": resource.workspace,
        "resource": resource,
        "zone": resource.location.timezone,
        "form": form,
        "refused": refused,
        "paid_each": series.is_paid_each(resource),
        "pay_hours": resource.workspace.series_pay_hours,
    }
    if form.is_valid():
        words |= _shown(request, resource, form, contact)
    return render(
        request, "payments/repeat.html", words, status=refused["status"] if refused else status
    )


def _shown(
    request: HttpRequest, resource: Resource, form: RepeatForm, contact: ContactForm | None
) -> dict[str, Any]:
    try:
        seen = _preview(resource, form.repeat(), member_of(request))
    except DomainError as error:
        return {"refused": error.as_problem()}
    member = member_of(request)
    known = {"email": member.email, "name": member.name} if member else {}
    takes_all = form.cleaned_data["skip"] == "no"
    return {
        "seen": seen,
        "query": request.GET.urlencode(),
        "can_hold": len(seen.free) >= 2 and not (takes_all and seen.conflicts),
        "contact": contact or ContactForm(initial=known),
    }


def _preview(resource: Resource, wanted: Repeat, member: Member | None) -> Preview:
    rules = rules_for(workspace_id=resource.workspace_id, resource_ids=[resource.pk])
    groups = groups_for(member, resource.workspace_id, rules.values())
    return preview(rules=rules[resource.pk], repeat=wanted, groups=groups)


def _resource(request: HttpRequest, slug: str, resource_slug: str) -> Resource:
    found = Resource.objects.select_related("workspace", "location").filter(
        workspace__slug=slug, slug=resource_slug, is_active=True
    )
    resource = found.first()
    if resource is None or not may_see_row(resource, viewer_of(request)):
        raise Http404("no such resource")
    return resource


@require_http_methods(["GET", "HEAD"])
@private
def booked(request: HttpRequest, token: str) -> HttpResponse:
    """The bookings of a series that is paid each, for who has made it: when, and by when to pay."""
    bookings = series.bookings_of(token)
    if not bookings:
        raise Http404("no such series")
    words = {
        "workspace": bookings[0].booking.workspace,
        "resource": bookings[0].booking.series.resource,  # type: ignore[union-attr]
        "bookings": bookings,
        "slim": True,
    }
    return render(request, "payments/series.html", words)
