"""Cancelling a part of one's booking, with the money shown to the cent before."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from bookings.models import Booking
from bookings.states import CONFIRMED
from bookings.words import booking_policy_texts
from config.kernel import clock
from config.kernel.errors import InvalidInput
from members.idempotency import Answer
from members.pages import actor_of, private, says_what_happened, see_other, submitted
from payments import dropping, series
from payments.by_link import booking_by_link
from payments.errors import PaymentInProgress, RefundChanged
from payments.holding import placed
from payments.truth import one


@require_http_methods(["GET", "HEAD", "POST"])
@private
@says_what_happened
def cancel_lines(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what giving up `?line=1&line=3` gives back; POST does exactly that."""
    booking = booking_by_link(token)
    manage_url = reverse("payments:manage", args=[token])
    if booking.state != CONFIRMED:
        return see_other(manage_url)
    positions = _positions(request, booking)
    if positions is None:
        return see_other(reverse("payments:cancel", args=[token]))
    if not positions:
        return see_other(manage_url)
    if request.method != "POST":
        return _ask(request, booking, token, positions)
    try:
        answer = _cancelled(request, booking, positions)
    except PaymentInProgress as error:
        problem = error.as_problem()
        return _ask(request, booking, token, positions, problem=problem, status=error.status)
    if answer.status < 400:
        return see_other(manage_url)
    problem = answer.body
    return _ask(request, booking, token, positions, problem=problem, status=problem["status"])


def _positions(request: HttpRequest, booking: Booking) -> list[int] | None:
    """The lines that are named and still stand; None when they are all that is left."""
    try:
        named = {int(value) for value in request.GET.getlist("line")}
    except ValueError:
        raise Http404("no such line") from None
    mains = booking.lines.filter(cancelled_at=None, parent=None)
    standing = set(mains.values_list("position", flat=True))
    chosen = sorted(named & standing)
    return None if set(chosen) == standing else chosen


def _cancelled(request: HttpRequest, booking: Booking, positions: list[int]) -> Answer:
    expects = _expected(request)

    def work() -> Answer:
        dropping.cancel_own_lines(
            booking_id=booking.pk,
            positions=positions,
            actor=actor_of(request),
            expects_minor=expects,
        )
        return Answer(204, None)

    asked = {"booking": str(booking.pk), "lines": positions, "expects": expects}
    return placed(lambda: submitted(request, "pages.cancel_lines", asked, work))


def _expected(request: HttpRequest) -> int:
    """What the form showed as given back, in minor units."""
    try:
        return int(request.POST.get("expects", ""))
    except ValueError:
        raise InvalidInput("This form is damaged. Load the page again.", field="expects") from None


def _ask(
    request: HttpRequest,
    booking: Booking,
    token: str,
    positions: list[int],
    *,
    problem: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    truth, now = one(booking)
    chosen = {line.pk for line in truth.lines if line.position in positions}
    lines = [line for line in truth.lines if chosen & {line.pk, line.parent_id}]
    words = {
        "workspace": booking.workspace,
        "shown": truth,
        "token": token,
        "lines": lines,
        "staying": [line for line in truth.lines if line not in lines],
        "told": dropping.preview(booking, positions, now=now),
        "policy": booking_policy_texts(booking, lines, now),
        "has_begun": any(line.starts_at <= now for line in lines),
        "query": urlencode([("line", position) for position in positions]),
        "problem": problem,
        "has_changed": problem is not None and problem["code"] == RefundChanged.code,
        "slim": True,
    }
    return render(request, "payments/cancel_lines.html", words, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@private
@says_what_happened
def cancel_rest(request: HttpRequest, token: str) -> HttpResponse:
    """What of a series is still to come: its lines, or its bookings, each by the policy."""
    booking = booking_by_link(token)
    manage_url = reverse("payments:manage", args=[token])
    if booking.series_id is None or booking.state != CONFIRMED:
        return see_other(manage_url)
    bookings = series.rest_of(booking)
    if len(bookings) < 2:
        return see_other(_lines_to_come(booking, token))
    if request.method != "POST":
        return _ask_rest(request, booking, token)
    answer = _rest_cancelled(request, booking)
    if answer.status < 400:
        failed = answer.body["failed"]
        return _ask_rest(request, booking, token, failed) if failed else see_other(manage_url)
    return _ask_rest(request, booking, token, problem=answer.body)


def _rest_cancelled(request: HttpRequest, booking: Booking) -> Answer:
    """Each by itself, since each may call Stripe: a repeat finds those that are cancelled so."""
    expects = _expected(request)

    def work() -> Answer:
        failed = series.cancel_rest(booking, actor=actor_of(request), expects_minor=expects)
        return Answer(200, {"failed": [[str(each.pk), error.message] for each, error in failed]})

    asked = {"booking": str(booking.pk), "expects": expects}
    return submitted(request, "pages.cancel_rest", asked, work, calls_out=True)


def _ask_rest(
    request: HttpRequest,
    booking: Booking,
    token: str,
    failed: Sequence[Sequence[str]] = (),
    problem: dict[str, Any] | None = None,
) -> HttpResponse:
    told = series.preview_rest(booking)
    why = {each[0]: each[1] for each in failed}
    words = {
        "workspace": booking.workspace,
        "booking": booking,
        "zone": booking.workspace.timezone,
        "token": token,
        "rest": told.each,
        "failed": [(each, why[str(each.pk)]) for each, _ in told.each if str(each.pk) in why],
        "back": told.given_back,
        "problem": problem,
        "slim": True,
    }
    status = problem["status"] if problem else 409 if failed else 200
    return render(request, "payments/cancel_rest.html", words, status=status)


def _lines_to_come(booking: Booking, token: str) -> str:
    """Of a series that is one booking: its lines that have not begun."""
    now = clock.now()
    coming = booking.lines.filter(cancelled_at=None, starts_at__gt=now).order_by("position")
    query = urlencode([("line", n) for n in coming.values_list("position", flat=True)])
    return f"{reverse('payments:cancel_lines', args=[token])}?{query}"
