"""What every endpoint shares: the view, reading bodies and queries by hand, money, times, pages.

Bodies are read by `Fields` and not by nested serializers, since reading one is on the path of every
claim. The serializers in the apps' `api_schemas.py` describe; these functions decide.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any, ClassVar, NoReturn, TypeVar, cast
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import problems
from config.bodies import MAX_BODY_BYTES
from config.kernel.context import Actor
from config.kernel.errors import DomainError, InvalidInput, NotFound
from config.kernel.shown import money as money
from config.kernel.shown import rfc3339 as rfc3339
from config.kernel.shown import rfc3339_or_none as rfc3339_or_none
from members import idempotency, rate_limits
from members.api_auth import actor_of
from members.idempotency import Answer
from members.models import ApiKey, Workspace
from members.publishable import hold_token, is_publishable, visitor_of

T = TypeVar("T")

MAX_INTEGER = 2**31 - 1
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"-?\d{1,18}", re.ASCII)
_YEARS = range(2000, 2201)
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?", re.ASCII)


class IdempotencyKeyRequired(DomainError):
    code = "idempotency_key_required"
    status = 400
    detail = "Send an Idempotency-Key header, so that a repetition has one effect."


# --- The view -----------------------------------------------------------------------------------


class StrictJsonParser(BaseParser):
    """JSON as RFC 8259 has it, of a bounded size and depth; each refusal is a 4xx."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None
    ) -> Any:
        body = stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise problems.BodyTooLarge(max_bytes=MAX_BODY_BYTES)
        try:
            return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}") from None


class OnlyJson(BaseContentNegotiation):
    """Every answer is JSON, whatever Accept says: an error must never become a 406."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        return parsers[0] if media_type == "application/json" else None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """An endpoint of one workspace's key.

    `publishable` are the methods that are open to publishable keys, which strangers have. Such a
    view shows them only what is public, and checks the hold's token: `viewer` of the apps' views
    and `hold_token` here.
    """

    publishable: ClassVar[frozenset[str]] = frozenset()
    parser_classes = [StrictJsonParser]
    content_negotiation_class = OnlyJson

    def perform_authentication(self, request: Request) -> None:
        """Who asks, and whether their key has asked too often; then whether they may.

        A publishable key is everybody's: who uses it is counted by address (`visitor_rates`).
        """
        super().perform_authentication(request)
        if isinstance(request.auth, ApiKey) and not is_publishable(request.auth):
            rate_limits.count_request(request.auth)

    @property
    def key(self) -> ApiKey:
        """The key of this request; permissions have seen to it that there is one."""
        return cast(ApiKey, self.request.auth)

    @property
    def workspace(self) -> Workspace:
        return self.key.workspace

    @property
    def actor(self) -> Actor:
        return actor_of(self.key)

    @property
    def is_public(self) -> bool:
        """Whether a stranger asks, with a publishable key."""
        return is_publishable(self.key)

    @property
    def visitor(self) -> str:
        """The stranger's browser, by the id that it sends; empty for a secret key."""
        return visitor_of(self.key, self.request._request) if self.is_public else ""

    @property
    def hold_token(self) -> str | None:
        """The token without which a stranger's hold is not found; None for a secret key."""
        return hold_token(self.request._request) if self.is_public else None

    @property
    def scope(self) -> str:
        """Within what an Idempotency-Key is one (INV-8): a key, or one browser with a public one.

        What is done to a hold is the hold's, whose token the view has checked by then.
        """
        if not self.is_public:
            return f"key:{self.key.id}"
        hold = self.kwargs.get("hold_id")
        return f"pk:hold:{hold}" if hold else self.visitor

    def body(self) -> "Fields":
        """The request's JSON object; an empty body is an empty object."""
        return Fields.of(self.request.data)

    def idempotently(
        self,
        operation: str,
        request: Any,
        work: Callable[[], Answer],
        *,
        required: bool = True,
        calls_out: bool = False,
    ) -> Response:
        """Answer through the request's Idempotency-Key (INV-8).

        `request` is what a repetition must equal. Where the key is not `required` and not given,
        `work` is simply done: it must then be idempotent by nature.
        """
        key = idempotency_key(self.request)
        if key is None and required:
            raise IdempotencyKeyRequired
        if key is None:
            return answered(work())
        return answered(
            idempotency.once(
                scope=self.scope,
                operation=operation,
                key=key,
                request=request,
                work=work,
                calls_out=calls_out,
            )
        )

    def refused(self, operation: str, request: Any, error: DomainError) -> Response:
        """Refuse before any work began; kept under the request's Idempotency-Key as well."""
        key = idempotency_key(self.request)
        if key is None:
            raise IdempotencyKeyRequired
        return answered(
            idempotency.refused(
                scope=self.scope, operation=operation, key=key, request=request, error=error
            )
        )


class NotFoundView(APIView):
    """Whatever address the API does not have: a problem, like every other error."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("The API has no such address.")


def answered(answer: Answer) -> Response:
    """An idempotent call's answer, new or replayed."""
    if answer.status >= 400 and answer.body is not None:
        response = problems.problem(answer.body)
    else:
        response = Response(answer.body, status=answer.status)
    if answer.replayed:
        response["Idempotent-Replayed"] = "true"
    return response


def idempotency_key(request: Request) -> str | None:
    """The header's value: 1 to 255 printable ASCII characters, or None without the header."""
    value = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if value is None:
        return None
    value = value.strip(" ")
    if not _KEY.fullmatch(value):
        raise InvalidInput(
            "An Idempotency-Key has 1 to 255 printable ASCII characters.", field="Idempotency-Key"
        )
    return str(value)


# --- Values in ----------------------------------------------------------------------------------


def as_moment(value: Any, field: str, **data: Any) -> datetime:
    """A time of RFC 3339 with its offset, in UTC; naive and absurd ones are refused."""
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        _refuse("A time with its offset, such as 2030-12-08T14:00:00+13:00.", field, data)
    day, clock, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock[:15]}{offset.upper()}").astimezone(UTC)
    except (ValueError, OverflowError):
        _refuse("There is no such time.", field, data)
    if moment.year not in _YEARS:
        _refuse("A time between the years 2000 and 2200.", field, data)
    return moment


def as_uuid(value: Any, field: str, **data: Any) -> UUID:
    """A UUID in its usual form."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        _refuse("An id is a UUID, such as 0198c1de-4a6f-7cc3-9d0e-3f6f0c0f5a11.", field, data)
    return UUID(value)


def as_integer(value: Any, field: str, low: int, high: int, **data: Any) -> int:
    """A whole number in a range; true and 1.0 are none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        _refuse(f"A whole number from {low} to {high}.", field, data)
    return value


def as_text(value: Any, field: str, max_length: int, **data: Any) -> str:
    """Text that a database can keep: no NUL, no lone surrogates, not longer than allowed."""
    if not isinstance(value, str):
        _refuse("This is text.", field, data)
    if len(value) > max_length:
        _refuse(f"At most {max_length} characters.", field, data)
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        _refuse("This contains characters that are not text.", field, data)
    return value


def as_email(value: Any, field: str, **data: Any) -> str:
    """An e-mail address, in lower case as we keep them."""
    address = as_text(value, field, 254, **data).strip().lower()
    try:
        validate_email(address)
    except ValidationError:
        _refuse("This is not an e-mail address.", field, data)
    return address


class Fields:
    """A JSON object read field by field; the first that is wrong is named in a 400.

    `path` is where the object stands ("lines.0"); `data` goes beside the error ("line": 0).
    """

    def __init__(self, values: dict[str, Any], path: str = "", **data: Any) -> None:
        self._values = values
        self._path = path
        self._data = data
        self._known: set[str] = set()

    @classmethod
    def of(cls, value: Any, path: str = "", **data: Any) -> "Fields":
        if not isinstance(value, dict):
            _refuse("This is a JSON object.", path or "body", data)
        return cls(value, path, **data)

    def name(self, field: str) -> str:
        """The field's full name, as errors give it."""
        return f"{self._path}.{field}" if self._path else field

    def has(self, field: str) -> bool:
        """Whether the field is there and not null."""
        self._known.add(field)
        return self._values.get(field) is not None

    def moment(self, field: str) -> datetime:
        return as_moment(self._required(field), self.name(field), **self._data)

    def uuid(self, field: str) -> UUID:
        return as_uuid(self._required(field), self.name(field), **self._data)

    def integer(self, field: str, low: int, high: int, default: T = None) -> int | T:  # type: ignore[assignment]
        """The number, or the default where the field is missing or null."""
        if not self.has(field):
            return default
        return as_integer(self._values[field], self.name(field), low, high, **self._data)

    def text(self, field: str, max_length: int, *, required: bool = False) -> str:
        if not required and not self.has(field):
            return ""
        return as_text(self._required(field), self.name(field), max_length, **self._data)

    def boolean(self, field: str) -> bool | None:
        """True or false, or None where the field is missing or null."""
        if not self.has(field):
            return None
        value = self._values[field]
        if not isinstance(value, bool):
            _refuse("This is true or false.", self.name(field), self._data)
        return value

    def texts(self, field: str, most: int, *, most_characters: int) -> list[str]:
        """A list of at most so many texts; empty where the field is missing or null."""
        values = self._values[field] if self.has(field) else []
        if not isinstance(values, list) or len(values) > most:
            _refuse(f"A list of at most {most} texts.", self.name(field), self._data)
        return [
            as_text(value, f"{self.name(field)}.{index}", most_characters, **self._data)
            for index, value in enumerate(values)
        ]

    def email(self, field: str) -> str:
        if not self.has(field):
            return ""
        return as_email(self._values[field], self.name(field), **self._data)

    def object(self, field: str) -> "Fields":
        """The object there, or an empty one."""
        value = self._values[field] if self.has(field) else {}
        return Fields.of(value, self.name(field), **self._data)

    def objects(self, field: str, most: int) -> "list[Fields]":
        """1 to `most` objects; errors within one carry its index as `line`."""
        value = self._required(field)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            _refuse(f"A list of 1 to {most} objects.", self.name(field), self._data)
        return [
            Fields.of(item, f"{self.name(field)}.{index}", line=index)
            for index, item in enumerate(value)
        ]

    def objects_within(self, field: str, most: int) -> "list[Fields]":
        """0 to `most` objects; errors within one carry what errors of this object carry."""
        value = self._values[field] if self.has(field) else []
        if not isinstance(value, list) or len(value) > most:
            _refuse(f"A list of at most {most} objects.", self.name(field), self._data)
        return [
            Fields.of(item, f"{self.name(field)}.{index}", **self._data)
            for index, item in enumerate(value)
        ]

    def refuse(self, field: str, message: str) -> NoReturn:
        """Say what is wrong with a field that was read."""
        _refuse(message, self.name(field), self._data)

    def no_others(self) -> None:
        """Refuse what was not read: a misspelt field must not be ignored in silence."""
        unknown = sorted(str(name) for name in self._values if name not in self._known)
        if unknown:
            shown = unknown[0][:60].encode("ascii", "backslashreplace").decode()
            _refuse("There is no such field.", self.name(shown), self._data)

    def _required(self, field: str) -> Any:
        self._known.add(field)
        if field not in self._values:
            _refuse("This is required.", self.name(field), self._data)
        return self._values[field]


class Query:
    """The query string, parameter by parameter, with the same errors as a body's fields."""

    def __init__(self, request: Request) -> None:
        self._values = request.query_params

    def text(self, name: str, max_length: int = 200) -> str:
        return as_text(self._values.get(name, ""), name, max_length).strip()

    def texts(self, name: str, allowed: list[str]) -> list[str]:
        """Values of a closed set, repeated or separated by commas; others are refused."""
        given = [v.strip() for part in self._values.getlist(name) for v in part.split(",")]
        chosen = [value for value in given if value]
        if any(value not in allowed for value in chosen):
            raise InvalidInput(f"One of {', '.join(allowed)}.", field=name)
        return chosen

    def uuid(self, name: str) -> UUID | None:
        value = self._values.get(name)
        return as_uuid(value, name) if value else None

    def moment(self, name: str, *, required: bool = False) -> datetime | None:
        """A `+` that arrived as a space, as it does from a careless client, is understood."""
        value = self._values.get(name)
        if not value:
            if required:
                raise InvalidInput("This is required.", field=name)
            return None
        return as_moment(re.sub(r" (\d\d:\d\d)$", r"+\1", value), name)

    def window(self, first: str, last: str) -> tuple[datetime, datetime]:
        """Two required times in order."""
        start, end = self.moment(first, required=True), self.moment(last, required=True)
        assert start is not None
        assert end is not None
        if end <= start:
            raise InvalidInput("The end comes after the start.", field=last)
        return start, end

    def integer(self, name: str, low: int, high: int, default: T = None) -> int | T:  # type: ignore[assignment]
        value = self._values.get(name)
        if value is None or value == "":
            return default
        number = int(value) if _DIGITS.fullmatch(value) else None
        return as_integer(number, name, low, high)


def _refuse(message: str, field: str, data: dict[str, Any]) -> NoReturn:
    raise InvalidInput(message, field=field, **data)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
