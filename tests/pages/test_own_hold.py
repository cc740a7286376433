"""A visitor is never blocked by their own holds, and a replay leaves their payment page alone."""

from typing import Any

import pytest
from django.test import Client

from bookings.models import Resource
from holds.models import Hold
from tests.api.client import Api, claim, problem
from tests.core.support import state_of
from tests.factories import at, make_api_key, make_room
from tests.money.support import pay, sessions, start
from tests.pages.support import choose, form_to, hold, send
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = 60
RELEASED = ("released", "released")
ACTIVE = ("active", "pending_payment")


def held_at(page: str) -> Hold:
    return Hold.objects.get(token=page.strip("/").split("/")[-1])


def offer(client: Client, room: Resource, hour: float, minutes: int = 60) -> Any:
    """The form that holds a time."""
    return form_to(choose(client, room, at(hour), minutes), "/hold/")


def statuses(sandbox: SandboxClient, held: Hold) -> list[str]:
    return [session["status"] for session in sessions(sandbox, held)]


@pytest.mark.parametrize("buffer", ["buffer_before_seconds", "buffer_after_seconds"])
def test_ones_own_buffer_is_not_in_the_way(client: Client, another: Client, buffer: str) -> None:
    room = make_room(**{buffer: 15 * MINUTE})
    form, theirs = offer(client, room, 11), offer(another, room, 11)
    first = held_at(hold(client, room, at(10)))

    assert send(another, theirs).status_code == 409, "somebody else's buffer is"
    answer = send(client, form)

    assert answer.status_code == 303
    assert state_of(first) == RELEASED
    assert state_of(held_at(answer.url)) == ACTIVE


def test_a_hold_that_only_touches_is_kept(client: Client) -> None:
    room = make_room()
    first = held_at(hold(client, room, at(10)))
    hold(client, room, at(11))
    assert state_of(first) == ACTIVE


@pytest.mark.parametrize("paying", [0, 1, 3], ids=["none_paying", "one_paying", "all_paying"])
def test_several_own_holds_make_way_together(
    client: Client, sandbox: SandboxClient, paying: int
) -> None:
    room = make_room()
    form = offer(client, room, 10, 180)
    own = [held_at(hold(client, room, at(hour))) for hour in (10, 11, 12)]
    for held in own[:paying]:
        start(held)

    answer = send(client, form)

    assert answer.status_code == 303
    assert [state_of(held) for held in own] == [RELEASED] * 3
    assert [statuses(sandbox, held) for held in own[:paying]] == [["expired"]] * paying
    assert held_at(answer.url).booking.ends_at == at(13)
    assert send(client, form).url == answer.url


def test_lost_to_somebody_else_ones_own_holds_stay(client: Client, another: Client) -> None:
    room = make_room()
    form = offer(client, room, 10, 180)
    own = [held_at(hold(client, room, at(hour))) for hour in (10, 11)]
    hold(another, room, at(12))

    assert send(client, form).status_code == 409
    assert [state_of(held) for held in own] == [ACTIVE] * 2


def test_a_paid_own_hold_is_confirmed_not_replaced(client: Client, sandbox: SandboxClient) -> None:
    room = make_room()
    form = offer(client, room, 10, 120)
    first, second = (held_at(hold(client, room, at(hour))) for hour in (10, 11))
    pay(sandbox, start(first))

    assert send(client, form).status_code == 409
    assert state_of(first) == ("confirmed", "confirmed")
    assert state_of(second) == ACTIVE


def test_a_replayed_form_leaves_the_newer_payment_page_open(
    client: Client, sandbox: SandboxClient
) -> None:
    room = make_room()
    form, later = offer(client, room, 10), offer(client, room, 10.5)
    outcome = send(client, form).url
    newer = held_at(send(client, later).url)
    start(newer)

    assert send(client, form).url == outcome

    assert state_of(newer) == ACTIVE
    assert statuses(sandbox, newer) == ["open"]


def test_with_stripe_down_the_same_form_can_be_sent_again(
    client: Client, sandbox: SandboxClient
) -> None:
    room = make_room()
    form = offer(client, room, 10.5)
    first = held_at(hold(client, room, at(10)))
    start(first)
    sandbox.fault("error_500_before", match={"operation": "checkout.sessions.expire"})

    assert send(client, form).status_code == 503
    assert state_of(first) == ACTIVE
    assert send(client, form).status_code == 303
    assert state_of(first) == RELEASED


# --- The API --------------------------------------------------------------------------------------


def test_refused_and_replayed_calls_close_nothing(sandbox: SandboxClient) -> None:
    room = make_room()
    api = Api(make_api_key(workspace=room.workspace)[1])
    asked = claim(room, 14)
    first = api.post("/holds", asked, key="used")
    newer = api.hold(room, 10)
    held = Hold.objects.get(pk=newer["id"])
    start(held)

    other = claim(room, 12, token=newer["token"])
    problem(api.post("/holds", other, key=None), 400, "idempotency_key_required")
    problem(api.post("/holds", other, key="used"), 422, "idempotency_key_reused")
    again = api.post("/holds", asked, key="used")

    assert (again.status_code, again.json()) == (201, first.json())
    assert state_of(held) == ACTIVE
    assert statuses(sandbox, held) == ["open"]

    replaced = api.post("/holds", other, key="new")
    assert replaced.status_code == 201
    assert statuses(sandbox, held) == ["expired"]
    assert api.post("/holds", other, key="new").json() == replaced.json()
