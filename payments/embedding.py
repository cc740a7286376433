"""Showing our pages in another site's page: only in those that the workspace names.

The views are those of the pages themselves. Around them it is made sure that nobody is signed in,
that no cookie is read or set, that a form is this frame's own, and that a hold or booking is its
visitor's. Everything else stays as it is: the same services, request ids and limits.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_cache_control
from django.views.decorators.csrf import csrf_exempt

from bookings.embed_look import Look, look_from
from bookings.links import booking_id_from
from config.kernel.errors import DomainError
from config.middleware import framing_policy
from holds.models import Hold
from members.frames import Frame, frame_from
from members.models import Workspace
from members.origins import is_origin
from members.pages import problem_page

View = Callable[..., HttpResponse]


class FormNotOurs(DomainError):
    code = "form_not_ours"
    status = 403
    detail = "This form was not one of this calendar's. Load the page again and press once more."


def workspace_of(slug: str) -> Workspace:
    """The workspace, if it lets anybody show its calendar; 404 otherwise."""
    found = get_object_or_404(Workspace, slug=slug)
    if not origins_of(found):
        raise Http404("not to be embedded")
    return found


def origins_of(workspace: Workspace) -> tuple[str, ...]:
    """Who may show the calendar. What is no origin never stands in a header, however it came."""
    return tuple(each for each in workspace.embed_origins if is_origin(each))


def frame_of(slug: str, segment: str) -> Frame:
    """The frame that an address names, with who may show it; 404 for one that is not ours."""
    found = frame_from(slug, segment, origins_of(workspace_of(slug)))
    if found is None:
        raise Http404("not a frame of ours")
    return found


def framed(view: View) -> View:
    """A page of the catalogue in a frame: its own arguments follow the workspace's slug."""
    return _within(lambda request, slug, **rest: view(request, slug=slug, **rest))


def framed_hold(view: View) -> View:
    """A page of one hold in a frame: only of the frame's own visitor."""

    def page(request: HttpRequest, slug: str, token: str, **rest: Any) -> HttpResponse:
        refuse_unless_own_hold(request.frame, token)  # type: ignore[attr-defined]
        return view(request, token=token, **rest)

    return _within(page)


def framed_booking(view: View) -> View:
    """A page of one booking, by its link, in a frame: only of the frame's own visitor."""

    def page(request: HttpRequest, slug: str, token: str, **rest: Any) -> HttpResponse:
        refuse_unless_own_booking(request.frame, token)  # type: ignore[attr-defined]
        return view(request, token=token, **rest)

    return _within(page)


def refuse_unless_own_booking(frame: Frame, token: str) -> None:
    """404 unless the booking of a link was held by the frame's visitor."""
    booking_id = booking_id_from(token)
    mine = Hold.objects.filter(visitor=frame.visitor, workspace__slug=frame.slug)
    if booking_id is None or not mine.filter(booking_id=booking_id, change=None).exists():
        raise Http404("not of this frame")


def refuse_unless_own_hold(frame: Frame, token: str) -> None:
    """404 unless the hold is the frame's visitor's."""
    mine = Hold.objects.filter(visitor=frame.visitor, workspace__slug=frame.slug, change=None)
    if not mine.filter(token=token).exists():
        raise Http404("not of this frame")


def _within(view: View) -> View:
    """What is true of every page in a frame."""

    @csrf_exempt  # without cookies there is nothing to forge with; the frame's own token is asked
    @wraps(view)
    def page(request: HttpRequest, slug: str, segment: str, **rest: Any) -> HttpResponse:
        frame = frame_of(slug, segment)
        if is_led_here(request):
            return redirect(_for_everybody(slug, rest.get("resource_slug", "")))
        look = look_from(frame.look)
        _enter(request, frame, look)
        with translation.override(look.locale or settings.LANGUAGE_CODE):
            response = _answered(request, frame, view, slug, rest)
        return framing(response, frame.origins)

    return page


def is_led_here(request: HttpRequest) -> bool:
    """Whether a link from outside opens a frame's address in a window of its own.

    Its visitor would be whoever made the link, and they would see what is held and booked there.
    Browsers say so since 2023; within a frame, and where it opens itself in a window, it is not so.
    """
    is_window = request.headers.get("Sec-Fetch-Dest") == "document"
    return is_window and request.headers.get("Sec-Fetch-Site") != "same-origin"


def _for_everybody(slug: str, resource_slug: str) -> str:
    if resource_slug:
        return reverse("bookings:resource", args=[slug, resource_slug])
    return reverse("bookings:workspace", args=[slug])


def _enter(request: HttpRequest, frame: Frame, look: Look) -> None:
    """Nobody is signed in here, and cookies that a browser sends all the same are not read."""
    request.COOKIES = {}
    request.user = AnonymousUser()
    request.frame = frame  # type: ignore[attr-defined]
    request.look = look  # type: ignore[attr-defined]
    request._visitor = frame.visitor  # type: ignore[attr-defined]


def _answered(
    request: HttpRequest, frame: Frame, view: View, slug: str, rest: dict[str, Any]
) -> HttpResponse:
    if request.method == "POST" and not _is_ours(request, frame):
        return problem_page(request, FormNotOurs())
    try:
        return view(request, slug, **rest)
    except Http404:
        return render(request, "embed/gone.html", {}, status=404)


def _is_ours(request: HttpRequest, frame: Frame) -> bool:
    """Whether a form carries the frame's token and, where that is told, is on a page of ours."""
    origin = request.headers.get("Origin")
    if origin is not None and origin not in _own_origins(request):
        return False
    return frame.sent(request.POST.get("csrfmiddlewaretoken", ""))


def _own_origins(request: HttpRequest) -> set[str]:
    site = urlsplit(settings.SITE_URL)
    return {
        f"{request.scheme}://{request.get_host()}",
        f"{site.scheme}://{site.netloc}",
        *settings.CSRF_TRUSTED_ORIGINS,
    }


def framing(response: HttpResponse, origins: tuple[str, ...]) -> HttpResponse:
    """Lets these sites show the answer in a frame. No cache keeps it: it is one visitor's."""
    response["Content-Security-Policy"] = framing_policy(origins)
    response.xframe_options_exempt = True
    patch_cache_control(response, private=True, no_store=True)
    return response


def posted_to(inside: str) -> Callable[[View], View]:
    """Who opens the address of a form by a GET goes to the frame's beginning."""

    def only_post(view: View) -> View:
        @wraps(view)
        def page(request: HttpRequest, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                return view(request, **kwargs)
            frame = request.frame  # type: ignore[attr-defined]
            own = [kwargs["token"]] if "token" in kwargs else [frame.slug]
            return redirect(frame.address(inside, *own))

        return page

    return only_post
