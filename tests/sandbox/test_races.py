"""Paying and expiring the same session in the same instant: exactly one of them happens."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import stripe

from .harness import Process, Shop


def outcome(shop: Shop, session_id: str) -> str:
    """How the race ended, after checking that everything agrees with it."""
    session = shop.session(session_id)
    events = [event.type for event in shop.events() if event.type.startswith("checkout.")]
    intents = shop.stripe.v1.payment_intents.list({}, shop.options()).data
    if session.status == "complete":
        assert events == ["checkout.session.completed"]
        assert [intent.status for intent in intents] == ["requires_capture"]
    else:
        assert (session.status, events) == ("expired", ["checkout.session.expired"])
        assert all(intent.status == "canceled" for intent in intents)
    return str(session.status)


def try_to_expire(shop: Shop, session_id: str) -> str:
    """What the shop is told."""
    try:
        return str(shop.expire(session_id).status)
    except stripe.InvalidRequestError:
        return "refused"


@pytest.mark.parametrize(
    ("winner", "told", "left"), [("pay", "refused", "complete"), ("expire", "expired", "expired")]
)
def test_an_expiry_races_a_payment(
    shop: Shop, sandbox: Process, winner: str, told: str, left: str
) -> None:
    session = shop.open()
    sandbox.fault("pay_and_expire", winner=winner, match={"session": session.id})
    assert try_to_expire(shop, session.id) == told
    assert outcome(shop, session.id) == left


@pytest.mark.parametrize(
    ("winner", "status", "left"), [("pay", 303, "complete"), ("expire", 410, "expired")]
)
def test_a_payment_races_an_expiry(
    shop: Shop, sandbox: Process, winner: str, status: int, left: str
) -> None:
    session = shop.open()
    sandbox.fault("pay_and_expire", winner=winner, match={"session": session.id})
    assert shop.pay(session).status_code == status
    assert outcome(shop, session.id) == left


def test_without_a_chosen_winner_there_is_one_all_the_same(shop: Shop, sandbox: Process) -> None:
    session = shop.open()
    sandbox.fault("pay_and_expire", match={"account": shop.account})
    told = try_to_expire(shop, session.id)
    assert outcome(shop, session.id) == {"refused": "complete", "expired": "expired"}[told]


def test_many_payments_and_expiries_at_once(shop: Shop) -> None:
    session = shop.open()
    start = threading.Barrier(12)
    paid: list[int] = []
    told: list[str] = []

    def run(action: Any) -> None:
        start.wait()
        action()

    actions = [
        lambda: paid.append(shop.pay(session).status_code),
        lambda: told.append(try_to_expire(shop, session.id)),
    ] * 6
    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = outcome(shop, session.id)
    assert (paid.count(303), told.count("expired")) == ((1, 0) if left == "complete" else (0, 1))
    assert (len(paid), len(told)) == (6, 6)
    assert shop.event_types().count("charge.succeeded") == paid.count(303)


def test_many_captures_and_cancels_at_once(shop: Shop) -> None:
    session = shop.paid()
    done: list[str] = []

    def attempt(name: str) -> None:
        try:
            done.append(getattr(shop, name)(session.payment_intent).status)
        except stripe.InvalidRequestError:
            done.append("refused")

    threads = [threading.Thread(target=attempt, args=(name,)) for name in ["capture", "cancel"] * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done.count("refused") == 9
    assert shop.intent(session.id).status in set(done) - {"refused"}
