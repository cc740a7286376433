"""Every error under /api/ is a problem, whoever it is that refuses: an endpoint, Django, a bug."""

import json
import logging
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from rest_framework.request import Request

from bookings.models import Resource
from config.negotiation import NeverRefused
from tests.api.client import Api, claim, problem

pytestmark = pytest.mark.django_db
careless = Client(raise_request_exception=False)  # one: each loads the middleware anew


def ask(api: Api, method: str, path: str, **headers: str) -> HttpResponse:
    """A request of any method, as a careless or hostile program sends it."""
    sent = {"Authorization": f"Bearer {api.secret}", **headers}
    return careless.generic(method, path, headers=sent)


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/bookings",
        "/api/v1/bookings/",
        "/api/v1/holds/%00",
        "/api/v1/%ff%fe",
        "/api/v1/%",
        "/api/v1/bookings/%2e%2e/%2e%2e/admin",
        "/api/v1/resources/0198C1DE-4A6F-7CC3-9D0E-3F6F0C0F5A11/nothing",
        "/api/v1//bookings",
        "/api/v1/bookings%0A",
        "/api/v1/" + "x" * 5000,
    ],
)
def test_an_address_that_is_none(api: Api, path: str) -> None:
    for method in ("GET", "POST", "BREW"):
        problem(ask(api, method, path), 404, "not_found")
    assert ask(api, "HEAD", path).status_code == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/v1/resources", {"GET", "HEAD", "OPTIONS"}),
        ("/api/v1/holds", {"POST", "OPTIONS"}),
        ("/api/v1/waitlist", {"GET", "HEAD", "POST", "OPTIONS"}),
    ],
)
def test_a_method_that_is_none_names_those_that_are(api: Api, path: str, allowed: set[str]) -> None:
    for method in ("PUT", "PATCH", "TRACE", "BREW", "CONNECT"):
        answer = ask(api, method, path)
        problem(answer, 405, "method_not_allowed")
        assert set(answer["Allow"].split(", ")) == allowed


def test_head_and_options(api: Api, room: Resource) -> None:
    got, head = (ask(api, method, "/api/v1/resources") for method in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (200, b"")
    assert head["Content-Type"] == got["Content-Type"] == "application/json"
    problem(ask(api, "GET", "/api/v1/holds"), 405, "method_not_allowed")
    assert ask(api, "HEAD", "/api/v1/holds").status_code == 405
    options = ask(api, "OPTIONS", "/api/v1/holds")
    assert (options.status_code, "POST" in options["Allow"]) == (200, True)


@pytest.mark.parametrize("host", ["evil.test", "a b", "", "x" * 300, "localhost:port", "[::1"])
def test_an_unknown_host_is_a_problem(api: Api, host: str) -> None:
    """Django refuses it before any view."""
    for path in ("/api/v1/resources", "/api/v1/nothing", "/api/v1/schema"):
        problem(ask(api, "GET", path, Host=host), 400, "unreadable_request")


def test_an_unknown_host_of_a_page_is_a_page(client: Client) -> None:
    answer = client.get("/", headers={"Host": "evil.test"})
    assert (answer.status_code, answer["Content-Type"][:9]) == (400, "text/html")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("q=%00", 400),
        ("q=%ff%fe", 200),
        ("q=%", 200),
        ("=&&&=;", 200),
        ("cursor=%00", 400),
        ("cursor=" + "A" * 5000, 400),
        ("page_size=%F0%9F%98%80", 400),
        ("&".join(f"a{n}=1" for n in range(1500)), 400),
        ("format=xml", 200),
    ],
)
def test_queries_that_are_damaged(api: Api, room: Resource, query: str, status: int) -> None:
    answer = ask(api, "GET", f"/api/v1/resources?{query}")
    assert answer.status_code == status, answer.content
    kind = "application/json" if status == 200 else "application/problem+json"
    assert answer["Content-Type"] == kind


@pytest.mark.parametrize(
    "accept", ["text/html", "image/png", "", "*/*;q=0", "nonsense", "a/b," * 99]
)
@pytest.mark.parametrize(("path", "status"), [("/resources", 200), ("/nothing", 404)])
def test_no_accept_header_is_a_406(api: Api, path: str, status: int, accept: str) -> None:
    assert ask(api, "GET", f"/api/v1{path}", Accept=accept).status_code == status


@pytest.mark.parametrize(
    "asked", [{"headers": {"Accept": "image/png"}}, {"data": {"format": "xml"}}]
)
def test_nor_of_what_can_be_had_in_several_forms(asked: Any) -> None:
    first, second = OpenApiYamlRenderer(), OpenApiJsonRenderer()
    request = Request(RequestFactory().get("/api/v1/schema", **asked))
    assert NeverRefused().select_renderer(request, [first, second])[0] is first


def test_a_bug_is_a_problem_that_is_logged_and_tells_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(secret: str) -> None:
        raise ZeroDivisionError("the inside of it")

    monkeypatch.setattr("members.api_keys.find", broken)
    with caplog.at_level(logging.ERROR, "django.request"):
        answer = ask(api, "GET", "/api/v1/resources")
    body = problem(answer, 500, "internal_error")
    assert "the inside" not in json.dumps(body)
    assert answer["X-Request-Id"]
    (line,) = [record for record in caplog.records if record.name == "django.request"]
    assert line.exc_info is not None
    assert line.exc_info[0] is ZeroDivisionError


def test_debug_tells_programs_no_more(api: Api) -> None:
    with override_settings(DEBUG=True):
        problem(ask(api, "GET", "/api/v1/x", Host="evil.test"), 400, "unreadable_request")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/jsonp", "application/json+x", "x" * 9000, "/", "\xff"]
)
def test_another_content_type_is_415(api: Api, room: Resource, kind: str) -> None:
    sent: Any = {"CONTENT_TYPE": kind, "HTTP_IDEMPOTENCY_KEY": "k"}
    answer = Client().generic(
        "POST",
        "/api/v1/holds",
        json.dumps(claim(room)),
        content_type=kind,
        HTTP_AUTHORIZATION=f"Bearer {api.secret}",
        **sent,
    )
    problem(answer, 415, "unsupported_media_type")


def test_what_is_served_without_a_key_refuses_alike(api: Api) -> None:
    for path in ("/api/v1/schema", "/api/v1/docs"):
        for accept in ("*/*", "text/html", "application/json"):
            problem(ask(api, "POST", path, Accept=accept), 405, "method_not_allowed")
