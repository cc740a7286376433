"""Booking again what an incident took away: the link shows, only its button claims."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from bookings.models import Resource
from bookings.views import viewer_of
from config.kernel.clock import now as database_now
from config.kernel.errors import DomainError
from holds.claims import LineRequest
from members.pages import private, says_what_happened, see_other
from payments.making_good.mails import apology_id_from
from payments.making_good.wishes import wished
from payments.models import Apology
from payments.placing import placed_once
from payments.truth import offers


@require_http_methods(["GET", "HEAD", "POST"])
@private
@says_what_happened
def again(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what they had wanted; POST holds it, or offers what is near. No GET claims."""
    apology = _apology(token)
    lines = wished(apology)
    if request.method != "POST":
        return _page(request, apology, lines)
    try:
        answer = placed_once(
            request,
            "pages.again",
            {"apology": str(apology.pk)},
            workspace=apology.workspace,
            lines=lines,
            email=apology.email,
        )
    except DomainError as error:
        if error.status == 503:
            raise
        return _page(request, apology, lines, refused=error.as_problem())
    if answer.status >= 400:
        return _page(request, apology, lines, refused=answer.body)
    Apology.objects.filter(pk=apology.pk, rebooked_at=None).update(rebooked_at=database_now())
    return see_other(reverse("holds:hold", args=[answer.body["token"]]))


def _apology(token: str) -> Apology:
    apology_id = apology_id_from(token)
    if apology_id is None:
        raise Http404
    return get_object_or_404(Apology.objects.select_related("workspace", "member"), pk=apology_id)


def _page(
    request: HttpRequest,
    apology: Apology,
    lines: list[LineRequest],
    *,
    refused: dict[str, Any] | None = None,
) -> HttpResponse:
    places = Resource.objects.select_related("location").in_bulk([ln.resource_id for ln in lines])
    shown = [(places[ln.resource_id], ln) for ln in lines if ln.resource_id in places]
    over = not shown or min(line.start for line in lines) <= database_now()
    nearest = _nearest(request, apology, lines[0]) if shown and (refused or over) else []
    words = {
        "workspace": apology.workspace,
        "shown": shown,
        "refused": refused,
        "over": over,
        "offers": nearest,
    }
    return render(
        request, "payments/again.html", words, status=refused["status"] if refused else 200
    )


def _nearest(request: HttpRequest, apology: Apology, line: LineRequest) -> Any:
    start = max(line.start, database_now())
    end: datetime = start + (line.end - line.start)
    moved = replace(line, start=start, end=end)
    return offers(apology.workspace_id, moved, viewer=viewer_of(request))
