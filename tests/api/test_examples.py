"""Each call has examples of what is sent and answered, and they are as its schema says."""

import json
from typing import Any

import jsonschema
import pytest

from config.openapi.describing import EXAMPLES, operations, reachable
from tests.api import conformance
from tests.api.conformance import description

OPERATIONS = operations(description())


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_call_has_its_examples(name: str) -> None:
    """Missing ones are recorded: see tests/api/record_examples.py."""
    operation = OPERATIONS[name]
    media = operation.get("requestBody", {}).get("content", {}).values()
    for each in media:
        _fits(f"{name}, request", each)
    for status, response in operation["responses"].items():
        for each in response.get("content", {}).values():
            if _examples(each) or status.startswith("2"):
                _fits(f"{name}, {status}", each)
            if status[0] in "45" and "example" in each:
                assert each["example"]["status"] == int(status)
                assert each["example"]["code"] in conformance.problem_codes(response), name
    for parameter in operation.get("parameters", ()):
        if "example" in parameter:
            _validate(f"{name}, {parameter['name']}", parameter["schema"], parameter["example"])


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_refusal_that_all_calls_share_has_an_example(name: str) -> None:
    for status in ("400", "401", "403", "404", "429", "503"):
        response = OPERATIONS[name]["responses"].get(status)
        if response is not None:
            assert "example" in response["content"]["application/problem+json"], (name, status)


def test_a_wrong_example_is_found() -> None:
    told: Any = json.loads(json.dumps(OPERATIONS["holds_create"]["requestBody"]["content"]))
    media = told["application/json"]
    media["example"]["lines"][0]["quantity"] = 0
    with pytest.raises(AssertionError):
        _fits("holds_create", media)
    media["example"]["lines"] = [{"colour": "red"}]
    with pytest.raises(AssertionError):
        _fits("holds_create", media)


def test_no_machines_address_stands_in_an_example() -> None:
    for path in EXAMPLES.glob("*.json"):
        assert "127.0.0.1" not in path.read_text(), path
        assert "sk_" not in path.read_text(), path


# --- The description as a whole -----------------------------------------------------------------


def test_bodies_refuse_other_fields_and_answers_do_not() -> None:
    told = description()
    components = told["components"]["schemas"]
    bodies = reachable([each.get("requestBody") for each in OPERATIONS.values()], components)
    answers = reachable([each["responses"] for each in OPERATIONS.values()], components)
    objects = {name for name, each in components.items() if each.get("type") == "object"}
    assert bodies & answers & objects == set(), "one shape for both ways: split it"
    assert all(components[name]["additionalProperties"] is False for name in bodies & objects)
    assert not any(components[name].get("additionalProperties") is False for name in answers)


def test_every_parameter_says_what_it_is() -> None:
    for name, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", ()):
            told, schema = (name, parameter["name"]), parameter["schema"]
            assert schema["type"] in {"string", "integer", "boolean", "array"}, told
            if parameter["in"] == "query":
                assert parameter.get("description") or parameter["name"] == "page_size", told
            if schema["type"] == "integer":
                assert "minimum" in schema, told
                assert "maximum" in schema, told
            if schema["type"] == "string" and parameter["in"] == "query":
                assert schema.keys() & {"format", "maxLength", "enum"}, told


def _examples(media: Any) -> list[Any]:
    """Recorded ones stand alone, an endpoint's own by name."""
    named = [each["value"] for each in media.get("examples", {}).values()]
    return [*named, *([media["example"]] if "example" in media else [])]


def _fits(told: str, media: Any) -> None:
    assert _examples(media), f"{told}: there is no example"
    for value in _examples(media):
        _validate(told, media["schema"], value)


def _validate(told: str, schema: Any, value: Any) -> None:
    document = schema | {"components": description()["components"]}
    checker = jsonschema.Draft202012Validator(conformance.strict(document))
    error = jsonschema.exceptions.best_match(checker.iter_errors(value))
    assert error is None, f"{told}: {error.message} at {error.json_path}"  # type: ignore[union-attr]
