"""However it comes about, one hold is paid once: two tabs, back, a double click, a resumed link."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from bookings.links import manage_token
from bookings.models import Booking
from payments import checkouts
from payments.models import Checkout, Payment
from tests.core.support import hold, line
from tests.factories import at, make_room
from tests.money.support import (
    CANCEL,
    SUCCESS,
    assert_paid_once,
    heal,
    latest,
    pay,
    second_checkout,
    sessions,
    settle,
    start,
)
from tests.pages.support import form_to, send, text
from tests.pages.support import hold as hold_by_page
from tests.pages.test_paying import CONTACT, the_hold
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


def token() -> str:
    return manage_token(the_hold().booking)


def test_a_second_checkout_expires_the_first(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    first = start(held)
    second = second_checkout(held)

    heal()

    assert {s["id"]: s["status"] for s in sessions(sandbox, held)} == {
        first.session_id: "expired",
        second.session_id: "open",
    }
    assert sandbox.pay(first.url).status_code != 303, "the old page takes no payment any more"
    pay(sandbox, second)
    assert settle(second) == "confirmed"
    assert_paid_once(sandbox, held)


def test_starts_at_once_open_one_page(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))

    def one(_: int) -> str | None:
        try:
            return checkouts.start(hold_id=held.pk, success_url=SUCCESS, cancel_url=CANCEL).url
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(one, range(4)))

    assert len(urls) == 1
    assert len(sessions(sandbox, held)) == 1


def test_two_tabs_of_the_hold_page_lead_to_one_payment_page(
    client: Client, sandbox: SandboxClient
) -> None:
    page = hold_by_page(client, make_room(), at(10))
    tabs = [form_to(client.get(page), "/pay/") for _ in range(2)]
    assert len({tab.fields["request_id"] for tab in tabs}) == 2

    urls = {send(client, tab, **CONTACT).url for tab in tabs}

    assert len(urls) == 1
    (url,) = urls
    assert sandbox.pay(url).status_code == 303
    assert sandbox.pay(url).status_code == 409, "the other tab pays nothing"
    client.get(f"/return/{token()}/")
    assert_paid_once(sandbox, the_hold())


def test_back_from_the_payment_page_and_again_is_the_same_payment(
    client: Client, sandbox: SandboxClient
) -> None:
    page = hold_by_page(client, make_room(), at(10))
    first = send(client, form_to(client.get(page), "/pay/"), **CONTACT).url
    again = send(client, form_to(client.get(page), "/pay/"), **CONTACT).url  # a fresh form

    assert again == first
    assert Checkout.objects.count() == 1


def test_back_after_paying_leads_to_the_confirmation(
    client: Client, sandbox: SandboxClient
) -> None:
    page = hold_by_page(client, make_room(), at(10))
    stale = form_to(client.get(page), "/pay/")
    fresh = form_to(client.get(page), "/pay/")
    url = send(client, stale, **CONTACT).url
    sandbox.pay(url)
    assert send(client, fresh, **CONTACT).url == url, "nobody has told us yet: the same page"
    assert sandbox.pay(url).status_code == 409

    after = f"/return/{token()}/"
    assert "Confirmed. It is yours." in text(client.get(after))
    assert {send(client, form, **CONTACT).url for form in (stale, fresh)} == {after}
    assert "This is booked" in text(client.get(page))
    assert_paid_once(sandbox, the_hold())
    assert Checkout.objects.count() == Payment.objects.count() == 1


def test_a_resumed_link_of_an_old_session_buys_nothing_more(
    client: Client, sandbox: SandboxClient
) -> None:
    """The address of the payment page, kept open or bookmarked, long after."""
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"

    assert sandbox.pay(checkout.url).status_code == 409
    heal()

    assert_paid_once(sandbox, held)
    assert Payment.objects.count() == 1


def test_a_resumed_link_of_a_superseded_session_is_given_back(sandbox: SandboxClient) -> None:
    """Stripe was away when it should have been closed, and its page was still open somewhere."""
    held = hold(line(make_room()))
    first = start(held)
    second = second_checkout(held)
    fault = sandbox.fault(
        "error_500_before", times=None, match={"operation": "checkout.sessions.expire"}
    )
    heal()
    pay(sandbox, second)
    assert settle(second) == "confirmed"
    pay(sandbox, first)
    sandbox.clear(fault)
    heal(2)

    assert_paid_once(sandbox, held)
    assert Booking.objects.get().state == "confirmed"
    assert sorted(p.state for p in Payment.objects.all()) == ["captured", "voided"]
    assert latest(held).pk == second.pk
