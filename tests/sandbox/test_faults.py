"""API calls and payments that go wrong on request."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import stripe

from .harness import KEY, ROOT, Process, Shop, until

CREATE = "checkout.sessions.create"
CAPTURE = "payment_intents.capture"


def fails(shop: Shop, call: Any) -> Any:
    with pytest.raises(stripe.StripeError) as caught:
        call()
    return caught.value


def test_a_decline_of_the_next_payment(shop: Shop, sandbox: Process) -> None:
    sandbox.fault("decline", match={"account": shop.account})
    session = shop.open()
    assert "declined" in shop.pay(session).text
    assert shop.pay(session).status_code == 303


def test_a_500_before_the_effect(shop: Shop, sandbox: Process) -> None:
    session = shop.paid()
    sandbox.fault("error_500_before", match={"operation": CAPTURE, "account": shop.account})
    error = fails(shop, lambda: shop.capture(session.payment_intent, "k1"))
    assert error.http_status == 500
    assert shop.intent(session.id).status == "requires_capture"
    assert shop.capture(session.payment_intent, "k2").status == "succeeded"


def test_a_500_after_the_effect(shop: Shop, sandbox: Process) -> None:
    session = shop.paid()
    sandbox.fault("error_500_after", match={"operation": CAPTURE, "account": shop.account})
    error = fails(shop, lambda: shop.capture(session.payment_intent, "k1"))
    assert error.http_status == 500
    assert shop.intent(session.id).status == "succeeded"
    assert fails(shop, lambda: shop.capture(session.payment_intent, "k2")).code == (
        "payment_intent_unexpected_state"
    )


@pytest.mark.parametrize(
    ("kind", "status"), [("rate_limit_429", 429), ("conflict_409", 409), ("lock_timeout", 429)]
)
def test_refusals_that_are_neither_effect_nor_stored(
    shop: Shop, sandbox: Process, kind: str, status: int
) -> None:
    sandbox.fault(kind, match={"operation": CREATE, "account": shop.account})
    assert fails(shop, lambda: shop.open(key="k1")).http_status == status
    assert shop.stripe.v1.checkout.sessions.list({}, shop.options()).data == []
    assert shop.open(key="k1").status == "open"


def test_429_may_ask_to_be_retried(shop: Shop, sandbox: Process) -> None:
    sandbox.fault("rate_limit_429", should_retry=True, match={"account": shop.account})
    answer = shop.stripe.v1.checkout.sessions.list({}, {**shop.options(), "max_network_retries": 1})
    assert answer.data == []


HEADERS = [(True, "true"), (False, "false"), (None, None)]


@pytest.mark.parametrize(("should_retry", "header"), HEADERS)
@pytest.mark.parametrize(
    "kind",
    ["error_500_before", "error_500_after", "rate_limit_429", "conflict_409", "lock_timeout"],
)
def test_every_refusal_says_whether_to_retry(
    shop: Shop, sandbox: Process, kind: str, should_retry: bool | None, header: str | None
) -> None:
    match = {"operation": CREATE, "account": shop.account}
    sandbox.fault(kind, should_retry=should_retry, match=match)
    error = fails(shop, shop.open)
    assert error.headers.get("Stripe-Should-Retry") == header


def test_every_call_that_moves_money_can_be_made_to_fail(shop: Shop, sandbox: Process) -> None:
    held, left = shop.paid(), shop.open()
    charge = shop.captured()
    calls: dict[str, Any] = {
        "refunds.create": lambda: shop.refund(charge=charge.id),
        CAPTURE: lambda: shop.capture(held.payment_intent),
        "payment_intents.cancel": lambda: shop.cancel(held.payment_intent),
        "checkout.sessions.expire": lambda: shop.expire(left.id),
    }
    for operation, call in calls.items():
        match = {"operation": operation, "account": shop.account}
        sandbox.fault("error_500_before", match=match)
        assert fails(shop, call).http_status == 500
        sandbox.fault("lock_timeout", status=409, match=match)
        assert fails(shop, call).http_status == 409
        sandbox.fault("cut_before", match=match)
        assert isinstance(fails(shop, call), stripe.APIConnectionError)
    assert shop.charge(charge.id).amount_refunded == 0
    assert shop.intent(held.id).status == "requires_capture"
    assert shop.session(left.id).status == "open"


def test_the_next_payment_can_be_made_to_need_authentication(shop: Shop, sandbox: Process) -> None:
    sandbox.fault("challenge", match={"account": shop.account})
    session = shop.open()
    assert "Your bank wants to know it is you" in shop.pay(session).text
    assert shop.pay(session, "authenticate").status_code == 303


def test_slow_answers(shop: Shop, sandbox: Process) -> None:
    sandbox.fault("slow", seconds=1, match={"operation": CREATE, "account": shop.account})
    began = time.monotonic()
    shop.open()
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(("kind", "status"), [("hang_before", "open"), ("hang_after", "expired")])
def test_an_answer_is_withheld_until_the_fault_is_lifted(
    shop: Shop, sandbox: Process, kind: str, status: str
) -> None:
    session = shop.open()
    fault = sandbox.fault(kind, match={"object": session.id})
    results: list[Any] = []
    caller = threading.Thread(target=lambda: results.append(shop.expire(session.id)))
    caller.start()
    waiting = sandbox.withheld(1)[0]
    assert waiting["operation"] == "checkout.sessions.expire"
    assert waiting["effect_done"] is (kind == "hang_after")
    assert sandbox.http.get("/_sandbox/sessions?format=json").json()[0]["status"] == status
    assert results == []
    sandbox.clear(fault)
    caller.join()
    assert results[0].status == "expired"
    sandbox.withheld(0)


KILLED = """
import sys, stripe
key, base, account, session = sys.argv[1:]
client = stripe.StripeClient(key, base_addresses={"api": base})
client.v1.checkout.sessions.expire(
    session, None, {"stripe_account": account, "idempotency_key": "killed"})
"""


@pytest.mark.parametrize(("kind", "status"), [("hang_before", "open"), ("hang_after", "expired")])
def test_a_client_can_die_while_it_waits(
    shop: Shop, sandbox: Process, kind: str, status: str
) -> None:
    session = shop.open()
    sandbox.fault(kind, match={"object": session.id})
    client = subprocess.Popen(
        [sys.executable, "-c", KILLED, KEY, sandbox.base, shop.account, session.id], cwd=ROOT
    )
    sandbox.withheld(1)
    client.kill()
    client.wait()
    sandbox.withheld(0)
    assert shop.session(session.id).status == status
    # The same key now gives the kept answer, or does the work at last: one expiry either way.
    assert shop.expire(session.id, "killed").status == "expired"
    assert shop.event_types() == ["checkout.session.expired"]


def test_a_capture_that_fails(shop: Shop, sandbox: Process) -> None:
    session = shop.paid()
    sandbox.fault("capture_fails", match={"operation": CAPTURE, "account": shop.account})
    error = fails(shop, lambda: shop.capture(session.payment_intent))
    assert (error.http_status, error.code) == (400, "payment_intent_unexpected_state")
    assert shop.intent(session.id).status == "canceled"


def test_faults_are_counted_listed_and_lifted(shop: Shop, sandbox: Process) -> None:
    match = {"operation": [CREATE, CAPTURE], "account": shop.account}
    fault = sandbox.fault("rate_limit_429", match=match, times=2)
    for _ in range(2):
        fails(shop, shop.open)
    assert shop.open().status == "open"
    assert sandbox.http.get("/_sandbox/faults").json() == {"faults": []}
    lasting = sandbox.fault("rate_limit_429", match=match, times=None)
    assert lasting != fault
    listed = sandbox.http.get("/_sandbox/faults").json()["faults"]
    assert [(entry["id"], entry["remaining"]) for entry in listed] == [(lasting, None)]
    fails(shop, shop.open)
    sandbox.clear(lasting)
    assert shop.open().status == "open"
    assert sandbox.http.delete(f"/_sandbox/faults/{lasting}").status_code == 404


def test_a_fault_may_strike_a_share_of_what_fits(shop: Shop, sandbox: Process) -> None:
    match = {"operation": CREATE, "account": shop.account}
    fault = sandbox.fault("rate_limit_429", match=match, times=None, share=0.5)
    refused = 0
    for _ in range(40):
        try:
            shop.open()
        except stripe.RateLimitError:
            refused += 1
    (listed,) = sandbox.http.get("/_sandbox/faults").json()["faults"]
    assert (listed["share"], listed["used"]) == (0.5, refused)
    assert 0 < refused < 40
    sandbox.clear(fault)


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "earthquake"},
        {"kind": "drop", "share": 0},
        {"kind": "drop", "share": 1.5},
        {"kind": "drop", "share": "half"},
        {"kind": "drop", "times": 0},
        {"kind": "drop", "match": {"colour": "red"}},
        {"kind": "drop", "seconds": 3},
        {"kind": "delay", "seconds": -1},
        {"kind": "pay_and_expire", "winner": "nobody"},
        {"kind": "refund_pending", "then": "perhaps"},
        {"kind": "lock_timeout", "status": 500},
        {"kind": "error_500_before", "should_retry": "yes"},
    ],
)
def test_faults_that_make_no_sense_are_refused(sandbox: Process, asked: dict[str, Any]) -> None:
    assert sandbox.http.post("/_sandbox/faults", json=asked).status_code == 400


def test_requests_are_written_down(shop: Shop, sandbox: Process) -> None:
    shop.open(key="noted-1")
    shop.open(key="noted-1")
    noted = [
        entry
        for entry in sandbox.http.get("/_sandbox/requests").json()
        if entry.get("account") == shop.account and entry["idempotency_key"] == "noted-1"
    ]
    assert [(entry["status"], entry["replayed"]) for entry in noted] == [(200, False), (200, True)]
    assert noted[0]["params"]["line_items"]["0"]["quantity"] == "1"


def test_withheld_requests_are_counted_in_the_state(shop: Shop, sandbox: Process) -> None:
    sandbox.fault("hang_before", match={"account": shop.account}, times=2)
    callers = [threading.Thread(target=shop.open) for _ in range(2)]
    for caller in callers:
        caller.start()
    assert len(sandbox.withheld(2)) == 2
    sandbox.clear()
    for caller in callers:
        caller.join()
    until(
        lambda: len(shop.stripe.v1.checkout.sessions.list({}, shop.options()).data) == 2, what="2"
    )
