"""Carrying out a verdict: its pauses are kept, and one that was overtaken is made good."""

from datetime import timedelta

import pytest

from config.kernel import clock
from holds.models import Hold
from payments import carrying
from payments.models import Payment, Refund
from tests.core.support import hold, lapse, line
from tests.factories import make_room
from tests.money.reconciling import check, in_the_past, open_findings
from tests.money.support import (
    heal,
    history,
    latest,
    mails,
    pay,
    payment_of,
    settle,
    start,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


def late(sandbox: SandboxClient) -> Hold:
    """Paid when somebody else had the slot already: it is to be voided, and Stripe is away."""
    room = make_room()
    held = hold(line(room))
    checkout = start(held)
    pay(sandbox, checkout)
    lapse(held)
    hold(line(room))
    sandbox.fault("error_500_before", match={"operation": "payment_intents.cancel"}, times=None)
    assert settle(checkout) == "voided"
    assert payment_of(checkout).state == "voiding"
    return held


def capture_at_stripe(sandbox: SandboxClient, payment: Payment) -> None:
    path = f"/v1/payment_intents/{payment.payment_intent_id}/capture"
    sandbox.api("POST", path).raise_for_status()


def test_a_void_that_was_captured_past_us_is_given_back(sandbox: SandboxClient) -> None:
    held = late(sandbox)
    payment = payment_of(latest(held))
    capture_at_stripe(sandbox, payment)
    sandbox.clear()
    heal()
    payment.refresh_from_db()
    assert (payment.state, payment.verdict) == ("captured", "void")
    refund = Refund.objects.get()
    assert (refund.payment_id, refund.amount_minor) == (payment.pk, 4500)
    heal()
    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert history(held).count("captured_past_us") == 1
    assert mails(held)[-1] == "refund", "they had been told that they were not charged"
    in_the_past("payments_payment", "decided_at", payment.pk, minutes=30)
    for name in ("payments_stuck", "refunds_stuck", "dues"):
        check(name)
    assert open_findings() == []


def test_a_pause_is_kept_whoever_comes_by(sandbox: SandboxClient) -> None:
    held = late(sandbox)
    payment = payment_of(latest(held))
    assert payment.next_try_at is not None
    Payment.objects.filter(pk=payment.pk).update(next_try_at=clock.now() + timedelta(minutes=5))
    in_the_past("payments_payment", "decided_at", payment.pk, minutes=30)
    sandbox.clear()

    assert settle(latest(held)) == "repeated"
    assert carrying.carry_out(payment.pk) is False
    assert check("payments_stuck").healed == 0
    payment.refresh_from_db()
    assert (payment.state, payment.tries) == ("voiding", 1)

    Payment.objects.filter(pk=payment.pk).update(next_try_at=clock.now())
    assert carrying.carry_out(payment.pk) is True
    payment.refresh_from_db()
    assert payment.state == "voided"
