"""Paying through the pages against the sandbox: the page after paying tells the truth."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from bookings.links import manage_token
from bookings.models import Booking
from holds.models import Hold
from payments.models import Checkout, Payment
from tests.core.support import lapse
from tests.factories import BlockFactory, at, make_room
from tests.pages.support import choose, form_to, forms, hold, send, text
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)

CONTACT = {"email": "ada@example.test", "name": "Ada Kōwhai"}


def the_hold() -> Hold:
    return Hold.objects.select_related("booking").latest("created_at")


def to_pay(client: Client, **overrides: Any) -> tuple[str, str]:
    """Hold a time and press Pay: the payment page's address and that of the page after it."""
    page = hold(client, make_room(**overrides), at(10))
    answer = send(client, form_to(client.get(page), "/pay/"), **CONTACT)
    assert answer.status_code == 303
    return answer.url, f"/return/{manage_token(the_hold().booking)}/"


def test_paid_is_confirmed_on_the_return_page(client: Client, sandbox: SandboxClient) -> None:
    url, page = to_pay(client)
    assert url.startswith(sandbox.url)
    answer = sandbox.pay(url)
    assert answer.headers["Location"].endswith(page)
    words = text(client.get(page))
    booking = Booking.objects.get()
    assert booking.state == "confirmed"
    assert "Confirmed. It is yours." in words
    assert booking.reference in words
    assert "paid NZ$45.00" in words
    assert "ada@example.test" in words
    assert text(client.get(page)) == words
    assert Payment.objects.get().state == "captured"


def test_a_double_click_on_pay_opens_one_payment_page(
    client: Client, sandbox: SandboxClient
) -> None:
    page = hold(client, make_room(), at(10))
    form = form_to(client.get(page), "/pay/")
    assert len({send(client, form, **CONTACT).url for _ in range(3)}) == 1
    assert Checkout.objects.count() == 1


def test_two_clicks_at_once_open_one_payment_page(client: Client, sandbox: SandboxClient) -> None:
    page = hold(client, make_room(), at(10))
    form = form_to(client.get(page), "/pay/")
    answers: list[Any] = []

    def click() -> None:
        answers.append(send(client, form, **CONTACT))
        connection.close()

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {303}
    assert Checkout.objects.count() == 1


def test_back_and_a_corrected_address_pay_in_the_same_session(
    client: Client, sandbox: SandboxClient
) -> None:
    page = hold(client, make_room(), at(10))
    form = form_to(client.get(page), "/pay/")
    first = send(client, form, **(CONTACT | {"email": "typo@example.test"}))
    second = send(client, form, **CONTACT)
    assert second.url == first.url
    assert the_hold().booking.email == "ada@example.test"


def test_pressing_pay_again_after_paying_leads_to_the_confirmation(
    client: Client, sandbox: SandboxClient
) -> None:
    page = hold(client, make_room(), at(10))
    form = form_to(client.get(page), "/pay/")
    url = send(client, form, **CONTACT).url
    sandbox.pay(url)
    after = f"/return/{manage_token(the_hold().booking)}/"
    client.get(after)
    assert send(client, form, **CONTACT).url == after
    assert Checkout.objects.count() == 1


def test_still_processing_says_so_and_offers_no_second_payment(
    client: Client, sandbox: SandboxClient
) -> None:
    url, page = to_pay(client)
    sandbox.pay(url)
    sandbox.fault("error_500_before", times=None)
    answer = client.get(page)
    words, html = text(answer), answer.content.decode()
    assert "Your payment is still processing" in words
    assert "Please do not pay a second time" in words
    assert 'hx-trigger="every 3s, look"' in html
    assert '<noscript><meta http-equiv="refresh"' in html
    assert "Pay NZ$" not in words
    sandbox.clear()
    part = client.get(page, headers={"HX-Request": "true"})
    assert "Confirmed. It is yours." in text(part)
    assert "<html" not in part.content.decode()


def test_lost_says_not_charged_and_offers_the_nearest_times(
    client: Client, another: Client, sandbox: SandboxClient
) -> None:
    url, page = to_pay(client)
    lapse(the_hold(), seconds=60)
    booking = the_hold().booking
    resource = booking.lines.get().resource
    hold(another, resource, at(10))
    sandbox.pay(url)
    answer = client.get(page)
    words = text(answer)
    assert "Your card was not charged" in words
    assert "Someone else got this time while your hold had ended" in words
    assert Payment.objects.get().state == "voided"
    offers = [form for form in forms(answer) if form.action.endswith("/hold/")]
    assert send(client, offers[0]).status_code == 303
    assert Booking.objects.get(pk=booking.pk).state == "expired"


def test_a_late_payment_that_wins_the_slot_again_is_confirmed(
    client: Client, sandbox: SandboxClient
) -> None:
    url, page = to_pay(client)
    lapse(the_hold(), seconds=60)
    sandbox.pay(url)
    assert "Confirmed. It is yours." in text(client.get(page))


def test_coming_back_unpaid_leads_back_to_the_hold(client: Client, sandbox: SandboxClient) -> None:
    _, page = to_pay(client)
    words = text(client.get(page))
    assert "You have not paid yet" in words
    assert "Back to your hold" in words
    lapse(the_hold(), seconds=60)
    assert "Your hold has ended" in text(client.get(page))


def test_stripe_away_keeps_the_hold_and_says_so(client: Client, sandbox: SandboxClient) -> None:
    page = hold(client, make_room(), at(10))
    sandbox.fault("error_500_before", times=None)
    answer = send(client, form_to(client.get(page), "/pay/"), **CONTACT)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    words = text(answer)
    assert "We cannot reach the payment service" in words
    assert "Pay NZ$45.00" in words
    assert 'value="ada@example.test"' in answer.content.decode()
    assert the_hold().state == "active"


def test_letting_go_with_an_open_payment_page_closes_it_first(
    client: Client, sandbox: SandboxClient
) -> None:
    url, _ = to_pay(client)
    page = f"/hold/{the_hold().token}/"
    assert send(client, form_to(client.get(page), "/let-go/")).url == page
    assert the_hold().state == "released"
    assert Checkout.objects.get().state == "expired"
    assert sandbox.pay(url).status_code != 303


def test_letting_go_after_paying_tells_what_became_of_it(
    client: Client, sandbox: SandboxClient
) -> None:
    url, after = to_pay(client)
    form = form_to(client.get(f"/hold/{the_hold().token}/"), "/let-go/")
    sandbox.pay(url)
    assert send(client, form).url == after
    assert "Confirmed. It is yours." in text(client.get(after))


def test_letting_go_while_stripe_is_away_keeps_the_hold(
    client: Client, sandbox: SandboxClient
) -> None:
    to_pay(client)
    form = form_to(client.get(f"/hold/{the_hold().token}/"), "/let-go/")
    sandbox.fault("error_500_before", times=None)
    answer = send(client, form)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "We could not let it go just now" in text(answer)
    assert the_hold().state == "active"


def test_choosing_another_time_closes_the_first_payment_page(
    client: Client, sandbox: SandboxClient
) -> None:
    room = make_room()
    later = form_to(choose(client, room, at(10.5)), "/hold/")
    page = hold(client, room, at(10))
    send(client, form_to(client.get(page), "/pay/"), **CONTACT)
    assert send(client, later).status_code == 303
    assert Checkout.objects.get().state == "expired"
    assert "You chose another time instead" in text(client.get(page))


def test_a_block_meanwhile_loses_a_late_payment(client: Client, sandbox: SandboxClient) -> None:
    url, page = to_pay(client)
    lapse(the_hold(), seconds=60)
    resource = the_hold().booking.lines.get().resource
    BlockFactory(resource=resource, during=(at(10), at(11)))
    sandbox.pay(url)
    assert "Your card was not charged" in text(client.get(page))


def test_a_made_up_return_address_is_not_found(client: Client) -> None:
    assert client.get("/return/made-up/").status_code == 404
