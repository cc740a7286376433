"""What survives a restart, gentle or not."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest
import stripe

from .harness import Listener, Process, Shop, paid_later, until

pytestmark = pytest.mark.long

COMPLETED = "checkout.session.completed"
both_ends = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(own_sandbox: Process, number: signal.Signals) -> None:
    assert own_sandbox.stop(number) == 0


@both_ends
def test_objects_keys_and_counts_survive(own_shop: Shop, number: signal.Signals) -> None:
    process, left = own_shop.process, own_shop.open(key="kept")
    paid = own_shop.paid()
    own_shop.capture(paid.payment_intent, "captured")
    events = own_shop.event_types()
    process.restart(number)
    assert own_shop.session(left.id).status == "open"
    assert own_shop.intent(paid.id).status == "succeeded"
    assert own_shop.event_types() == events
    again = own_shop.open(key="kept")
    assert again.id == left.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    own_shop.capture(paid.payment_intent, "captured")
    assert own_shop.summary(paid.id)["capture_calls"] == 1
    assert own_shop.pay(left).status_code == 303


@both_ends
def test_undelivered_webhooks_survive(
    own_shop: Shop, listener: Listener, number: signal.Signals
) -> None:
    process = own_shop.process
    endpoint = process.client().v1.webhook_endpoints.create(
        {"url": f"{listener.url}/connect", "enabled_events": [COMPLETED], "connect": True}
    )
    listener.answers = [500]
    session = own_shop.paid()
    listener.heard(own_shop.account, COMPLETED)
    process.restart(number)
    hook = listener.heard(own_shop.account, COMPLETED, count=2)[-1]
    assert hook.event["data"]["object"]["id"] == session.id
    assert stripe.WebhookSignature.verify_header(hook.body, hook.signature, endpoint.secret)
    until(lambda: not own_shop.events(delivery_success=False), what="the delivery to be noted")


@both_ends
def test_a_call_that_died_with_the_process_left_nothing(
    own_shop: Shop, number: signal.Signals
) -> None:
    process = own_shop.process
    process.fault("hang_before", match={"operation": "checkout.sessions.create"})
    caller = threading.Thread(target=_swallow, args=(own_shop, "lost"))
    caller.start()
    process.withheld(1)
    process.restart(number)
    caller.join()
    assert own_shop.stripe.v1.checkout.sessions.list({}, own_shop.options()).data == []
    # The key is free again, and no fault outlives the process.
    assert own_shop.open(key="lost").status == "open"


def test_an_effect_whose_answer_was_lost_is_kept_with_its_key(own_shop: Shop) -> None:
    process = own_shop.process
    process.fault("hang_after", match={"operation": "checkout.sessions.create"})
    caller = threading.Thread(target=_swallow, args=(own_shop, "found"))
    caller.start()
    process.withheld(1)
    process.restart(signal.SIGKILL)
    caller.join()
    sessions = own_shop.stripe.v1.checkout.sessions.list({}, own_shop.options()).data
    assert [own_shop.open(key="found").id] == [session.id for session in sessions]


@both_ends
def test_what_is_still_to_happen_survives(own_shop: Shop, number: signal.Signals) -> None:
    """Pending refunds, delayed payments, disputes, shares and switches."""
    process = own_shop.process
    charge = own_shop.captured(intent={"application_fee_amount": 90})
    process.fault("refund_pending", seconds=3600)
    refund = own_shop.refund(charge=charge.id, amount=1000, refund_application_fee=True)
    later = paid_later(own_shop)
    disputed = own_shop.captured()
    dispute = process.tool("disputes", charge=disputed.id)
    process.tool(f"accounts/{own_shop.account}", payouts_enabled=False)
    process.restart(number)
    assert own_shop.found_refund(refund.id).status == "pending"
    process.advance(3600)
    assert own_shop.found_refund(refund.id).status == "succeeded"
    assert process.tool(f"payments/{later.id}", outcome="succeed")["status"] == "succeeded"
    with pytest.raises(stripe.InvalidRequestError):
        own_shop.refund(charge=disputed.id)
    assert process.tool(f"disputes/{dispute['id']}", status="won")["status"] == "won"
    fees = own_shop.stripe.v1.application_fees.list({"charge": charge.id}).data
    assert fees[0].amount_refunded == 20
    assert own_shop.stripe.v1.accounts.retrieve(own_shop.account).payouts_enabled is False


def test_time_that_was_moved_stays_moved(own_shop: Shop) -> None:
    process = own_shop.process
    process.advance(3600)
    before = process.http.get("/_sandbox/clock").json()["now"]
    process.restart(signal.SIGKILL)
    assert process.http.get("/_sandbox/clock").json()["now"] >= before


def _swallow(shop: Shop, key: str) -> None:
    with contextlib.suppress(stripe.APIConnectionError):
        shop.open(key=key)
