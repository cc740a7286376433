"""Every answer that the API's tests get is held against the OpenAPI description.

The client calls `check` after each request: the status, the content type, the headers and the
problem's code are described, the body fits its schema without a field more, a request that was let
do something fits its own schema, and one that does not fit is refused. So what is described is
true wherever a test goes, and a new endpoint is covered by its own tests.
"""

import json
import re
from functools import cache
from typing import Any

import jsonschema
from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator

from config.api import as_moment
from config.kernel.errors import InvalidInput

METHODS = ("get", "post", "put", "patch", "delete")
# Headers of ours; what Django and WSGI add is not the contract's business.
TOLD = ("Age", "ETag", "Retry-After", "Location", "Idempotent-Replayed", "WWW-Authenticate")
_FORMATS = jsonschema.FormatChecker()


@_FORMATS.checks("date-time", raises=InvalidInput)
def _is_moment(value: Any) -> bool:
    """RFC 3339, as we write and read it; jsonschema brings none without another package."""
    return not isinstance(value, str) or bool(as_moment(value, ""))


@cache
def description() -> Any:
    """The OpenAPI description of this code, generated once."""
    return SchemaGenerator().get_schema(request=None, public=True)


def operation_of(method: str, path: str) -> Any:
    """The operation that answers this address, or None."""
    for pattern, item in _patterns():
        if pattern.fullmatch(path.partition("?")[0]):
            return item.get(method.lower())
    return None


@cache
def _patterns() -> list[tuple[re.Pattern[str], Any]]:
    """Addresses without variables first."""
    paths = sorted(description()["paths"].items(), key=lambda each: "{" in each[0])
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), item) for path, item in paths]


def check(method: str, path: str, response: HttpResponse, sent: str | bytes = "") -> None:
    """Assert that the answer is as described; addresses that are not described are left alone."""
    operation = operation_of(method, path)
    if operation is None:
        return
    check_described(operation, f"{method.upper()} {path}", response, sent)


def check_described(
    operation: Any, told: str, response: HttpResponse, sent: str | bytes | None = None
) -> None:
    """Assert that the answer is as its operation says; `sent` is the body that was answered."""
    status = str(response.status_code)
    assert status in operation["responses"], f"{told}: {status} is not described"
    described = operation["responses"][status]
    _check_headers(told, described, response)
    _check_body(told, described, response)
    if response.status_code >= 400:
        _check_code(f"{told} {status}", described, response)
    elif "requestBody" in operation and sent is not None:
        _check_sent(told, operation["requestBody"], sent)


def _check_headers(told: str, described: Any, response: HttpResponse) -> None:
    headers = described.get("headers", {})
    for name, header in headers.items():
        assert not header.get("required") or name in response, f"{told}: {name} is missing"
    for name in TOLD:
        assert name not in response or name in headers, f"{told}: {name} is not described"


def _check_body(told: str, described: Any, response: HttpResponse) -> None:
    content = described.get("content")
    if content is None:
        assert response.content == b"", told
        return
    kind = response["Content-Type"]
    assert kind in content, f"{told}: {kind} is not described"
    _validate(told, content[kind]["schema"], json.loads(response.content), closed=True)


def _check_code(told: str, described: Any, response: HttpResponse) -> None:
    code = json.loads(response.content)["code"]
    assert code in problem_codes(described), f"{told}: {code} is not described; see `answers`"


def problem_codes(described: Any) -> list[str]:
    """The codes that a response's description lists."""
    return re.findall(r"^- `(\w+)`", described["description"], re.MULTILINE)


def _check_sent(told: str, body: Any, sent: str | bytes) -> None:
    if sent:
        schema = body["content"]["application/json"]["schema"]
        _validate(f"{told}, what was sent", schema, json.loads(sent), closed=False)
    else:
        assert not body.get("required"), f"{told}: a body is described as required"


def _validate(told: str, schema: Any, value: Any, *, closed: bool) -> None:
    error = jsonschema.exceptions.best_match(
        _validator(json.dumps(schema), closed).iter_errors(value)
    )
    assert error is None, f"{told}: {error.message} at {error.json_path}"  # type: ignore[union-attr]


@cache
def _validator(schema: str, closed: bool) -> Any:
    document = json.loads(schema) | {"components": description()["components"]}
    return jsonschema.Draft202012Validator(
        strict(document) if closed else document, format_checker=_FORMATS
    )


def strict(node: Any) -> Any:
    """The same description, refusing fields that it does not name."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: strict(value) for key, value in node.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed
