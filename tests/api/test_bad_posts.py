"""Bad input of every kind against every POST: a 4xx that names the field, and nothing is written.

tests/api/test_bad_input.py goes further into holds, the largest body, and into queries.
"""

import copy
import json
from typing import Any

import pytest
from django.db import transaction

from bookings.models import Resource
from config.api import rfc3339
from holds.models import Hold
from tests.api.bodies import BODIES, NOTHING, POSTS, REQUIRED
from tests.api.client import Api, problem
from tests.api.routes import SOME_ID, Operation, operations
from tests.api.unchanged import unchanged
from tests.core.support import lapse
from tests.factories import at, make_api_key, make_room

pytestmark = pytest.mark.django_db


def changed(body: Any, path: str, value: Any) -> Any:
    """A copy of the body with another value there, or without the field."""
    copied = copy.deepcopy(body)
    *parents, last = path.split(".")
    inner = copied
    for name in parents:
        inner = inner[int(name)] if name.isdigit() else inner[name]
    if value is NOTHING:
        del inner[last]
    else:
        inner[last] = value
    return copied


@pytest.mark.parametrize("name", BODIES)
def test_whatever_is_wrong_is_named_and_nothing_happens(
    api: Api, room: Resource, ids: dict[str, Any], name: str
) -> None:
    made, fields = BODIES[name]
    right, path = made(room), POSTS[name].path(**ids)
    cases = [(field, value) for field, values in fields.items() for value in values]
    cases += [(field, NOTHING) for field in REQUIRED.get(name, [])]
    cases += [("nonsense", 1)]
    with unchanged():
        for field, value in cases:
            answer = api.raw(path, json.dumps(changed(right, field, value)))
            (named,) = problem(answer, 400, "invalid")["errors"]
            assert (named + ".").startswith(field + "."), (name, field, value, named)


@pytest.mark.parametrize("name", BODIES)
def test_control_the_body_that_is_right_is_not_refused(
    api: Api, room: Resource, ids: dict[str, Any], name: str
) -> None:
    """Otherwise the table above would prove nothing. A checkout goes on to ask Stripe."""
    path, body = POSTS[name].path(**ids), BODIES[name][0](room)
    if name == "hold-checkout":
        with pytest.raises(RuntimeError, match="Stripe must not be called inside a transaction"):
            api.post(path, body)
        return
    assert api.post(path, body).status_code in {200, 201}


@pytest.mark.parametrize("operation", POSTS.values(), ids=str)
def test_what_is_no_object_is_refused_everywhere(
    api: Api, ids: dict[str, Any], operation: Operation
) -> None:
    path = operation.path(**ids)
    deep = "[" * 50_000 + "]" * 50_000
    bodies: list[tuple[Any, int, str]] = [
        ("[]", 400, "invalid"), ("null", 400, "invalid"), ("7", 400, "invalid"),
        ('"x"', 400, "invalid"), ("{", 400, "invalid_json"), (b"\xff", 400, "invalid_json"),
        (b"\x00", 400, "invalid_json"), ('{"a": NaN}', 400, "invalid_json"),
        (deep, 400, "invalid_json"), ('{"a":' * 20_000, 400, "invalid_json"),
        (json.dumps({"a": "x" * 300_000}), 413, "body_too_large"),
        (json.dumps({"a" * 200: 1, "\ud800": 2, "\x00": 3}), 400, "invalid"),
    ]  # fmt: skip
    with unchanged():
        for body, status, code in bodies:
            problem(api.raw(path, body), status, code)
        problem(api.raw(path, "{}", kind="text/plain"), 415, "unsupported_media_type")


@pytest.mark.parametrize("operation", [o for o in operations() if o.ids], ids=str)
def test_ids_of_another_workspace_and_of_nothing_are_404(
    api: Api, ids: dict[str, Any], operation: Operation
) -> None:
    """With a body that would be right: nothing tells a stranger's row from one that never was."""
    stranger = make_room()
    _, secret = make_api_key(workspace=stranger.workspace)
    made, _ = BODIES.get(operation.name, (lambda _: {}, {}))
    for caller, path in ((Api(secret), operation.path(**ids)), (api, operation.path())):
        with unchanged(answers=False):
            if operation.method == "post":
                answer = caller.post(path, made(stranger))
            elif operation.method == "delete":
                answer = caller.delete(path)
            else:
                window = {"start": rfc3339(at(1)), "end": rfc3339(at(2))}
                span = {"from": rfc3339(at(1)), "to": rfc3339(at(2))}
                answer = caller.get(path, **window, **span)
            problem(answer, 404, "not_found")


@pytest.mark.parametrize("name", ["hold-extend", "hold-checkout"])
def test_a_hold_whose_time_is_up_is_410(
    api: Api, room: Resource, ids: dict[str, Any], name: str
) -> None:
    lapse(Hold.objects.get(pk=ids["hold_id"]))
    with unchanged(answers=False):
        path = POSTS[name].path(**ids)
        problem(api.post(path, BODIES[name][0](room)), 410, "hold_expired")


@pytest.mark.parametrize("name", ["quotes", "holds", "waitlist"])
def test_a_resource_of_another_workspace_is_unknown(api: Api, room: Resource, name: str) -> None:
    made, _ = BODIES[name]
    stranger = make_room()
    nothing = type(stranger)(pk=SOME_ID)
    for other in (stranger, nothing):
        with transaction.atomic(), unchanged(answers=False):
            answer = api.post(POSTS[name].path(), made(other))
            problem(answer, 422, "unknown_resource")
