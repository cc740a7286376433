"""How the API's values look, for the OpenAPI description; endpoints build them by hand."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from config.kernel.errors import DomainError
from config.problems import CONTENT_TYPE
from members.publishable import HOLD_TOKEN, VISITOR

Parameters = list[OpenApiParameter]
Problem = tuple[int, str, str]  # status, code, sentence

KEY_PATTERN = r"^[!-~]([ -~]*[!-~])?$"
_TYPES: dict[Any, dict[str, str]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    UUID: {"type": "string", "format": "uuid"},
    datetime: {"type": "string", "format": "date-time"},
}
_EVERYWHERE: list[Problem] = [
    (400, "invalid", "Something in the request is not right; `errors` names the field."),
    (401, "unauthenticated", "No live API key."),
    (403, "insufficient_scope", "The key may only read."),
    (403, "forbidden", "The key is not let do this."),
    (403, "publishable_key_not_allowed", "A publishable key does not reach this."),
    (403, "origin_not_allowed", "A publishable key is used from pages of its origins only."),
    (404, "not_found", "There is no such thing in this workspace."),
    (429, "rate_limited", "Too many requests."),
    (503, "temporarily_unavailable", "A part is down or busy. Nothing was lost."),
]
_READ: list[Problem] = [
    (400, "invalid_json", "The body is not JSON."),
    (413, "body_too_large", "The body is larger than the API reads."),
    (415, "unsupported_media_type", "Send application/json."),
]
_KEYED: list[Problem] = [
    (400, "idempotency_key_required", "Send an Idempotency-Key header."),
    (409, "idempotency_key_in_use", "The first request with this key is still being worked on."),
    (422, "idempotency_key_reused", "This key was used for another request."),
]


class MoneySchema(serializers.Serializer):
    amount_minor = serializers.IntegerField(help_text="In minor units: 4500 is NZ$45.00.")
    currency = serializers.CharField(max_length=3, help_text="ISO 4217.")


class WindowSchema(serializers.Serializer):
    """Half open: the end is the first moment that is not part of it."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class ProblemSchema(serializers.Serializer):
    """RFC 9457. `code` is stable; `errors` names the fields at fault."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField(help_text="For people.")
    errors = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), required=False
    )
    line = serializers.IntegerField(required=False, help_text="Index of the line that failed.")
    next_free = WindowSchema(required=False, allow_null=True)
    add_on = serializers.IntegerField(
        required=False, allow_null=True, help_text="Index of the line's add-on that failed."
    )
    remaining = serializers.IntegerField(
        required=False, allow_null=True, help_text="Units left throughout the time asked for."
    )
    resource = serializers.UUIDField(required=False, help_text="Of the add-on that failed.")
    most = serializers.IntegerField(required=False)
    least = serializers.IntegerField(required=False)
    start = serializers.DateTimeField(
        required=False, help_text="With `end`: what can be held instead of waiting."
    )
    end = serializers.DateTimeField(required=False)
    rule = serializers.CharField(
        required=False, help_text="Which rule a window or an add-on breaks."
    )
    left_minor = serializers.IntegerField(
        required=False, help_text="What is left to give back, in minor units."
    )
    max_bytes = serializers.IntegerField(required=False)
    retry_after_seconds = serializers.IntegerField(required=False, help_text="As Retry-After.")
    from_state = serializers.CharField(required=False)
    to_state = serializers.CharField(required=False)


def page_of(result: type[serializers.Serializer], name: str) -> Any:
    """The envelope of a list of `result`."""
    return type(
        f"{name}PageSchema",
        (serializers.Serializer,),
        {
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": result(many=True),
        },
    )


def answers(
    success: dict[int, Any],
    problems: Iterable[int] = (),
    *,
    keyed: bool = False,
    raises: Iterable[type[DomainError]] = (),
) -> dict[Any, Any]:
    """The responses of an operation: its successes, and every problem that it may answer.

    `raises` are the errors of its own, described by their codes and sentences; those that every
    operation may answer are added, and those of an Idempotency-Key where it is `keyed`. A status
    among `problems` is described without its codes.
    """
    reads = _READ if keyed or 415 in problems else []
    common = {*_EVERYWHERE, *reads, *(_KEYED if keyed else ())}
    named = _named(common | {_problem(each) for each in raises})
    described: dict[Any, Any] = dict(success)
    for status in sorted({*named, *problems}):
        codes = named.get(status, [])
        described[(str(status), CONTENT_TYPE)] = OpenApiResponse(
            ProblemSchema, description="\n".join([_MEANINGS[status], "", *codes]).strip()
        )
    return described


def _problem(error: type[DomainError]) -> Problem:
    return error.status, error.code, error.detail


def _named(problems: Iterable[Problem]) -> dict[int, list[str]]:
    """Each status with its codes, one a line; tests read them back."""
    named: dict[int, dict[str, str]] = {}
    for status, code, text in sorted(problems):
        named.setdefault(status, {})[code] = f"- `{code}`: {text}"
    return {status: list(codes.values()) for status, codes in named.items()}


def query(
    name: str,
    kind: Any = str,
    text: str = "",
    *,
    required: bool = False,
    low: int | None = None,
    high: int | None = None,
    default: int | None = None,
) -> OpenApiParameter:
    """A parameter; `low` and `high` are a number's range, or `high` a text's length."""
    schema: dict[str, Any] = dict(_TYPES[kind])
    limits = {"maxLength": high} if kind is str else {"minimum": low, "maximum": high}
    schema |= {word: limit for word, limit in limits.items() if limit is not None}
    if default is not None:
        schema["default"] = default
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, required, description=text)


def several(name: str, choices: Iterable[str], text: str) -> OpenApiParameter:
    """A parameter that takes one or several values of a closed set."""
    schema = {"type": "array", "items": {"type": "string", "enum": list(choices)}}
    said = f"{text} Repeated, or separated by commas."
    return OpenApiParameter(name, schema, OpenApiParameter.QUERY, description=said, explode=True)


PAGING: Parameters = [
    query("cursor", str, "From `next` or `previous` of another page.", high=2000),
    query("page_size", int, low=1, high=200, default=50),
]
PREVIEW = query("preview", bool, "true: say what would come of it, and change nothing.")
ETAG = OpenApiParameter(
    "ETag",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The booking's version, for If-Match.",
    response=[200],
)
ETAG_OF_BOOKING = OpenApiParameter(
    "ETag",
    str,
    OpenApiParameter.HEADER,
    description="The version of the booking that is answered; a preview has none.",
    response=[200],
)
AGE = OpenApiParameter(
    "Age",
    {"type": "integer", "minimum": 0},
    OpenApiParameter.HEADER,
    description="With `stale`: how many seconds old the answer is.",
    response=[200],
)


def idempotency_header(*, required: bool) -> OpenApiParameter:
    return OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": KEY_PATTERN},
        OpenApiParameter.HEADER,
        required,
        description="1 to 255 printable ASCII characters. The same key and request give the same "
        "answer, with `Idempotent-Replayed: true`; see docs/api-idempotency.md.",
    )


HOLD_TOKEN_HEADER = OpenApiParameter(
    HOLD_TOKEN,
    str,
    OpenApiParameter.HEADER,
    description="The hold's token; needed with a publishable key, which finds no hold without it.",
)
VISITOR_HEADER = OpenApiParameter(
    VISITOR,
    str,
    OpenApiParameter.HEADER,
    description="With a publishable key: a random id that the browser keeps, 20 to 64 letters, "
    "digits, `-` and `_`. Idempotency keys and limits are counted within it.",
)

_MEANINGS = {
    400: "What is wrong is named.",
    401: "Who asks is not known.",
    403: "The key does not allow this.",
    404: "Not here, or another workspace's.",
    409: "In conflict with what is: the code says with what.",
    410: "It has ended.",
    412: "Not as you read it.",
    413: "Too much of it.",
    415: "Not JSON.",
    422: "Understood, but not possible: the code says why.",
    429: "Too much at once; Retry-After says when to come again.",
    503: "Not now; Retry-After says when to come again.",
}
