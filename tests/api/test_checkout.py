"""Paying over HTTP, against the sandbox: one open session, one answer a key, and letting go."""

from uuid import uuid4

import pytest

from bookings.models import Booking, Resource
from payments.models import Checkout
from tests.api.client import Api, problem
from tests.api.test_schema import conforms
from tests.factories import make_api_key, make_room
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
URLS = {
    "success_url": "https://shop.example/done?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "https://shop.example/back",
}


@pytest.fixture
def room(transactional_db: None) -> Resource:
    return make_room()


def test_the_same_open_session_on_repetition(
    api: Api, room: Resource, sandbox: SandboxClient, schema: object
) -> None:
    held = api.hold(room)
    first = api.post(f"/holds/{held['id']}/checkout", URLS)
    conforms(schema, "/holds/{hold_id}/checkout", "post", first)
    assert first.json()["checkout_url"].startswith("http")
    assert first.json()["expires_at"] == held["expires_at"]
    again = api.post(f"/holds/{held['id']}/checkout", URLS)
    assert "Idempotent-Replayed" not in again.headers
    assert again.json() == first.json()
    assert Checkout.objects.count() == 1


def test_a_key_is_answered_alike(api: Api, room: Resource, sandbox: SandboxClient) -> None:
    held, key = api.hold(room), str(uuid4())
    path = f"/holds/{held['id']}/checkout"
    first = api.post(path, URLS, key=key)
    again = api.post(path, URLS, key=key)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    other = {**URLS, "cancel_url": "https://shop.example/elsewhere"}
    problem(api.post(path, other, key=key), 422, "idempotency_key_reused")


def test_what_is_free_is_confirmed_at_once(api: Api, room: Resource) -> None:
    free = make_room(workspace=room.workspace, price=0)
    held = api.hold(free)
    response = api.post(f"/holds/{held['id']}/checkout", URLS)
    assert response.status_code == 200
    assert response.json()["checkout_url"] is None
    assert api.get(f"/bookings/{held['booking']['id']}").json()["state"] == "confirmed"
    assert api.get(f"/holds/{held['id']}").json()["state"] == "confirmed"
    problem(api.delete(f"/holds/{held['id']}"), 409, "invalid_transition")


def test_letting_go_closes_the_session_first(
    api: Api, room: Resource, sandbox: SandboxClient
) -> None:
    held = api.hold(room)
    api.post(f"/holds/{held['id']}/checkout", URLS)
    assert api.delete(f"/holds/{held['id']}").status_code == 204
    assert Checkout.objects.get().state == "expired"
    assert api.get(f"/holds/{held['id']}").json()["state"] == "released"
    ended = api.post(f"/holds/{held['id']}/checkout", URLS)
    problem(ended, 410, "hold_expired")


def test_a_paid_session_is_not_let_go(api: Api, room: Resource, sandbox: SandboxClient) -> None:
    """DELETE meets a payment: 409, and the payment has been settled by then."""
    held = api.hold(room)
    url = api.post(f"/holds/{held['id']}/checkout", URLS).json()["checkout_url"]
    sandbox.pay(url, "pay")
    problem(api.delete(f"/holds/{held['id']}"), 409, "payment_in_progress")
    body = api.get(f"/bookings/{held['booking']['id']}").json()
    assert body["state"] == "confirmed"
    assert body["paid"] == {"amount_minor": 4500, "currency": "NZD"}
    assert [row["state"] for row in body["payments"]] == ["captured"]


def test_without_stripe_the_hold_is_kept(api: Api, room: Resource, sandbox: SandboxClient) -> None:
    """503 is never stored: the same key tries again when Stripe is back."""
    held, key = api.hold(room), str(uuid4())
    path = f"/holds/{held['id']}/checkout"
    sandbox.fault("error_500_before", times=None, match={"operation": "checkout.sessions.create"})
    response = api.post(path, URLS, key=key)
    problem(response, 503, "temporarily_unavailable")
    assert int(response["Retry-After"]) >= 1
    assert api.get(f"/holds/{held['id']}").json()["state"] == "active"
    sandbox.clear()
    assert api.post(path, URLS, key=key).status_code == 200


def test_another_workspaces_key_starts_no_payment(api: Api, room: Resource) -> None:
    held = api.hold(room)
    _, other = make_api_key(workspace=make_room().workspace)
    problem(Api(other).post(f"/holds/{held['id']}/checkout", URLS), 404, "not_found")
    assert not Checkout.objects.exists()
    assert Booking.objects.get().state == "pending_payment"
