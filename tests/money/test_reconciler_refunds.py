"""Refunds at Stripe and ours: one for each row, and both sides say the same."""

import pytest

from config.kernel import clock
from config.kernel.errors import InvalidTransition
from holds.models import Hold
from payments import refunding, stripe_api
from payments.models import Finding, Payment, Refund
from payments.reconciler.stripe_objects import StripePayments
from tests.money.mixed_support import STAFF, room_with
from tests.money.reconciling import (
    assert_told_once,
    begins_at,
    check,
    judge_from_now,
    only_finding,
    open_findings,
    past_the_guards,
)
from tests.money.refunds_support import ask, give_back, paid, payment
from tests.money.support import heal
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch, sandbox: SandboxClient) -> None:
    judge_from_now(monkeypatch, sandbox)


@pytest.fixture
def held(sandbox: SandboxClient) -> Hold:
    return paid(sandbox, room_with())


def second_at_stripe(sandbox: SandboxClient, refund: Refund) -> str:
    """Somebody makes another refund by hand, with our metadata; its id."""
    asked = {
        "payment_intent": refund.payment.payment_intent_id,
        "amount": str(refund.amount_minor),
        "metadata[refund]": str(refund.pk),
    }
    made = sandbox.api("POST", "/v1/refunds", data=asked)
    made.raise_for_status()
    return str(made.json()["id"])


def pending(sandbox: SandboxClient, held: Hold) -> Refund:
    """Under way at the bank."""
    sandbox.fault("refund_pending", then=None)
    refund = give_back(held)
    assert refund.state == "submitted"
    return refund


def force(refund: Refund, state: str) -> None:
    past_the_guards("UPDATE payments_refund SET state = %s WHERE id = %s", state, refund.pk)


# --- Two for one row ------------------------------------------------------------------------------


def test_two_refunds_for_one_row_are_seen(sandbox: SandboxClient, held: Hold) -> None:
    refund = give_back(held, 1000)
    check("stripe_payments")
    assert open_findings() == []
    second = second_at_stripe(sandbox, refund)
    finding = assert_told_once("stripe_payments", "refund_not_ours")
    assert finding.subject_id == second


def test_a_row_whose_answer_never_came_explains_its_refund(
    sandbox: SandboxClient, held: Hold
) -> None:
    (refund,) = ask(held, 1000).refunds
    second_at_stripe(sandbox, refund)
    check("stripe_payments")
    assert open_findings() == []


# --- Both say the same ----------------------------------------------------------------------------


def test_given_up_here_and_arrived_at_stripe(sandbox: SandboxClient, held: Hold) -> None:
    refund = pending(sandbox, held)
    force(refund, "failed")
    sandbox.settle_refund(refund.stripe_refund_id or "", "succeeded")
    finding = assert_told_once("stripe_payments", "stripe_differs")
    assert finding.subject_id == refund.stripe_refund_id
    assert finding.evidence["due"] == str(refund.due_id)
    assert "given up here and is succeeded at Stripe" in finding.summary
    force(refund, "succeeded")
    check("stripe_payments")
    assert open_findings() == []


def test_given_up_here_before_its_answer_came(sandbox: SandboxClient, held: Hold) -> None:
    (refund,) = ask(held, 1000).refunds
    second_at_stripe(sandbox, refund)
    force(refund, "failed")
    assert_told_once("stripe_payments", "stripe_differs")


def test_what_has_passed_out_of_the_window_is_asked_for(
    sandbox: SandboxClient, held: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    refund = pending(sandbox, held)
    force(refund, "failed")
    check("stripe_payments")
    later = int(clock.now().timestamp()) + 2
    monkeypatch.setattr(StripePayments, "start", begins_at(StripePayments.start, later))
    assert check("stripe_payments").found == 0
    only_finding("stripe_differs")
    sandbox.settle_refund(refund.stripe_refund_id or "", "failed")
    check("stripe_payments")
    assert open_findings() == []


@pytest.mark.parametrize(
    ("here", "there"), [("succeeded", "failed"), ("needs_attention", "succeeded")]
)
def test_what_no_webhook_told_is_caught_up_with(
    sandbox: SandboxClient, held: Hold, here: str, there: str
) -> None:
    refund = pending(sandbox, held)
    force(refund, here)
    sandbox.settle_refund(refund.stripe_refund_id or "", there)
    run = check("stripe_payments")
    assert (run.healed, run.found) == (1, 0)
    refund.refresh_from_db()
    assert refund.state == there
    told = Finding.objects.get(kind="stripe_differs")
    assert told.done == f"It is {there} here as well now."


def test_another_amount_at_stripe(sandbox: SandboxClient, held: Hold) -> None:
    refund = give_back(held, 1000)
    past_the_guards("UPDATE payments_refund SET amount_minor = 900 WHERE id = %s", refund.pk)
    finding = assert_told_once("stripe_payments", "stripe_differs")
    assert "a refund of NZ$9.00 is one of NZ$10.00 at Stripe" in finding.summary


# --- Giving up ------------------------------------------------------------------------------------


def test_giving_up_looks_at_stripe_first(sandbox: SandboxClient, held: Hold) -> None:
    refund = pending(sandbox, held)
    force(refund, "needs_attention")
    with pytest.raises(InvalidTransition):
        refunding.give_up(refund_id=refund.pk, actor=STAFF, reason="In cash")
    refund.refresh_from_db()
    assert refund.state == "submitted"
    sandbox.settle_refund(refund.stripe_refund_id or "", "succeeded")
    refunding.look_again([refund.pk])
    heal()
    refund.refresh_from_db()
    assert refund.state == "succeeded"


def test_giving_up_waits_for_stripe(sandbox: SandboxClient, held: Hold) -> None:
    refund = pending(sandbox, held)
    force(refund, "needs_attention")
    sandbox.fault("error_500_before", times=None)
    with pytest.raises(stripe_api.StripeDown):
        refunding.give_up(refund_id=refund.pk, actor=STAFF, reason="In cash")
    refund.refresh_from_db()
    assert refund.state == "needs_attention"


def test_who_has_cut_us_off_cannot_be_asked(sandbox: SandboxClient, held: Hold) -> None:
    (refund,) = ask(held).refunds
    force(refund, "needs_attention")
    Payment.objects.filter(pk=payment(held).pk).update(account="acct_gone")
    refunding.give_up(refund_id=refund.pk, actor=STAFF, reason="In cash")
    refund.refresh_from_db()
    assert refund.state == "failed"
