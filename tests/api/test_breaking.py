"""What breaks a caller of the API is found, and passes only when it is stated."""

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config.kernel.errors import DomainError
from config.openapi import kept
from config.openapi.breaking import breaking
from config.openapi.errors_page import PAGE, written

Change = Callable[[Any], Any]


def description() -> Any:
    """One operation with a bit of everything."""
    seats = {"in": "query", "name": "seats", "schema": {"type": "integer", "minimum": 1}}
    told = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "state": {"$ref": "#/components/schemas/State"},
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
            "over": {"oneOf": [{"$ref": "#/components/schemas/State"}, {"type": "null"}]},
            "was": {"oneOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]},
        },
        "required": ["id", "state"],
    }
    sent = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 40},
            "size": {"type": ["integer", "null"], "minimum": 1},
            "mode": {"type": "string", "enum": ["a", "b"]},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    operation = {
        "operationId": "things_create",
        "parameters": [seats],
        "security": [{"secretKey": ["write"]}],
        "requestBody": {
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Asked"}}}
        },
        "responses": {
            "201": {
                "headers": {"ETag": {"required": True}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
            },
            "409": {
                "description": "In conflict.\n\n- `taken`: Others have it.\n- `paid`: It is paid.",
                "content": {"application/problem+json": {"schema": {"type": "object"}}},
            },
        },
    }
    state = {"type": "string", "enum": ["new", "old"]}
    return {
        "info": {"version": "1.0.0"},
        "paths": {"/things": {"post": operation}},
        "components": {"schemas": {"Thing": told, "Asked": sent, "State": state}},
    }


def op(told: Any) -> Any:
    return told["paths"]["/things"]["post"]


def schema(told: Any, name: str) -> Any:
    return told["components"]["schemas"][name]


def asked(told: Any, field: str) -> Any:
    return schema(told, "Asked")["properties"][field]


def thing(told: Any, field: str) -> Any:
    return schema(told, "Thing")["properties"][field]


def parameter(told: Any) -> Any:
    return op(told)["parameters"][0]


def answer(told: Any, status: str) -> Any:
    return op(told)["responses"][status]


def reword(told: Any, old: str, new: str) -> None:
    described = answer(told, "409")
    described["description"] = described["description"].replace(old, new)


IF_MATCH = {"in": "header", "name": "If-Match", "required": True, "schema": {}}
BREAKS: list[tuple[str, Change]] = [
    ("POST /things is gone", lambda d: d["paths"].clear()),
    ("is called things_make now", lambda d: op(d).update(operationId="things_make")),
    (
        "security {'secretKey': ['write']} is gone",
        lambda d: op(d).update(security=[{"x": []}]),
    ),
    ("query parameter `seats` is gone", lambda d: op(d)["parameters"].clear()),
    ("query parameter `seats` is required now", lambda d: parameter(d).update(required=True)),
    (
        "query parameter `seats` minimum is 2 now",
        lambda d: parameter(d)["schema"].update(minimum=2),
    ),
    (
        "query parameter `seats` may not be integer any more",
        lambda d: parameter(d)["schema"].update(type="string"),
    ),
    (
        "header parameter `If-Match` is required now",
        lambda d: op(d)["parameters"].append(IF_MATCH),
    ),
    ("a body is required now", lambda d: op(d)["requestBody"].update(required=True)),
    ("takes no body any more", lambda d: op(d).pop("requestBody")),
    (
        "request field `size` is required now",
        lambda d: schema(d, "Asked")["required"].append("size"),
    ),
    ("request field `size` is gone", lambda d: schema(d, "Asked")["properties"].pop("size")),
    ("request.size may not be null any more", lambda d: asked(d, "size").update(type="integer")),
    ("request.name maxLength is 20 now", lambda d: asked(d, "name").update(maxLength=20)),
    ("request.name pattern is x now", lambda d: asked(d, "name").update(pattern="x")),
    ("request.mode may not be b any more", lambda d: asked(d, "mode").update(enum=["a"])),
    (
        "request.name may not be other values any more",
        lambda d: asked(d, "name").update(enum=["x"]),
    ),
    ("response 409 is gone", lambda d: op(d)["responses"].pop("409")),
    ("response 409 code `paid` is gone", lambda d: reword(d, "paid", "has_been_paid")),
    (
        "response 409 application/problem+json is gone",
        lambda d: answer(d, "409").pop("content"),
    ),
    (
        "response 201 header ETag is gone, or not always there",
        lambda d: answer(d, "201").pop("headers"),
    ),
    ("response 201 field `id` is gone", lambda d: schema(d, "Thing")["properties"].pop("id")),
    (
        "response 201 field `id` is not always there now",
        lambda d: schema(d, "Thing")["required"].remove("id"),
    ),
    ("response 201.id may be null now", lambda d: thing(d, "id").update(type=["string", "null"])),
    ("response 201.id is no longer uuid", lambda d: thing(d, "id").pop("format")),
    ("response 201.state may be lost now", lambda d: schema(d, "State")["enum"].append("lost")),
    ("response 201.over may be lost now", lambda d: schema(d, "State")["enum"].append("lost")),
    (
        "response 201.parts[] field `id` is gone",
        lambda d: thing(d, "parts").update(items={"type": "object", "properties": {}}),
    ),
]


@pytest.mark.parametrize(("says", "change"), BREAKS, ids=[says for says, _ in BREAKS])
def test_what_breaks_is_said(says: str, change: Change) -> None:
    old, new = description(), description()
    change(new)
    assert f"things_create: {says}" in breaking(old, new)


ADDS: list[Change] = [
    lambda d: d["paths"].update({"/others": copy.deepcopy(d["paths"]["/things"])}),
    lambda d: op(d)["security"].append({"publishableKey": []}),
    lambda d: op(d)["parameters"].append({"in": "query", "name": "q", "schema": {}}),
    lambda d: op(d)["responses"].update({"410": {}}),
    lambda d: reword(d, "- `paid`", "- `late`: Too late.\n- `paid`"),
    lambda d: reword(d, "It is paid.", "Somebody has paid for it."),
    lambda d: answer(d, "201")["headers"].update({"Age": {}}),
    lambda d: schema(d, "Asked")["properties"].update(colour={"type": "string"}),
    lambda d: asked(d, "mode")["enum"].append("c"),
    lambda d: asked(d, "name").update(maxLength=80),
    lambda d: asked(d, "size").update(type=["number", "null"], minimum=0),
    lambda d: schema(d, "Asked").update(required=[]),
    lambda d: schema(d, "Thing")["properties"].update(colour={"type": "string"}),
    lambda d: schema(d, "Thing")["required"].append("parts"),
    lambda d: schema(d, "State")["enum"].remove("old"),
]


@pytest.mark.parametrize("change", ADDS)
def test_what_adds_breaks_nothing(change: Change) -> None:
    old, new = description(), description()
    change(new)
    assert old != new
    assert breaking(old, new) == []


def test_it_passes_when_it_is_stated_under_a_new_version() -> None:
    old, new = description(), description()
    schema(new, "Thing")["properties"].pop("id")
    found = breaking(old, new)
    assert "things_create: response 201 field `id` is gone" in found
    stated = "# Changes\n\n## 1.1.0\n\n" + "".join(f"- Breaking: {each} — why\n" for each in found)
    assert kept.unstated(old, new, stated) == found  # the version is as old as the promise
    new["info"]["version"] = "1.1.0"
    assert kept.unstated(old, new, stated) == []
    assert kept.unstated(old, new, stated.replace("## 1.1.0", "## 1.0.0")) == found
    assert kept.unstated(old, new, "## 1.1.0\n- Breaking: others_*: * field `id` is gone") == found
    everywhere = "## 1.1.0\n- Breaking: things_create: response *field `id` is gone: use `name`"
    assert kept.unstated(old, new, everywhere) == found
    everywhere = "## 1.1.0\n- Breaking: *: response 201* field `id` is gone — use `name`"
    assert kept.unstated(old, new, everywhere) == []


def test_nothing_breaks_but_what_is_stated() -> None:
    """If this fails, docs/api-changelog.md has to say so, or the change has to be undone."""
    broken = kept.unstated(kept.kept(), kept.current(), kept.CHANGELOG.read_text())
    assert broken == [], "\n".join(f"- Breaking: {each}" for each in broken)


def test_the_kept_description_is_the_codes() -> None:
    """If this fails, run `uv run manage.py api_description` and commit docs/openapi.json."""
    assert kept.kept() == kept.current()


def test_the_page_for_integrators_lists_the_codes() -> None:
    """If this fails, run `uv run manage.py api_description` and commit docs/api.md."""
    page = PAGE.read_text()
    assert written(page, kept.current()) == page
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE))
    errors = {each.code: str(each.status) for each in _subclasses(DomainError)}
    ours = {code: status for code, status in listed.items() if code in errors}
    assert ours == {code: errors[code] for code in ours}
    assert {"slot_taken", "hold_expired", "payment_in_progress", "refund_too_large"} <= set(ours)
    assert set(listed) - set(errors) <= set(_FROM_THE_FRAMEWORK)


_FROM_THE_FRAMEWORK = [
    "invalid_json",
    "method_not_allowed",
    "rate_limited",
    "unauthenticated",
    "unsupported_media_type",
]


def _subclasses(kind: type) -> Iterator[Any]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def test_the_changelog_has_the_version() -> None:
    assert f"\n## {kept.current()['info']['version']}\n" in kept.CHANGELOG.read_text()
