"""Which pages of other origins may read the API's answers: those of a publishable key's origins.

Lists stand with each key, so this cannot be a setting. A preflight carries no key: it is answered
for every origin that some live key lists, and the answer itself only for the origins of the key
that asked. Secret keys have no place in pages: what they are answered no page can read. Nothing
here carries cookies.

While the database is gone, what was last answered to that origin (`bookings/last_answers.py`) and
the 503 may be read by origins that were listed within the last hours.
"""

from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from config.kernel.redis import ask
from members.models import ApiKey
from members.publishable import HOLD_TOKEN, VISITOR, is_publishable

_METHODS = "GET, POST, DELETE"
_HEADERS = f"Authorization, Content-Type, Idempotency-Key, If-Match, {HOLD_TOKEN}, {VISITOR}"
_EXPOSED = "ETag, Retry-After, Idempotent-Replayed, Age, X-Request-Id"
_PREFLIGHT_SECONDS = 600
_REMEMBERED_SECONDS = 6 * 3600


class CorsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/api/v1/"):
            return self.get_response(request)
        origin = request.headers.get("Origin", "")
        if _is_preflight(request) and _is_listed(origin):
            response = _preflight()
            _allow(response, origin)
        else:
            response = self.get_response(request)
            if origin and _may_read(request, response, origin):
                _allow(response, origin)
        patch_vary_headers(response, ["Origin"])
        return response


def _is_preflight(request: HttpRequest) -> bool:
    asks = "Access-Control-Request-Method" in request.headers
    return request.method == "OPTIONS" and asks and "Origin" in request.headers


def _preflight() -> HttpResponse:
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = _METHODS
    response["Access-Control-Allow-Headers"] = _HEADERS
    response["Access-Control-Max-Age"] = str(_PREFLIGHT_SECONDS)
    patch_vary_headers(
        response, ["Access-Control-Request-Method", "Access-Control-Request-Headers"]
    )
    return response


def _allow(response: HttpResponse, origin: str) -> None:
    response["Access-Control-Allow-Origin"] = origin
    response["Access-Control-Expose-Headers"] = _EXPOSED


def _may_read(request: HttpRequest, response: HttpResponse, origin: str) -> bool:
    """By the key that the view found; without a database nobody finds one."""
    key: Any = getattr(request, "auth", None)
    if key is not None:
        return is_publishable(key) and origin in key.origins
    is_of_key = request.headers.get("Authorization", "").lower().startswith("bearer pk_")
    is_without = response.status_code == 503 or "Age" in response
    return is_of_key and is_without and _was_listed(origin)


def _is_listed(origin: str) -> bool:
    """Whether some live publishable key names this origin."""
    live = ApiKey.objects.filter(kind=ApiKey.Kind.PUBLISHABLE, revoked_at=None)
    try:
        found = live.filter(origins__contains=[origin]).exists()
    except (DatabaseError, InterfaceError):
        return _was_listed(origin)
    if found:
        ask(lambda client: client.set(_note(origin), 1, ex=_REMEMBERED_SECONDS), None)
    return found


def _was_listed(origin: str) -> bool:
    return bool(ask(lambda client: client.exists(_note(origin)), 0))


def _note(origin: str) -> str:
    return f"cors:{origin[:200]}"
