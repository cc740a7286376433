"""A workspace's home, a resource's week, and a booking's calendar file. All of them only read."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from bookings import ics
from bookings.catalogue import catalogue, resources_of
from bookings.forms import SearchForm, Wish, wish_from
from bookings.group_prices import groups_for
from bookings.links import booking_id_from
from bookings.models import Booking, Resource
from bookings.picking import Extra, Picked, extras_of, pick, seen
from bookings.rules import Rules
from bookings.selectors import rules_for
from bookings.visibility import Viewer, may_see_row, visible_rows
from bookings.week import Choice, few_of, turns, week
from bookings.words import policy_text
from config.kernel import clock
from members.models import Workspace
from members.pages import member_of, private


@require_safe
@private
def workspace(request: HttpRequest, slug: str) -> HttpResponse:
    """The resources as cards, found by a search line."""
    home = get_object_or_404(Workspace, slug=slug)
    resources = visible_rows(resources_of(home), viewer_of(request))
    places = {r.location.slug: r.location.name for r in resources}
    form = SearchForm(request.GET, places=sorted(places.items(), key=lambda item: item[1]))
    said = form.said()
    words = {
        "workspace": home,
        "form": form,
        "said": said,
        "catalogue": catalogue(home, resources, said),
        "has_places": len(places) > 1,
    }
    return render(request, "bookings/workspace.html", words)


@require_safe
def brand(request: HttpRequest, slug: str) -> HttpResponse:
    """The workspace's accent as a stylesheet, since pages allow no inline style."""
    home = get_object_or_404(Workspace, slug=slug)
    css = f":root{{--brand:{home.accent}}}" if home.accent else ""
    response = HttpResponse(css, content_type="text/css")
    patch_cache_control(response, public=True, max_age=300)
    return response


@require_safe
@private
def resource(request: HttpRequest, slug: str, resource_slug: str) -> HttpResponse:
    """A week of free and taken times, and what the visitor has chosen of it."""
    found = _resource(request, slug, resource_slug)
    rules = rules_for(workspace_id=found.workspace_id, resource_ids=[found.pk])
    return render(request, "bookings/resource.html", _page(request, found, rules[found.pk]))


@require_safe
def resource_week(request: HttpRequest, slug: str, resource_slug: str) -> HttpResponse:
    """The week alone, for a page that is open to stay current; a page of its own otherwise."""
    if not request.headers.get("HX-Request"):
        page = reverse("bookings:resource", args=[slug, resource_slug])
        return redirect(f"{page}?{request.GET.urlencode()}" if request.GET else page)
    found = _resource(request, slug, resource_slug)
    rules = rules_for(workspace_id=found.workspace_id, resource_ids=[found.pk])
    response = render(
        request, "bookings/_week.html", _page(request, found, rules[found.pk]) | {"partial": True}
    )
    patch_cache_control(response, private=True, no_store=True)
    return response


@require_safe
def calendar_file(request: HttpRequest, token: str) -> HttpResponse:
    """A booking for one's calendar, by the guest's link."""
    booking_id = booking_id_from(token)
    booking = get_object_or_404(Booking.objects.select_related("workspace"), pk=booking_id)
    response = HttpResponse(ics.for_booking(booking), content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{booking.reference}.ics"'
    patch_cache_control(response, private=True, no_store=True)
    return response


def viewer_of(request: HttpRequest) -> Viewer:
    """Whose eyes a page is for: the member's, or a guest's."""
    return Viewer(member_of(request))


def _resource(request: HttpRequest, slug: str, resource_slug: str) -> Resource:
    resources = Resource.objects.select_related("workspace", "location", "category")
    found = resources.filter(
        workspace__slug=slug, slug=resource_slug, is_active=True, location__isnull=False
    ).first()
    if found is None or not may_see_row(found, viewer_of(request)):
        raise Http404("no such resource")
    return found


def _page(request: HttpRequest, found: Resource, rules: Rules) -> dict[str, Any]:
    now = clock.now()
    wish = wish_from(request.GET, rules, now)
    pools, known = seen(rules, wish.first)
    groups = groups_for(member_of(request), found.workspace_id, [rules])
    extras = extras_of(rules, request.GET, wish.quantity)
    chosen = pick(known, pools, wish, extras, groups, rules)
    choice = Choice(wish.day, wish.minutes, wish.quantity)
    if chosen is not None:
        minutes = rules.minutes_of(chosen.window)
        choice = replace(choice, window=chosen.window, minutes=minutes)
        extras = list(chosen.extras)
    return {
        "workspace": found.workspace,
        "resource": found,
        "rules": rules,
        "now": now,
        "week": week(known[found.pk], choice, wish.first),
        "choice": choice,
        "few": few_of(rules.capacity),
        "extras": extras,
        "picked": chosen,
        "first": wish.first,
        "query": (query := _query(wish, choice, extras)),
        "live_query": urlencode(query),
        "extras_query": urlencode(_said(extras)),
        "stay": _stay(rules, chosen),
        "hold_minutes": rules.hold_ttl_seconds // 60,
        "policy": _policy(rules, chosen, now),
        **turns(wish.first, rules, now),
    }


def _stay(rules: Rules, picked: Picked | None) -> dict[str, date]:
    """Where days count: the first date and the last of what is chosen."""
    if rules.days is None or picked is None:
        return {}
    first = picked.window.start.astimezone(rules.zone).date()
    count = rules.days_of(picked.window)
    return {"first": first, "last": rules.days.last_date(first, count)}


def _policy(rules: Rules, picked: Picked | None, now: datetime) -> str:
    """What cancelling costs: by the clock for a chosen time, in hours otherwise; free is free."""
    if not rules.prices:
        return ""
    if picked is None or picked.slot is None:
        return policy_text(rules.terms, rules.currency)
    return policy_text(
        rules.terms, rules.currency, starts_at=picked.window.start, zone=rules.zone, now=now
    )


def _query(wish: Wish, choice: Choice, extras: Sequence[Extra]) -> dict[str, str]:
    """What links and the live part carry along, so that nothing chosen is lost."""
    query = {
        "from": wish.first.isoformat(),
        "day": wish.day.isoformat(),
        "minutes": str(choice.minutes),
    }
    if choice.quantity > 1:
        query["quantity"] = str(choice.quantity)
    if choice.window is not None:
        query["start"] = f"{choice.window.start:%Y-%m-%dT%H:%MZ}"
    return query | _said(extras)


def _said(extras: Sequence[Extra]) -> dict[str, str]:
    """The add-ons that a link has to name: those of which more is chosen than comes by itself."""
    return {extra.field: str(extra.chosen) for extra in extras if extra.chosen > extra.least}
