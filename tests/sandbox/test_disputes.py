"""A payer's bank takes the money back."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from .harness import Process, Shop, code_of


def dispute_events(shop: Shop) -> list[str]:
    return [name for name in shop.event_types() if "dispute" in name]


def found(shop: Shop, dispute: dict[str, Any]) -> Any:
    return shop.stripe.v1.disputes.retrieve(dispute["id"], {}, shop.options())


def test_a_dispute_takes_the_money_at_once(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    made = sandbox.tool("disputes", charge=charge.id, reason="product_not_received")
    dispute = found(shop, made)
    assert (dispute.status, dispute.amount) == ("needs_response", 4500)
    assert (dispute.charge, dispute.payment_intent) == (charge.id, charge.payment_intent)
    assert [entry.amount for entry in dispute.balance_transactions] == [-4500]
    assert shop.charge(charge.id).disputed is True
    assert dispute_events(shop) == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]


def test_a_disputed_charge_is_not_refunded(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    sandbox.tool("disputes", payment_intent=charge.payment_intent)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.refund(charge=charge.id)
    assert code_of(caught.value) == "charge_disputed"
    assert shop.charge(charge.id).amount_refunded == 0


def test_a_dispute_that_is_won_gives_the_money_back(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    made = sandbox.tool("disputes", charge=charge.id)
    sandbox.tool(f"disputes/{made['id']}", status="under_review")
    sandbox.tool(f"disputes/{made['id']}", status="won")
    assert [entry.amount for entry in found(shop, made).balance_transactions] == [-4500, 4500]
    assert dispute_events(shop)[2:] == [
        "charge.dispute.updated",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]
    assert shop.refund(charge=charge.id).status == "succeeded"


def test_a_dispute_that_is_lost_stays_lost(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    made = sandbox.tool("disputes", charge=charge.id)
    sandbox.tool(f"disputes/{made['id']}", status="lost")
    assert found(shop, made).status == "lost"
    assert dispute_events(shop)[-1] == "charge.dispute.closed"
    path = f"/_sandbox/disputes/{made['id']}"
    assert sandbox.http.post(path, json={"status": "won"}).status_code == 400


def test_an_inquiry_takes_nothing_and_may_be_settled_by_a_refund(
    shop: Shop, sandbox: Process
) -> None:
    charge = shop.captured()
    made = sandbox.tool("disputes", charge=charge.id, status="warning_needs_response")
    assert found(shop, made).is_charge_refundable is True
    assert shop.refund(charge=charge.id).status == "succeeded"
    sandbox.tool(f"disputes/{made['id']}", status="warning_closed")
    assert dispute_events(shop) == ["charge.dispute.created", "charge.dispute.closed"]


def test_an_inquiry_can_become_a_dispute(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    made = sandbox.tool("disputes", charge=charge.id, status="warning_needs_response")
    sandbox.tool(f"disputes/{made['id']}", status="needs_response")
    assert "charge.dispute.funds_withdrawn" in dispute_events(shop)
    assert found(shop, made).is_charge_refundable is False


def test_disputes_are_listed_by_what_they_are_about(shop: Shop, sandbox: Process) -> None:
    one, other = shop.captured(), shop.captured()
    first = sandbox.tool("disputes", charge=one.id)
    second = sandbox.tool("disputes", charge=other.id, amount=1000)

    def listed(**filters: Any) -> list[str]:
        page: Any = shop.stripe.v1.disputes.list(filters, shop.options())
        return [dispute.id for dispute in page.data]

    assert listed() == [second["id"], first["id"]]
    assert listed(charge=one.id) == [first["id"]]
    assert listed(payment_intent=other.payment_intent) == [second["id"]]


@pytest.mark.parametrize(
    "asked",
    [
        {"charge": "ch_unknown"},
        {"reason": "boredom"},
        {"amount": 4501},
        {"amount": "all"},
        {"status": "won"},
    ],
)
def test_disputes_that_make_no_sense_are_refused(
    shop: Shop, sandbox: Process, asked: dict[str, Any]
) -> None:
    body = {"charge": shop.captured().id, **asked}
    assert sandbox.http.post("/_sandbox/disputes", json=body).status_code in (400, 404)


def test_only_captured_charges_are_disputed_and_only_once(shop: Shop, sandbox: Process) -> None:
    held = shop.intent(shop.paid().id).latest_charge
    assert sandbox.http.post("/_sandbox/disputes", json={"charge": held}).status_code == 400
    charge = shop.captured()
    sandbox.tool("disputes", charge=charge.id)
    again = sandbox.http.post("/_sandbox/disputes", json={"charge": charge.id})
    assert again.status_code == 400
