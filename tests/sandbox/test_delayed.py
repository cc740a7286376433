"""Payments whose answer comes days after the session is complete."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from .harness import Process, Shop, line, paid_later

WAITING = [
    "payment_intent.created",
    "charge.pending",
    "payment_intent.processing",
    "checkout.session.completed",
]


def test_complete_is_not_paid(shop: Shop) -> None:
    session = paid_later(shop)
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    intent = shop.intent(session.id)
    assert (intent.status, intent.amount_received) == ("processing", 0)
    charge = shop.charge(intent.latest_charge)
    assert (charge.status, charge.paid) == ("pending", False)
    assert charge.payment_method_details.type == "sepa_debit"
    assert shop.event_types() == WAITING


@pytest.mark.parametrize("named", ["session", "intent"])
def test_the_bank_pays(shop: Shop, sandbox: Process, named: str) -> None:
    session = paid_later(shop)
    object_id = session.id if named == "session" else session.payment_intent
    assert sandbox.tool(f"payments/{object_id}", outcome="succeed")["status"] == "succeeded"
    assert shop.session(session.id).payment_status == "paid"
    assert shop.event_types() == [
        *WAITING,
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
    ]
    last: Any = shop.events()[-1]
    assert last.data.object.payment_status == "paid"


def test_the_bank_does_not_pay(shop: Shop, sandbox: Process) -> None:
    session = paid_later(shop)
    sandbox.tool(f"payments/{session.id}", outcome="fail")
    after = shop.session(session.id, "payment_intent")
    assert (after.status, after.payment_status) == ("complete", "unpaid")
    assert after.payment_intent.status == "requires_payment_method"
    assert after.payment_intent.last_payment_error.payment_method.type == "sepa_debit"
    assert shop.event_types() == [
        *WAITING,
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]


def test_an_answer_comes_once(shop: Shop, sandbox: Process) -> None:
    session = paid_later(shop)
    sandbox.tool(f"payments/{session.id}", outcome="succeed")
    again = sandbox.http.post(f"/_sandbox/payments/{session.id}", json={"outcome": "fail"})
    assert again.status_code == 400
    assert shop.intent(session.id).status == "succeeded"


def test_what_waits_for_a_bank_can_be_neither_cancelled_nor_refunded_nor_expired(
    shop: Shop,
) -> None:
    session = paid_later(shop)
    for call in (
        lambda: shop.cancel(session.payment_intent),
        lambda: shop.refund(payment_intent=session.payment_intent),
        lambda: shop.expire(session.id),
    ):
        with pytest.raises(stripe.InvalidRequestError):
            call()
    assert shop.intent(session.id).status == "processing"


def test_only_where_the_session_offers_it(shop: Shop) -> None:
    session = shop.open()
    assert 'value="pay_later"' not in shop.process.http.get(f"/pay/{session.id}").text
    assert shop.pay(session, "pay_later").status_code == 400
    assert shop.session(session.id).status == "open"


def test_a_person_can_choose_it(shop: Shop) -> None:
    session = shop.open(
        payment_method_types=["card", "sepa_debit"], intent={"capture_method": "automatic"}
    )
    assert 'value="pay_later"' in shop.process.http.get(f"/pay/{session.id}").text


def test_where_nothing_else_is_offered_paying_is_paying_later(shop: Shop) -> None:
    session = shop.open(
        payment_method_types=["sepa_debit"],
        line_items=[line(4500, "eur")],
        intent={"capture_method": "automatic"},
    )
    shop.pay(session)
    assert shop.intent(session.id).status == "processing"


def test_capture_set_for_cards_alone_leaves_the_other_method_its_way(shop: Shop) -> None:
    changes: Any = {
        "payment_method_types": ["card", "sepa_debit"],
        "payment_method_options": {"card": {"capture_method": "manual"}},
        "intent": {"capture_method": "automatic"},
    }
    by_card, by_debit = shop.open(**changes), shop.open(**changes)
    shop.pay(by_card)
    shop.pay(by_debit, "pay_later")
    assert shop.intent(by_card.id).status == "requires_capture"
    assert shop.intent(by_debit.id).status == "processing"
