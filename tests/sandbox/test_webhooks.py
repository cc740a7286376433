"""Events on their way to the shop's endpoints."""

from __future__ import annotations

import time
from typing import Any

import pytest
import stripe

from .harness import Hook, Listener, Process, Shop, until

Endpoints = dict[str, Any]
COMPLETED = "checkout.session.completed"


def verify(hook: Hook, secret: str) -> bool:
    return bool(stripe.WebhookSignature.verify_header(hook.body, hook.signature, secret, 300))


def test_direct_charges_signal_through_connect_only(
    shop: Shop, endpoints: Endpoints, listener: Listener
) -> None:
    session = shop.paid()
    hooks = listener.heard(
        shop.account,
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        COMPLETED,
        count=4,
    )
    assert {hook.path for hook in hooks} == {"/connect"}
    event = next(hook.event for hook in hooks if hook.event["type"] == COMPLETED)
    assert (event["account"], event["livemode"]) == (shop.account, False)
    assert event["data"]["object"]["id"] == session.id
    assert event["data"]["object"]["payment_intent"] == session.payment_intent


def test_the_platforms_objects_signal_through_the_platform_only(
    platform: Shop, endpoints: Endpoints, listener: Listener
) -> None:
    session = platform.paid()
    hook = next(
        hook
        for hook in listener.heard(None, COMPLETED)
        if hook.event["data"]["object"]["id"] == session.id
    )
    assert hook.path == "/platform"
    assert "account" not in hook.event


def test_each_endpoint_has_its_own_secret(
    shop: Shop, endpoints: Endpoints, listener: Listener
) -> None:
    shop.paid()
    hook = listener.heard(shop.account, COMPLETED)[0]
    assert verify(hook, endpoints["connect"].secret)
    with pytest.raises(stripe.SignatureVerificationError):
        verify(hook, endpoints["platform"].secret)


def test_the_secret_is_shown_once(endpoints: Endpoints, sandbox: Process) -> None:
    found = sandbox.client().v1.webhook_endpoints.retrieve(endpoints["connect"].id)
    assert endpoints["connect"].secret.startswith("whsec_")
    assert "secret" not in found.to_dict()


def test_what_fails_is_sent_again_with_a_fresh_timestamp(
    shop: Shop, endpoints: Endpoints, listener: Listener
) -> None:
    listener.answers = [500, 302]
    shop.expire(shop.open().id)
    hooks = listener.heard(shop.account, "checkout.session.expired", count=3)
    assert len({hook.event["id"] for hook in hooks}) == 1
    assert all(verify(hook, endpoints["connect"].secret) for hook in hooks)
    moments = [int(hook.signature.split(",")[0].removeprefix("t=")) for hook in hooks]
    assert moments == sorted(set(moments))
    assert all(abs(moment - hook.at) < 60 for moment, hook in zip(moments, hooks, strict=True))


def test_pending_webhooks_and_delivery_success_tell_what_is_owed(
    shop: Shop, endpoints: Endpoints, listener: Listener
) -> None:
    listener.answers = [500]
    shop.expire(shop.open().id)
    listener.heard(shop.account, "checkout.session.expired")
    owed = shop.events(delivery_success=False)
    assert [(event.type, event.pending_webhooks) for event in owed] == [
        ("checkout.session.expired", 1)
    ]
    until(lambda: not shop.events(delivery_success=False), what="the retry")
    done = shop.events(delivery_success=True)
    assert [(event.type, event.pending_webhooks) for event in done] == [
        ("checkout.session.expired", 0)
    ]


def test_an_endpoint_hears_only_what_it_asked_for(
    shop: Shop, sandbox: Process, listener: Listener
) -> None:
    endpoint = sandbox.client().v1.webhook_endpoints.create(
        {"url": f"{listener.url}/few", "enabled_events": [COMPLETED], "connect": True}
    )
    shop.paid()
    listener.heard(shop.account, COMPLETED, path="/few")
    until(lambda: not shop.events(delivery_success=False), what="everything to be delivered")
    assert [hook.event["type"] for hook in listener.about(shop.account)] == [COMPLETED]
    sandbox.client().v1.webhook_endpoints.delete(endpoint.id)


def test_endpoints_can_be_changed_switched_off_and_removed(
    shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener
) -> None:
    service = sandbox.client().v1.webhook_endpoints
    connect = endpoints["connect"].id
    moved = service.update(connect, {"url": f"{listener.url}/moved-connect"})
    assert moved.url.endswith("/moved-connect")
    shop.expire(shop.open().id)
    listener.heard(shop.account, path="/moved-connect")
    assert service.update(connect, {"disabled": True}).status == "disabled"
    shop.expire(shop.open().id)
    assert [event.pending_webhooks for event in shop.events()] == [0, 0]
    assert {entry.id for entry in service.list().data} >= {connect}


def test_events_can_be_read_and_filtered(shop: Shop) -> None:
    before = int(time.time()) - 5
    session = shop.paid()
    everything = shop.events()
    one: Any = shop.stripe.v1.events.retrieve(everything[-1].id, {}, shop.options())
    assert (one.type, one.data.object.id) == (COMPLETED, session.id)
    assert [event.type for event in shop.events(type="payment_intent.*")] == [
        "payment_intent.created",
        "payment_intent.amount_capturable_updated",
    ]
    assert len(shop.events(types=[COMPLETED, "charge.succeeded"])) == 2
    assert len(shop.events(created={"gte": before})) == len(everything)
    assert shop.events(created={"lt": before}) == []


def test_events_name_the_request_that_caused_them(shop: Shop) -> None:
    session = shop.open()
    answer = shop.expire(session.id, "expire-once")
    event = shop.events(type="checkout.session.expired")[0].to_dict()
    assert event["request"]["idempotency_key"] == "expire-once"
    assert event["request"]["id"] == answer.last_response.headers["Request-Id"]


def test_chosen_events_are_delivered_again_in_a_chosen_order(
    shop: Shop, sandbox: Process, endpoints: Endpoints, listener: Listener
) -> None:
    shop.paid()
    listener.heard(shop.account, count=4)
    ids = [event.id for event in shop.events()]
    listener.hooks.clear()
    answer = sandbox.http.post("/_sandbox/deliver", json={"events": ids, "order": "reversed"})
    assert [entry["status"] for entry in answer.json()["deliveries"]] == [200] * 4
    assert [hook.event["id"] for hook in listener.hooks] == ids[::-1]
