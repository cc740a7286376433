"""What Stripe tells of refunds and disputes by webhook, through real web and worker processes."""

from typing import Any

import pytest

from bookings.models import Booking
from holds.models import Hold
from payments import disputes, refunding
from payments.errors import NothingToRefund
from payments.models import Dispute, Finding, Refund
from tests.factories import make_room
from tests.money.refunds_support import ask, at_stripe, findings, give_back, paid, payment
from tests.money.support import Hooks, heal, history, room_charging
from tests.support.sandbox import SandboxClient, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
PATIENCE = 30.0


def reread(refund: Refund) -> Refund:
    return Refund.objects.get(pk=refund.pk)


def is_now(refund: Refund, state: str) -> None:
    eventually(lambda: reread(refund).state == state, PATIENCE)


def settle_at_stripe(sandbox: SandboxClient, refund: Refund, status: str) -> None:
    path = f"/_sandbox/refunds/{refund.stripe_refund_id}"
    sandbox.http.post(path, json={"status": status}).raise_for_status()


def dispute_at_stripe(sandbox: SandboxClient, held: Hold, **options: Any) -> str:
    """The cardholder objects; the dispute's id."""
    about = {"payment_intent": payment(held).payment_intent_id, **options}
    answer = sandbox.http.post("/_sandbox/disputes", json=about)
    answer.raise_for_status()
    found: str = answer.json()["id"]
    return found


def move_at_stripe(sandbox: SandboxClient, dispute_id: str, status: str) -> None:
    sandbox.http.post(
        f"/_sandbox/disputes/{dispute_id}", json={"status": status}
    ).raise_for_status()


# --- Refunds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("charges", "status"), [("direct", "succeeded"), ("platform", "failed")])
def test_news_of_a_pending_refund_are_followed(
    sandbox: SandboxClient, hooks: Hooks, charges: str, status: str
) -> None:
    held = paid(sandbox, room_charging(sandbox, charges))
    match = {"payment_intent": payment(held).payment_intent_id}
    sandbox.fault("refund_pending", match=match, then=None)
    (refund,) = ask(held).refunds
    is_now(refund, "submitted")
    settle_at_stripe(sandbox, reread(refund), status)
    is_now(refund, status)
    assert len(at_stripe(sandbox, held)) == 1
    assert history(held).count("refunded") == (status == "succeeded")
    assert findings(held) == ([] if status == "succeeded" else [("refund_failed", "high", True)])


def test_a_refund_that_fails_after_it_had_succeeded(sandbox: SandboxClient, hooks: Hooks) -> None:
    held = paid(sandbox, make_room())
    (refund,) = ask(held).refunds
    is_now(refund, "succeeded")
    settle_at_stripe(sandbox, reread(refund), "failed")
    is_now(refund, "failed")
    assert findings(held) == [("refund_failed", "high", True)]


def test_repeated_and_reordered_news_change_nothing(sandbox: SandboxClient, hooks: Hooks) -> None:
    held = paid(sandbox, make_room())
    (refund,) = ask(held).refunds
    is_now(refund, "succeeded")
    events = [e["id"] for e in hooks.events("", reread(refund).stripe_refund_id or "")]
    assert events
    sandbox.deliver(events, order="reversed")
    heal(2)
    assert reread(refund).state == "succeeded"
    assert history(held).count("refunded") == 1
    assert findings(held) == []


def test_a_refund_made_past_us_is_a_finding(sandbox: SandboxClient, hooks: Hooks) -> None:
    held = paid(sandbox, make_room())
    about = {"payment_intent": payment(held).payment_intent_id, "amount": "1000"}
    sandbox.api("POST", "/v1/refunds", data=about).raise_for_status()
    eventually(lambda: findings(held), PATIENCE)
    assert findings(held) == [("refund_not_ours", "high", True)]
    assert not Refund.objects.exists()
    assert Booking.objects.get(pk=held.booking_id).state == "confirmed"


def test_a_second_refund_for_one_row_is_a_finding(sandbox: SandboxClient, hooks: Hooks) -> None:
    """By hand, with our metadata: the row has its refund, and this is another."""
    held = paid(sandbox, make_room())
    (refund,) = ask(held, 1000).refunds
    is_now(refund, "succeeded")
    about = {
        "payment_intent": payment(held).payment_intent_id,
        "amount": "1000",
        "metadata[refund]": str(refund.pk),
    }
    sandbox.api("POST", "/v1/refunds", data=about).raise_for_status()
    eventually(lambda: findings(held), PATIENCE)
    assert findings(held) == [("refund_not_ours", "high", True)]


# --- Disputes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("charges", ["direct", "destination"])
def test_a_dispute_is_recorded_flagged_and_closed_when_won(
    sandbox: SandboxClient, hooks: Hooks, charges: str
) -> None:
    held = paid(sandbox, room_charging(sandbox, charges))
    before = Booking.objects.get(pk=held.booking_id)
    dispute_id = dispute_at_stripe(sandbox, held)
    eventually(lambda: Dispute.objects.filter(stripe_dispute_id=dispute_id).exists(), PATIENCE)
    found = Dispute.objects.get()
    assert (found.amount_minor, found.currency, found.reason) == (4500, "NZD", "fraudulent")
    assert (found.is_lost, found.closed_at) == (False, None)
    assert findings(held) == [("dispute", "high", True)]
    with pytest.raises(NothingToRefund):
        ask(held)
    move_at_stripe(sandbox, dispute_id, "won")
    eventually(lambda: findings(held) == [("dispute", "high", False)], PATIENCE)
    found.refresh_from_db()
    assert (found.status, found.is_lost, found.closed_at is None) == ("won", False, False)
    after = Booking.objects.get(pk=held.booking_id)
    assert (after.state, after.version) == ("confirmed", before.version)
    assert history(held)[-2:] == ["disputed", "dispute_closed"]
    assert ask(held).total_minor == 4500


def test_a_lost_dispute_stays_with_staff(sandbox: SandboxClient, hooks: Hooks) -> None:
    held = paid(sandbox, make_room())
    dispute_id = dispute_at_stripe(sandbox, held)
    eventually(Dispute.objects.exists, PATIENCE)
    move_at_stripe(sandbox, dispute_id, "lost")
    eventually(lambda: Dispute.objects.get().is_lost, PATIENCE)
    assert findings(held) == [("dispute", "high", True)]
    with pytest.raises(NothingToRefund):
        ask(held)


def test_an_inquiry_takes_nothing(sandbox: SandboxClient) -> None:
    held = paid(sandbox, make_room())
    _noted(held, "warning_needs_response")
    assert ask(held, 500).total_minor == 500


def test_late_and_repeated_hints_of_a_dispute_change_nothing(sandbox: SandboxClient) -> None:
    held = paid(sandbox, make_room())
    for status in ("under_review", "won", "needs_response", "won"):
        _noted(held, status)
    assert Dispute.objects.get().status == "won"
    assert history(held)[-2:] == ["disputed", "dispute_closed"]
    assert findings(held) == [("dispute", "high", False)]


def _noted(held: Hold, status: str) -> None:
    disputes.note(
        payment(held),
        {
            "id": f"du_{held.pk}",
            "amount": 4500,
            "currency": "nzd",
            "reason": "general",
            "status": status,
            "created": 1_900_000_000,
        },
    )


def test_a_charge_in_dispute_is_refused_by_stripe_too(sandbox: SandboxClient) -> None:
    """The bank was quicker than its webhook."""
    held = paid(sandbox, make_room())
    dispute_at_stripe(sandbox, held)
    refund = give_back(held)
    assert refund.state == "needs_attention"
    assert "charge_disputed" in refund.last_error
    assert Finding.objects.filter(kind=refunding.NEEDS_SOMEBODY, closed_at=None).count() == 1
