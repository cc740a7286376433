"""Bad input of every kind against every POST: a 4xx that names the field, and nothing is written.

tests/api/test_bad_input.py goes further into holds, the largest body, and into queries.
"""

import copy
import json
from typing import Any

import pytest
from django.db import transaction

from bookings.models import Booking, Resource
from config.api import rfc3339
from holds.models import Hold
from tests.admin.support import confirmed, payment, place
from tests.api.client import Api, problem
from tests.api.routes import SOME_ID, Operation, operations
from tests.api.unchanged import unchanged
from tests.core.support import lapse
from tests.factories import MemberFactory, at, make_api_key, make_room

pytestmark = pytest.mark.django_db

POSTS = {operation.name: operation for operation in operations() if operation.method == "post"}
NOTHING: Any = object()

UUID_ = ["nonsense", 7, "", "\x00" * 36, "\ud800", ["x"], {"id": 1}, True]
MOMENT = [
    "", "now", 1893456000, "2030-01-01", "2030-01-01T10:00:00", "2030-02-30T10:00:00Z",
    "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00",
    "2030-01-01T10:00:00+99:99", "2030-01-01T10:00:00Z\x00", ["2030-01-01T10:00:00Z"], {}, True,
]  # fmt: skip
COUNT = [-1, 0, 1.5, "2", True, 10**30, -(10**30), [1], {"n": 1}, "\x00"]
MINOR = [value for value in COUNT if value != 0 or value is False]
TEXT = [7, True, ["x"], {"x": "y"}, "nul\x00nul", "\ud800", "x" * 10_000]
EMAIL = [*TEXT, "nobody", "a@", "@b.test", "a b@c.test", "a@b@c.test"]
URL = [*TEXT, "", "javascript:alert(1)", "//x.test", "/relative", "ftp://x.test", "http://"]
CHOICE = [*TEXT, "sideways"]
OBJECT = [7, "x", True, [], [{}]]
LIST = ["x", 7, {}, True]
LINES = [*LIST, [], [None], [7], [[]], [{}] * 21]


def line(resource: Resource | None, hour: float = 10) -> dict[str, Any]:
    window = {"start": rfc3339(at(hour)), "end": rfc3339(at(hour + 1))}
    return window | ({"resource": str(resource.pk)} if resource else {})


MEMBER = {"email": "ana@example.test", "name": "Ana"}
OF_LINE = {
    "lines": LINES, "lines.0.resource": UUID_, "lines.0.start": MOMENT, "lines.0.end": MOMENT,
    "lines.0.quantity": COUNT, "lines.0.add_ons": LIST, "lines.0.colour": ["red"],
    "member": OBJECT, "member.email": EMAIL, "member.name": TEXT, "member.phone": ["1"],
    "discount_code": TEXT,
}  # fmt: skip

# For each POST: a body that is right, as a function of the room, and what may stand nowhere in it.
BODIES: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "quotes": (lambda room: {"lines": [line(room)], "member": dict(MEMBER)}, OF_LINE),
    "holds": (
        lambda room: {"lines": [line(room, 14)], "member": dict(MEMBER)},
        {**OF_LINE, "ttl_seconds": [*COUNT, 59, 7201], "token": TEXT},
    ),
    "hold-extend": (lambda _: {}, {"more": [1]}),
    "hold-checkout": (
        lambda _: {"success_url": "https://x.test/ok", "cancel_url": "https://x.test/no"},
        {"success_url": URL, "cancel_url": URL, "credit_minor": MINOR},
    ),
    "hold-confirm": (
        lambda _: {
            "payment": {
                "provider": "adyen",
                "reference": "p1",
                "amount_minor": 4500,
                "currency": "NZD",
            }
        },
        {
            "payment": OBJECT,
            "payment.provider": [*TEXT, "", " "],
            "payment.reference": [*TEXT, "", " "],
            "payment.amount_minor": MINOR,
            "payment.currency": [*TEXT, "", "XXX", "nzd", "NZ"],
            "payment.card": ["4242"],
        },
    ),
    "waitlist": (
        lambda room: line(room) | {"member": dict(MEMBER)},
        {
            "resource": UUID_, "start": MOMENT, "end": MOMENT, "quantity": COUNT,
            "duration": [*COUNT, 61], "member": OBJECT, "member.email": [*EMAIL, ""],
            "member.name": TEXT,
        },
    ),
    "cancel": (lambda _: {}, {"refund": CHOICE, "reason": TEXT, "why": ["x"]}),
    "reschedule": (
        lambda _: {"lines": [line(None, 16) | {"line": 0}]},
        {
            "lines": LINES, "lines.0.line": [-1, 20, 1.5, "0", True, 10**30],
            "lines.0.start": MOMENT, "lines.0.end": MOMENT, "lines.0.resource": UUID_,
            "difference": CHOICE, "to": CHOICE, "reason": TEXT, "ttl_seconds": [*COUNT, 59, 7201],
        },
    ),
    "refunds": (
        lambda _: {"amount_minor": 1000, "to": "card", "reason": "Cold room"},
        {"amount_minor": COUNT, "to": [*CHOICE, ""], "reason": [*TEXT, "", " "]},
    ),
    "member-credits": (
        lambda _: {"amount_minor": 1000, "reason": "Sorry"},
        {"amount_minor": [*COUNT, 10**9], "reason": [*TEXT, "", " "], "expires_at": MOMENT},
    ),
}  # fmt: skip
REQUIRED = {
    "quotes": ["lines", "lines.0.resource", "lines.0.start", "lines.0.end"],
    "holds": ["lines", "lines.0.resource", "lines.0.start", "lines.0.end"],
    "hold-checkout": ["success_url", "cancel_url"],
    "hold-confirm": [f"payment.{n}" for n in ("provider", "reference", "amount_minor", "currency")],
    "waitlist": ["resource", "start", "end", "member.email"],
    "reschedule": ["lines", "lines.0.start", "lines.0.end"],
    "refunds": ["amount_minor", "to", "reason"],
    "member-credits": ["amount_minor", "reason"],
}


@pytest.fixture
def ids(room: Resource) -> dict[str, Any]:
    """What the addresses name: a live hold, a paid booking, its member."""
    booking = confirmed(room)
    payment(booking)
    member = MemberFactory(email="ana@example.test")
    Booking.objects.filter(pk=booking.pk).update(member=member)
    held = place(room, 12)
    return {
        "booking_id": booking.pk,
        "hold_id": held.pk,
        "member_id": member.pk,
        "resource_id": room.pk,
    }


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
