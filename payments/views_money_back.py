"""Cancelling one's booking, with the money shown to the cent before; and receipts to print."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from bookings.models import Booking
from bookings.states import CONFIRMED
from bookings.words import booking_policy_texts
from config.kernel.errors import InvalidInput
from members.idempotency import Answer
from members.pages import actor_of, private, says_what_happened, see_other, submitted
from payments import cancelling, receipts
from payments.by_link import booking_by_link
from payments.errors import PaymentInProgress, RefundChanged
from payments.holding import placed
from payments.truth import one


@require_http_methods(["GET", "HEAD", "POST"])
@private
@says_what_happened
def cancel(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what cancelling gives back; POST does exactly that, or says what has changed."""
    booking = booking_by_link(token)
    manage_url = reverse("payments:manage", args=[token])
    if booking.state != CONFIRMED:
        return see_other(manage_url)
    if request.method != "POST":
        return _ask(request, booking, token)
    try:
        answer = _cancelled(request, booking)
    except PaymentInProgress as error:
        return _ask(request, booking, token, problem=error.as_problem(), status=error.status)
    if answer.status < 400:
        return see_other(manage_url)
    problem: dict[str, Any] = answer.body
    return _ask(request, booking, token, problem=problem, status=problem["status"])


def _cancelled(request: HttpRequest, booking: Booking) -> Answer:
    expects = _expected(request)

    def work() -> Answer:
        cancelling.cancel_own(
            booking_id=booking.pk,
            actor=actor_of(request),
            reason=request.POST.get("reason", "").strip()[:300],
            expects_minor=expects,
        )
        return Answer(204, None)

    asked = {"booking": str(booking.pk), "expects": expects}
    return placed(lambda: submitted(request, "pages.cancel", asked, work))


def _expected(request: HttpRequest) -> int:
    try:
        return int(request.POST.get("expects", ""))
    except ValueError:
        raise InvalidInput("This form is damaged. Load the page again.", field="expects") from None


def _ask(
    request: HttpRequest,
    booking: Booking,
    token: str,
    *,
    problem: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    truth, now = one(booking)
    words = {
        "workspace": booking.workspace,
        "shown": truth,
        "token": token,
        "told": cancelling.preview(booking, now=now),
        "policy": booking_policy_texts(booking, truth.lines, now),
        "has_begun": cancelling.has_begun(booking),
        "problem": problem,
        "has_changed": problem is not None and problem["code"] == RefundChanged.code,
        "slim": True,
    }
    return render(request, "payments/cancel.html", words, status=status)


@require_safe
@private
def receipt(request: HttpRequest, token: str, receipt_id: UUID) -> HttpResponse:
    """One receipt or refund note, for whoever has the booking's link; made to be printed."""
    booking = booking_by_link(token)
    found = next((r for r in receipts.of_booking(booking) if r.pk == receipt_id), None)
    if found is None:
        raise Http404("no such receipt")
    words = {
        "workspace": booking.workspace,
        "receipt": receipts.as_shown(found, booking),
        "token": token,
        "slim": True,
    }
    return render(request, "payments/receipt.html", words)
