"""The hold page's truth: what is held, until when by the server's clock, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from bookings.discount_rules import frozen_reduction
from bookings.links import manage_token
from bookings.models import Booking, Discount, Line
from bookings.moved import as_changed, moved
from bookings.words import booking_policy_texts
from config.kernel import clock
from holds import states
from holds.changing import REPLACED
from holds.forms import ContactForm
from holds.models import Hold
from holds.selectors import is_live
from members.pages import member_of


@dataclass(frozen=True, slots=True)
class Told:
    """A hold's state as the page tells it: `active`, `confirmed`, `released` or `expired`.

    A hold whose time is up is expired even when nobody has tidied it yet.
    """

    state: str
    now: datetime
    ends: datetime


def find(token: str) -> Hold:
    """The hold of a token, with what it is for, or 404."""
    holds = Hold.objects.select_related("booking", "workspace", "change", "waited_for")
    found = get_object_or_404(holds, token=token)
    if found.change is not None:
        found.change.booking = found.booking
    return found


def told(hold: Hold, now: datetime) -> Told:
    live = is_live(hold, now)
    state = states.EXPIRED if hold.state == states.ACTIVE and not live else hold.state
    return Told(state, now, hold.expires_at if live else hold.ended_at or hold.expires_at)


def let_go_by(hold: Hold) -> str:
    """Who released it: `choice` (they took another time), `you`, `staff`, `earlier` or `somebody`.

    Surehold itself releases a hold for one reason only: an earlier payment won its time back.
    """
    events = hold.booking.events.filter(kind=states.RELEASED)
    if hold.change_id is not None:
        about = {"kind": f"change_{states.RELEASED}", "data__change": str(hold.change_id)}
        events = hold.booking.events.filter(**about)
    event = events.last()
    kind = event.actor_kind if event else ""
    if kind in {"visitor", "member"}:
        return "choice" if _is_replaced(hold) else "you"
    return {"staff": "staff", "system": "earlier"}.get(kind, "somebody")


def _is_replaced(hold: Hold) -> bool:
    """Whether the same person's next hold began in the transaction that ended this one.

    A change may have been replaced by one that needed no hold: its own row says so.
    """
    if hold.change_id is not None:
        return hold.ended_because == REPLACED
    same = Q(visitor=hold.visitor) if hold.visitor else Q(pk=None)
    if hold.member_id is not None:
        same |= Q(member=hold.member_id)
    then = Hold.objects.filter(same, created_at=hold.ended_at or hold.expires_at)
    return then.exclude(pk=hold.pk).exists()


def lines_of(hold: Hold) -> list[Line]:
    """What is held, with places."""
    lines = Line.objects.select_related("resource__location")
    return list(lines.filter(booking_id=hold.booking_id).order_by("position"))


def page(
    request: HttpRequest,
    hold: Hold,
    *,
    form: ContactForm | None = None,
    trouble: str = "",
    why: str = "",
    status: int = 200,
    code: str = "",
    template: str = "",
) -> HttpResponse:
    """The hold page; with the form's errors or what went wrong with paying (and why) on top.

    `code` is a discount code that was typed and refused; `template` another page that tells of it.
    """
    now = clock.now()
    lines = lines_of(hold)
    truth = told(hold, now)
    released_by = let_go_by(hold) if truth.state == states.RELEASED else ""
    moves = moved([hold.change.lines])[0] if hold.change else []
    words: dict[str, Any] = {
        "workspace": hold.workspace,
        "hold": hold,
        "booking": hold.booking,
        "lines": lines,
        "moves": moves,
        "to_pay": (to_pay := hold.change.difference if hold.change else hold.booking.total),
        "then": hold.booking.total + to_pay,
        "told": truth,
        "released_by": released_by,
        "form": form or ContactForm(initial=_contact(request, hold)),
        "trouble": trouble,
        "discount": discount_of(hold.booking, typed=code),
        "why": why,
        "zone": lines[0].resource.location.timezone if lines else hold.workspace.timezone,
        "is_processing": truth.state == states.ACTIVE and _is_processing(hold),
        "is_requested": truth.state == states.ACTIVE and is_requested(hold),
        "manage": manage_token(hold.booking),
        "can_extend": hold.extended_at is None and hold.workspace.hold_extension_seconds > 0,
        "can_hold_again": bool(lines) and hold.booking.starts_at > now and released_by != "earlier",
        "policy": booking_policy_texts(hold.booking, as_changed(lines, moves), now),
        "slim": True,
    }
    template = template or ("holds/change.html" if hold.change else "holds/hold.html")
    return render(request, template, words, status=status)


def is_requested(hold: Hold) -> bool:
    """Whether it is a request that was sent, and staff are to answer it."""
    return hold.booking.needs_approval and hold.booking.requested_at is not None


def discount_of(booking: Booking, *, typed: str = "") -> dict[str, str] | None:
    """The code in use, or one that was typed; None where nobody could have one."""
    known = frozen_reduction(booking.price)
    if known is not None:
        return {"used": known.code, "typed": typed}
    some = booking.total_minor and Discount.objects.filter(
        workspace_id=booking.workspace_id, is_active=True
    )
    return {"used": "", "typed": typed} if some and some.exists() else None


def _is_processing(hold: Hold) -> bool:
    """Whether a payment is under way whose bank takes days: nothing is to be done meanwhile.

    No change is paid for in that way.
    """
    if not hold.has_open_checkout or hold.change_id is not None:
        return False
    return hold.booking.events.filter(kind="payment_processing").exists()


def _contact(request: HttpRequest, hold: Hold) -> dict[str, str]:
    member = member_of(request)
    return {
        "email": hold.booking.email or (member.email if member else ""),
        "name": hold.booking.name or (member.name if member else ""),
    }
