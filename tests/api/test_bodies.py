"""A body that comes in chunks is a body."""

import io
import json
from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking
from config.bodies import MAX_BODY_BYTES, sized
from payments.models import Refund
from tests.api.client import Api, problem

pytestmark = pytest.mark.django_db


def send(api: Api, path: str, body: bytes, *, wrap: Any = sized, **environ: Any) -> Any:
    """As granian hands over what came without a length."""
    client = Client()
    sent = client._base_environ(
        PATH_INFO=f"/api/v1{path}",
        REQUEST_METHOD="POST",
        CONTENT_TYPE="application/json",
        HTTP_AUTHORIZATION=f"Bearer {api.secret}",
        HTTP_IDEMPOTENCY_KEY="k",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, **environ},
    )
    return wrap(lambda environ, _: client.handler(environ))(sent, None)


def cancelled_for(wrap: Any, api: Api, booking_id: Any) -> int:
    """Cancel for nothing, in chunks; what was given back all the same."""
    body = json.dumps({"refund": "none"}).encode()
    answer = send(api, f"/bookings/{booking_id}/cancel", body, wrap=wrap)
    assert answer.status_code == 200, answer.content
    assert Booking.objects.get(pk=booking_id).state == "cancelled"
    return sum(Refund.objects.values_list("amount_minor", flat=True))


def test_a_body_in_chunks_is_read(api: Api, ids: dict[str, Any]) -> None:
    assert cancelled_for(sized, api, ids["booking_id"]) == 0


def test_control_django_takes_it_for_no_body(api: Api, ids: dict[str, Any]) -> None:
    assert cancelled_for(lambda application: application, api, ids["booking_id"]) == 4500


def test_a_large_one_is_413_and_a_broken_one_400(api: Api, ids: dict[str, Any]) -> None:
    large = io.BytesIO(b" " * 5_000_000)
    problem(send(api, "/holds", b"", **{"wsgi.input": large}), 413, "body_too_large")
    assert large.tell() == MAX_BODY_BYTES + 1, "the rest is not read"
    problem(send(api, "/holds", b"{"), 400, "invalid_json")


def test_a_server_that_cannot_say_where_a_body_ends_is_not_read(api: Api) -> None:
    endless = io.BytesIO(b"{")
    answer = send(api, "/holds", b"", **{"wsgi.input": endless, "wsgi.input_terminated": False})
    problem(answer, 400, "invalid")
    assert endless.tell() == 0
