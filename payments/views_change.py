"""Changing one's booking: another time or a longer one, the money shown to the cent before."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from bookings.models import Booking, Line
from bookings.moved import Moved, Spot, as_changed
from bookings.rules import Window
from bookings.states import CONFIRMED
from bookings.week import turns
from bookings.words import booking_policy_texts
from config.kernel.errors import DomainError
from holds.changing import NewWindow
from members.idempotency import Answer
from members.pages import actor_of, private, says_what_happened, see_other, submitted
from payments import rescheduling
from payments.by_link import booking_by_link
from payments.choosing import Choosing, choosing
from payments.forms import ChangeForm, change_from
from payments.holding import placed
from payments.placing import claimant_of
from payments.rescheduling import Settling, Wish
from payments.truth import Shown, one


@require_http_methods(["GET", "HEAD", "POST"])
@private
@says_what_happened
def change(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what a change would be and cost; POST makes just that, or says why it cannot.

    What costs more goes on to its hold, to be paid; the rest is made at once.
    """
    booking = booking_by_link(token)
    if booking.state != CONFIRMED:
        return see_other(reverse("payments:manage", args=[token]))
    if request.method != "POST":
        return _page(request, booking, token, request.GET)
    asked = change_from(request.POST)
    try:
        answer = _changed(request, booking, asked)
    except DomainError as error:
        response = _refused(request, booking, token, asked, error.as_problem())
        if error.retry_after_seconds:
            response["Retry-After"] = str(error.retry_after_seconds)
        return response
    if answer.status >= 400:
        return _refused(request, booking, token, asked, answer.body)
    if answer.body["token"]:
        return see_other(reverse("holds:hold", args=[answer.body["token"]]))
    return see_other(reverse("payments:manage", args=[token]))


def _changed(request: HttpRequest, booking: Booking, asked: ChangeForm) -> Answer:
    said = asked.cleaned_data
    wish = Wish(
        booking.pk,
        [NewWindow(said["line"], said["start"], said["end"])],
        settling=Settling(to=said["to"], expects_minor=said["expects"]),
        version=said["version"],
    )

    def work() -> Answer:
        outcome = rescheduling.reschedule_own(
            wish, actor=actor_of(request), claimant=claimant_of(request)
        )
        return Answer(201, {"token": outcome.hold.token if outcome.hold else ""})

    about = {"booking": str(booking.pk), **said}
    return placed(lambda: submitted(request, "pages.change", about, work, variant=str(said["to"])))


def _refused(
    request: HttpRequest, booking: Booking, token: str, asked: ChangeForm, problem: dict[str, Any]
) -> HttpResponse:
    """The page again with what was chosen, and what holds now."""
    booking.refresh_from_db()
    if booking.state != CONFIRMED:
        return see_other(reverse("payments:manage", args=[token]))
    return _page(request, booking, token, asked.as_query(), problem)


def _page(
    request: HttpRequest,
    booking: Booking,
    token: str,
    query: QueryDict,
    problem: dict[str, Any] | None = None,
) -> HttpResponse:
    truth, now = one(booking)
    found = choosing(truth.booking, truth.lines, query)
    words: dict[str, Any] = {
        "workspace": booking.workspace,
        "shown": truth,
        "booking": truth.booking,
        "token": token,
        "now": now,
        "problem": problem,
        "choosing": found,
        "slim": found is None,
    }
    if found is not None:
        words |= _choices(truth, found, now)
    status = problem["status"] if problem else 200
    return render(request, "payments/change.html", words, status=status)


def _choices(truth: Shown, found: Choosing, now: datetime) -> dict[str, Any]:
    return {
        "rules": found.rules,
        "line": found.line,
        "picked": found.picked,
        "choice": found.choice,
        "first": found.wish.first,
        "policy": _policy(truth, found, now),
        "hold_minutes": found.rules.hold_ttl_seconds // 60,
        **turns(found.wish.first, found.rules, now),
    }


def _with(add_on: Line, line: Line, window: Window) -> Moved:
    """An add-on moves with its line."""
    before = Spot(add_on.resource, line.starts_at, line.ends_at)
    return Moved(
        add_on.pk, before, Spot(add_on.resource, window.start, window.end), add_on.amount_minor
    )


def _policy(truth: Shown, found: Choosing, now: datetime) -> list[str]:
    """What cancelling would cost at the new time."""
    if found.window is None:
        return []
    line = found.line
    before = Spot(line.resource, line.starts_at, line.ends_at)
    after = Spot(line.resource, found.window.start, found.window.end)
    moves = [Moved(line.pk, before, after, line.amount_minor)]
    moves += [_with(each, line, found.window) for each in truth.lines if each.parent_id == line.pk]
    lines = as_changed(truth.lines, moves)
    return booking_policy_texts(truth.booking, lines, now)
