"""A member's bookings, and the page that a guest's link opens."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from bookings.ics_feeds import feed_words
from bookings.states import CONFIRMED
from bookings.words import booking_policy_texts
from holds.templatetags.holds_surehold import live_holds
from holds.waitlist_selectors import live_of
from holds.waitlist_states import WAITING
from members.forms import SignInForm
from members.pages import member_of, private
from members.visitors import visitor_of
from payments.by_link import booking_by_link
from payments.changed import story
from payments.credit_selectors import purses
from payments.receipts import of_booking
from payments.rescheduling import is_movable
from payments.series import has_rest
from payments.truth import Shown, mine, one


@require_safe
@private
def my(request: HttpRequest) -> HttpResponse:
    """Next one first. Without signing in: what this browser holds, and the way in."""
    member = member_of(request)
    if member is None:
        holds = live_holds(visitor_of(request), None)
        waiting = [e for e in live_of(visitor=visitor_of(request)) if e.state == WAITING]
        guest = {"form": SignInForm(), "holds": holds, "waiting": waiting}
        return render(request, "payments/my_guest.html", guest)
    words: dict[str, Any] = {"mine": mine(member), "member": member, "purses": purses(member)}
    words["waiting"] = live_of(member=member)
    words |= feed_words(member)
    return render(request, "payments/my.html", words)


@require_safe
@private
def manage(request: HttpRequest, token: str) -> HttpResponse:
    """One booking, for whoever has its link: a guest needs no account."""
    booking = booking_by_link(token)
    truth, now = one(booking)
    words = {
        "workspace": booking.workspace,
        "shown": truth,
        "now": now,
        "token": token,
        "policy": booking_policy_texts(booking, truth.lines, now),
        "receipts": of_booking(booking),
        "story": story(truth.events),
        "can_change": _can_change(truth, now),
        "is_movable": any(is_movable(booking, line, now) for line in truth.lines),
        "can_cancel": booking.state == CONFIRMED and booking.starts_at > now,
        "droppable": _droppable(truth, now),
        "has_rest": has_rest(booking, truth.lines, now),
    }
    return render(request, "payments/manage.html", words)


def _droppable(truth: Shown, now: datetime) -> frozenset[int]:
    """Positions of lines that can be cancelled while the others stand."""
    is_open = truth.state == CONFIRMED and truth.money.pay_again is None
    mains = [line for line in truth.lines if line.parent_id is None]
    if not is_open or len(mains) < 2:
        return frozenset()
    return frozenset(line.position for line in mains if line.starts_at > now)


def _can_change(truth: Shown, now: datetime) -> bool:
    """Whether there is something left of it to move or to make longer, and nothing owed before."""
    is_open = truth.state == CONFIRMED and truth.money.pay_again is None
    return is_open and any(line.ends_at > now for line in truth.lines)
