"""What an origin is, and how often an address may ask: without a database."""

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from config import cors
from config.kernel.redis import ask
from members import visitor_rates
from members.models import ApiKey
from members.publishable import check_address, origin_of

ORIGIN = "https://club.example"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Club.Example/", "https://club.example"),
        ("https://club.example:443", "https://club.example"),
        ("https://club.example:8443", "https://club.example:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_origins_are_kept_as_browsers_write_them(given: str, kept: str) -> None:
    assert origin_of(given) == kept


@pytest.mark.parametrize(
    "given",
    ["*", "null", "", "club.example", "https://*.club.example", "https://club.example/page",
     "http://club.example", "ftp://club.example", "https://a@club.example", "https://",
     "https://club.example:x", "https://club.example?x", "https://cl ub.example"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whichever of several)
        origin_of(given)


def test_an_address_may_have_a_path_and_a_query() -> None:
    key = ApiKey(origins=[ORIGIN])
    for url in (f"{ORIGIN}/a?b=c#d", f"{ORIGIN}:443/", "HTTPS://CLUB.example"):
        assert check_address(key, url, "success_url") == url


def test_an_address_asks_only_so_often(settings: Any) -> None:
    settings.VISITOR_READS_PER_MINUTE, settings.VISITOR_WRITES_PER_MINUTE = 3, 1
    for _ in range(3):
        visitor_rates.refuse_too_many("2001:db9::1", "GET")
    with pytest.raises(visitor_rates.TooManyRequests):
        visitor_rates.refuse_too_many("2001:db9::2", "GET")  # the same household
    visitor_rates.refuse_too_many("2001:db9::1", "POST")
    with pytest.raises(visitor_rates.TooManyRequests):
        visitor_rates.refuse_too_many("2001:db9::1", "POST")
    visitor_rates.refuse_too_many("2001:db9:0:1::1", "GET")
    visitor_rates.refuse_too_many(None, "GET")


def test_without_redis_nobody_is_counted(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    settings.VISITOR_READS_PER_MINUTE = 1
    for _ in range(3):
        visitor_rates.refuse_too_many("1.1.1.1", "GET")


@pytest.mark.parametrize(
    ("status", "headers", "key", "origin", "readable"),
    [
        (503, {}, "pk_x", ORIGIN, True),  # so that a page is told to come again
        (200, {"Age": "30"}, "pk_x", ORIGIN, True),  # what was last answered to this origin
        (200, {}, "pk_x", ORIGIN, False),
        (401, {}, "pk_x", ORIGIN, False),
        (503, {}, "sk_x", ORIGIN, False),
        (503, {}, "pk_x", "https://evil.example", False),
    ],
)
def test_without_a_database_what_was_listed_lately_is_known(
    status: int, headers: dict[str, str], key: str, origin: str, readable: bool
) -> None:
    ask(lambda client: client.set(f"cors:{ORIGIN}", 1, ex=60), None)
    middleware = cors.CorsMiddleware(lambda _: HttpResponse(status=status, headers=headers))
    sent = {"Authorization": f"Bearer {key}", "Origin": origin}
    answer = middleware(RequestFactory().get("/api/v1/resources", headers=sent))
    assert ("Access-Control-Allow-Origin" in answer) is readable
    assert answer["Vary"] == "Origin"
