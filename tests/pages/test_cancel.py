"""The page that cancels: the money to the cent first, then exactly that."""

import pytest
from django.test import Client

from bookings.links import manage_token
from bookings.models import Booking
from config.kernel import clock
from payments.models import Refund
from tests.admin.support import confirmed, payment, place
from tests.core.support import live
from tests.factories import WorkspaceFactory, at, make_room
from tests.money.refunds_support import ask
from tests.pages.support import choose, form_to, forms, send, text
from tests.pages.support import hold as hold_by_page

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking() -> Booking:
    """A week from now, paid NZ$45; half of it is given back from ten days before on."""
    policy = {
        "cancel_free_hours": 240,
        "cancel_partial_hours": 2,
        "cancel_partial_percent": 50,
        "cancel_fee_minor": 250,
    }
    found = confirmed(make_room(workspace=WorkspaceFactory(**policy)))
    payment(found)
    return found


def address(booking: Booking) -> str:
    return f"/b/{manage_token(booking)}/cancel/"


def test_the_money_is_shown_before_the_button(client: Client, booking: Booking) -> None:
    manage = client.get(f"/b/{manage_token(booking)}/")
    assert f'href="{address(booking)}"' in manage.content.decode()
    page = client.get(address(booking))
    words = text(page)
    for part in (
        "Paid NZ$45.00",
        "Back to your card NZ$20.00",
        "NZ$25.00",
        "Cancel it and get NZ$20.00 back",
        "50% less a fee of NZ$2.50 is given back until",
        "Keep my booking",
    ):
        assert part in words, part
    booking.refresh_from_db()
    assert booking.state == "confirmed"


def test_a_press_cancels_once_and_gives_exactly_that_back(client: Client, booking: Booking) -> None:
    form = form_to(client.get(address(booking)), "/cancel/")
    for _ in range(2):
        answer = send(client, form)
        assert (answer.status_code, answer.url) == (303, f"/b/{manage_token(booking)}/")
    booking.refresh_from_db()
    assert (booking.state, live(booking)) == ("cancelled", 0)
    assert Refund.objects.get().amount_minor == 2000
    words = text(client.get(f"/b/{manage_token(booking)}/"))
    assert "Cancelled" in words
    assert "On its way back to you NZ$20.00" in words
    assert client.get(address(booking)).status_code == 303, "there is nothing left to cancel"


def test_what_has_changed_meanwhile_is_shown_anew(client: Client, booking: Booking) -> None:
    form = form_to(client.get(address(booking)), "/cancel/")
    ask(booking.holds.get(), 500)
    answer = send(client, form)
    assert answer.status_code == 409
    words = text(answer)
    assert "What is given back has changed" in words
    assert "Cancel it and get NZ$15.00 back" in words
    booking.refresh_from_db()
    assert booking.state == "confirmed"
    assert send(client, form_to(answer, "/cancel/")).status_code == 303
    assert sorted(Refund.objects.values_list("amount_minor", flat=True)) == [500, 1500]


def test_a_capture_on_its_way_keeps_the_booking(client: Client) -> None:
    booking = confirmed(make_room())
    payment(booking, "capturing")
    answer = send(client, form_to(client.get(address(booking)), "/cancel/"))
    assert answer.status_code == 409
    assert "is being settled" in text(answer)
    booking.refresh_from_db()
    assert booking.state == "confirmed"


def test_what_has_begun_has_no_button(
    client: Client, booking: Booking, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = form_to(client.get(address(booking)), "/cancel/")
    monkeypatch.setattr(clock, "now", lambda: booking.starts_at)
    page = client.get(address(booking))
    assert "has begun already" in text(page)
    assert not [f for f in forms(page) if f.action.endswith("/cancel/")]
    assert send(client, form).status_code == 409


def test_a_damaged_form_is_refused(client: Client, booking: Booking) -> None:
    form = form_to(client.get(address(booking)), "/cancel/")
    assert send(client, form, expects="all").status_code == 400
    assert send(client, form, request_id="made-up").status_code == 400
    assert client.get("/b/made-up/cancel/").status_code == 404
    assert client.get(address(place(make_room()).booking)).status_code == 303


# --- The policy in plain words ------------------------------------------------------------------


def test_the_policy_stands_beside_the_price_and_before_paying(client: Client) -> None:
    room = make_room(workspace=WorkspaceFactory(cancel_free_hours=24))
    general = text(client.get(f"/w/{room.workspace.slug}/{room.slug}/"))
    assert "Free to cancel until 24 hours before it starts." in general
    chosen = text(choose(client, room, at(9)))
    assert "Free to cancel until" in chosen
    assert "Auckland. After that, nothing is given back." in chosen
    on_hold = text(client.get(hold_by_page(client, room, at(9))))
    assert "Auckland. After that, nothing is given back." in on_hold


def test_free_rooms_have_no_policy_to_speak_of(client: Client) -> None:
    room = make_room(price=0)
    assert "cancel" not in text(client.get(f"/w/{room.workspace.slug}/{room.slug}/"))
