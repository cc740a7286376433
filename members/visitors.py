"""The browser that has no account: a signed, long-lived cookie with a random id."""

import uuid
from collections.abc import Callable

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE = "visitor"
_SALT = "members.visitor"
_MAX_AGE_SECONDS = 365 * 24 * 3600


def visitor_of(request: HttpRequest) -> str:
    """This browser's id; a new one is made at the first call and set on the response."""
    known = getattr(request, "_visitor", "")
    if not known:
        known = _from_cookie(request) or uuid.uuid4().hex
        request._visitor = known  # type: ignore[attr-defined]
    return known


def visitor_known(request: HttpRequest) -> str:
    """This browser's id by its cookie or its frame's token, or an empty string; none is made."""
    frame = getattr(request, "frame", None)
    return frame.visitor if frame is not None else _from_cookie(request)


def _from_cookie(request: HttpRequest) -> str:
    try:
        return signing.Signer(salt=_SALT).unsign(request.COOKIES.get(COOKIE, ""))
    except signing.BadSignature:
        return ""


class VisitorMiddleware:
    """Sets the cookie for browsers that were given an id in this request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        visitor = getattr(request, "_visitor", "")
        if hasattr(request, "frame"):  # its token stands in its addresses: members.frames
            return response
        if visitor and _from_cookie(request) != visitor:
            response.set_cookie(
                COOKIE,
                signing.Signer(salt=_SALT).sign(visitor),
                max_age=_MAX_AGE_SECONDS,
                httponly=True,
                samesite="Lax",
                secure=settings.SESSION_COOKIE_SECURE,
            )
        return response
