"""What an origin is, and how often an address may ask: without a database."""

from typing import Any

import pytest

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
