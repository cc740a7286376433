"""How the API's values look, for the OpenAPI description; endpoints build them by hand."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from config.problems import CONTENT_TYPE
from members.publishable import HOLD_TOKEN, VISITOR

Parameters = list[OpenApiParameter]


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
    success: dict[int, Any], problems: Iterable[int] = (), *, keyed: bool = False
) -> dict[Any, Any]:
    """The responses of an operation: its successes and the problems it names, and those of all."""
    everywhere = [400, 401, 403, 404, 429, 503]
    statuses = sorted({*everywhere, *problems, *([409, 413, 415, 422] if keyed else [])})
    described: dict[Any, Any] = dict(success)
    for status in statuses:
        described[(str(status), CONTENT_TYPE)] = OpenApiResponse(
            ProblemSchema, description=_MEANINGS[status]
        )
    return described


def query(name: str, kind: Any = str, text: str = "", *, required: bool = False) -> Any:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, required, description=text)


PAGING: Parameters = [
    query("cursor", str, "From `next` or `previous` of another page."),
    query("page_size", int, "1 to 200; 50 unless said."),
]


def idempotency_header(*, required: bool) -> OpenApiParameter:
    return OpenApiParameter(
        "Idempotency-Key",
        str,
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
    400: "`invalid`, `invalid_json` or another code: what is wrong is named.",
    401: "`unauthenticated`: no live API key.",
    403: "`insufficient_scope`: the key may only read. `publishable_key_not_allowed`, "
    "`origin_not_allowed`: not with this key, or not from this page.",
    404: "`not_found`: not in this workspace.",
    409: "In conflict with what is: the code says with what.",
    410: "`hold_expired`: the hold has ended.",
    412: "`version_mismatch`: it has changed since you read it.",
    413: "`body_too_large`.",
    415: "`unsupported_media_type`: send application/json.",
    422: "Understood, but not possible: the code says why.",
    429: "`rate_limited`, `too_many_holds` or `too_many_waiting`, with Retry-After.",
    503: "`temporarily_unavailable`, with Retry-After; nothing was lost.",
}
