"""Which address limits are counted by."""

from typing import Any

import pytest
from django.test import RequestFactory

from members.pages import address_of


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("1.1.1.1", "", "1.1.1.1"),
        ("1.1.1.1", "9.9.9.9", "1.1.1.1"),  # its own invention
        ("10.0.0.1", "8.8.8.8, 9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "", None),
        ("", "", None),
        ("10.0.0.1", "unknown", None),
        ("2a00:1450:1:2:3:4:5:6", "", "2a00:1450:1:2::"),  # one household has all of a /64
        ("10.0.0.1", "2a00:1450:1:2:ffff::9", "2a00:1450:1:2::"),
        ("::ffff:9.9.9.9", "", "9.9.9.9"),  # a socket for both kinds: never all IPv4 as one
        ("::ffff:10.0.0.1", "9.9.9.9", "9.9.9.9"),
    ],
)
def test_the_address_that_is_counted(peer: str, forwarded: str, counted: Any) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert address_of(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)) == counted
