"""Holding through pages, without JavaScript: one hold however often the form arrives."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bookings.models import Booking
from holds import services
from holds.models import Hold
from members.models import IdempotencyKey
from payments.models import Checkout
from tests.core.support import lapse
from tests.factories import BlockFactory, at, make_pool, make_room
from tests.pages.support import address, choose, form_to, forms, hold, send, text

pytestmark = pytest.mark.django_db

CONTACT = {"email": "Ada@Example.test", "name": "Ada Kōwhai"}


def the_hold() -> Hold:
    return Hold.objects.select_related("booking").get()


def test_choose_then_hold(client: Client) -> None:
    room = make_room()
    page = hold(client, room, at(10), 90)
    held = the_hold()
    assert page == f"/hold/{held.token}/"
    assert (held.booking.starts_at, held.booking.ends_at) == (at(10), at(11.5))
    assert held.booking.total_minor == 6750
    words = text(client.get(page))
    assert "nobody else can take it" in words
    assert "Pay NZ$67.50" in words
    assert "Let it go" in words


def test_a_double_submit_and_a_reload_are_one_hold(client: Client) -> None:
    room = make_room()
    form = form_to(choose(client, room, at(10)), "/hold/")
    answers = [send(client, form) for _ in range(3)]
    assert {(a.status_code, a.url) for a in answers} == {(303, f"/hold/{the_hold().token}/")}
    assert Booking.objects.count() == 1


def test_the_same_time_held_anew_is_the_same_hold(client: Client) -> None:
    """Nobody is in their own way: another form for the same time leads to the hold they have."""
    room = make_room()
    form, later = (form_to(choose(client, room, at(10)), "/hold/") for _ in range(2))
    assert form.fields["request_id"] != later.fields["request_id"]
    assert send(client, form).url == send(client, later).url
    assert Hold.objects.count() == 1


def test_the_slow_one_gets_alternatives_as_buttons(client: Client, another: Client) -> None:
    room = make_room()
    late = form_to(choose(another, room, at(10)), "/hold/")
    hold(client, room, at(10))
    answer = send(another, late)
    assert answer.status_code == 409
    words = text(answer)
    assert "Someone else was quicker" in words
    assert "nothing was charged" in words
    offers = [form for form in forms(answer) if form.action.endswith("/hold/")]
    assert len(offers) >= 2
    assert Hold.objects.count() == 1
    again = send(another, late)
    assert again.status_code == 409
    taken = send(another, offers[0])
    assert taken.status_code == 303
    assert Hold.objects.count() == 2


def test_a_block_in_the_way_is_told_as_taken(client: Client) -> None:
    room = make_room()
    form = form_to(choose(client, room, at(10)), "/hold/")
    BlockFactory(resource=room, during=(at(10), at(11)))
    answer = send(client, form)
    assert answer.status_code == 409
    assert not Hold.objects.exists()


def test_too_many_holds_is_429_and_says_what_to_do(client: Client) -> None:
    room = make_room()
    for hour in (8, 9, 10):
        hold(client, room, at(hour))
    answer = send(client, form_to(choose(client, room, at(12)), "/hold/"))
    assert answer.status_code == 429
    assert answer.headers["Retry-After"]
    assert "See what you hold" in text(answer)
    assert Hold.objects.count() == 3


def test_without_csrf_or_with_a_made_up_request_id_nothing_is_held(client: Client) -> None:
    room = make_room()
    form = form_to(choose(client, room, at(10)), "/hold/")
    assert send(client, form, request_id="made-up").status_code == 400
    del form.fields["csrfmiddlewaretoken"]
    answer = send(client, form)
    assert answer.status_code == 403
    assert "gone stale" in text(answer)
    assert not Hold.objects.exists()
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize(
    "damage",
    [
        {"start": "nonsense"},
        {"end": ""},
        {"quantity": "0"},
        {"quantity": "many"},
        {"start": "9999-12-31T23:59:59Z", "end": "9999-12-31T23:59:59Z"},
        {"start": "0001-01-01T00:00:00+14:00"},
        {"quantity": "9999"},
    ],
)
def test_a_damaged_form_holds_nothing_and_never_breaks(
    client: Client, damage: dict[str, str]
) -> None:
    room = make_room()
    answer = send(client, form_to(choose(client, room, at(10)), "/hold/"), **damage)
    assert 400 <= answer.status_code < 500
    assert not Hold.objects.exists()


def test_opening_a_changing_address_changes_nothing(client: Client) -> None:
    room = make_room()
    page = hold(client, room, at(10))
    assert client.get(f"{address(room)}hold/").headers["Location"] == address(room)
    for ending in ("pay/", "let-go/", "extend/"):
        assert client.get(page + ending).headers["Location"] == page
    assert the_hold().state == "active"


# --- The hold page in every state ---------------------------------------------------------------


def test_active_names_the_end_by_the_servers_clock(client: Client) -> None:
    page = hold(client, make_room(), at(10))
    held = the_hold()
    answer = client.get(page)
    assert f'data-ends="{held.expires_at.isoformat()}"' in answer.content.decode()
    told = client.get(f"{page}clock/").json()
    assert told["state"] == "active"
    assert told["ends"] == held.expires_at.isoformat()
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_expired_says_when_and_what_to_do_next(client: Client) -> None:
    page = hold(client, make_room(), at(10))
    lapse(the_hold())
    words = text(client.get(page))
    assert "Your hold ended at" in words
    assert "You were not charged" in words
    assert client.get(f"{page}clock/").json()["state"] == "expired"
    again = send(client, form_to(client.get(page), "/hold/"))
    assert again.status_code == 303
    assert again.url != page


def test_released_says_who_let_go(client: Client) -> None:
    page = hold(client, make_room(), at(10))
    answer = send(client, form_to(client.get(page), "/let-go/"))
    assert (answer.status_code, answer.url) == (303, page)
    assert the_hold().state == "released"
    assert "You let it go at" in text(client.get(page))


def test_replaced_says_that_they_chose_another_time(client: Client) -> None:
    room = make_room()
    later = form_to(choose(client, room, at(10.5)), "/hold/")
    page = hold(client, room, at(10))
    assert send(client, later).status_code == 303
    assert "You chose another time instead" in text(client.get(page))


def test_confirmed_leads_to_the_booking(client: Client) -> None:
    room = make_room(price=0)
    page = hold(client, room, at(10))
    answer = send(client, form_to(client.get(page), "/pay/"), **CONTACT)
    assert answer.status_code == 303
    assert the_hold().state == "confirmed"
    assert "This is booked" in text(client.get(page))
    assert "Confirmed. It is yours." in text(client.get(answer.url))


def test_taken_back_by_staff_says_why(client: Client) -> None:
    from config.kernel.context import Actor

    page = hold(client, make_room(), at(10))
    services.release(hold_id=the_hold().pk, actor=Actor("staff", "1", "Desk"), reason="A leak")
    words = text(client.get(page))
    assert "taken back" in words
    assert "says: A leak." in words


@pytest.mark.parametrize("reason", ["Let go by the member", "Changed my mind", ""])
def test_who_let_go_is_told_by_the_actor_and_not_by_words(client: Client, reason: str) -> None:
    from config.kernel.context import Actor

    page = hold(client, make_room(), at(10))
    services.release(hold_id=the_hold().pk, actor=Actor("api_key", "1", "Kiosk"), reason=reason)
    words = text(client.get(page))
    assert "It was let go at" in words
    assert "says:" not in words


def test_the_earlier_payment_arrived_is_not_free_for_others(client: Client) -> None:
    from config.kernel.context import SYSTEM

    page = hold(client, make_room(), at(10))
    services.release(hold_id=the_hold().pk, actor=SYSTEM, reason="The earlier payment arrived")
    answer = client.get(page)
    words = text(answer)
    assert "Your earlier payment arrived" in words
    assert "yours in your earlier booking" in words
    assert "free for others" not in words
    assert not [form for form in forms(answer) if form.action.endswith("/hold/")]


def test_an_unknown_hold_is_not_found(client: Client) -> None:
    assert client.get("/hold/none/").status_code == 404
    assert client.get("/hold/none/clock/").status_code == 404


def test_extend_once(client: Client) -> None:
    page = hold(client, make_room(), at(10))
    before = the_hold().expires_at
    form = form_to(client.get(page), "/extend/")
    for _ in range(2):
        assert send(client, form).status_code == 302
    assert the_hold().expires_at == before + timedelta(minutes=5)
    assert not [f for f in forms(client.get(page)) if f.action.endswith("/extend/")]


# --- Paying: what can go wrong before the payment page ------------------------------------------


def test_missing_contact_is_listed_on_top_and_tied_to_its_field(client: Client) -> None:
    page = hold(client, make_room(), at(10))
    answer = send(client, form_to(client.get(page), "/pay/"), email="no address", name=" ")
    html = answer.content.decode()
    assert answer.status_code == 422
    assert '<a href="#contact-email">' in html
    assert 'aria-describedby="contact-email-hint contact-email-error"' in html
    assert html.count('aria-invalid="true"') == 2
    assert 'value="no address"' in html
    assert not Checkout.objects.exists()


def test_paying_too_late_leads_to_the_truth(client: Client) -> None:
    page = hold(client, make_room(), at(10))
    form = form_to(client.get(page), "/pay/")
    lapse(the_hold())
    answer = send(client, form, **CONTACT)
    assert (answer.status_code, answer.url) == (303, page)
    assert not Checkout.objects.exists()


def test_several_units_of_a_pool(client: Client) -> None:
    pool = make_pool()
    query = {"at": f"{at(10):%Y-%m-%dT%H:%MZ}", "minutes": "60", "quantity": "3"}
    answer: Any = client.get(address(pool), query)
    assert "1 h × 3" in text(answer)
    page = send(client, form_to(answer, "/hold/")).url
    assert "× 3" in text(client.get(page))
    assert the_hold().booking.total_minor == 13500


def test_what_i_hold_stands_on_top_while_i_look_for_more(client: Client, another: Client) -> None:
    room = make_room(name="Rimu")
    hold(client, room, at(10))
    assert "You hold Rimu" in text(client.get(address(room)))
    assert "You hold Rimu" in text(client.get(f"/w/{room.workspace.slug}/"))
    assert "You hold" not in text(another.get(address(room)))
    assert timezone.now() < the_hold().expires_at
