"""Checkout Sessions: opening, ending, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from .harness import Process, Shop, line, order, until

REFUSED = 'Only Checkout Sessions with a status in ["open"] can be expired.'


def refused(shop: Shop, **changes: Any) -> Any:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.open(**changes)
    return caught.value


def test_an_open_session_has_no_intent_yet(shop: Shop) -> None:
    session = shop.open(client_reference_id="row-7", metadata={"booking": "b1", "0": "zero"})
    assert (session.status, session.payment_status) == ("open", "unpaid")
    assert session.payment_intent is None
    assert session.client_reference_id == "row-7"
    assert session.metadata.to_dict() == {"booking": "b1", "0": "zero"}
    assert (session.amount_total, session.currency) == (4500, "nzd")
    assert session.url == f"{shop.process.base}/pay/{session.id}"


def test_it_ends_after_a_day_unless_told_otherwise(shop: Shop) -> None:
    session = shop.open()
    assert session.expires_at == session.created + 24 * 3600


@pytest.mark.parametrize("seconds", [30 * 60 - 60, 24 * 3600 + 60])
def test_expires_at_is_30_minutes_to_24_hours_after_creation(shop: Shop, seconds: int) -> None:
    error = refused(shop, expires_at=int(time.time()) + seconds)
    assert (error.http_status, error.param) == (400, "expires_at")


@pytest.mark.parametrize("seconds", [31 * 60, 24 * 3600 - 60])
def test_expires_at_within_the_range_is_kept(shop: Shop, seconds: int) -> None:
    asked = int(time.time()) + seconds
    assert shop.open(expires_at=asked).expires_at == asked


def test_lines_are_summed(shop: Shop) -> None:
    session = shop.open(line_items=[line(1000, quantity=3), line(250)])
    found = shop.stripe.v1.checkout.sessions.line_items.list(session.id, {}, shop.options())
    assert session.amount_total == 3250
    assert [(entry.quantity, entry.amount_total) for entry in found.data] == [(3, 3000), (1, 250)]


def test_expand_shows_lines_and_intent(shop: Shop) -> None:
    paid = shop.paid()
    session = shop.session(paid.id, "line_items", "payment_intent.latest_charge")
    assert session.line_items.data[0].description == "Meeting room <Kauri>"
    assert session.payment_intent.latest_charge.captured is False


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"success_url": None}, "success_url", "parameter_missing"),
        ({"success_url": "nowhere"}, "success_url", "url_invalid"),
        ({"mode": "subscription"}, "mode", None),
        ({"line_items": None}, "line_items", "parameter_missing"),
        ({"client_reference_id": "x" * 201}, "client_reference_id", None),
        ({"customer_email": "no address"}, "customer_email", "email_invalid"),
        ({"customer": "cus_unknown"}, "customer", "resource_missing"),
        ({"color": "red"}, "color", "parameter_unknown"),
        ({"metadata": {"k" * 41: "v"}}, "metadata", None),
        ({"payment_method_types": ["ideal"]}, "payment_method_types", None),
        ({"line_items": [line(-5)]}, "line_items[0][price_data][unit_amount]", None),
        ({"line_items": [line(10)]}, "line_items", "amount_too_small"),
        ({"line_items": [line(99_999_999, quantity=2)]}, "line_items", "amount_too_large"),
        ({"line_items": [line(currency="xxx")]}, "line_items[0][price_data][currency]", None),
        ({"line_items": [line(), line(currency="usd")]}, "line_items", None),
        (
            {"intent": {"application_fee_amount": 4501}},
            "payment_intent_data[application_fee_amount]",
            None,
        ),
    ],
)
def test_bad_parameters_are_named(
    shop: Shop, changes: dict[str, Any], param: str, code: str | None
) -> None:
    error = refused(shop, **changes)
    assert (error.http_status, error.param, error.code) == (400, param, code)
    assert shop.stripe.v1.checkout.sessions.list({}, shop.options()).data == []


def test_a_method_that_cannot_be_captured_later_may_stand_beside_a_card_that_is(shop: Shop) -> None:
    session = shop.open(
        payment_intent_data=None,
        payment_method_types=["card", "ideal"],
        payment_method_options={"card": {"capture_method": "manual"}},
        line_items=[line(currency="eur")],
    )
    shop.pay(session)
    assert shop.intent(session.id).status == "requires_capture"


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("jpy", 4500, "¥4,500"), ("kwd", 4500, "4.500\N{NO-BREAK SPACE}KWD"), ("eur", 4500, "€45.00")],
)
def test_amounts_are_in_the_currencys_smallest_unit(
    shop: Shop, currency: str, amount: int, shown: str
) -> None:
    session = shop.open(line_items=[line(amount, currency)])
    assert shown in shop.process.http.get(f"/pay/{session.id}").text
    shop.pay(session)
    assert shop.intent(session.id).amount == amount


def test_three_decimal_amounts_end_in_zero(shop: Shop) -> None:
    assert "end in 0" in str(refused(shop, line_items=[line(4501, "kwd")]))


def test_a_free_session_needs_no_payment(shop: Shop) -> None:
    session = shop.open(line_items=[line(0)])
    assert session.payment_status == "no_payment_required"
    done = shop.pay(session)
    after = shop.session(session.id)
    assert (done.status_code, after.status, after.payment_intent) == (303, "complete", None)


def test_an_application_fee_needs_somebody_elses_charge(platform: Shop) -> None:
    error = refused(platform, intent={"application_fee_amount": 100})
    assert error.param == "payment_intent_data[application_fee_amount]"


def test_an_open_session_expires_once(shop: Shop) -> None:
    session = shop.open()
    ended = shop.expire(session.id)
    assert (ended.status, ended.url, ended.payment_intent) == ("expired", None, None)
    with pytest.raises(stripe.InvalidRequestError, match="expired") as caught:
        shop.expire(session.id)
    assert caught.value.http_status == 400
    assert str(caught.value.user_message).startswith(REFUSED)
    assert shop.event_types() == ["checkout.session.expired"]


def test_a_complete_session_does_not_expire(shop: Shop) -> None:
    session = shop.paid()
    with pytest.raises(stripe.InvalidRequestError, match="complete") as caught:
        shop.expire(session.id)
    assert str(caught.value.user_message).startswith(REFUSED)
    assert shop.session(session.id).status == "complete"
    assert shop.intent(session.id).status == "requires_capture"


def test_an_expired_session_is_not_paid(shop: Shop) -> None:
    session = shop.open()
    shop.expire(session.id)
    assert shop.pay(session).status_code == 410
    assert shop.session(session.id).payment_intent is None
    assert "payment_intent.created" not in shop.event_types()


def test_expiring_cancels_the_intent_of_a_failed_attempt(shop: Shop) -> None:
    session = shop.open()
    shop.pay(session, "decline")
    shop.expire(session.id)
    intent = shop.intent(session.id)
    assert (intent.status, intent.cancellation_reason) == ("canceled", "expired")


def test_a_session_ends_by_itself(own_shop: Shop) -> None:
    session = own_shop.open(expires_at=int(time.time()) + 31 * 60)
    own_shop.process.advance(32 * 60)
    # The background tick tells of it although nobody reads the session.
    until(lambda: "checkout.session.expired" in own_shop.event_types(), what="the expiry event")
    assert own_shop.session(session.id).status == "expired"
    assert own_shop.pay(session).status_code == 410


def test_reading_a_session_past_its_end_shows_it_expired(own_shop: Shop) -> None:
    session = own_shop.open(expires_at=int(time.time()) + 31 * 60)
    own_shop.process.advance(32 * 60)
    assert own_shop.session(session.id).status == "expired"
    assert own_shop.event_types() == ["checkout.session.expired"]


def test_sessions_are_found_by_intent_and_status(shop: Shop) -> None:
    paid, left = shop.paid(), shop.open()
    sessions = shop.stripe.v1.checkout.sessions

    def ids(**filters: Any) -> list[str]:
        asked: Any = filters
        return [found.id for found in sessions.list(asked, shop.options()).data]

    assert ids(payment_intent=paid.payment_intent) == [paid.id]
    assert ids(status="open") == [left.id]
    assert ids(status="complete") == [paid.id]
    assert ids() == [left.id, paid.id]


def test_lists_come_in_pages_newest_first(shop: Shop) -> None:
    made = [shop.open().id for _ in range(5)][::-1]
    sessions = shop.stripe.v1.checkout.sessions
    first = sessions.list({"limit": 2}, shop.options())
    second = sessions.list({"limit": 2, "starting_after": first.data[-1].id}, shop.options())
    back = sessions.list({"limit": 2, "ending_before": made[3]}, shop.options())
    assert [entry.id for entry in first.data] == made[:2]
    assert [entry.id for entry in second.data] == made[2:4]
    assert [entry.id for entry in back.data] == made[1:3]
    assert first.has_more is True
    assert [entry.id for entry in first.auto_paging_iter()] == made


def test_a_customer_can_be_named(shop: Shop) -> None:
    customer = shop.stripe.v1.customers.create({"email": "kim@example.com"}, shop.options())
    session = shop.open(customer=customer.id, customer_email=None)
    shop.pay(session)
    assert shop.session(session.id).customer_details.email == "kim@example.com"
    assert shop.intent(session.id).customer == customer.id


def test_unknown_paths_are_404(sandbox: Process) -> None:
    answer = sandbox.http.post(
        "/v1/nowhere", headers={"Authorization": "Bearer sk_test_sandboxtests000000000000000"}
    )
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["Request-Id"].startswith("req_")


def test_the_order_used_by_these_tests_is_what_it_says() -> None:
    assert order(customer_email=None)["line_items"][0]["price_data"]["unit_amount"] == 4500
    assert "customer_email" not in order(customer_email=None)
