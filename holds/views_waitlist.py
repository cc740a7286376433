"""Joining a line, and the page that says how it stands. Leaving may ask Stripe: see payments."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from bookings.forms import instant
from bookings.models import Resource
from bookings.selectors import rules_for
from bookings.views import viewer_of
from bookings.visibility import may_see_row
from config.kernel import clock
from config.kernel.errors import DomainError
from holds import waitlist
from holds.errors import AlreadyFree
from holds.models import WaitlistEntry
from holds.selectors import is_live
from holds.subjects import Claimant
from holds.waitlist import Wish
from holds.waitlist_forms import WaitForm, initial_from
from holds.waitlist_selectors import with_places
from holds.waitlist_states import OFFERED, OVER, PASSED, WAITING
from holds.waitlist_words import wish_text
from members.idempotency import Answer
from members.pages import actor_of, address_of, member_of, private, see_other, submitted
from members.visitors import visitor_of


@require_http_methods(["GET", "HEAD", "POST"])
@private
def join(request: HttpRequest, slug: str, resource_slug: str) -> HttpResponse:
    """Tell me when it frees: which time, and where to write to."""
    places = Resource.objects.select_related("workspace", "location")
    resource = get_object_or_404(places, workspace__slug=slug, slug=resource_slug, is_active=True)
    if not may_see_row(resource, viewer_of(request)):
        raise Http404("no such resource")
    found = rules_for(workspace_id=resource.workspace_id, resource_ids=[resource.pk])
    known: dict[str, Any] = {"rules": found[resource.pk], "member": member_of(request)}
    if request.method != "POST":
        first = initial_from(request.GET, known["rules"], clock.now())
        form = WaitForm(initial=first | _contact(request), **known)
        return _page(request, resource, form)
    form = WaitForm(request.POST, **known)
    if not form.is_valid():
        return _page(request, resource, form, status=422)
    return _joined(request, resource, form)


def _joined(request: HttpRequest, resource: Resource, form: WaitForm) -> HttpResponse:
    wish = form.wish()
    try:
        answer = _submitted(request, resource, wish, form.contact())
    except DomainError as error:
        if error.status == 503:
            raise
        return _page(request, resource, form, problem=error.as_problem(), status=error.status)
    if answer.status >= 400:
        problem = answer.body
        return _page(request, resource, form, problem=problem, status=answer.status, wish=wish)
    return see_other(reverse("holds:waiting", args=[answer.body["token"]]))


def _submitted(
    request: HttpRequest, resource: Resource, wish: Wish, contact: tuple[str, str]
) -> Answer:
    email, name = contact
    address = address_of(request)
    who = Claimant(member_of(request), email, name, visitor_of(request), address, limited=True)

    def work() -> Answer:
        joined = waitlist.join(
            workspace=resource.workspace, wish=wish, who=who, actor=actor_of(request)
        )
        return Answer(201, {"token": joined.entry.token})

    asked = {
        "resource": str(resource.pk), "start": wish.start, "end": wish.end,
        "seconds": wish.seconds, "quantity": wish.quantity, "email": email, "name": name,
    }  # fmt: skip
    said = " ".join(str(value) for value in asked.values())
    return submitted(request, "pages.wait", asked, work, variant=said)


def _page(
    request: HttpRequest,
    resource: Resource,
    form: WaitForm,
    *,
    problem: dict[str, Any] | None = None,
    wish: Wish | None = None,
    status: int = 200,
) -> HttpResponse:
    is_free = bool(problem) and problem["code"] == AlreadyFree.code  # type: ignore[index]
    words = {
        "workspace": resource.workspace,
        "resource": resource,
        "rules": form.rules,
        "form": form,
        "problem": problem,
        "free_url": _hold_it(resource, wish, problem) if is_free and wish and problem else "",
        "hold_minutes": resource.workspace.waitlist_ttl_seconds // 60,
        "slim": True,
    }
    return render(request, "holds/wait.html", words, status=status)


def _hold_it(resource: Resource, wish: Wish, problem: dict[str, Any]) -> str:
    """The resource's page with the free window chosen."""
    start = instant(problem["start"])
    query = {"at": f"{start:%Y-%m-%dT%H:%MZ}", "minutes": wish.seconds // 60}
    if wish.quantity > 1:
        query["quantity"] = wish.quantity
    page = reverse("bookings:resource", args=[resource.workspace.slug, resource.slug])
    return f"{page}?{urlencode(query)}"


def _contact(request: HttpRequest) -> dict[str, str]:
    """Who waited before and was passed over need not type their address again."""
    before = WaitlistEntry.objects.filter(token=request.GET.get("again", "")).first()
    return {"email": before.email, "name": before.name} if before else {}


@require_safe
@private
def waiting(request: HttpRequest, token: str) -> HttpResponse:
    """Where things stand, for whoever has the link."""
    entry = get_object_or_404(with_places(WaitlistEntry.objects.all()), token=token)
    now = clock.now()
    words = {
        "workspace": entry.workspace,
        "entry": entry,
        "state": state_now(entry, now),
        "wish": wish_text(entry.starts_at, entry.ends_at, entry, entry.resource),
        "zone": entry.resource.location.timezone,
        "hold_minutes": entry.workspace.waitlist_ttl_seconds // 60,
        "again_url": again_url(entry) if entry.last_start_at > now else "",
        "slim": True,
    }
    return render(request, "holds/waiting.html", words)


def state_now(entry: WaitlistEntry, now: datetime) -> str:
    """What is true now, tidied or not: an offer whose time is up has passed."""
    if entry.state == WAITING and entry.last_start_at <= now:
        return OVER
    if entry.state == OFFERED and not (entry.hold and is_live(entry.hold, now)):
        return PASSED
    return entry.state


def again_url(entry: WaitlistEntry) -> str:
    """The form with the same wish: who joins again stands at the end of the line."""
    query = {
        "start": f"{entry.starts_at:%Y-%m-%dT%H:%MZ}", "end": f"{entry.ends_at:%Y-%m-%dT%H:%MZ}",
        "minutes": entry.duration_seconds // 60, "quantity": entry.quantity, "again": entry.token,
    }  # fmt: skip
    page = reverse("holds:wait", args=[entry.workspace.slug, entry.resource.slug])
    return f"{page}?{urlencode(query)}"
