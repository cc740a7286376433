"""Every error of the API as `application/problem+json` (RFC 9457); a bug stays a bug.

What the framework raises, what the domain raises and what the database refuses end here as one
kind of answer. Anything unknown is raised again, so that it is logged and seen as the 500 it is.
"""

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from config.kernel.database_errors import translated
from config.kernel.errors import DomainError, NotFound

CONTENT_TYPE = "application/problem+json"

# Our codes for what the framework raises; they are part of the HTTP contract.
_CODES: dict[type[exceptions.APIException], str] = {
    exceptions.ParseError: "invalid_json",
    exceptions.NotAuthenticated: "unauthenticated",
    exceptions.AuthenticationFailed: "unauthenticated",
    exceptions.PermissionDenied: "forbidden",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.Throttled: "rate_limited",
    exceptions.ValidationError: "invalid",
}


class BodyTooLarge(DomainError):
    code = "body_too_large"
    status = 413
    detail = "The request's body is larger than the API reads."


class Forbidden(DomainError):
    code = "forbidden"
    status = 403
    detail = "This is not allowed."


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's hook: the problem for `exc`, or None for what is a bug (DRF then raises it again)."""
    answer = _problem_of(exc)
    if answer is not None and "request" in context:
        # As JSON, whatever the view answers with: the description is YAML, its page HTML.
        context["request"].accepted_renderer = JSONRenderer()
        context["request"].accepted_media_type = CONTENT_TYPE
    return answer


def _problem_of(exc: Exception) -> Response | None:
    if isinstance(exc, DatabaseError | InterfaceError):
        known = translated(exc)
        return domain_problem(known) if known else None
    if isinstance(exc, DomainError):
        return domain_problem(exc)
    if isinstance(exc, Http404):
        return domain_problem(NotFound())
    if isinstance(exc, PermissionDenied):
        return domain_problem(Forbidden())
    if isinstance(exc, exceptions.APIException):
        return _framework_problem(exc)
    return None


def domain_problem(error: DomainError) -> Response:
    """The answer for a DomainError, with Retry-After where it names one."""
    wait = error.data.get("retry_after_seconds", error.retry_after_seconds)
    return problem(error.as_problem(), retry_after_seconds=wait)


def problem(body: dict[str, Any], *, retry_after_seconds: int | None = None) -> Response:
    """A problem's body as a response; its `status` member is the HTTP status."""
    headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    return Response(body, status=body["status"], content_type=CONTENT_TYPE, headers=headers)


def _framework_problem(exc: exceptions.APIException) -> Response:
    code = next((code for kind, code in _CODES.items() if isinstance(exc, kind)), "error")
    errors = dict(_errors_by_field(exc.detail)) if code == "invalid" else {}
    body: dict[str, Any] = {
        "type": f"urn:surehold:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": exc.status_code,
        "code": code,
        "detail": _sentence(exc, errors),
    }
    if errors:
        body["errors"] = errors
    wait = getattr(exc, "wait", None)
    answer = problem(body, retry_after_seconds=None if wait is None else max(1, int(wait)))
    if header := getattr(exc, "auth_header", None):
        answer["WWW-Authenticate"] = header
    return answer


def _sentence(exc: exceptions.APIException, errors: dict[str, list[str]]) -> str:
    if not errors:
        return str(exc.detail)
    field, messages = next(iter(errors.items()))
    return f"{field}: {messages[0]}"


def _errors_by_field(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """DRF's nested error details as `lines.0.start` → messages."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _errors_by_field(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        for index, inner in enumerate(detail):
            yield from _errors_by_field(inner, f"{path}.{index}".lstrip("."))
    else:
        messages = detail if isinstance(detail, list) else [detail]
        yield path or "body", [str(message) for message in messages]
