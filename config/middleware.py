"""Request ids, the strict content policy, and a clear answer when the database is busy or gone."""

import logging
import re
import uuid
from collections.abc import Callable, Iterable

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from config.kernel.context import request_id
from config.kernel.database_errors import translated
from config.kernel.errors import DomainError

log = logging.getLogger(__name__)

_GIVEN = re.compile(r"[\w.-]{8,64}")
_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self' {pay}; frame-ancestors 'none'"
)
GetResponse = Callable[[HttpRequest], HttpResponse]


class RequestIdMiddleware:
    """Gives every request an id (the caller's own, if it is a plain one) for logs and history."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        token = request_id.set(given if _GIVEN.fullmatch(given) else uuid.uuid4().hex)
        try:
            response = self.get_response(request)
            response["X-Request-Id"] = request_id.get()
            return response
        finally:
            request_id.reset(token)


class UnavailableMiddleware:
    """A busy or absent database is a 503 with Retry-After, in the caller's own format."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.get_response(request)
        except (DatabaseError, InterfaceError) as error:
            answer = self.process_exception(request, error)
            if answer is None:
                raise
            return answer

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, DatabaseError | InterfaceError):
            return None
        named = translated(error)
        if named is None or named.status != 503:
            return None
        log.warning("answered 503 to %s: %s", request.path, error)
        return unavailable(request, named)


def unavailable(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The answer for a part that is down: a problem for programs, a page for people."""
    response: HttpResponse
    if request.path.startswith("/api/"):
        response = JsonResponse(
            error.as_problem(), status=503, content_type="application/problem+json"
        )
    else:
        response = HttpResponse(render_to_string("503.html"), status=503)
    response["Retry-After"] = str(error.retry_after_seconds or 2)
    return response


class ContentSecurityMiddleware:
    """Pages of ours load nothing from anywhere else and run no inline script or style.

    The admin and the API docs bring inline styles of their own and are let use them.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "Content-Security-Policy" not in response:
            response["Content-Security-Policy"] = _policy(request.path)
        return response


def framing_policy(origins: Iterable[str]) -> str:
    """What pages of ours may load, for a page that these origins may show in a frame."""
    ancestors = " ".join(origins) or "'none'"
    return _policy("").replace("frame-ancestors 'none'", f"frame-ancestors {ancestors}")


def _policy(path: str) -> str:
    policy = _POLICY.replace("{pay}", "https: http://127.0.0.1:* http://localhost:*")
    if path.startswith(("/admin/", "/api/v1/docs")):
        inline = "'self' 'unsafe-inline' 'unsafe-eval'"
        policy = policy.replace("style-src 'self'", f"style-src {inline}")
        policy = policy.replace("script-src 'self'", f"script-src {inline}")
    return policy
