"""Bookings over HTTP: their money, their history, filters and pages."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, Resource
from config.api import rfc3339
from payments.models import Checkout, Due, Payment
from tests.api.client import Api, line
from tests.factories import MemberFactory, at, make_room

pytestmark = pytest.mark.django_db
NZD = "NZD"


def references(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["reference"] for row in response.json()["results"]]


def test_a_booking_shows_its_lines_money_and_hold(api: Api, room: Resource) -> None:
    held = api.hold(room, member={"email": "ana@example.test", "name": "Ana"})
    response = api.get(f"/bookings/{held['booking']['id']}")
    assert response["ETag"] == '"0"'
    body = response.json()
    booking = Booking.objects.get()
    assert body == held["booking"] | {
        "start": rfc3339(at(10)),
        "end": rfc3339(at(11)),
        "member": {"id": None, "email": "ana@example.test", "name": "Ana"},
        "hold": {"id": held["id"], "state": "active", "expires_at": held["expires_at"]},
        "change": None,
        "paid": {"amount_minor": 0, "currency": NZD},
        "credit": {"amount_minor": 0, "currency": NZD},
        "refunded": {"amount_minor": 0, "currency": NZD},
        "waived": {"amount_minor": 0, "currency": NZD},
        "payments": [],
        "created_at": rfc3339(booking.created_at),
        "confirmed_at": None,
        "ended_at": None,
    }
    assert api.get("/bookings").json()["results"] == [body]


def test_what_was_captured_was_paid(api: Api, room: Resource) -> None:
    held = api.hold(room)
    captured = _payment(held["booking"]["id"], "captured", "pi_1")
    _payment(held["booking"]["id"], "voided", "pi_2")
    body = api.get(f"/bookings/{held['booking']['id']}").json()
    assert body["paid"] == {"amount_minor": 4500, "currency": NZD}
    assert [row["state"] for row in body["payments"]] == ["captured", "voided"]
    assert body["payments"][0]["id"] == str(captured.id)
    assert body["payments"][0]["amount"] == {"amount_minor": 4500, "currency": NZD}


def test_filters(api: Api, room: Resource) -> None:
    other = make_room(workspace=room.workspace)
    ana = MemberFactory(email="ana@example.test")
    first = api.hold(room, 8, member={"email": "ana@example.test"})["booking"]
    second = api.hold(other, 12)["booking"]
    third = api.hold(room, 14)
    api.delete(f"/holds/{third['id']}")
    Booking.objects.filter(pk=second["id"]).update(member=ana)
    one, two, three = first["reference"], second["reference"], third["booking"]["reference"]
    assert references(api.get("/bookings")) == [three, two, one]
    assert references(api.get("/bookings", state="released")) == [three]
    assert references(api.get("/bookings", state="released,pending_payment")) == [three, two, one]
    assert references(api.get("/bookings", resource=str(room.id))) == [three, one]
    assert references(api.get("/bookings", member="ANA@example.test")) == [two, one]
    assert references(api.get("/bookings", member=str(ana.id))) == [two]
    assert references(api.get("/bookings", **{"from": rfc3339(at(9))})) == [three, two]
    assert references(api.get("/bookings", to=rfc3339(at(12)))) == [one]
    around = {"from": rfc3339(at(12.5)), "to": rfc3339(at(12.75))}
    assert references(api.get("/bookings", **around)) == [two]


def test_two_lines_of_one_resource_are_one_booking(api: Api, room: Resource) -> None:
    api.post("/holds", {"lines": [line(room, 8), line(room, 12)]})
    assert len(references(api.get("/bookings", resource=str(room.id)))) == 1


def test_the_list_takes_seven_queries_however_long(api: Api, room: Resource) -> None:
    for hour in range(0, 20, 2):
        held = api.hold(room, hour)
        _payment(held["booking"]["id"], "captured", f"pi_{hour}")
    with CaptureQueriesContext(connection) as queries:
        assert len(references(api.get("/bookings"))) == 10
    assert len(queries) == 7, [q["sql"] for q in queries.captured_queries]


def test_pages_are_stable_while_bookings_are_made(api: Api, room: Resource) -> None:
    made = [api.hold(room, hour)["booking"]["reference"] for hour in range(5)][::-1]
    page = api.get("/bookings", page_size="2").json()
    assert [row["reference"] for row in page["results"]] == made[:2]
    api.hold(room, 12)
    following = api.get(page["next"].replace("http://testserver/api/v1", "")).json()
    assert [row["reference"] for row in following["results"]] == made[2:4]
    back = api.get(following["previous"].replace("http://testserver/api/v1", "")).json()
    assert [row["reference"] for row in back["results"]] == made[:2]


def test_filters_stay_in_the_links(api: Api, room: Resource) -> None:
    for hour in range(3):
        api.hold(room, hour)
    page = api.get("/bookings", page_size="2", state="pending_payment").json()
    assert "state=pending_payment" in page["next"]
    assert "page_size=2" in page["next"]


def test_history_is_told_in_order(api: Api, room: Resource) -> None:
    held = api.hold(room)
    api.post(f"/holds/{held['id']}/extend")
    api.delete(f"/holds/{held['id']}")
    body = api.get(f"/bookings/{held['booking']['id']}/events").json()
    assert [row["kind"] for row in body["results"]] == ["held", "extended", "released"]
    first, _, last = body["results"]
    assert (first["from_state"], first["to_state"]) == (None, "pending_payment")
    assert (last["from_state"], last["to_state"]) == ("pending_payment", "released")
    assert last["actor"]["kind"] == "api_key"
    assert last["actor"]["label"] == "Test key"
    assert first["at"] <= last["at"]


def _payment(booking_id: str, state: str, intent: str) -> Payment:
    """A payment in its last state, written as the states allow: created, then moved."""
    booking = Booking.objects.get(pk=booking_id)
    now = booking.created_at
    due = Due.objects.filter(booking=booking).first() or Due.objects.create(
        workspace=booking.workspace,
        booking=booking,
        amount_minor=booking.total_minor,
        currency=booking.currency,
        created_at=now,
    )
    money = {"amount_minor": 4500, "currency": NZD, "livemode": False}
    checkout = Checkout.objects.create(
        due=due,
        attempt=due.checkouts.count() + 1,
        title="Room",
        success_url="https://x.test",
        cancel_url="https://x.test",
        created_at=now,
        expires_at=now + timedelta(hours=1),
        close_requested_at=now,
        **money,
    )
    payment = Payment.objects.create(
        due=due, checkout=checkout, payment_intent_id=intent, created_at=now, **money
    )
    ways = {
        "captured": ["authorised", "capturing", "captured"],
        "voided": ["authorised", "voiding", "voided"],
    }
    verdict = "capture" if state == "captured" else "void"
    for version, step in enumerate(ways[state], start=1):
        payment.state, payment.version = step, version
        payment.verdict = "" if step == "authorised" else verdict
        payment.save()
    return payment
