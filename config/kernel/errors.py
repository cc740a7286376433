"""Errors that callers may see: a stable code, a sentence, data, and an HTTP status.

Whoever raises one says what happened in words a member could read; the interface layers turn it
into a page or an `application/problem+json` answer. The codes are part of the HTTP contract.
"""

from typing import Any, ClassVar


class DomainError(Exception):
    """Something the caller may be told. Subclasses set `code`, `status` and a default `detail`.

    `data` is JSON-serialisable and lands beside `code` in the answer; `retry_after_seconds` becomes
    a Retry-After header; `field` names the input at fault, if one is.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400
    detail: ClassVar[str] = "That did not work."
    retry_after_seconds: ClassVar[int | None] = None

    def __init__(self, detail: str = "", *, field: str = "", **data: Any) -> None:
        self.message = detail or type(self).detail
        self.field = field
        self.data = data
        super().__init__(self.message)

    @property
    def is_final(self) -> bool:
        """Whether the same request would be answered the same way: stored for replays (INV-8)."""
        return 400 <= self.status < 500 and self.status != 429

    def as_problem(self) -> dict[str, Any]:
        """The RFC 9457 body: type, title, status, code, detail, and the error's own data."""
        problem: dict[str, Any] = {
            "type": f"urn:surehold:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.message,
        }
        if self.field:
            problem["errors"] = {self.field: [self.message]}
        return problem | self.data


class InvalidInput(DomainError):
    code = "invalid"
    status = 400
    detail = "Something in the request is not right."


class NotFound(DomainError):
    code = "not_found"
    status = 404
    detail = "There is nothing here by that name."


class InvalidTransition(DomainError):
    code = "invalid_transition"
    status = 409
    detail = "That cannot be done in its present state."


class VersionMismatch(DomainError):
    code = "version_mismatch"
    status = 412
    detail = "It has changed since you read it. Load it again."


class TemporarilyUnavailable(DomainError):
    code = "temporarily_unavailable"
    status = 503
    detail = "A part of the system is busy or down. Nothing was lost; please try again shortly."
    retry_after_seconds = 2
