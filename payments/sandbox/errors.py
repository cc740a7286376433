"""Refusals in Stripe's shape: a type, a code, a parameter and a sentence."""

from __future__ import annotations

from typing import Any


class StripeError(Exception):
    """An error answer.

    ``stored`` says whether an idempotency key keeps it: validation failures and conflicts are not
    kept, the outcome of work that had begun is.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type_name: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        stored: bool = False,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type_name
        self.code = code
        self.param = param
        self.stored = stored
        self.headers = headers or {}
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The JSON document Stripe would send."""
        optional = {"code": self.code, "param": self.param, **self.extra}
        present = {name: value for name, value in optional.items() if value is not None}
        return {"error": {"message": self.message, "type": self.type, **present}}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A parameter that cannot be accepted."""
    return StripeError(message, param=param, code=code)


def missing(kind: str, object_id: str, *, param: str = "id", status: int = 404) -> StripeError:
    """An object that this account does not have."""
    return StripeError(
        f"No such {kind}: '{object_id}'", status=status, code="resource_missing", param=param
    )


def wrong_state(message: str, *, code: str | None = None, **extra: Any) -> StripeError:
    """A request the object's state does not allow; its answer is kept by the idempotency key."""
    return StripeError(message, code=code, stored=True, **extra)


def unrecognized(method: str, path: str) -> StripeError:
    """A URL the API does not have."""
    return StripeError(f"Unrecognized request URL ({method}: {path}).", status=404)


def broken(headers: dict[str, str]) -> StripeError:
    """A failure on Stripe's side; the headers may say whether to try again."""
    return StripeError(
        "The sandbox was told to fail here.",
        status=500,
        type_name="api_error",
        stored=True,
        headers=headers,
    )
