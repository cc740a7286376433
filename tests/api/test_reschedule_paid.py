"""A change over HTTP to its end, against the sandbox: held, paid, made; replaced; or let go."""

from typing import Any

import pytest

from bookings.models import Change, Resource
from payments.models import Checkout
from tests.api.client import Api, problem
from tests.api.test_checkout import URLS
from tests.api.test_reschedule import ask, nz, to
from tests.factories import make_room
from tests.money.support import pay, settle
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def room(transactional_db: None) -> Resource:
    return make_room()


@pytest.fixture
def booking(api: Api, room: Resource, sandbox: SandboxClient) -> Any:
    """A week from now from ten to eleven, held, paid and settled."""
    held = api.hold(room, member={"email": "ana@example.test"})
    paid(api, sandbox, held["id"])
    shown = api.get(f"/bookings/{held['booking']['id']}").json()
    assert shown["state"] == "confirmed"
    return type("Shown", (), {"pk": shown["id"]})


def paid(api: Api, sandbox: SandboxClient, hold_id: str) -> str:
    """Open its checkout over HTTP, pay there, and settle."""
    assert api.post(f"/holds/{hold_id}/checkout", URLS).status_code == 200
    checkout = Checkout.objects.get(state="open")
    pay(sandbox, checkout)
    return settle(checkout)


def test_a_change_is_paid_by_its_holds_checkout(
    api: Api, booking: Any, sandbox: SandboxClient
) -> None:
    held = ask(api, booking).json()["hold"]["id"]
    assert paid(api, sandbox, held) == "confirmed"
    shown = api.get(f"/bookings/{booking.pk}").json()
    assert (shown["total"], shown["paid"], shown["change"]) == (nz(9000), nz(9000), None)
    assert [payment["state"] for payment in shown["payments"]] == ["captured", "captured"]
    hold = api.get(f"/holds/{held}").json()
    assert (hold["state"], hold["change"]["state"]) == ("confirmed", "committed")
    kinds = [e["kind"] for e in api.get(f"/bookings/{booking.pk}/events").json()["results"]]
    assert kinds.count("rescheduled") == 1
    back = ask(api, booking, to(10, 1)).json()
    assert (back["state"], back["difference"]) == ("committed", nz(-4500))


def test_another_wish_closes_the_page_of_the_first(
    api: Api, booking: Any, sandbox: SandboxClient
) -> None:
    first = ask(api, booking).json()["hold"]["id"]
    api.post(f"/holds/{first}/checkout", URLS)
    second = ask(api, booking, to(10, 3))
    assert second.json()["state"] == "pending"
    assert Checkout.objects.get(due__change__holds=first).state == "expired"
    assert paid(api, sandbox, second.json()["hold"]["id"]) == "confirmed"
    assert api.get(f"/bookings/{booking.pk}").json()["total"] == nz(13500)


def test_one_that_is_paid_meanwhile_comes_first(
    api: Api, booking: Any, sandbox: SandboxClient
) -> None:
    held = ask(api, booking).json()["hold"]["id"]
    api.post(f"/holds/{held}/checkout", URLS)
    pay(sandbox, Checkout.objects.get(state="open"))
    problem(ask(api, booking, to(14, 1)), 409, "payment_in_progress")
    assert Change.objects.get().state == "committed", "it was settled instead"
    assert ask(api, booking, to(14, 1)).json()["state"] == "committed"


def test_letting_go_closes_the_page_first(api: Api, booking: Any, sandbox: SandboxClient) -> None:
    held = ask(api, booking).json()["hold"]["id"]
    api.post(f"/holds/{held}/checkout", URLS)
    assert api.delete(f"/holds/{held}").status_code == 204
    assert Checkout.objects.get(due__change__isnull=False).state == "expired"
    assert Change.objects.get().state == "released"
    assert api.get(f"/bookings/{booking.pk}").json()["state"] == "confirmed"
