"""Under /api/ every error is a problem (RFC 9457), also those that no endpoint has answered.

Django answers some by itself, as pages: an unknown host, a query with thousands of parameters, a
bug. What it logs stays as it is; a program gets what it can read, and nothing of the inside.
"""

import json
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from config.problems import CONTENT_TYPE

_UNREADABLE = "unreadable_request", "The request's address, host or query cannot be read."
_KNOWN = {
    400: _UNREADABLE,
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "The API has no such address."),
    405: ("method_not_allowed", "This address does not know that method."),
    413: ("body_too_large", "The request's body is larger than the API reads."),
    500: ("internal_error", "That was our mistake, and it has been noted."),
}


class ApiProblemMiddleware:
    """Puts a problem in the place of an error's page. Stands outside of all that may fail."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or not is_api(request.path):
            return response
        if response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        return _as_problem(response)


def is_api(path: str) -> bool:
    """Whether programs ask for this address."""
    return path == "/api" or path.startswith("/api/")


def _as_problem(response: HttpResponse) -> HttpResponse:
    """The same response with other words: its headers stay, and that it was logged."""
    status = response.status_code
    code, detail = _KNOWN.get(status, _KNOWN[500] if status >= 500 else _UNREADABLE)
    body = {
        "type": f"urn:surehold:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }
    response.content = json.dumps(body).encode()
    response["Content-Type"] = CONTENT_TYPE
    del response["Content-Length"]
    return response
