"""The page that a mail about a lost slot leads to. Opening it changes nothing: mail scanners do."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from bookings.links import lost_booking_id_from, manage_token
from bookings.models import Booking, Line
from bookings.views import viewer_of
from config.kernel.errors import DomainError
from holds.claims import LineRequest
from members.pages import (
    posted,
    private,
    problem_page,
    says_what_happened,
    see_other,
)
from payments import rebooking
from payments.placing import placed_once


@require_safe
@private
def rebook(request: HttpRequest, token: str) -> HttpResponse:
    """The nearest equivalent of what was lost, and a button that holds it."""
    booking = _booking(token)
    if not rebooking.is_lost(booking):
        return HttpResponseRedirect(reverse("payments:manage", args=[manage_token(booking)]))
    return _page(request, booking, rebooking.lines_of(booking), token)


@posted(lambda token: reverse("payments:rebook", args=[token]))
@private
@says_what_happened
def place(request: HttpRequest, token: str) -> HttpResponse:
    """Hold it afresh. Gone meanwhile: the page again, with what is nearest now."""
    booking = _booking(token)
    lost = rebooking.lines_of(booking)
    lines = rebooking.lines_asked(booking, lost, request.POST)
    try:
        answer = placed_once(
            request,
            "pages.rebook",
            _asked(booking, lines),
            workspace=booking.workspace,
            lines=lines,
            email=booking.email,
            name=booking.name,
        )
    except DomainError as error:
        if error.status == 503:
            return problem_page(request, error)
        return _page(request, booking, lost, token, problem=error.as_problem())
    if answer.status >= 400:
        return _page(request, booking, lost, token, problem=answer.body)
    return see_other(reverse("holds:hold", args=[answer.body["token"]]))


def _asked(booking: Booking, lines: list[LineRequest]) -> dict[str, Any]:
    return {
        "booking": str(booking.pk),
        "lines": [[str(ln.resource_id), ln.start, ln.end, ln.quantity] for ln in lines],
    }


def _page(
    request: HttpRequest,
    booking: Booking,
    lost: list[Line],
    token: str,
    problem: dict[str, Any] | None = None,
) -> HttpResponse:
    words = {
        "workspace": booking.workspace,
        "booking": booking,
        "lines": lost,
        "offers": rebooking.offers_for(booking, lost, viewer_of(request)),
        "token": token,
        "problem": problem,
        "slim": True,
    }
    status = problem["status"] if problem else 200
    return render(request, "payments/rebook.html", words, status=status)


def _booking(token: str) -> Booking:
    booking_id = lost_booking_id_from(token)
    if booking_id is None:
        raise Http404("not a link of ours")
    return get_object_or_404(Booking.objects.select_related("workspace"), pk=booking_id)
