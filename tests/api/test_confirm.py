"""Reserve, take the money elsewhere, confirm: over HTTP. tests/policies has the service's own."""

from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from bookings.models import Booking, Resource
from holds.models import Hold
from members.models import IdempotencyKey
from payments.models import Finding, Payment, Refund
from tests.api.client import Api, problem
from tests.core.support import lapse
from tests.core.threads import together
from tests.factories import make_api_key, make_room

pytestmark = pytest.mark.django_db


def paid(reference: str = "pay_1", **more: Any) -> dict[str, Any]:
    money = {"amount_minor": 4500, "currency": "NZD"}
    return {"payment": {"provider": "adyen", "reference": reference} | money | more}


def test_it_confirms_and_shows_the_booking(api: Api, room: Resource) -> None:
    held = api.hold(room)
    answer = api.post(f"/holds/{held['id']}/confirm", paid())
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body == api.get(f"/bookings/{held['booking']['id']}").json()
    assert (body["state"], body["hold"]["state"]) == ("confirmed", "confirmed")
    assert body["paid"] == {"amount_minor": 4500, "currency": "NZD"}
    assert answer["ETag"] == f'"{body["version"]}"'
    (payment,) = body["payments"]
    assert (payment["provider"], payment["reference"]) == ("adyen", "pay_1")
    assert (payment["state"], payment["payment_intent"]) == ("captured", None)


def test_it_is_one_payment_by_key_and_by_reference(api: Api, room: Resource) -> None:
    path, key = f"/holds/{api.hold(room)['id']}/confirm", str(uuid4())
    first = api.post(path, paid(), key=key)
    replayed, repeated = api.post(path, paid(), key=key), api.post(path, paid())
    assert replayed["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in repeated.headers
    assert first.json() == replayed.json() == repeated.json()
    problem(api.post(path, paid("pay_2"), key=key), 422, "idempotency_key_reused")
    problem(api.post(path, paid("pay_2")), 409, "already_paid")
    assert Payment.objects.count() == 1


def test_a_crash_before_the_answer_was_kept_is_made_up_for(api: Api, room: Resource) -> None:
    """The key is there without an answer; the payment is found by its reference."""
    path = f"/holds/{api.hold(room)['id']}/confirm"
    first = api.post(path, paid(), key="k")
    IdempotencyKey.objects.filter(operation="holds.confirm").update(status=None, body="")
    again = api.post(path, paid(), key="k")
    assert (again.status_code, again.json()) == (200, first.json())
    assert "Idempotent-Replayed" not in again.headers
    assert api.post(path, paid(), key="k")["Idempotent-Replayed"] == "true"
    assert Payment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_five_at_once_are_one_payment(transactional_db: None) -> None:
    """Three with one key, two with keys of their own: the same reference."""
    room = make_room()
    _, secret = make_api_key(workspace=room.workspace)
    path = f"/holds/{Api(secret).hold(room)['id']}/confirm"
    keys = ["k", "k", "k", "a", "b"]
    answers = together([partial(Api(secret).post, path, paid(), key=key) for key in keys])
    assert [answer.status_code for answer in answers] == [200] * 5  # type: ignore[union-attr]
    shown = {answer.json()["payments"][0]["id"] for answer in answers}  # type: ignore[union-attr]
    assert len(shown) == 1
    assert Payment.objects.count() == 1


def test_a_slot_that_is_gone_is_410_and_money_to_be_given_back(api: Api, room: Resource) -> None:
    held = api.hold(room)
    lapse(Hold.objects.get(pk=held["id"]))
    taken = api.hold(room)
    path = f"/holds/{held['id']}/confirm"
    for key in ("k", "k", "another"):
        problem(api.post(path, paid(), key=key), 410, "hold_expired")
    assert Refund.objects.get().amount_minor == 4500
    assert Finding.objects.get().kind == "external_payment_refused"
    assert api.get(f"/holds/{taken['id']}").json()["state"] == "active"


def test_a_reference_that_is_being_used_elsewhere_at_once(
    api: Api, room: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looked before the other had written: the database knows, and says it in our words."""
    holds = [api.hold(room, hour)["id"] for hour in (10, 12)]
    assert api.post(f"/holds/{holds[0]}/confirm", paid()).status_code == 200
    monkeypatch.setattr("payments.external._known", lambda *_: None)
    for _ in range(2):
        again = api.post(f"/holds/{holds[1]}/confirm", paid(), key="k")
        problem(again, 409, "reference_used")
    assert again["Idempotent-Replayed"] == "true"
    assert api.get(f"/holds/{holds[1]}").json()["state"] == "active"
    assert Payment.objects.count() == 1


def test_what_was_free_and_is_gone_leaves_nothing_to_give_back(api: Api, room: Resource) -> None:
    free = make_room(workspace=room.workspace, price=0)
    held = api.hold(free)
    lapse(Hold.objects.get(pk=held["id"]))
    api.hold(free)
    for key in ("k", "another"):
        answer = api.post(f"/holds/{held['id']}/confirm", paid(amount_minor=0), key=key)
        problem(answer, 410, "hold_expired")
    assert not Refund.objects.exists()
    assert not Finding.objects.exists()
    assert not Payment.objects.exists()


def test_what_is_not_owed_confirms_nothing(api: Api, room: Resource) -> None:
    held = api.hold(room)
    path = f"/holds/{held['id']}/confirm"
    problem(api.post(path, paid(amount_minor=4499)), 422, "amount_differs")
    problem(api.post(path, paid(currency="EUR")), 422, "amount_differs")
    problem(api.post(path, paid(), key=None), 400, "idempotency_key_required")
    problem(api.post(f"/holds/{uuid4()}/confirm", paid()), 404, "not_found")
    assert api.get(f"/holds/{held['id']}").json()["state"] == "active"
    assert not Payment.objects.exists()


def test_another_workspaces_hold_is_not_found_and_a_reading_key_may_not(
    api: Api, room: Resource
) -> None:
    path = f"/holds/{api.hold(room)['id']}/confirm"
    _, stranger = make_api_key(workspace=make_room().workspace)
    problem(Api(stranger).post(path, paid()), 404, "not_found")
    _, reader = make_api_key(workspace=room.workspace, scope="read")
    problem(Api(reader).post(path, paid()), 403, "insufficient_scope")
    assert Booking.objects.get().state == "pending_payment"
