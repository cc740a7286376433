"""What a page in a frame says of itself to the script that speaks with the page around it."""

import json
from datetime import datetime
from typing import Any

from django import template
from django.urls import reverse

from bookings.models import Line
from holds.models import Hold
from holds.states import ACTIVE, EXPIRED
from members.origins import origin_of
from payments.models import Checkout

register = template.Library()

# The page after paying, as the page around it needs to know it.
_VERDICTS = {"confirmed": "confirmed", "pay_again": "confirmed", "lost": "expired",
             "failed": "expired", "processing": "processing", "awaiting": "processing"}  # fmt: skip


@register.simple_tag(takes_context=True)
def look_address(context: Any) -> str:
    """The stylesheet of what the page around it asked for."""
    return reverse("embed:look", args=[context.request.frame.look])


@register.simple_tag(takes_context=True)
def frame_told(context: Any) -> str:
    """As JSON, for an attribute: which page this is and, where something is held, what of it.

    Nothing in it lets anybody do something: no token, no name, no address. `host` is the only
    origin that the frame speaks with, "" for none.
    """
    request = context.request
    frame, look = request.frame, request.look
    host = origin_of(look.page)
    told = {
        "host": host if host in frame.origins else "",
        "workspace": frame.slug,
        "bare": frame.bare,
        "fresh": "new" in request.GET,
        **_page(context),
    }
    return json.dumps(told)


def _page(context: Any) -> dict[str, Any]:
    if "told" in context:
        return _held(context)
    if "verdict" in context:
        return _after(context)
    if "code" in context and "message" in context:
        return {"page": "refused", "code": context["code"], "message": str(context["message"])}
    resource = context.get("resource")
    return {"page": "choosing", "resource": resource.slug if resource else ""}


def _held(context: Any) -> dict[str, Any]:
    hold, state = context["hold"], context["told"].state
    page = "held" if state == ACTIVE else state
    if state == ACTIVE and (context["is_processing"] or context["is_requested"]):
        page = "processing"
    detail = _detail(context["booking"], context["lines"], hold.expires_at)
    return {"page": page, "detail": detail, **_poll(context, hold, state)}


def _after(context: Any) -> dict[str, Any]:
    hold, shown, verdict = context["hold"], context["shown"], context["verdict"]
    is_held = verdict == "open" and context["is_live"]
    page = "held" if is_held else _VERDICTS.get(verdict, "expired")
    detail = _detail(shown.booking, shown.lines, hold.expires_at)
    if verdict == "open" and hold.state == "released":
        page = "released"
    state = ACTIVE if is_held else EXPIRED if verdict == "open" else hold.state
    return {"page": page, "detail": detail, **_poll(context, hold, state)}


def _poll(context: Any, hold: Hold, state: str) -> dict[str, str]:
    """Where to ask what became of it: while it is held, and when a payment may still come."""
    is_open = state == ACTIVE
    if state == EXPIRED:
        is_open = Checkout.objects.filter(due__booking_id=hold.booking_id).exists()
    poll = context.request.frame.address("payments:state", hold.token) if is_open else ""
    return {"state": state, "poll": poll}


def _detail(booking: Any, lines: list[Line], until: datetime) -> dict[str, Any]:
    first = next((line for line in lines if line.parent_id is None), None)
    return {
        "reference": booking.reference,
        "resource": first.resource.slug if first else "",
        "start": (first.starts_at if first else booking.starts_at).isoformat(),
        "end": (first.ends_at if first else booking.ends_at).isoformat(),
        "quantity": first.quantity if first else 1,
        "until": until.isoformat(),
    }
