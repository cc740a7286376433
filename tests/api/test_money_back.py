"""Cancelling and refunding over HTTP: previews, outcomes, refusals, repetitions, descriptions."""

from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from bookings.models import Booking, Resource
from payments.models import Refund
from tests.admin.support import confirmed, payment
from tests.api.client import Api, problem
from tests.factories import make_api_key, make_room

pytestmark = pytest.mark.django_db
NZ45 = {"amount_minor": 4500, "currency": "NZD"}
NOTHING = {"amount_minor": 0, "currency": "NZD"}


@pytest.fixture
def booking(room: Resource) -> Booking:
    """A booking a week from now, paid NZ$45."""
    found = confirmed(room)
    payment(found)
    return found


def refund(**fields: Any) -> dict[str, Any]:
    return {"amount_minor": 1000, "to": "card", "reason": "Cold room"} | fields


# --- Cancelling ---------------------------------------------------------------------------------


def test_a_preview_says_what_would_be_given_back_and_changes_nothing(
    api: Api, booking: Booking
) -> None:
    answer = api.post(f"/bookings/{booking.pk}/cancel?preview=true", {}, key=None)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "paid": NZ45,
            "refunded_before": NOTHING,
            "given_back": NZ45,
            "to_card": NZ45,
            "to_hand": NOTHING,
            "to_credit": NOTHING,
            "kept": NOTHING,
        },
    )
    none = api.post(f"/bookings/{booking.pk}/cancel?preview=true", {"refund": "none"}).json()
    assert (none["given_back"], none["kept"]) == (NOTHING, NZ45)
    booking.refresh_from_db()
    assert booking.state == "confirmed"
    assert not Refund.objects.exists()


def test_cancelling_frees_the_slot_and_asks_for_the_refund(
    api: Api, booking: Booking, room: Resource
) -> None:
    answer = api.post(f"/bookings/{booking.pk}/cancel", {"reason": "Ill"})
    assert answer.status_code == 200, answer.content
    assert (answer.json()["state"], answer.json()["refunded"]) == ("cancelled", NOTHING)
    (made,) = Refund.objects.all()
    assert (made.amount_minor, made.cause, made.state) == (4500, "policy", "requested")
    assert made.actor_kind == "api_key"
    event = booking.events.get(kind="cancelled")
    assert (event.reason, event.data["money"]["to_card_minor"]) == ("Ill", 4500)
    api.hold(room)
    again = api.post(f"/bookings/{booking.pk}/cancel", {})
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(("how", "amounts"), [("none", []), ("full", [4500])])
def test_staffs_own_choice(api: Api, booking: Booking, how: str, amounts: list[int]) -> None:
    api.post(f"/bookings/{booking.pk}/cancel", {"refund": how})
    assert list(Refund.objects.values_list("amount_minor", flat=True)) == amounts


def test_a_repetition_cancels_and_refunds_once(api: Api, booking: Booking) -> None:
    key = str(uuid4())
    first = api.post(f"/bookings/{booking.pk}/cancel", {}, key=key)
    second = api.post(f"/bookings/{booking.pk}/cancel", {}, key=key)
    assert second["Idempotent-Replayed"] == "true"
    assert second.json() == first.json()
    other = api.post(f"/bookings/{booking.pk}/cancel", {"refund": "none"}, key=key)
    problem(other, 422, "idempotency_key_reused")
    assert Refund.objects.count() == 1


def test_a_version_that_was_read_must_still_be_so(api: Api, booking: Booking) -> None:
    version = Booking.objects.get(pk=booking.pk).version
    path = f"/api/v1/bookings/{booking.pk}/cancel"
    for sent, status in ((f'"{version - 1}"', 412), ("3", 400), (f'"{version}"', 200)):
        headers = {
            "Authorization": f"Bearer {api.secret}",
            "Idempotency-Key": str(uuid4()),
            "If-Match": sent,
        }
        answer = api.http.post(path, "{}", content_type="application/json", headers=headers)
        assert answer.status_code == status, answer.content


def test_what_cannot_be_cancelled(api: Api, booking: Booking, room: Resource) -> None:
    pending = api.hold(room, 14)["booking"]["id"]
    problem(api.post(f"/bookings/{pending}/cancel", {}), 409, "invalid_transition")
    problem(api.post(f"/bookings/{uuid4()}/cancel", {}), 404, "not_found")
    no_key = api.post(f"/bookings/{booking.pk}/cancel", {}, key=None)
    problem(no_key, 400, "idempotency_key_required")
    for body in ({"refund": "some"}, {"refund": 1}, {"reason": "x" * 301}, {"why": "x"}):
        problem(api.post(f"/bookings/{booking.pk}/cancel", body), 400, "invalid")
    booking.refresh_from_db()
    assert booking.state == "confirmed"


def test_a_capture_on_its_way_comes_first(api: Api, room: Resource) -> None:
    booking = confirmed(room)
    payment(booking, "capturing")
    problem(api.post(f"/bookings/{booking.pk}/cancel", {}), 409, "payment_in_progress")
    booking.refresh_from_db()
    assert booking.state == "confirmed"


def test_another_workspaces_booking_is_not_found(booking: Booking) -> None:
    _, secret = make_api_key(workspace=make_room().workspace)
    other = Api(secret)
    problem(other.post(f"/bookings/{booking.pk}/cancel", {}), 404, "not_found")
    problem(other.post(f"/bookings/{booking.pk}/refunds", refund()), 404, "not_found")
    problem(other.get(f"/bookings/{booking.pk}/refunds"), 404, "not_found")


# --- Refunds ------------------------------------------------------------------------------------


def test_a_part_to_the_card_and_a_part_as_credit(api: Api, booking: Booking) -> None:
    card = api.post(f"/bookings/{booking.pk}/refunds", refund())
    assert card.status_code == 201, card.content
    (to_card,) = card.json()["refunds"]
    assert (to_card["state"], to_card["to"], to_card["cause"]) == ("requested", "card", "staff")
    assert card.json()["credit_returned"] == NOTHING
    credit = api.post(f"/bookings/{booking.pk}/refunds", refund(amount_minor=500, to="credit"))
    (to_credit,) = credit.json()["refunds"]
    assert (to_credit["state"], to_credit["amount"]["amount_minor"]) == ("succeeded", 500)
    listed = api.get(f"/bookings/{booking.pk}/refunds").json()["results"]
    assert [r["id"] for r in listed] == [to_credit["id"], to_card["id"]]
    shown = api.get(f"/bookings/{booking.pk}").json()
    assert (shown["state"], shown["refunded"]["amount_minor"]) == ("confirmed", 500)


def test_more_than_is_left_is_refused_and_nothing_is_written(api: Api, booking: Booking) -> None:
    path = f"/bookings/{booking.pk}/refunds"
    body = problem(api.post(path, refund(amount_minor=4501)), 409, "refund_too_large")
    assert body["left_minor"] == 4500
    assert api.post(path, refund(amount_minor=4500)).status_code == 201
    problem(api.post(path, refund(amount_minor=1)), 409, "nothing_to_refund")
    assert Refund.objects.count() == 1


def test_a_repeated_refund_is_one(api: Api, booking: Booking) -> None:
    key = str(uuid4())
    path = f"/bookings/{booking.pk}/refunds"
    first, second = (api.post(path, refund(), key=key) for _ in range(2))
    assert second["Idempotent-Replayed"] == "true"
    assert second.json() == first.json()
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": "10"}, "amount_minor"),
        ({"amount_minor": None}, "amount_minor"),
        ({"to": "bank"}, "to"),
        ({"to": None}, "to"),
        ({"reason": " "}, "reason"),
        ({"currency": "EUR"}, "currency"),
    ],
)
def test_bad_input_names_its_field(
    api: Api, booking: Booking, fields: dict[str, Any], named: str
) -> None:
    body = problem(api.post(f"/bookings/{booking.pk}/refunds", refund(**fields)), 400, "invalid")
    assert list(body["errors"]) == [named]


def test_a_key_that_may_only_read_moves_no_money(booking: Booking) -> None:
    _, secret = make_api_key(workspace=booking.workspace, scope="read")
    reader = Api(secret)
    problem(reader.post(f"/bookings/{booking.pk}/refunds", refund()), 403, "insufficient_scope")
    problem(reader.post(f"/bookings/{booking.pk}/cancel", {}), 403, "insufficient_scope")
    assert reader.get(f"/bookings/{booking.pk}/refunds").status_code == 200


def test_answers_are_as_described(api: Api, booking: Booking, schema: Any) -> None:
    path = f"/bookings/{booking.pk}"
    answers = [
        ("/refunds", "post", api.post(f"{path}/refunds", refund())),
        ("/refunds", "get", api.get(f"{path}/refunds")),
        ("/refunds", "post", api.post(f"{path}/refunds", refund(amount_minor=9999))),
        ("/cancel", "post", api.post(f"{path}/cancel?preview=true", {})),
        ("/cancel", "post", api.post(f"{path}/cancel", {})),
    ]
    for ending, method, answer in answers:
        operation = schema["paths"]["/api/v1/bookings/{booking_id}" + ending][method]
        content = operation["responses"][str(answer.status_code)]["content"]
        described = content[answer["Content-Type"]]["schema"]
        wanted = {**described, "components": schema["components"]}
        jsonschema.validate(answer.json(), wanted)
