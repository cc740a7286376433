"""Giving money back: whole, in part, late, twice, and not after all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from .harness import Process, Shop, code_of, until


def refused(call: Any) -> Any:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call()
    return caught.value


def test_a_refund_gives_the_whole_charge_back(shop: Shop) -> None:
    charge = shop.captured()
    refund = shop.refund(payment_intent=charge.payment_intent, reason="duplicate")
    assert (refund.amount, refund.status, refund.charge) == (4500, "succeeded", charge.id)
    assert (refund.payment_intent, refund.reason) == (charge.payment_intent, "duplicate")
    after = shop.charge(charge.id)
    assert (after.refunded, after.amount_refunded, after.amount_captured) == (True, 4500, 4500)
    assert shop.event_types()[-2:] == ["refund.created", "charge.refunded"]
    # The intent stays what it was: paid.
    assert shop.stripe.v1.payment_intents.retrieve(
        charge.payment_intent, {}, shop.options()
    ).status == ("succeeded")


def test_the_balance_tells_of_both_ways(shop: Shop) -> None:
    charge = shop.captured()
    refund = shop.refund(charge=charge.id, expand=["balance_transaction", "charge"])
    assert (refund.balance_transaction.amount, refund.balance_transaction.type) == (-4500, "refund")
    assert refund.charge.balance_transaction == charge.balance_transaction


def test_parts_can_be_refunded_until_nothing_is_left(shop: Shop) -> None:
    charge = shop.captured()
    for amount in (1000, 1500):
        shop.refund(charge=charge.id, amount=amount)
    part = shop.charge(charge.id, "refunds")
    assert (part.refunded, part.amount_refunded) == (False, 2500)
    assert [refund.amount for refund in part.refunds.data] == [1500, 1000]
    assert shop.refund(charge=charge.id).amount == 2000
    assert shop.charge(charge.id).refunded is True


def test_more_than_is_left_cannot(shop: Shop) -> None:
    charge = shop.captured()
    shop.refund(charge=charge.id, amount=1000)
    error = refused(lambda: shop.refund(charge=charge.id, amount=3501))
    assert (error.http_status, error.param) == (400, "amount")
    assert "greater than the unrefunded amount" in str(error.user_message)
    assert shop.charge(charge.id).amount_refunded == 1000


def test_what_was_refunded_is_not_refunded_again(shop: Shop) -> None:
    charge = shop.captured()
    shop.refund(charge=charge.id)
    error = refused(lambda: shop.refund(payment_intent=charge.payment_intent))
    assert code_of(error) == "charge_already_refunded"
    assert len(shop.stripe.v1.refunds.list({"charge": charge.id}, shop.options()).data) == 1


def test_refunds_in_the_same_instant_exclude_each_other(shop: Shop) -> None:
    charge = shop.captured()

    def attempt(_: int) -> str:
        try:
            return str(Shop(shop.process, shop.account).refund(charge=charge.id).status)
        except stripe.InvalidRequestError as error:
            return str(code_of(error))

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(attempt, range(4)))
    assert answers == ["charge_already_refunded"] * 3 + ["succeeded"]


def test_a_key_refunds_once(shop: Shop) -> None:
    charge = shop.captured()
    first = shop.refund("refund-1", charge=charge.id, amount=1000)
    again = shop.refund("refund-1", charge=charge.id, amount=1000)
    assert again.id == first.id
    assert shop.charge(charge.id).amount_refunded == 1000
    with pytest.raises(stripe.IdempotencyError):
        shop.refund("refund-1", charge=charge.id, amount=2000)


def test_only_captured_money_can_be_refunded(shop: Shop) -> None:
    held, tried = shop.paid(), shop.open()
    shop.pay(tried, "fail_authentication")
    released = shop.paid()
    shop.cancel(released.payment_intent)
    for intent in (held.payment_intent, shop.intent(tried.id).id, released.payment_intent):
        assert refused(lambda i=intent: shop.refund(payment_intent=i)).http_status == 400
    assert "refund.created" not in shop.event_types()


def test_a_part_that_was_captured_is_all_there_is(shop: Shop) -> None:
    intent = shop.capture(shop.paid().payment_intent, amount_to_capture=4000)
    assert refused(lambda: shop.refund(payment_intent=intent.id, amount=4001)).param == "amount"
    assert shop.refund(payment_intent=intent.id).amount == 4000
    assert shop.charge(intent.latest_charge).refunded is True


def test_refunds_name_something_the_account_has(shop: Shop, platform: Shop) -> None:
    charge = shop.captured()
    assert refused(shop.refund).code == "parameter_missing"
    error = refused(lambda: platform.refund(charge=charge.id))
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "charge")
    error = refused(lambda: shop.refund(payment_intent="pi_unknown"))
    assert (error.http_status, error.param) == (404, "payment_intent")


def test_refunds_are_listed_by_charge_intent_and_time(shop: Shop) -> None:
    one, other = shop.captured(), shop.captured()
    made = [shop.refund(charge=charge.id).id for charge in (one, other)]

    def listed(**filters: Any) -> list[str]:
        found: Any = shop.stripe.v1.refunds.list(filters, shop.options())
        return [refund.id for refund in found.data]

    assert listed() == made[::-1]
    assert listed(charge=one.id) == made[:1]
    assert listed(payment_intent=other.payment_intent) == made[1:]
    assert listed(limit=1, starting_after=made[1]) == made[:1]
    assert listed(created={"gt": one.created + 3600}) == []


# Shares


def test_the_fee_is_kept_unless_asked_for(shop: Shop) -> None:
    charge = shop.captured(intent={"application_fee_amount": 90})
    shop.refund(charge=charge.id, amount=1500)
    assert fee_of(shop, charge).amount_refunded == 0


def test_the_fee_goes_back_in_proportion(shop: Shop, platform: Shop) -> None:
    charge = shop.captured(intent={"application_fee_amount": 90})
    shop.refund(charge=charge.id, amount=1500, refund_application_fee=True)
    fee = fee_of(shop, charge)
    assert (fee.amount_refunded, fee.refunded) == (30, False)
    assert [entry.amount for entry in fee.refunds.data] == [30]
    shop.refund(charge=charge.id, refund_application_fee=True)
    assert (fee_of(shop, charge).amount_refunded, fee_of(shop, charge).refunded) == (90, True)
    told = platform.events(type="application_fee.refunded")
    assert [e.data.object.amount_refunded for e in told if e.data.object.id == fee.id] == [30, 90]
    assert "application_fee.refunded" not in shop.event_types()


def fee_of(shop: Shop, charge: Any) -> Any:
    return shop.stripe.v1.application_fees.list({"charge": charge.id}).data[0]


def test_a_share_nobody_got_cannot_be_taken_back(shop: Shop) -> None:
    charge = shop.captured()
    for share in ("refund_application_fee", "reverse_transfer"):
        wanted = {share: True}
        assert refused(lambda w=wanted: shop.refund(charge=charge.id, **w)).param == share
    assert shop.charge(charge.id).amount_refunded == 0


def test_a_transfer_is_reversed_when_asked_for(shop: Shop, platform: Shop) -> None:
    destination = {"transfer_data": {"destination": shop.account}, "application_fee_amount": 90}
    charge = platform.captured(intent=destination)
    kept = platform.refund(charge=charge.id, amount=1500)
    back = platform.refund(charge=charge.id, amount=1500, reverse_transfer=True)
    transfer = platform.charge(charge.id, "transfer").transfer
    assert (kept.transfer_reversal, transfer.amount, transfer.amount_reversed) == (None, 4500, 1500)
    assert [entry.id for entry in transfer.reversals.data] == [back.transfer_reversal]


# Late, and not after all


def test_a_refund_can_wait_and_succeed(own_shop: Shop) -> None:
    charge = own_shop.captured()
    own_shop.process.fault("refund_pending", seconds=3600, match={"charge": charge.id})
    refund = own_shop.refund(charge=charge.id)
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    assert own_shop.charge(charge.id).amount_refunded == 4500
    own_shop.process.advance(3600)
    assert own_shop.found_refund(refund.id).status == "succeeded"
    assert own_shop.event_types()[-3:] == ["refund.created", "charge.refunded", "refund.updated"]


def test_a_refund_can_wait_and_fail(own_shop: Shop) -> None:
    charge = own_shop.captured()
    own_shop.process.fault("refund_pending", then="failed", failure_reason="declined", seconds=0)
    refund = own_shop.refund(charge=charge.id)
    until(lambda: own_shop.found_refund(refund.id).status == "failed", what="the failure")
    assert own_shop.found_refund(refund.id).failure_reason == "declined"
    assert own_shop.event_types()[-2:] == ["refund.updated", "refund.failed"]
    # The money came back, and may be refunded anew.
    assert own_shop.charge(charge.id).amount_refunded == 0
    assert own_shop.refund(charge=charge.id).status == "succeeded"


def test_a_refund_that_succeeded_can_fail_days_later(own_shop: Shop) -> None:
    charge = own_shop.captured()
    own_shop.process.fault("refund_fails", seconds=86400)
    refund = own_shop.refund(charge=charge.id)
    assert refund.status == "succeeded"
    own_shop.process.advance(86400)
    after = own_shop.found_refund(refund.id)
    assert (after.status, after.failure_reason) == ("failed", "lost_or_stolen_card")
    assert after.failure_balance_transaction is not None


def test_a_refund_can_fail_at_once(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    sandbox.fault("refund_fails", match={"account": shop.account})
    assert shop.refund(charge=charge.id).status == "failed"
    assert shop.charge(charge.id).amount_refunded == 0
    assert shop.event_types()[-4:] == [
        "refund.created",
        "charge.refunded",
        "refund.updated",
        "refund.failed",
    ]


def test_a_balance_can_be_too_low(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    sandbox.fault("refund_insufficient_balance", match={"account": shop.account})
    assert refused(lambda: shop.refund("low", charge=charge.id)).http_status == 400
    # The key keeps the refusal; another key may succeed.
    assert refused(lambda: shop.refund("low", charge=charge.id)).http_status == 400
    assert shop.refund("high", charge=charge.id).status == "succeeded"


def test_a_refund_can_wait_for_the_balance(shop: Shop, sandbox: Process) -> None:
    charge = shop.captured()
    reason, match = "insufficient_funds", {"account": shop.account}
    sandbox.fault("refund_pending", pending_reason=reason, then=None, match=match)
    refund = shop.refund(charge=charge.id)
    assert (refund.pending_reason, refund.balance_transaction) == (reason, None)
    settled = sandbox.tool(f"refunds/{refund.id}", status="succeeded")
    assert settled["balance_transaction"] is not None
    again = sandbox.http.post(f"/_sandbox/refunds/{refund.id}", json={"status": "succeeded"})
    assert again.status_code == 400
    sandbox.tool(f"refunds/{refund.id}", status="failed", failure_reason="merchant_request")
    assert shop.found_refund(refund.id).failure_reason == "merchant_request"


@pytest.mark.parametrize("kind", ["error_500_after", "cut_after"])
def test_a_refund_whose_answer_is_lost_was_made_once(
    shop: Shop, sandbox: Process, kind: str
) -> None:
    charge = shop.captured()
    sandbox.fault(kind, match={"operation": "refunds.create", "account": shop.account})
    with pytest.raises((stripe.APIError, stripe.APIConnectionError)):
        shop.refund("lost", charge=charge.id, amount=1000)
    assert shop.charge(charge.id).amount_refunded == 1000
    if kind == "cut_after":
        assert shop.refund("lost", charge=charge.id, amount=1000).amount == 1000
    assert shop.charge(charge.id).amount_refunded == 1000
