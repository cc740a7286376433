"""What an origin is: one set of rules for frames, publishable keys and ways back."""

import pytest
from django.core.exceptions import ValidationError

from config.kernel.errors import InvalidInput
from members.models import ApiKey
from members.origins import is_origin, origin_of, origins_of, validate_origins
from members.publishable import check_address

ORIGIN = "https://club.example"


@pytest.mark.parametrize(
    "value", [ORIGIN, "https://a-b.club.example:8443", "http://localhost:3000",
              "http://127.0.0.1", "https://xn--mller-kva.example", "http://[::1]:8000"],
)  # fmt: skip
def test_origins(value: str) -> None:
    validate_origins([value])
    assert origins_of([value, f" {value}/", value.upper()]) == [value]
    assert origin_of(f"{value}/a?b#c") == value


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Club.Example/", ORIGIN),
        ("https://club.example:443", ORIGIN),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example:8443/", "https://xn--bcher-kva.example:8443"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_origins_are_kept_as_browsers_write_them(given: str, kept: str) -> None:
    assert origins_of([given]) == [kept]
    assert not is_origin(given)


@pytest.mark.parametrize(
    "value",
    ["", "*", "null", "club.example", "https://*.example", "https://club.example:99999",
     "http://club.example", "https://a.example https://b.example", "https://a.example;x",
     "https://user@club.example", "ftp://club.example", "https://", "https://-a.example",
     "javascript:alert(1)", "https://club.example:0", "https://club.example:x",
     "https://cl ub.example", "https://club..example", "https://club.example%2eevil.example",
     "https://club.example\\@evil.example", "https://club.example\\", "https://cl\tub.example"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="not the origin"):
        validate_origins([ORIGIN, value])
    assert not is_origin(value)
    assert origin_of(value) == ""
    with pytest.raises(ValueError):  # noqa: PT011  (whichever of several)
        origins_of([ORIGIN, value])


@pytest.mark.parametrize(
    "value",
    ["https://club.example/", "https://Club.example", "https://club.example:443",
     "https://club.example\n", "https://club.example/page", "https://club.example?x"],
)  # fmt: skip
def test_what_is_not_just_an_origin(value: str) -> None:
    assert not is_origin(value)
    with pytest.raises(ValidationError):
        validate_origins([value])


def test_a_host_that_browsers_would_write_in_another_way_is_not_guessed() -> None:
    """`ß` was `ss` once, and is a letter of its own to browsers: two owners."""
    for given in ("https://straße.example", "https://club\u3002example"):
        with pytest.raises(ValueError, match="xn--"):
            origins_of([given])


def test_the_origin_of_an_address() -> None:
    assert origin_of("https://Club.example:443/x") == ORIGIN
    assert origin_of("https://club.example@evil.example/") == ""
    assert origin_of("data:text/html,x") == ""


def test_ways_back_lead_to_the_keys_origins_only() -> None:
    """What one reader takes for an origin of the key, and another for somebody else's."""
    key = ApiKey(origins=[ORIGIN, "https://strasse.example"])
    for url in (f"{ORIGIN}/a?b=c#d", f"{ORIGIN}:443/", "HTTPS://CLUB.example"):
        assert check_address(key, url, "success_url") == url
    for url in ("https://straße.example/", "https://club。example/", f"{ORIGIN}.evil.example", ""):
        with pytest.raises(InvalidInput):
            check_address(key, url, "success_url")
