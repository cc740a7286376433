"""What Stripe documents, line by line, where no other test says it already.

`docs/sandbox.md` names the test of every line.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from .conftest import new_shop
from .harness import Listener, Process, Shop, code_of, line, until

Endpoints = dict[str, Any]


# Checkout


def test_a_page_that_is_open_does_not_change_by_itself(shop: Shop) -> None:
    session = shop.open()
    page = shop.process.http.get(f"/pay/{session.id}").text
    shop.expire(session.id)
    assert "http-equiv" not in page
    assert "<script" not in page
    assert shop.pay(session).status_code == 410
    assert shop.event_types() == ["checkout.session.expired"]


STATES = [
    ("pay", {}, ("complete", "unpaid", "requires_capture")),
    ("pay", {"intent": {"capture_method": "automatic"}}, ("complete", "paid", "succeeded")),
    ("decline", {}, ("open", "unpaid", "requires_payment_method")),
    ("start_authentication", {}, ("open", "unpaid", "requires_action")),
    ("pay", {"line_items": [line(0)]}, ("complete", "no_payment_required", None)),
]


@pytest.mark.parametrize(("outcome", "changes", "expected"), STATES)
def test_states_of_session_payment_and_intent(
    shop: Shop, outcome: str, changes: dict[str, Any], expected: tuple[str, str, str | None]
) -> None:
    session = shop.open(**changes)
    shop.pay(session, outcome)
    after = shop.session(session.id, "payment_intent")
    intent = after.payment_intent
    assert (after.status, after.payment_status, intent and intent.status) == expected


def test_metadata_of_session_and_intent_are_two_things(shop: Shop) -> None:
    session = shop.open(metadata={"on": "session"}, intent={"metadata": {"on": "intent"}})
    shop.pay(session)
    after = shop.session(session.id, "payment_intent")
    assert after.metadata.to_dict() == {"on": "session"}
    assert after.payment_intent.metadata.to_dict() == {"on": "intent"}
    assert shop.charge(after.payment_intent.latest_charge).metadata.to_dict() == {"on": "intent"}


def test_a_reference_has_at_most_200_characters(shop: Shop) -> None:
    assert shop.open(client_reference_id="r" * 200).client_reference_id == "r" * 200
    with pytest.raises(stripe.InvalidRequestError):
        shop.open(client_reference_id="r" * 201)


def test_the_same_key_with_another_end_is_an_error(shop: Shop) -> None:
    now = int(time.time())
    shop.open(key="attempt-1", expires_at=now + 2400)
    with pytest.raises(stripe.IdempotencyError):
        shop.open(key="attempt-1", expires_at=now + 2401)


def test_two_open_sessions_are_two_payments(shop: Shop) -> None:
    paid = [shop.paid(client_reference_id="same") for _ in range(2)]
    assert len({session.payment_intent for session in paid}) == 2
    assert {shop.intent(session.id).status for session in paid} == {"requires_capture"}


# Capture later


def test_what_ran_out_cannot_be_captured(own_shop: Shop) -> None:
    session = own_shop.paid()
    own_shop.process.advance(7 * 86400)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        own_shop.capture(session.payment_intent)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_a_method_that_cannot_be_captured_later_is_refused_with_manual(shop: Shop) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.open(payment_method_types=["sepa_debit"])
    assert caught.value.param == "payment_method_types"


# Connect


ABOUT_MONEY = ("refund.created", "charge.refunded", "charge.dispute.created")


def money_back(shop: Shop, **intent: Any) -> None:
    shop.refund(charge=shop.captured(intent=intent).id)
    shop.process.tool("disputes", charge=shop.captured(intent=intent).id)


def test_direct_refunds_and_disputes_are_told_to_connect_endpoints_only(
    shop: Shop, endpoints: Endpoints, listener: Listener
) -> None:
    money_back(shop)
    hooks = listener.heard(shop.account, *ABOUT_MONEY, count=3)
    assert {hook.path for hook in hooks} == {"/connect"}
    assert {hook.event["livemode"] for hook in hooks} == {False}


def test_destination_refunds_and_disputes_are_told_to_the_platform_only(
    shop: Shop, platform: Shop, endpoints: Endpoints, listener: Listener
) -> None:
    money_back(platform, transfer_data={"destination": shop.account})
    hooks = listener.heard(None, *ABOUT_MONEY, count=3)
    assert {hook.path for hook in hooks} == {"/platform"}
    assert all("account" not in hook.event for hook in hooks)
    assert listener.about(shop.account) == []


def test_refunds_fees_and_disputes_are_missing_from_every_other_account(shop: Shop) -> None:
    charge, other = shop.captured(), new_shop(shop.process)
    refund = shop.refund(charge=charge.id)
    dispute = shop.process.tool("disputes", charge=shop.captured().id)
    v1 = shop.stripe.v1
    for service, object_id in (
        (v1.charges, charge.id),
        (v1.refunds, refund.id),
        (v1.disputes, dispute["id"]),
    ):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            service.retrieve(object_id, {}, other.options())
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


# Idempotency keys


@pytest.mark.parametrize("kind", ["error_500_before", "error_500_after"])
def test_a_refunds_500_is_replayed(shop: Shop, sandbox: Process, kind: str) -> None:
    charge = shop.captured()
    sandbox.fault(kind, match={"operation": "refunds.create", "account": shop.account})
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            shop.refund("refund-500", charge=charge.id, amount=1000)
    expected = 1000 if kind == "error_500_after" else 0
    assert shop.charge(charge.id).amount_refunded == expected


def test_a_refusal_of_a_refund_by_validation_is_not_stored(shop: Shop) -> None:
    charge = shop.captured()
    with pytest.raises(stripe.InvalidRequestError):
        shop.refund("refund-bad", charge=charge.id, reason="boredom")
    assert shop.refund("refund-bad", charge=charge.id).status == "succeeded"


# Events


def test_retries_go_on_for_three_days(own_shop: Shop, listener: Listener) -> None:
    process = own_shop.process
    process.client().v1.webhook_endpoints.create(
        {"url": listener.url, "enabled_events": ["checkout.session.expired"], "connect": True}
    )
    listener.answers = [500, 500]
    own_shop.expire(own_shop.open().id)
    listener.heard(own_shop.account, "checkout.session.expired")
    process.advance(3 * 86400 + 1)
    until(lambda: process.state()["deliveries"].get("failed") == 1, what="the end of the retries")
    assert len(own_shop.events(delivery_success=False)) == 1


# stripe-python


@pytest.mark.parametrize(
    ("kind", "should_retry", "retried"),
    [
        ("conflict_409", None, True),
        ("cut_before", None, True),
        ("rate_limit_429", None, False),
        ("rate_limit_429", True, True),
        ("conflict_409", False, False),
    ],
)
def test_what_the_client_tries_again(
    shop: Shop, sandbox: Process, kind: str, should_retry: bool | None, retried: bool
) -> None:
    options = {} if kind == "cut_before" else {"should_retry": should_retry}
    sandbox.fault(kind, match={"account": shop.account}, **options)
    listed: Any = shop.stripe.v1.refunds
    asked = {**shop.options(), "max_network_retries": 1}
    if retried:
        assert listed.list({}, asked).data == []
    else:
        with pytest.raises(stripe.StripeError):
            listed.list({}, asked)


def test_the_client_does_not_try_again_unless_told(shop: Shop, sandbox: Process) -> None:
    sandbox.fault("conflict_409", match={"account": shop.account})
    with pytest.raises(stripe.APIError) as caught:
        shop.stripe.v1.refunds.list({}, shop.options())
    assert code_of(caught.value) == "idempotency_key_in_use"
