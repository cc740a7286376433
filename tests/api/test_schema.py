"""The OpenAPI description agrees with what is answered, and with the contract."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from bookings.models import Resource
from config.api import rfc3339
from config.openapi import serving
from tests.api import conformance
from tests.api.client import Api, claim, line
from tests.factories import at

# api.md, "Endpoints": what this release serves.
CONTRACT = {
    "/api/v1/resources": {"get"},
    "/api/v1/resources/{resource_id}": {"get"},
    "/api/v1/resources/{resource_id}/availability": {"get"},
    "/api/v1/resources/{resource_id}/explain": {"get"},
    "/api/v1/quotes": {"post"},
    "/api/v1/holds": {"post"},
    "/api/v1/holds/{hold_id}": {"get", "delete"},
    "/api/v1/holds/{hold_id}/extend": {"post"},
    "/api/v1/holds/{hold_id}/checkout": {"post"},
    "/api/v1/bookings": {"get"},
    "/api/v1/bookings/{booking_id}": {"get"},
    "/api/v1/bookings/{booking_id}/events": {"get"},
    "/api/v1/bookings/{booking_id}/cancel": {"post"},
    "/api/v1/bookings/{booking_id}/reschedule": {"post"},
    "/api/v1/waitlist": {"get", "post"},
    "/api/v1/waitlist/{entry_id}": {"get", "delete"},
    "/api/v1/bookings/{booking_id}/refunds": {"get", "post"},
}


def test_it_is_generated_without_a_warning() -> None:
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        SchemaGenerator().get_schema(request=None, public=True)
    found = [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]
    GENERATOR_STATS.reset()
    assert found == []


def test_it_is_openapi_3_1_and_lists_the_contract(schema: Any) -> None:
    assert schema["openapi"].startswith("3.1")
    methods = {"get", "post", "put", "patch", "delete"}
    listed = {path: methods & set(item) for path, item in schema["paths"].items()}
    assert {path: listed.get(path) for path in CONTRACT} == CONTRACT


def test_every_operation_names_its_problems_and_its_key(schema: Any) -> None:
    assert schema["components"]["securitySchemes"]["secretKey"]["scheme"] == "bearer"
    for path in CONTRACT:
        for operation in (op for op in schema["paths"][path].values() if "responses" in op):
            assert operation["security"][0] in ({"secretKey": ["read"]}, {"secretKey": ["write"]})
            assert operation["summary"]
            assert operation["description"]
            for status in ("400", "401", "403", "404", "429", "503"):
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"]


def test_claims_need_an_idempotency_key(schema: Any) -> None:
    parameters = schema["paths"]["/api/v1/holds"]["post"]["parameters"]
    needed = [p["name"] for p in parameters if p.get("required")]
    assert needed == ["Idempotency-Key"]


@pytest.mark.django_db
def test_answers_are_as_described(api: Api, room: Resource, schema: Any) -> None:
    held = api.post("/holds", claim(room, member={"email": "a@b.test"}))
    hold_id, booking_id = held.json()["id"], held.json()["booking"]["id"]
    window = {"from": rfc3339(at(0)), "to": rfc3339(at(24)), "duration": "60"}
    span = {"start": rfc3339(at(10)), "end": rfc3339(at(12))}
    of_resource = "/resources/{resource_id}"
    answers: list[tuple[str, str, HttpResponse]] = [
        ("/quotes", "post", api.post("/quotes", claim(room), key=None)),
        ("/quotes", "post", api.post("/quotes", claim(room, discount_code="X"), key=None)),
        ("/holds", "post", held),
        ("/holds", "post", api.post("/holds", claim(room))),
        ("/holds", "post", api.post("/holds", {"lines": [line(room, 10.1)]})),
        ("/holds", "post", api.post("/holds", {})),
        ("/holds/{hold_id}", "get", api.get(f"/holds/{hold_id}")),
        ("/holds/{hold_id}/extend", "post", api.post(f"/holds/{hold_id}/extend")),
        ("/holds/{hold_id}/extend", "post", api.post(f"/holds/{hold_id}/extend")),
        ("/bookings", "get", api.get("/bookings")),
        ("/bookings/{booking_id}", "get", api.get(f"/bookings/{booking_id}")),
        ("/bookings/{booking_id}/events", "get", api.get(f"/bookings/{booking_id}/events")),
        ("/resources", "get", api.get("/resources")),
        ("/resources", "get", Api().get("/resources")),
        (of_resource, "get", api.get(f"/resources/{room.id}")),
        (of_resource, "get", api.get(f"/resources/{hold_id}")),
        (
            f"{of_resource}/availability",
            "get",
            api.get(f"/resources/{room.id}/availability", **window),
        ),
        (f"{of_resource}/explain", "get", api.get(f"/resources/{room.id}/explain", **span)),
        ("/holds/{hold_id}", "delete", api.delete(f"/holds/{hold_id}")),
    ]
    seen = set()
    for path, method, response in answers:
        conforms(schema, path, method, response)
        seen.add((path, response.status_code))
    assert len(seen) == len(answers)


def test_schema_and_docs_are_served_without_a_key_or_another_host(client: Any) -> None:
    described = client.get("/api/v1/schema")
    assert described.status_code == 200
    assert b"openapi: 3.1" in described.content
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    text = page.content.decode()
    assert "https://" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "drf_spectacular_sidecar" in text


def test_the_description_is_made_once_whatever_is_asked(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may ask for it without a key, and making it takes long."""
    first = client.get("/api/v1/schema")
    monkeypatch.setattr(serving, "current", None)
    for query in ("version=%0Ax", "version=1", "lang=%00", "format=nope"):
        again = client.get(f"/api/v1/schema?{query}")
        assert (again.status_code, again.content) == (200, first.content)
        assert again["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"


def test_the_description_as_json(client: Any, schema: Any) -> None:
    asked = client.get("/api/v1/schema?format=json")
    assert asked["Content-Type"] == "application/vnd.oai.openapi+json; charset=utf-8"
    assert json.loads(asked.content) == json.loads(json.dumps(schema))


def conforms(schema: Any, path: str, method: str, response: HttpResponse) -> None:
    """The answer is as the operation of this path describes it."""
    conformance.check_described(schema["paths"][f"/api/v1{path}"][method], path, response)
