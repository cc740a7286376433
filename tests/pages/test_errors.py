"""When something is wrong, a page says what it means for money and slot, and needs no database."""

from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.template.loader import render_to_string
from django.test import Client

from tests.factories import make_room
from tests.pages.support import address, text


@pytest.mark.parametrize("code", ["400", "403", "403_csrf", "404", "500", "503"])
def test_error_pages_need_neither_database_nor_request(code: str) -> None:
    page = render_to_string(f"{code}.html")
    assert "<h1>" in page
    assert "surehold.css" in page


@pytest.mark.django_db
def test_a_busy_database_is_a_503_that_says_when_to_come_back(client: Client) -> None:
    room = make_room()
    busy = OperationalError("canceling statement due to lock timeout")
    busy.__cause__ = type("LockNotAvailable", (Exception,), {"sqlstate": "55P03"})()
    with patch("bookings.views.rules_for", side_effect=busy):
        answer = client.get(address(room))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Nothing was lost" in text(answer)
