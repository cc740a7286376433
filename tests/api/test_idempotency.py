"""INV-8 over HTTP: the same key gives the same answer, and one effect."""

import json
import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, connections

from bookings.models import Booking, Resource
from config.kernel.context import SYSTEM
from members import purging
from members.models import IdempotencyKey
from payments import credits as ledger
from tests.api.bodies import BODIES, POSTS
from tests.api.client import Api, claim, problem
from tests.api.unchanged import unchanged
from tests.factories import MemberFactory, make_api_key, make_room

URLS = {"success_url": "https://x.test/ok", "cancel_url": "https://x.test/no"}


@pytest.mark.django_db
def test_the_same_request_is_answered_alike_with_one_effect(api: Api, room: Resource) -> None:
    key = str(uuid4())
    first = api.post("/holds", claim(room), key=key)
    again = api.post("/holds", claim(room), key=key)
    assert "Idempotent-Replayed" not in first.headers
    assert again["Idempotent-Replayed"] == "true"
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert Booking.objects.count() == 1


@pytest.mark.django_db
def test_key_order_and_spacing_do_not_make_another_request(api: Api, room: Resource) -> None:
    body = claim(room)
    first = api.post("/holds", body, key="k")
    window = body["lines"][0]
    shuffled = json.dumps({"lines": [dict(reversed(window.items()))]}, indent=3)
    again = api.raw("/holds", shuffled, key="k")
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()


@pytest.mark.django_db
def test_a_final_refusal_is_kept_too(api: Api, room: Resource) -> None:
    held = api.hold(room)
    refused = api.post("/holds", claim(room), key="k")
    api.delete(f"/holds/{held['id']}")
    again = api.post("/holds", claim(room), key="k")
    assert again["Idempotent-Replayed"] == "true"
    assert problem(again, 409, "slot_taken") == problem(refused, 409, "slot_taken")
    assert Booking.objects.count() == 1


@pytest.mark.django_db
def test_another_request_under_the_same_key_is_422(api: Api, room: Resource) -> None:
    api.post("/holds", claim(room, 10), key="k")
    problem(api.post("/holds", claim(room, 12), key="k"), 422, "idempotency_key_reused")
    assert Booking.objects.count() == 1


@pytest.mark.django_db
def test_keys_of_two_callers_or_operations_are_two(api: Api, room: Resource) -> None:
    _, other = make_api_key(workspace=room.workspace)
    first = api.post("/holds", claim(room, 10), key="k")
    second = Api(other).post("/holds", claim(room, 12), key="k")
    assert (first.status_code, second.status_code) == (201, 201)
    extended = api.post(f"/holds/{first.json()['id']}/extend", key="k")
    assert extended.status_code == 200


@pytest.mark.django_db
def test_a_key_of_another_workspace_is_unknown_here(api: Api, room: Resource) -> None:
    """Neither its answer nor that it was used is told to strangers."""
    stranger = make_room()
    _, other = make_api_key(workspace=stranger.workspace)
    first = api.post("/holds", claim(room), key="k")
    problem(Api(other).post("/holds", claim(room), key="k"), 422, "unknown_resource")
    theirs = Api(other).post("/holds", claim(stranger), key="k2")
    problem(api.post("/holds", claim(room, 12), key="k"), 422, "idempotency_key_reused")
    mine = api.post("/holds", claim(room, 14), key="k2")
    assert (first.status_code, theirs.status_code, mine.status_code) == (201, 201, 201)
    assert "Idempotent-Replayed" not in mine.headers


@pytest.mark.django_db
def test_a_request_that_cannot_be_read_leaves_its_key_unused(api: Api, room: Resource) -> None:
    for wrong in ({}, claim(room, colour="red"), claim(room, ttl_seconds=-1)):
        problem(api.post("/holds", wrong, key="k"), 400, "invalid")
    assert not IdempotencyKey.objects.exists()
    assert api.post("/holds", claim(room), key="k").status_code == 201


@pytest.mark.django_db
def test_what_was_done_is_answered_though_the_first_answer_got_lost(
    api: Api, room: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash comes after the commit: the caller has seen nothing but a broken connection."""

    def lost(answer: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr("config.api.answered", lost)
        with pytest.raises(ConnectionResetError):
            api.post("/holds", claim(room), key="k")
    again = api.post("/holds", claim(room), key="k")
    assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
    assert Booking.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("credit_minor", [0, 4500])
def test_confirmed_without_a_card_though_the_answer_was_never_kept(
    api: Api, room: Resource, credit_minor: int
) -> None:
    """A checkout keeps its answer after its effect: a crash in between, or a duplicate at once."""
    if credit_minor:
        member = MemberFactory(email="ada@example.test")
        ledger.issue(
            workspace=room.workspace, member=member, amount_minor=10_000, reason="Gift",
            source="gift", key="gift", actor=SYSTEM,
        )  # fmt: skip
    else:
        room = make_room(workspace=room.workspace, price=0)
    held = api.hold(room, member={"email": "ada@example.test"})
    path, body = f"/holds/{held['id']}/checkout", URLS | {"credit_minor": credit_minor}
    first = api.post(path, body, key="k")
    assert (first.status_code, first.json()["checkout_url"]) == (200, None)
    IdempotencyKey.objects.filter(operation="holds.checkout").update(status=None, body="")
    with unchanged():
        again = api.post(path, body, key="k")
    assert (again.status_code, again.json()) == (200, first.json())
    assert api.post(path, body, key="k")["Idempotent-Replayed"] == "true"
    other = api.post(path, URLS | {"credit_minor": 4500 - credit_minor})
    problem(other, 409, "already_paid")


@pytest.mark.django_db
def test_a_key_is_forgotten_after_its_time(api: Api, room: Resource) -> None:
    """Then it is a new one: what it asks for is tried again."""
    api.post("/holds", claim(room), key="k")
    _age("6 days")
    assert api.post("/holds", claim(room), key="k")["Idempotent-Replayed"] == "true"
    _age("2 days")
    problem(api.post("/holds", claim(room), key="k"), 409, "slot_taken")
    assert Booking.objects.count() == 1


def _age(by: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE members_idempotencykey SET created_at = created_at - '{by}'::interval"
        )
    purging.idempotency_keys()


# Stripe is asked by a checkout, so that one is in tests/money.
KEYED = sorted(set(BODIES) - {"quotes", "hold-checkout"})


@pytest.mark.django_db
@pytest.mark.parametrize("name", KEYED)
def test_every_post_is_answered_alike_and_done_once(
    api: Api, room: Resource, ids: dict[str, Any], name: str
) -> None:
    path, body = POSTS[name].path(**ids), BODIES[name][0](room)
    first = api.post(path, body, key="k")
    with unchanged():
        again = api.post(path, body, key="k")
        assert again["Idempotent-Replayed"] == "true"
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        if name != "hold-extend":  # which has no body that could be another
            other = body | OTHERS.get(name, {"reason": "Another"})
            problem(api.post(path, other, key="k"), 422, "idempotency_key_reused")
            problem(api.post(path, body, key=None), 400, "idempotency_key_required")


OTHERS: dict[str, Any] = {
    "holds": {"ttl_seconds": 600},
    "waitlist": {"quantity": 2},
    "hold-confirm": {
        "payment": {"provider": "x", "reference": "y", "amount_minor": 1, "currency": "NZD"}
    },
}


@pytest.mark.django_db
def test_it_is_required_where_something_is_made(api: Api, room: Resource) -> None:
    problem(api.post("/holds", claim(room), key=None), 400, "idempotency_key_required")
    held = api.hold(room)
    response = api.post(f"/holds/{held['id']}/checkout", URLS, key=None)
    problem(response, 400, "idempotency_key_required")
    assert Booking.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x" * 256, " ", "ümlaut", "tab\there", "new\x7f"])
def test_a_key_is_1_to_255_printable_characters(api: Api, room: Resource, key: str) -> None:
    body = problem(api.post("/holds", claim(room), key=key), 400, "invalid")
    assert list(body["errors"]) == ["Idempotency-Key"]
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db
def test_the_longest_key_works(api: Api, room: Resource) -> None:
    assert api.post("/holds", claim(room), key="x" * 255).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_with_one_key_are_one_hold() -> None:
    """Duplicates wait for the first and get its answer."""
    room = make_room()
    _, secret = make_api_key(workspace=room.workspace)
    answers: list[Any] = []
    barrier = threading.Barrier(10)

    def ask() -> None:
        try:
            barrier.wait(10)
            answers.append(Api(secret).post("/holds", claim(room), key="once"))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection.close()
    assert [answer.status_code for answer in answers] == [201] * 10
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert Booking.objects.count() == 1
