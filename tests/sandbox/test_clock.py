"""Time that passes at once: what ends by it, and what is forgotten."""

from __future__ import annotations

from typing import Any

import stripe

from .harness import Listener, Process, Shop, until

DAY = 86400


def test_sessions_end_when_their_time_is_up(own_shop: Shop) -> None:
    session = own_shop.open()
    own_shop.process.advance(session.expires_at - session.created)
    assert own_shop.session(session.id).status == "expired"
    assert own_shop.event_types() == ["checkout.session.expired"]
    assert own_shop.pay(session).status_code == 410


def test_a_session_that_ends_takes_its_unpaid_intent_with_it(own_shop: Shop) -> None:
    session = own_shop.open()
    own_shop.pay(session, "start_authentication")
    own_shop.process.advance(DAY)
    assert own_shop.intent(session.id).status == "canceled"


def test_an_authorisation_ends_at_once_when_the_clock_is_moved(own_shop: Shop) -> None:
    session = own_shop.paid()
    own_shop.process.advance(7 * DAY)
    assert own_shop.intent(session.id).status == "canceled"


def test_keys_are_forgotten_in_the_end(own_shop: Shop) -> None:
    first = own_shop.open(key="old")
    own_shop.process.advance(DAY)
    assert own_shop.open(key="old").id == first.id
    own_shop.process.advance(7 * DAY)
    assert own_shop.open(key="old").id != first.id


def test_events_are_listed_for_thirty_days(own_shop: Shop) -> None:
    own_shop.expire(own_shop.open().id)
    assert own_shop.event_types() == ["checkout.session.expired"]
    own_shop.process.advance(30 * DAY + 1)
    assert own_shop.event_types() == []


def test_a_reconciler_can_page_through_a_window(own_shop: Shop) -> None:
    """Everything between two moments, whatever came before, between and after."""
    paid_on: list[str] = []
    for _ in range(3):
        charges = [own_shop.captured(), own_shop.captured()]
        for charge in charges:
            own_shop.refund(charge=charge.id)
        paid_on += [charge.payment_intent for charge in charges]
        own_shop.process.advance(DAY)
    began = _created(own_shop, paid_on[2]) - 60
    window = {"gte": began, "lt": began + DAY}
    v1 = own_shop.stripe.v1
    for service, name in (
        (v1.payment_intents, "id"),
        (v1.charges, "payment_intent"),
        (v1.refunds, "payment_intent"),
    ):
        page = service.list({"created": window, "limit": 1}, own_shop.options())
        assert [getattr(entry, name) for entry in page.auto_paging_iter()] == paid_on[3:1:-1]


def _created(shop: Shop, intent: str) -> int:
    found: Any = shop.stripe.v1.payment_intents.retrieve(intent, {}, shop.options())
    return int(found.created)


def test_events_that_were_not_heard_can_be_paged_through(
    own_shop: Shop, listener: Listener
) -> None:
    process = own_shop.process
    process.client().v1.webhook_endpoints.create(
        {"url": listener.url, "enabled_events": ["refund.created"], "connect": True}
    )
    dropping = process.fault("drop", match={"type": "refund.created"}, times=None)
    refunds = [own_shop.refund(charge=own_shop.captured().id).id for _ in range(3)]
    until(lambda: process.state()["deliveries"].get("dropped") == 3, what="the drops")
    process.clear(dropping)
    own_shop.refund(charge=own_shop.captured().id)
    listener.heard(own_shop.account, "refund.created")

    def missed() -> list[str]:
        page: Any = own_shop.stripe.v1.events.list(
            {"delivery_success": False, "types": ["refund.created"], "limit": 2},
            own_shop.options(),
        )
        return [event.data.object.id for event in page.auto_paging_iter()]

    until(lambda: missed() == refunds[2::-1], what="the three that were dropped")


def test_the_webhook_of_an_old_event_has_a_fresh_signature(
    own_shop: Shop, listener: Listener
) -> None:
    process = own_shop.process
    endpoint = process.client().v1.webhook_endpoints.create(
        {"url": listener.url, "enabled_events": ["checkout.session.expired"], "connect": True}
    )
    own_shop.expire(own_shop.open().id)
    listener.heard(own_shop.account, "checkout.session.expired")
    process.advance(DAY)
    event = own_shop.events()[0]
    process.tool("deliver", events=[event.id])
    hook = listener.heard(own_shop.account, "checkout.session.expired", count=2)[-1]
    assert stripe.WebhookSignature.verify_header(hook.body, hook.signature, endpoint.secret, 300)


def test_the_clock_goes_forward_only(sandbox: Process) -> None:
    answer = sandbox.http.post("/_sandbox/clock", json={"advance_seconds": -1})
    assert answer.status_code == 400
