"""What the calendar in another page has beside the pages themselves: the way in, the payment page
in a window of its own, and the way back.
"""

import re
from dataclasses import replace
from hashlib import sha256

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, JsonResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from bookings import views as catalogue
from bookings.embed_look import look_from
from bookings.links import manage_token
from config.kernel import clock
from holds import pages
from holds.models import Hold
from holds.states import ACTIVE
from members.frames import LOOK, Frame, frame_from, new_frame
from members.origins import origin_of
from members.pages import page_url, private, see_other
from payments import views
from payments.embedding import (
    frame_of,
    framing,
    is_led_here,
    origins_of,
    refuse_unless_own_booking,
    refuse_unless_own_hold,
    workspace_of,
)
from payments.models import Checkout
from payments.selectors import verdict_page
from payments.states import OPEN

_SCRIPT = (settings.BASE_DIR / "static/js/embed.js").read_bytes()
_SCRIPT_TAG = f'"{sha256(_SCRIPT).hexdigest()[:32]}"'
_MOST_LOOKS = 20


@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """`embed.js`, for every site: an hour in caches, then asked for again by its tag."""
    response: HttpResponse
    if request.headers.get("If-None-Match") == _SCRIPT_TAG:
        response = HttpResponseNotModified()
    else:
        response = HttpResponse(_SCRIPT, content_type="text/javascript; charset=utf-8")
    response["ETag"] = _SCRIPT_TAG
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_cache_control(response, public=True, max_age=3600)
    return response


@require_safe
def enter(request: HttpRequest, slug: str, resource_slug: str = "") -> HttpResponse:
    """A frame begins. First the browser is asked whether it was here before, in its own storage:
    `enter.js` comes back with `?visitor=` and what it knows. `?look=` is what the page asks for.
    """
    workspace = workspace_of(slug)
    look = request.GET.get("look", "")
    look = look if re.fullmatch(LOOK, look) else ""
    if "visitor" not in request.GET or is_led_here(request):
        words = {"slug": slug, "look": look}
        response = render(request, "embed/enter.html", words)
        return framing(response, origins_of(workspace))
    known = frame_from(slug, request.GET["visitor"].partition("~")[0])
    frame = replace(known, look=look) if known else new_frame(slug, look)
    where = ("bookings:resource", slug, resource_slug)
    page = frame.address(*(where if resource_slug else ("bookings:workspace", slug)))
    response = redirect(f"{page}?new")
    patch_cache_control(response, private=True, no_store=True)
    return response


@require_safe
def look_css(request: HttpRequest, look: str) -> HttpResponse:
    """What a page asked for, as a stylesheet of values that were checked."""
    response = HttpResponse(look_from(look).css(), content_type="text/css; charset=utf-8")
    patch_cache_control(response, public=True, max_age=86400)
    return response


def resource_week(request: HttpRequest, slug: str, resource_slug: str) -> HttpResponse:
    """As the page's; opened by itself it leads to the page within the frame."""
    if request.headers.get("HX-Request"):
        return catalogue.resource_week(request, slug, resource_slug)
    return redirect(page_url(request, "bookings:resource", slug, resource_slug))


@require_safe
@private
def paying(request: HttpRequest, token: str) -> HttpResponse:
    """While the payment page is open in another window. It says when that is over."""
    hold = pages.find(token)
    if pages.told(hold, clock.now()).state != ACTIVE:
        return see_other(page_url(request, "payments:return", manage_token(hold.booking)))
    return pages.page(request, hold, template="embed/paying.html")


@require_safe
@private
def state(request: HttpRequest, token: str) -> HttpResponse:
    """What became of a hold, for a page that asks every few seconds; with `?look`, Stripe is asked.

    `after` is where the frame goes, or null while nothing has changed.
    """
    hold = pages.find(token)
    if "look" in request.GET:
        views.settled(hold.booking)
        hold.refresh_from_db()
    now = pages.told(hold, clock.now()).state
    verdict = verdict_page(hold.booking)
    after = None
    if now != ACTIVE or verdict != "open":
        name = "holds:hold" if verdict == "open" else "payments:return"
        known = token if verdict == "open" else manage_token(hold.booking)
        after = page_url(request, name, known)
    return JsonResponse({"state": now, "verdict": verdict, "after": after})


@require_safe
def go(request: HttpRequest, slug: str, segment: str, token: str) -> HttpResponse:
    """The window in which one pays: it waits for the payment page and goes there.

    Its address comes from Stripe alone, never from the request.
    """
    frame = frame_of(slug, segment)
    refuse_unless_own_hold(frame, token)
    hold = pages.find(token)
    checkout = _open(hold)
    if checkout is not None:
        return _lasting(see_other(checkout.url))
    looks = _number(request.GET.get("n", ""))
    words = {
        "workspace": hold.workspace,
        "again": "" if looks >= _MOST_LOOKS else f"?n={looks + 1}",
        "back": frame.address("payments:back", manage_token(hold.booking)),
        "slim": True,
    }
    return _lasting(render(request, "embed/go.html", words))


def _open(hold: Hold) -> Checkout | None:
    found = Checkout.objects.filter(due__booking_id=hold.booking_id, due__change=None)
    return found.filter(state=OPEN, close_requested_at=None).exclude(url="").last()


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0


@require_safe
def back(request: HttpRequest, slug: str, segment: str, token: str) -> HttpResponse:
    """The window after paying: it tells what came of it, and the frame that opened it to look."""
    frame = frame_of(slug, segment)
    refuse_unless_own_booking(frame, token)
    request.came_from = _came_from(frame)  # type: ignore[attr-defined]
    return _lasting(views.after_paying(request, token))


def _came_from(frame: Frame) -> dict[str, str]:
    """The page around the frame, if it is one that the workspace allows: no other is led to."""
    page = look_from(frame.look).page
    known = origin_of(page) in frame.origins
    return {"url": page if known else "", "name": origin_of(page).partition("//")[2]}


def _lasting(response: HttpResponse) -> HttpResponse:
    """Keeps the tie to the window that opened this one, so that it can be told."""
    response["Cross-Origin-Opener-Policy"] = "unsafe-none"
    patch_cache_control(response, private=True, no_store=True)
    return response
