"""Webhooks that go wrong on request."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from .harness import Listener, Process, Shop, until

Endpoints = dict[str, Any]
EXPIRED = "checkout.session.expired"


def ended(shop: Shop) -> str:
    """One session, expired: one event."""
    session_id: str = shop.expire(shop.open().id).id
    return session_id


def settled(shop: Shop) -> None:
    """Wait until every event was delivered."""
    until(lambda: not shop.events(delivery_success=False), what="every delivery")


def test_dropped(shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener) -> None:
    sandbox.fault("drop", match={"type": EXPIRED, "account": shop.account})
    lost, arrived = ended(shop), ended(shop)
    hooks = listener.heard(shop.account, EXPIRED)
    assert [hook.event["data"]["object"]["id"] for hook in hooks] == [arrived]
    owed = shop.events(delivery_success=False)
    assert [event.data.object.id for event in owed] == [lost]
    sandbox.http.post("/_sandbox/deliver", json={"events": [owed[0].id]})
    listener.heard(shop.account, EXPIRED, count=2)
    settled(shop)


def test_delayed(shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener) -> None:
    sandbox.fault("delay", seconds=1.5, match={"account": shop.account})
    began = time.time()
    ended(shop)
    assert listener.heard(shop.account, EXPIRED)[0].at - began >= 1.4


def test_duplicated(shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener) -> None:
    sandbox.fault("duplicate", copies=3, match={"account": shop.account})
    ended(shop)
    hooks = listener.heard(shop.account, EXPIRED, count=3)
    assert len({hook.event["id"] for hook in hooks}) == 1
    settled(shop)
    assert shop.events()[0].pending_webhooks == 0


def test_duplicates_arrive_together(
    shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener
) -> None:
    listener.gather = 2
    sandbox.fault("duplicate", copies=2, match={"account": shop.account})
    ended(shop)
    listener.heard(shop.account, EXPIRED, count=2)
    assert listener.most_at_once == 2


def test_reordered(shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener) -> None:
    fault = sandbox.fault("reorder", match={"account": shop.account, "type": EXPIRED})
    first = ended(shop)

    def held() -> bool:
        faults = sandbox.http.get("/_sandbox/faults").json()["faults"]
        return any(entry["id"] == fault and entry["held"] for entry in faults)

    until(held, what="the first delivery to be held")
    second = ended(shop)
    hooks = listener.heard(shop.account, EXPIRED, count=2)
    assert [hook.event["data"]["object"]["id"] for hook in hooks] == [second, first]


def test_what_was_held_is_let_go_when_the_fault_is_lifted(
    shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener
) -> None:
    fault = sandbox.fault("reorder", match={"account": shop.account})
    ended(shop)
    until(
        lambda: [f for f in sandbox.http.get("/_sandbox/faults").json()["faults"] if f["held"]],
        what="the delivery to be held",
    )
    assert listener.about(shop.account) == []
    sandbox.clear(fault)
    listener.heard(shop.account, EXPIRED)


def test_badly_signed(
    shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener
) -> None:
    sandbox.fault("bad_signature", match={"account": shop.account})
    listener.answers = [400]
    ended(shop)
    bad, good = listener.heard(shop.account, EXPIRED, count=2)
    secret = endpoints["connect"].secret
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(bad.body, bad.signature, secret)
    assert stripe.WebhookSignature.verify_header(good.body, good.signature, secret)


def test_to_the_wrong_endpoint(
    shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener
) -> None:
    sandbox.fault(
        "wrong_endpoint", endpoint=endpoints["platform"].id, match={"account": shop.account}
    )
    ended(shop)
    wrong, right = listener.heard(shop.account, EXPIRED, count=2)
    assert (wrong.path, right.path) == ("/platform", "/connect")
    secret = endpoints["platform"].secret
    assert stripe.WebhookSignature.verify_header(wrong.body, wrong.signature, secret)


def test_a_fault_touches_only_what_it_matches(
    shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener
) -> None:
    sandbox.fault("drop", match={"type": "payment_intent.*", "account": shop.account}, times=None)
    shop.paid()
    types = {hook.event["type"] for hook in listener.heard(shop.account, count=2)}
    assert types == {"charge.succeeded", "checkout.session.completed"}
    assert len(shop.events(delivery_success=False)) == 2
