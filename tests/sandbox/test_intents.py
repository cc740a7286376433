"""Capturing and cancelling what was authorised."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from .harness import Shop, until


def test_capturing_takes_the_money(shop: Shop) -> None:
    session = shop.paid(intent={"application_fee_amount": 90})
    intent = shop.capture(session.payment_intent)
    assert (intent.status, intent.amount_received, intent.amount_capturable) == (
        "succeeded",
        4500,
        0,
    )
    assert shop.session(session.id).payment_status == "paid"
    assert shop.event_types()[-2:] == ["charge.captured", "payment_intent.succeeded"]
    charge = shop.stripe.v1.charges.retrieve(
        intent.latest_charge, {"expand": ["balance_transaction"]}, shop.options()
    )
    assert (charge.captured, charge.amount_captured) == (True, 4500)
    assert charge.balance_transaction.amount == 4500


def test_the_application_fee_is_the_platforms(shop: Shop, platform: Shop) -> None:
    session = shop.paid(intent={"application_fee_amount": 90})
    intent = shop.capture(session.payment_intent)
    fees = shop.stripe.v1.application_fees.list({"charge": intent.latest_charge})
    assert [(fee.amount, fee.account) for fee in fees.data] == [(90, shop.account)]
    created = platform.events(type="application_fee.created")
    assert created[-1].data.object.id == fees.data[0].id


def test_part_of_it_can_be_captured(shop: Shop) -> None:
    intent = shop.capture(shop.paid().payment_intent, amount_to_capture=4000)
    assert (intent.amount, intent.amount_received, intent.amount_capturable) == (4500, 4000, 0)


def test_more_than_was_authorised_cannot(shop: Shop) -> None:
    session = shop.paid()
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.capture(session.payment_intent, amount_to_capture=4501)
    assert caught.value.code == "amount_too_large"
    assert shop.intent(session.id).status == "requires_capture"


def test_cancelling_voids(shop: Shop) -> None:
    session = shop.paid()
    intent = shop.cancel(session.payment_intent, cancellation_reason="abandoned")
    assert (intent.status, intent.cancellation_reason) == ("canceled", "abandoned")
    assert (intent.amount_capturable, intent.amount_received) == (0, 0)
    charge = shop.stripe.v1.charges.retrieve(intent.latest_charge, {}, shop.options())
    assert (charge.captured, charge.refunded, charge.amount_captured) == (False, True, 0)
    assert shop.event_types()[-2:] == ["charge.refunded", "payment_intent.canceled"]


@pytest.mark.parametrize(("first", "then"), [("capture", "cancel"), ("cancel", "capture")])
def test_capture_and_cancel_exclude_each_other(shop: Shop, first: str, then: str) -> None:
    intent_id = shop.paid().payment_intent
    state = getattr(shop, first)(intent_id).status
    with pytest.raises(stripe.InvalidRequestError) as caught:
        getattr(shop, then)(intent_id)
    assert caught.value.code == "payment_intent_unexpected_state"
    assert caught.value.http_status == 400
    found: Any = shop.stripe.v1.payment_intents.retrieve(intent_id, {}, shop.options())
    assert found.status == state


def test_an_unpaid_intent_of_an_open_session_is_not_cancelled_alone(shop: Shop) -> None:
    session = shop.open()
    shop.pay(session, "decline")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.cancel(shop.intent(session.id).id)
    assert caught.value.code == "payment_intent_unexpected_state"
    assert shop.session(session.id).status == "open"


def test_an_authorisation_runs_out_after_seven_days(own_shop: Shop) -> None:
    session = own_shop.paid()
    own_shop.process.advance(7 * 24 * 3600 + 60)
    until(lambda: own_shop.intent(session.id).status == "canceled", what="the end of it")
    assert own_shop.intent(session.id).cancellation_reason == "automatic"
    assert own_shop.event_types()[-2:] == ["charge.expired", "payment_intent.canceled"]


def test_a_destination_charge_is_the_platforms(shop: Shop, platform: Shop) -> None:
    destination = {"transfer_data": {"destination": shop.account}, "application_fee_amount": 90}
    session = platform.paid(intent=destination)
    intent = platform.capture(session.payment_intent)
    assert intent.transfer_data.destination == shop.account
    assert shop.event_types() == []
    fees = platform.stripe.v1.application_fees.list({"charge": intent.latest_charge})
    assert fees.data[0].account == shop.account


def test_the_sandbox_counts_the_calls_that_reach_an_intent(shop: Shop) -> None:
    session = shop.paid()
    shop.capture(session.payment_intent, "key-count")
    shop.capture(session.payment_intent, "key-count")
    with pytest.raises(stripe.InvalidRequestError):
        shop.cancel(session.payment_intent)
    counted = shop.summary(session.id)
    # The replayed answer did not reach the intent; the refused call did.
    assert (counted["capture_calls"], counted["cancel_calls"]) == (1, 1)


def test_payment_methods_can_be_read(shop: Shop) -> None:
    intent = shop.intent(shop.paid().id)
    method: Any = shop.stripe.v1.payment_methods.retrieve(intent.payment_method, {}, shop.options())
    assert (method.type, method.card.last4) == ("card", "4242")
    assert method.billing_details.email == "mia@example.com"
