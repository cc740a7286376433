"""Placing a hold, paying for it, letting it go, and the page after paying.

Every change goes through its form's request id: a double click, a reload or the back button meet
the first outcome again (INV-8), with or without JavaScript.
"""

import logging
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from bookings.discounts import DiscountUsedUp
from bookings.errors import SlotTaken
from bookings.links import absolute, manage_token
from bookings.models import Booking, Resource
from bookings.views import viewer_of
from bookings.visibility import may_see_row
from config.kernel.errors import DomainError, TemporarilyUnavailable
from holds import pages
from holds.booking_limits import BookingLimitReached
from holds.claims import LineRequest
from holds.forms import ContactForm
from holds.models import Hold
from members.idempotency import Answer
from members.pages import (
    actor_of,
    member_of,
    page_url,
    posted,
    private,
    problem_page,
    says_what_happened,
    see_other,
    submitted,
)
from payments import checkouts, holding
from payments.by_link import booking_by_link
from payments.credit_spending import CREDIT_REFUSALS
from payments.errors import ChargesNotEnabled, CheckoutReplaced, PaymentInProgress
from payments.forms import credit_from, line_from
from payments.models import Checkout, Signal
from payments.placing import placed_once
from payments.selectors import verdict_page
from payments.settlement import settle_booking
from payments.states import OPEN
from payments.truth import after, offers

log = logging.getLogger(__name__)


@posted(lambda slug, resource_slug: reverse("bookings:resource", args=[slug, resource_slug]))
@private
@says_what_happened
def place(request: HttpRequest, slug: str, resource_slug: str) -> HttpResponse:
    """Hold it. Lost to someone else: a page with the nearest times, each a button."""
    resource = _resource(request, slug, resource_slug)
    line = line_from(request.POST, resource)
    try:
        answer = placed_once(
            request,
            "pages.hold",
            _asked(resource, line),
            workspace=resource.workspace,
            lines=[line],
        )
    except DomainError as error:
        return _not_placed(request, resource, line, error.as_problem(), error)
    if answer.status >= 400:
        return _not_placed(request, resource, line, answer.body)
    return see_other(page_url(request, "holds:hold", answer.body["token"]))


def _asked(resource: Resource, line: LineRequest) -> dict[str, Any]:
    asked = {
        "resource": str(resource.pk),
        "start": line.start,
        "end": line.end,
        "quantity": line.quantity,
    }
    if line.add_ons:
        asked["add_ons"] = [[str(each.resource_id), each.quantity] for each in line.add_ons]
    return asked


def _not_placed(
    request: HttpRequest,
    resource: Resource,
    line: LineRequest,
    problem: dict[str, Any],
    error: DomainError | None = None,
) -> HttpResponse:
    """Nothing is held and nothing was charged: say why, and offer what is near."""
    if error is not None and error.status == 503:
        return problem_page(request, error)
    offered = problem["status"] in {409, 410, 422} and problem["code"] != ChargesNotEnabled.code
    words = {
        "workspace": resource.workspace,
        "resource": resource,
        "line": line,
        "zone": resource.location.timezone,
        "code": problem["code"],
        "message": problem["detail"],
        "short": _short(line, problem),
        "offers": offers(resource.workspace_id, line, viewer=viewer_of(request)) if offered else [],
    }
    response = render(request, "payments/not_held.html", words, status=problem["status"])
    if error is not None and error.retry_after_seconds:
        response["Retry-After"] = str(error.retry_after_seconds)
    return response


def _short(line: LineRequest, problem: dict[str, Any]) -> dict[str, Any] | None:
    """The add-on of which too few are left, and how many are."""
    index = problem.get("add_on")
    if problem["code"] != SlotTaken.code or index is None:
        return None
    pool = Resource.objects.get(pk=line.add_ons[index].resource_id)
    return {"name": pool.name, "left": problem.get("remaining") or 0}


@posted(lambda token: reverse("holds:hold", args=[token]))
@private
@says_what_happened
def pay(request: HttpRequest, token: str) -> HttpResponse:
    """To the payment page; or straight to the confirmation when nothing is owed.

    Whom a change is for its booking says: nobody is asked again.
    """
    hold = pages.find(token)
    form = None if hold.change else ContactForm(request.POST)
    if form is not None and not form.is_valid():
        return pages.page(request, hold, form=form, status=422)
    contact = form.cleaned_data if form else {}
    try:
        answer = _started(request, hold, contact, credit_from(request))
    except CheckoutReplaced:
        return see_other(page_url(request, "holds:hold", token))
    except PaymentInProgress:
        return see_other(_after_paying(request, hold))
    except TemporarilyUnavailable as error:
        again = pages.page(request, hold, form=form, trouble="unavailable", status=503)
        return _later(again, error)
    if answer.status >= 400:
        return _not_started(request, hold, form, answer)
    url = answer.body["url"]
    if url is None or (answer.replayed and not _is_open(url)):
        return see_other(_after_paying(request, hold))
    if hasattr(request, "frame"):  # no bank's page is shown in a frame: it opens in a window
        return see_other(page_url(request, "payments:paying", token))
    return see_other(url)


def _not_started(
    request: HttpRequest, hold: Hold, form: ContactForm | None, answer: Answer
) -> HttpResponse:
    """No page to pay on: the hold page says why, or the page after paying what came of it."""
    code, why = answer.body["code"], answer.body["detail"]
    if code == ChargesNotEnabled.code:
        return pages.page(request, hold, form=form, trouble=code, status=409)
    if code == DiscountUsedUp.code:
        return pages.page(request, hold, form=form, trouble="code_spent", why=why, status=422)
    if code in CREDIT_REFUSALS:
        return pages.page(request, hold, form=form, trouble="credit", why=why, status=409)
    if code == BookingLimitReached.code:
        return pages.page(request, hold, form=form, trouble="limit", why=why, status=422)
    if answer.status == 410:
        return see_other(page_url(request, "holds:hold", hold.token))
    return see_other(_after_paying(request, hold))  # paid, or being paid


def _later(response: HttpResponse, error: TemporarilyUnavailable) -> HttpResponse:
    """A part that is down says when to come back, on a page too."""
    response["Retry-After"] = str(error.retry_after_seconds)
    return response


def _after_paying(request: HttpRequest, hold: Hold) -> str:
    """The page that tells what came of it: of the booking, or of the change that was paid for."""
    if hold.change_id is not None:
        return reverse("payments:return_change", args=[hold.token])
    return page_url(request, "payments:return", manage_token(hold.booking))


def _ways_back(request: HttpRequest, hold: Hold) -> dict[str, str]:
    """Where the payment page leads to. Out of a frame it is in a window of its own: to the page
    that knows the way back from there.
    """
    paid, left = _after_paying(request, hold), page_url(request, "holds:hold", hold.token)
    if hasattr(request, "frame"):
        paid = left = page_url(request, "payments:back", manage_token(hold.booking))
    return {"success_url": absolute(paid), "cancel_url": absolute(left)}


def _started(
    request: HttpRequest, hold: Hold, contact: dict[str, str], credit_minor: int
) -> Answer:
    def work() -> Answer:
        started = checkouts.start(
            hold_id=hold.pk,
            **_ways_back(request, hold),
            actor=actor_of(request),
            credit_minor=credit_minor,
            credit_of=member_of(request),
            **contact,
        )
        return Answer(200, {"url": started.url})

    asked = {"hold": str(hold.pk), "credit_minor": credit_minor, **contact}
    variant = f"{credit_minor} {contact.get('email')} {contact.get('name')}"[:160]
    return submitted(request, "pages.pay", asked, work, variant=variant, calls_out=True)


def _is_open(url: str) -> bool:
    """Whether a payment page that we once sent somebody to still takes payments."""
    return Checkout.objects.filter(url=url, state=OPEN, close_requested_at=None).exists()


@posted(lambda token: reverse("holds:hold", args=[token]))
@private
@says_what_happened
def let_go(request: HttpRequest, token: str) -> HttpResponse:
    """Give the slot back. A payment that is being settled wins over it."""
    hold = pages.find(token)

    def work() -> Answer:
        holding.let_go(hold_id=hold.pk, actor=actor_of(request), reason="Let go by the member")
        return Answer(204, None)

    try:
        answer = submitted(request, "pages.let_go", {"hold": str(hold.pk)}, work, calls_out=True)
    except PaymentInProgress:
        return see_other(_after_paying(request, hold))
    except TemporarilyUnavailable as error:
        return _later(pages.page(request, hold, trouble="kept", status=503), error)
    if answer.status == 409:
        return see_other(_after_paying(request, hold))
    return see_other(page_url(request, "holds:hold", token))


@require_safe
@private
def after_paying(request: HttpRequest, token: str) -> HttpResponse:
    """What became of it. Arriving here settles; Stripe being away only makes it "processing"."""
    booking = booking_by_link(token)
    verdict = settled(booking)
    if verdict == "cancelled":
        return elsewhere(request, reverse("payments:manage", args=[token]))
    hold = Hold.objects.select_related("workspace").filter(booking=booking, change=None).first()
    if hold is None:  # purged: it ended long ago, and nothing was ever paid
        return elsewhere(request, reverse("payments:manage", args=[token]))
    words = after(booking, hold, verdict, token, viewer=viewer_of(request))
    words["came_from"] = getattr(request, "came_from", None)
    page = "payments/_return.html" if request.headers.get("HX-Request") else "payments/return.html"
    return render(request, page, words)


def elsewhere(request: HttpRequest, url: str) -> HttpResponse:
    """Another page tells the rest, also to the part of this one that looks again by itself."""
    if hasattr(request, "frame"):  # that page is not for frames: a link opens it
        return render(request, "embed/gone.html", {"known": url})
    if not request.headers.get("HX-Request"):
        return see_other(url)
    response = HttpResponse()
    response["HX-Redirect"] = url
    return response


def settled(booking: Booking) -> str:
    """Which page tells the truth, once Stripe was asked where that can still change it."""
    known = verdict_page(booking)
    if known in {"confirmed", "awaiting", "lost", "failed", "cancelled"}:
        return known
    try:
        outcomes = settle_booking(booking_id=booking.pk, source=Signal.Source.SUCCESS_PAGE)
    except DomainError as error:
        log.info("booking %s is shown as processing: %s", booking.pk, error)
        return "processing"
    booking.refresh_from_db()
    verdict = verdict_page(booking)
    is_moving = any(outcome.name == "processing" for outcome in outcomes)
    return "processing" if verdict == "open" and is_moving else verdict


def _resource(request: HttpRequest, slug: str, resource_slug: str) -> Resource:
    resources = Resource.objects.select_related("workspace", "location")
    found = get_object_or_404(resources, workspace__slug=slug, slug=resource_slug)
    if not may_see_row(found, viewer_of(request)):
        raise Http404("no such resource")
    return found
