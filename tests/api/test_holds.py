"""Claiming over HTTP: the answer, the refusals, letting go, extending, and what it costs."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, Resource
from config.api import rfc3339
from holds.models import Hold
from tests.api.client import Api, claim, line, problem
from tests.factories import BlockFactory, at, make_pool, make_room

pytestmark = pytest.mark.django_db


def test_a_claim_answers_with_the_hold_and_its_booking(api: Api, room: Resource) -> None:
    member = {"email": "Ana@Example.Test", "name": "Ana"}
    response = api.post("/holds", claim(room, 10, 1.5, member=member))
    assert response.status_code == 201
    body = response.json()
    hold = Hold.objects.get()
    booking = hold.booking
    assert body == {
        "id": str(hold.id),
        "token": hold.token,
        "state": "active",
        "expires_at": rfc3339(hold.expires_at),
        "booking": {
            "id": str(booking.id),
            "reference": booking.reference,
            "state": "pending_payment",
            "version": 0,
            "lines": [
                {
                    "resource": str(room.id),
                    "start": rfc3339(at(10)),
                    "end": rfc3339(at(11.5)),
                    "quantity": 1,
                    "amount": {"amount_minor": 6750, "currency": "NZD"},
                    "parts": [
                        {
                            "label": "Per hour",
                            "kind": "per_hour",
                            "quantity": "1.5",
                            "unit": {"amount_minor": 4500, "currency": "NZD"},
                            "amount": {"amount_minor": 6750, "currency": "NZD"},
                        }
                    ],
                    "add_ons": [],
                    "cancelled_at": None,
                }
            ],
            "total": {"amount_minor": 6750, "currency": "NZD"},
            "discount": None,
        },
        "change": None,
    }
    assert (booking.email, booking.name) == ("ana@example.test", "Ana")
    assert hold.expires_at - hold.created_at == timedelta(minutes=15)
    event = booking.events.get()
    assert (event.kind, event.actor_kind, event.actor_label) == ("held", "api_key", "Test key")


def test_placing_takes_at_most_eight_statements(api: Api, room: Resource) -> None:
    """Round trips are what a claim costs (design.md §9); savepoints of the test do not count."""
    api.hold(room, 8)
    with CaptureQueriesContext(connection) as queries:
        api.hold(room, 10)
    statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
    assert len(statements) <= 8, statements
    assert len(statements) == 5, statements


def test_several_lines_are_all_held_or_none(api: Api, room: Resource) -> None:
    bikes = make_pool(workspace=room.workspace)
    lines = [line(room, 10), {**line(bikes, 10, 2), "quantity": 3}]
    body = api.post("/holds", {"lines": lines}).json()
    amounts = [row["amount"]["amount_minor"] for row in body["booking"]["lines"]]
    assert amounts == [4500, 3 * 2 * 4500]
    assert body["booking"]["total"]["amount_minor"] == sum(amounts)
    refused = api.post("/holds", {"lines": [line(bikes, 10), line(room, 10.5)]})
    assert problem(refused, 409, "slot_taken")["line"] == 1
    assert Hold.objects.count() == 1


def test_a_taken_slot_says_which_line_and_where_there_is_room(api: Api, room: Resource) -> None:
    api.hold(room, 10)
    body = problem(api.post("/holds", claim(room, 10)), 409, "slot_taken")
    assert body["line"] == 0
    near = body["next_free"]
    start, end = datetime.fromisoformat(near["start"]), datetime.fromisoformat(near["end"])
    assert end - start == timedelta(hours=1)
    assert start >= at(11) or end <= at(10)
    retried = api.post("/holds", {"lines": [{"resource": str(room.id), **near}]})
    assert retried.status_code == 201
    assert Booking.objects.count() == 2


def test_a_full_pool_is_a_taken_slot(api: Api, room: Resource) -> None:
    bikes = make_pool(workspace=room.workspace, capacity=2)
    both = {"lines": [{**line(bikes), "quantity": 2}]}
    assert api.post("/holds", both).status_code == 201
    assert problem(api.post("/holds", claim(bikes)), 409, "slot_taken")["line"] == 0


def test_a_blocked_window_is_a_taken_slot(api: Api, room: Resource) -> None:
    BlockFactory(resource=room, during=(at(10), at(12)))
    assert problem(api.post("/holds", claim(room, 11)), 409, "slot_taken")["line"] == 0
    assert not Booking.objects.exists()


@pytest.mark.parametrize(
    ("overrides", "hour", "hours", "code"),
    [
        ({"location__hours": []}, 10, 1, "outside_opening_hours"),
        ({"min_seconds": 7200}, 10, 1, "window_not_allowed"),
        ({"max_seconds": 3600}, 10, 2, "window_not_allowed"),
        ({"step_seconds": 3600}, 10.25, 1, "window_not_allowed"),
        ({"notice_seconds": 30 * 86400}, 10, 1, "window_not_allowed"),
        ({"horizon_days": 2}, 10, 1, "window_not_allowed"),
        ({}, -24 * 30, 1, "window_not_allowed"),
        ({"is_active": False}, 10, 1, "unknown_resource"),
    ],
)
def test_rules_that_a_window_breaks_are_422(
    api: Api, room: Resource, overrides: dict, hour: float, hours: float, code: str
) -> None:
    strict = make_room(workspace=room.workspace, **overrides)
    body = problem(api.post("/holds", claim(strict, hour, hours)), 422, code)
    assert body["line"] == 0
    assert not Booking.objects.exists()


def test_the_time_to_live_may_be_chosen(api: Api, room: Resource) -> None:
    body = api.hold(room, ttl_seconds=60)
    hold = Hold.objects.get()
    assert hold.expires_at - hold.created_at == timedelta(seconds=60)
    assert body["expires_at"] == rfc3339(hold.expires_at)


# --- Tokens -------------------------------------------------------------------------------------


def test_the_same_lines_with_the_token_are_the_same_hold(api: Api, room: Resource) -> None:
    first = api.hold(room, 10)
    again = api.hold(room, 10, token=first["token"])
    assert again == first
    assert Hold.objects.count() == 1


def test_other_lines_with_the_token_replace_the_hold(api: Api, room: Resource) -> None:
    first = api.hold(room, 10)
    second = api.hold(room, 10.5, token=first["token"])
    assert second["id"] != first["id"]
    assert api.get(f"/holds/{first['id']}").json()["state"] == "released"
    assert second["booking"]["lines"][0]["start"] == rfc3339(at(10.5))


def test_an_unknown_token_is_no_token(api: Api, room: Resource) -> None:
    assert api.hold(room, token="never-was")["state"] == "active"


# --- Reading, letting go, extending -------------------------------------------------------------


def test_a_hold_reads_as_it_was_answered(api: Api, room: Resource) -> None:
    placed = api.hold(room)
    response = api.get(f"/holds/{placed['id']}")
    assert response.json() == placed
    assert response["ETag"] == '"0"'


def test_a_lapsed_hold_reads_expired_without_any_cron(api: Api, room: Resource) -> None:
    placed = api.hold(room)
    _lapse(placed["id"])
    assert api.get(f"/holds/{placed['id']}").json()["state"] == "expired"
    assert api.hold(room)["id"] != placed["id"]


def test_letting_go_frees_the_slot_and_may_be_repeated(api: Api, room: Resource) -> None:
    placed = api.hold(room)
    for _ in range(2):
        response = api.delete(f"/holds/{placed['id']}")
        assert (response.status_code, response.content) == (204, b"")
    assert api.get(f"/holds/{placed['id']}").json()["state"] == "released"
    events = Booking.objects.get().events.values_list("kind", flat=True)
    assert list(events) == ["held", "released"]
    api.hold(room)


def test_a_hold_is_extended_once(api: Api, room: Resource) -> None:
    placed = api.hold(room)
    before = datetime.fromisoformat(placed["expires_at"])
    extended = api.post(f"/holds/{placed['id']}/extend", key=None)
    assert extended.status_code == 200
    after = datetime.fromisoformat(extended.json()["expires_at"])
    assert after - before == timedelta(minutes=5)
    problem(api.post(f"/holds/{placed['id']}/extend", key=None), 409, "hold_not_extendable")


def test_extending_with_a_key_is_repeatable(api: Api, room: Resource) -> None:
    placed = api.hold(room)
    first = api.post(f"/holds/{placed['id']}/extend", key="more")
    again = api.post(f"/holds/{placed['id']}/extend", key="more")
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"


def test_an_ended_hold_is_not_extended(api: Api, room: Resource) -> None:
    placed = api.hold(room)
    _lapse(placed["id"])
    problem(api.post(f"/holds/{placed['id']}/extend"), 410, "hold_expired")


def _lapse(hold_id: str) -> None:
    """Let the hold's time pass, by moving its times into the past."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE holds_hold SET created_at = created_at - interval '1 day', "
            "expires_at = expires_at - interval '1 day', lapses_at = lapses_at - interval '1 day' "
            "WHERE id = %s RETURNING booking_id, lapses_at",
            [hold_id],
        )
        booking_id, lapses_at = cursor.fetchone()
        cursor.execute(
            "UPDATE bookings_occupancy SET lapses_at = %s WHERE booking_id = %s",
            [lapses_at, booking_id],
        )
