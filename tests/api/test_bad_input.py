"""Bad input is a 4xx that names the field; never a 5xx, and nothing is written."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookings.models import Booking, Resource
from config.api import rfc3339
from tests.api.client import Api, claim, line, problem
from tests.factories import at

pytestmark = pytest.mark.django_db

WRONG_LINES: list[tuple[str, dict[str, Any]]] = [
    ("resource", {"resource": None}),
    ("resource", {"resource": 7}),
    ("resource", {"resource": "nonsense"}),
    ("resource", {"resource": "\x00" * 36}),
    ("resource", {"resource": "{0198c1de-4a6f-7cc3-9d0e-3f6f0c0f5a}"}),
    ("start", {"start": None}),
    ("start", {"start": ""}),
    ("start", {"start": 1893456000}),
    ("start", {"start": "2030-01-01T10:00:00"}),
    ("start", {"start": "2030-01-01"}),
    ("start", {"start": "2030-02-30T10:00:00Z"}),
    ("start", {"start": "2030-01-01T25:00:00Z"}),
    ("start", {"start": "2030-01-01T10:00:00+99:99"}),
    ("start", {"start": "0001-01-01T00:00:00+14:00"}),
    ("start", {"start": "9999-12-31T23:59:59-14:00"}),
    ("start", {"start": "2030-W01-1T10:00:00Z"}),
    ("start", {"start": "٢٠٣٠-01-01T10:00:00Z"}),
    ("start", {"start": ["2030-01-01T10:00:00Z"]}),
    ("end", {"end": "2020-01-01T10:00:00Z"}),
    ("end", {"start": "2030-01-01T10:00:00Z", "end": "2030-01-01T10:00:00Z"}),
    ("end", {"end": {"time": "2030-01-01T10:00:00Z"}}),
    ("quantity", {"quantity": 0}),
    ("quantity", {"quantity": -1}),
    ("quantity", {"quantity": 1.5}),
    ("quantity", {"quantity": "2"}),
    ("quantity", {"quantity": True}),
    ("quantity", {"quantity": 10**30}),
    ("quantity", {"quantity": [1]}),
    ("add_ons", {"add_ons": "helmet"}),
    ("add_ons", {"add_ons": [{}] * 21}),
    ("add_ons.0", {"add_ons": ["helmet"]}),
    ("add_ons.0.resource", {"add_ons": [{"resource": "x", "quantity": 1}]}),
    ("add_ons.0.quantity", {"add_ons": [{"resource": str(UUID(int=1)), "quantity": 0}]}),
    ("add_ons.0.colour", {"add_ons": [{"resource": str(UUID(int=1)), "colour": "red"}]}),
    ("colour", {"colour": "green"}),
]


@pytest.mark.parametrize(("field", "change"), WRONG_LINES)
def test_a_wrong_line_is_named(
    api: Api, room: Resource, field: str, change: dict[str, Any]
) -> None:
    """The second line is the wrong one, so that the index in the answer means something."""
    lines = [line(room, 8), {**line(room, 10), **change}]
    body = problem(api.post("/holds", {"lines": lines}), 400, "invalid")
    assert list(body["errors"]) == [f"lines.1.{field}"]
    assert body["line"] == 1
    assert not Booking.objects.exists()


@pytest.mark.parametrize("field", ["resource", "start", "end"])
def test_a_missing_field_of_a_line_is_named(api: Api, room: Resource, field: str) -> None:
    incomplete = line(room)
    del incomplete[field]
    body = problem(api.post("/holds", {"lines": [incomplete]}), 400, "invalid")
    assert body["errors"] == {f"lines.0.{field}": ["This is required."]}


WRONG_BODIES: list[tuple[str, dict[str, Any]]] = [
    ("lines", {"lines": None}),
    ("lines", {"lines": []}),
    ("lines", {"lines": {}}),
    ("lines", {"lines": "all"}),
    ("lines", {"lines": [{}] * 21}),
    ("lines.0", {"lines": [None]}),
    ("lines.0", {"lines": [[]]}),
    ("member", {"member": "Ana"}),
    ("member", {"member": ["ana@example.test"]}),
    ("member.email", {"member": {"email": "not an address"}}),
    ("member.email", {"member": {"email": 7}}),
    ("member.email", {"member": {"email": "a@" + "b" * 300 + ".test"}}),
    ("member.name", {"member": {"name": "x" * 201}}),
    ("member.name", {"member": {"name": "nul\x00nul"}}),
    ("member.name", {"member": {"name": {"first": "Ana"}}}),
    ("member.phone", {"member": {"phone": "1"}}),
    ("ttl_seconds", {"ttl_seconds": 59}),
    ("ttl_seconds", {"ttl_seconds": 7201}),
    ("ttl_seconds", {"ttl_seconds": "900"}),
    ("ttl_seconds", {"ttl_seconds": 10**400}),
    ("token", {"token": 7}),
    ("token", {"token": "x" * 41}),
    ("token", {"token": "a\x00"}),
    ("nonsense", {"nonsense": 1}),
]


@pytest.mark.parametrize(("field", "change"), WRONG_BODIES)
def test_a_wrong_body_is_named(
    api: Api, room: Resource, field: str, change: dict[str, Any]
) -> None:
    body = problem(api.post("/holds", {**claim(room), **change}), 400, "invalid")
    assert list(body["errors"]) == [field]
    assert not Booking.objects.exists()


def test_a_lone_surrogate_is_not_text(api: Api, room: Resource) -> None:
    body = json.dumps(claim(room, member={"name": "x"})).replace('"x"', '"\\ud800"')
    assert list(problem(api.raw("/holds", body), 400, "invalid")["errors"]) == ["member.name"]


@pytest.mark.parametrize("body", ["[]", "null", "7", '"lines"', "true", "[{}]"])
def test_a_body_that_is_no_object(api: Api, room: Resource, body: str) -> None:
    assert list(problem(api.raw("/holds", body), 400, "invalid")["errors"]) == ["body"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'lines': []}",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1}}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"1" * 5_000,
        b"\x00",
        b"lines=1",
    ],
)
def test_what_is_not_json(api: Api, room: Resource, body: bytes) -> None:
    problem(api.raw("/holds", body), 400, "invalid_json")


def test_a_body_of_five_megabytes_is_413(api: Api, room: Resource) -> None:
    body = json.dumps({**claim(room), "padding": "x" * 5_000_000})
    problem(api.raw("/holds", body), 413, "body_too_large")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_another_content_type_is_415(api: Api, room: Resource, kind: str) -> None:
    response = api.raw("/holds", json.dumps(claim(room)), kind=kind)
    problem(response, 415, "unsupported_media_type")


def test_an_empty_body_misses_the_lines(api: Api, room: Resource) -> None:
    assert list(problem(api.raw("/holds", b""), 400, "invalid")["errors"]) == ["lines"]


def test_a_browser_that_asks_for_html_gets_json(api: Api, room: Resource) -> None:
    response = api.http.get("/api/v1/resources", headers=api._headers() | {"Accept": "text/html"})
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("success_url", {"success_url": None}),
        ("success_url", {"success_url": "javascript:alert(1)"}),
        ("success_url", {"success_url": "/relative"}),
        ("success_url", {"success_url": "https://x.test/" + "x" * 3000}),
        ("cancel_url", {"cancel_url": 7}),
        ("cancel_url", {"cancel_url": "ftp://x.test/"}),
        ("credit_minor", {"credit_minor": 10**9}),
        ("credit_minor", {"credit_minor": -1}),
        ("email", {"email": "a@b.test"}),
    ],
)
def test_a_wrong_checkout_is_named(
    api: Api, room: Resource, field: str, change: dict[str, Any]
) -> None:
    held = api.hold(room)
    urls = {"success_url": "https://x.test/ok", "cancel_url": "https://x.test/no"}
    response = api.post(f"/holds/{held['id']}/checkout", {**urls, **change})
    assert list(problem(response, 400, "invalid")["errors"]) == [field]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/bookings", {"state": "sideways"}, "state"),
        ("/bookings", {"resource": "x"}, "resource"),
        ("/bookings", {"member": "x"}, "member"),
        ("/bookings", {"member": "@"}, "member"),
        ("/bookings", {"from": "now"}, "from"),
        ("/bookings", {"to": "2030-01-01T00:00:00"}, "to"),
        ("/bookings", {"page_size": "0"}, "page_size"),
        ("/bookings", {"page_size": "1e3"}, "page_size"),
        ("/resources", {"q": "\x00"}, "q"),
        ("/resources", {"q": "x" * 201}, "q"),
        ("/resources", {"location": "\x00"}, "location"),
        ("/resources", {"seats": "many"}, "seats"),
    ],
)
def test_a_wrong_filter_is_named(api: Api, path: str, query: dict[str, str], field: str) -> None:
    assert list(problem(api.get(path, **query), 400, "invalid")["errors"]) == [field]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from([rfc3339(at(10)), rfc3339(at(11)), "2030-01-01T00:00:00", "ana@x.test"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from(["resource", "start", "end", "quantity", "add_ons", "other"])


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(changes=st.dictionaries(FIELDS, anything, max_size=3), more=anything)
def test_whatever_is_sent_is_never_a_5xx(
    api: Api, room: Resource, changes: dict[str, Any], more: Any
) -> None:
    """Random values in the place of right ones: created, or refused for a reason."""
    body = {"lines": [{**line(room, 10), **changes}], "member": more}
    response = api.post("/holds", body)
    assert response.status_code in {201, 400, 409, 413, 422}, response.content
    if response.status_code != 201:
        assert response["Content-Type"] == "application/problem+json"
