"""Logs keep no address that lets its bearer in."""

import io
import logging

import pytest

from config.kernel.ids import new_id
from config.logs import WithoutTokens, without_tokens


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/ical/q3v9Xk2mPz8LrT5wYb1N.ics", "/ical/q3v9Xk….ics"),
        ("/b/0198c1de4a6f7cc39d0e3f6f0c0f5a11:Zx1-9_abc/cancel/", "/b/0198c1…/cancel/"),
        ("/w/harbour-studios/room-one/", "/w/harbour-studios/room-one/"),
        ("/api/v1/bookings", "/api/v1/bookings"),
    ],
)
def test_what_may_be_a_token_is_cut_short(path: str, kept: str) -> None:
    assert without_tokens(path) == kept


def test_ids_are_kept_whole() -> None:
    path = f"/api/v1/holds/{new_id()}/extend"
    assert without_tokens(path) == path


def test_a_line_of_djangos_own_says_no_token() -> None:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.addFilter(WithoutTokens())
    log = logging.Logger("django.request")
    log.addHandler(handler)
    log.warning("%s: %s", "Not Found", "/hold/q3v9Xk2mPz8LrT5wYb1N/")
    log.warning("nothing of a request")
    assert said.getvalue() == "Not Found: /hold/q3v9Xk…/\nnothing of a request\n"
