"""Checks against the published part of Stripe's OpenAPI description.

    validate_object("checkout.session", session)
    validate_request("POST", "/v1/checkout/sessions", params)

Both raise :class:`ContractError`. The description is not part of the project: where it is not
there, :func:`require` skips the test and says why.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

DESCRIPTION = Path(__file__).resolve().parents[3] / "shared" / "stripe" / "openapi.json"

_FORM = "application/x-www-form-urlencoded"


class ContractError(AssertionError):
    """Something Stripe would not send, or would not accept."""


def require() -> None:
    """Skip the running test where the description is missing."""
    if not DESCRIPTION.exists():
        pytest.skip("Stripe's OpenAPI description is not at ../shared/stripe/openapi.json")


@functools.cache
def _description() -> dict[str, Any]:
    return dict(json.loads(DESCRIPTION.read_text()))


def _plain(schema: Any) -> Any:
    """OpenAPI's dialect as JSON Schema: ``nullable`` becomes an alternative."""
    if isinstance(schema, list):
        return [_plain(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _plain(part) for name, part in schema.items() if name != "nullable"}
    return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") is True else kept


@functools.cache
def _components() -> dict[str, Any]:
    return dict(_plain(_description()["components"]))


@functools.cache
def _object_validator(kind: str) -> jsonschema.Draft202012Validator:
    if kind not in _components()["schemas"]:
        raise ContractError(f"Stripe's description has no object `{kind}`")
    schema = {"$ref": f"#/components/schemas/{kind}", "components": _components()}
    return jsonschema.Draft202012Validator(schema)


def validate_object(kind: str, obj: Any) -> None:
    """``obj`` is what Stripe calls a ``kind``, has no field it does not know, and no list is wrong.

    A ``list`` is checked entry by entry; an object from stripe-python may be given as it is.
    """
    obj = obj.to_dict() if hasattr(obj, "to_dict") else obj
    if kind == "list":
        for entry in obj["data"]:
            validate_object(entry["object"], entry)
        return
    _raise_first(kind, _object_validator(kind), obj)
    known = set(_components()["schemas"][kind].get("properties", {}))
    unknown = set(obj) - known
    if unknown:
        raise ContractError(f"`{kind}` has no field {', '.join(sorted(unknown))}")


def validate_request(method: str, path: str, params: dict[str, Any]) -> None:
    """Stripe would understand ``params`` (typed, or as decoded from a form) at ``path``."""
    schema = _request_schema(method.lower(), path)
    given = _typed(params, schema)
    validator = jsonschema.Draft202012Validator({**schema, "components": _components()})
    _raise_first(f"{method} {path}", validator, given)


def _raise_first(name: str, validator: jsonschema.Draft202012Validator, value: Any) -> None:
    error = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if error is not None:
        raise ContractError(f"{name} at {error.json_path}: {error.message[:300]}")


def _request_schema(method: str, path: str) -> dict[str, Any]:
    for template, calls in _description()["paths"].items():
        pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method in calls:
            return dict(_plain(_parameters(method, calls[method])))
    raise ContractError(f"Stripe's description has no {method.upper()} {path}")


def _parameters(method: str, call: dict[str, Any]) -> dict[str, Any]:
    if method == "post":
        return dict(call["requestBody"]["content"][_FORM]["schema"])
    query = [entry for entry in call.get("parameters", []) if entry["in"] == "query"]
    return {
        "type": "object",
        "properties": {entry["name"]: entry["schema"] for entry in query},
        "additionalProperties": False,
    }


def _typed(value: Any, schema: dict[str, Any]) -> Any:
    """A form's texts and numbered mappings in the types the schema asks for."""
    alternatives = schema.get("anyOf")
    if alternatives:
        fitting = [entry for entry in alternatives if _fits(value, entry)]
        return _typed(value, fitting[0]) if fitting else value
    wanted = schema.get("type")
    if wanted == "array" and isinstance(value, dict):
        value = [value[key] for key in sorted(value, key=int)]
    if wanted == "array" and isinstance(value, list):
        return [_typed(entry, schema.get("items", {})) for entry in value]
    if isinstance(value, dict):
        return {name: _typed(part, _property(schema, name)) for name, part in value.items()}
    return _scalar(value, wanted)


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    wanted = schema.get("type")
    return wanted in ("object", "array") if isinstance(value, dict) else wanted != "object"


def _property(schema: dict[str, Any], name: str) -> dict[str, Any]:
    extra = schema.get("additionalProperties")
    found = schema.get("properties", {}).get(name, extra if isinstance(extra, dict) else {})
    return dict(found)


def _scalar(value: Any, wanted: Any) -> Any:
    if wanted == "integer" and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if wanted == "boolean" and value in ("true", "false"):
        return value == "true"
    return value
