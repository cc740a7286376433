"""What every operation's description has beyond its own words (OpenAPI 3.1).

`Operations` names components without the suffix of our serializers and says which scope a key
needs; `completed` adds, over the whole of it, what follows from what is there: summaries, headers,
bodies that refuse unknown fields, and the examples that stand beside this file.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import ListSerializer

EXAMPLES = Path(__file__).parent / "examples"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# What a repetition may be answered with: answers that are kept (docs/api-idempotency.md).
_KEPT = {"200", "201", "204", "400", "404", "409", "410", "412", "422"}
_CODE_LINE = re.compile(r"^- `(\w+)`: (.*)$", re.MULTILINE)
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Names this request in logs and history; the caller's own, if it sent one.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "RFC 6750.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "There, and `true`, when this answer was kept from an earlier request.",
        "schema": {"type": "string", "const": "true"},
    },
}


class Operations(AutoSchema):
    """drf-spectacular's, in our words."""

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        return super().get_serializer_name(serializer, direction).removesuffix("Schema")

    def _map_serializer_field(
        self, field: Any, direction: Any, bypass_extensions: Any = False
    ) -> Any:
        """With the length of lists of objects, which drf-spectacular leaves out."""
        schema = super()._map_serializer_field(field, direction, bypass_extensions)
        if isinstance(field, ListSerializer):
            words = {"minItems": "min_length", "maxItems": "max_length"}
            limits = {word: getattr(field, name, None) for word, name in words.items()}
            schema = schema | {word: limit for word, limit in limits.items() if limit is not None}
        return schema

    def get_auth(self) -> list[dict[str, Any]]:
        """With the scope that the key needs: OpenAPI 3.1 has role names there."""
        reads = self.method in SAFE_METHODS or getattr(self.view, "only_reads", False)
        scope = ["read"] if reads else ["write"]
        return [
            {
                name: given or (scope if name in {"secretKey", "publishableKey"} else [])
                for name, given in each.items()
            }
            for each in super().get_auth()
        ]


def completed(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's hook: the description, completed."""
    if result["components"]["schemas"].pop("NullEnum", None):
        _say_null(result)
    for operation in operations(result).values():
        operation.setdefault("summary", _first_sentence(operation.get("description", "")))
        for status, response in operation["responses"].items():
            _add_headers(operation, status, response)
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "query" and not parameter.get("required"):
                parameter["allowEmptyValue"] = True  # as if it were not there
        _add_examples(operation)
    for name in _sent(result):
        component = result["components"]["schemas"][name]
        if component.get("type") == "object":
            component.setdefault("additionalProperties", False)
    return result


def operations(description: dict[str, Any]) -> dict[str, Any]:
    """Every operation by its operationId."""
    return {
        item[method]["operationId"]: item[method]
        for item in description["paths"].values()
        for method in METHODS
        if method in item
    }


def codes(response: dict[str, Any]) -> dict[str, str]:
    """The problem codes that a response's description lists, each with its sentence."""
    return dict(_CODE_LINE.findall(response.get("description", "")))


def references(node: Any) -> Iterator[str]:
    """The components named anywhere below."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rpartition("/")[2]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


def reachable(node: Any, components: dict[str, Any]) -> set[str]:
    """The components that these parts are made of, through and through."""
    found: set[str] = set()
    waiting = list(references(node))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += references(components[name])
    return found


@cache
def examples() -> dict[str, Any]:
    """By operationId: `request`, `parameters`, and `responses` by status."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(EXAMPLES.glob("*.json"))}


def _say_null(node: Any) -> None:
    """In place of an enum of its own for null: a type that each generator knows."""
    for inner in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        if isinstance(inner, dict) and inner.get("$ref") == "#/components/schemas/NullEnum":
            inner.clear()
            inner["type"] = "null"
        _say_null(inner)


def _sent(description: dict[str, Any]) -> set[str]:
    """The components of request bodies."""
    bodies = [each.get("requestBody") for each in operations(description).values()]
    return reachable(bodies, description["components"]["schemas"])


def _first_sentence(text: str) -> str:
    return re.split(r"[.:](?:\s|$)", text, maxsplit=1)[0].replace("\n", " ")


def _add_headers(operation: dict[str, Any], status: str, response: dict[str, Any]) -> None:
    keyed = any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))
    headers = {"X-Request-Id": _HEADERS["X-Request-Id"]}
    if status in ("429", "503"):
        headers["Retry-After"] = _HEADERS["Retry-After"]
    if "`slot_contended`" in response.get("description", ""):
        headers["Retry-After"] = {**_HEADERS["Retry-After"], "required": False}
    if status == "401":
        headers["WWW-Authenticate"] = _HEADERS["WWW-Authenticate"]
    if keyed and status in _KEPT:
        headers["Idempotent-Replayed"] = _HEADERS["Idempotent-Replayed"]
    response["headers"] = headers | response.get("headers", {})


def _add_examples(operation: dict[str, Any]) -> None:
    kept = examples().get(operation["operationId"], {})
    if "request" in kept and "requestBody" in operation:
        _show(operation["requestBody"], kept["request"])
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in kept.get("parameters", {}):
            parameter["example"] = kept["parameters"][parameter["name"]]
    for status, response in operation["responses"].items():
        body = kept.get("responses", {}).get(status) or _problem(status, response)
        if body:
            _show(response, body)


def _show(described: dict[str, Any], example: Any) -> None:
    """Beside each content that has no example from its endpoint."""
    for media in described.get("content", {}).values():
        if "examples" not in media:
            media["example"] = example


def _problem(status: str, response: dict[str, Any]) -> dict[str, Any] | None:
    """What an operation without an example of its own may answer with this status."""
    body: dict[str, Any] | None = examples().get("problems", {}).get(status)
    return body if body and f"`{body['code']}`" in response["description"] else None
