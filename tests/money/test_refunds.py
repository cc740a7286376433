"""Refunds to the card at the real sandbox: whole, in part, late, refused, failed, and crashed."""

import pytest
from django.db import transaction

from bookings.models import Booking
from config.kernel.context import SYSTEM
from config.kernel.errors import InvalidInput, InvalidTransition
from holds.models import Hold
from members.models import Notification
from payments import refunding
from payments.errors import NothingToRefund, RefundTooLarge
from payments.findings import resolve
from payments.lock_objects import lock_money
from payments.models import Checkout, Finding, Payment, Receipt, Refund
from tests.core.support import hold, line
from tests.core.threads import together
from tests.factories import make_room
from tests.money.reconciling import check
from tests.money.refunds_support import (
    STAFF,
    ask,
    at_stripe,
    captured_all_the_same,
    findings,
    give_back,
    paid,
    payment,
    refund_calls,
)
from tests.money.support import (
    heal,
    history,
    impatient,
    mails,
    pay,
    room_charging,
    second_checkout,
    settle,
    start,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(sandbox: SandboxClient) -> Hold:
    """A room that is paid for, NZ$45."""
    return paid(sandbox, make_room())


def fault(sandbox: SandboxClient, kind: str, held: Hold, **options: object) -> None:
    """A fault for the refunds of one booking's payment."""
    match = {"payment_intent": payment(held).payment_intent_id}
    sandbox.fault(kind, match=match, **options)


def fault_call(sandbox: SandboxClient, kind: str, refund: Refund, **options: object) -> None:
    """A fault for one refund's calls, whatever its attempt."""
    match = {"operation": "refunds.create", "idempotency_key": f"refund:{refund.pk}:*"}
    sandbox.fault(kind, match=match, **options)


def reread(refund: Refund) -> Refund:
    return Refund.objects.get(pk=refund.pk)


def settle_at_stripe(sandbox: SandboxClient, refund: Refund, status: str) -> None:
    sandbox.http.post(
        f"/_sandbox/refunds/{refund.stripe_refund_id}", json={"status": status}
    ).raise_for_status()


# --- The usual way ------------------------------------------------------------------------------


def test_the_whole_goes_back_and_the_member_is_told(sandbox: SandboxClient, held: Hold) -> None:
    refund = give_back(held)
    assert (refund.state, refund.attempt, refund.next_try_at) == ("succeeded", 1, None)
    (found,) = at_stripe(sandbox, held)
    assert (found["id"], found["amount"], found["status"]) == (
        refund.stripe_refund_id,
        4500,
        "succeeded",
    )
    assert found["metadata"] == {"refund": str(refund.pk), "due": str(refund.due_id)}
    assert history(held)[-2:] == ["refund_requested", "refunded"]
    assert mails(held).count("refund") == 1
    assert Booking.objects.get(pk=held.booking_id).state == "confirmed", "money is not the slot"
    asked = held.booking.events.get(kind="refund_requested")
    assert (asked.actor_label, asked.reason) == ("Sam of the desk", "Sorry")
    assert (refund.actor_kind, refund.actor_label, refund.reason) == (
        "staff",
        "Sam of the desk",
        "Sorry",
    )


def test_parts_until_nothing_is_left(sandbox: SandboxClient, held: Hold) -> None:
    give_back(held, 1000)
    give_back(held, 500)
    with pytest.raises(RefundTooLarge) as refused:
        ask(held, 3001)
    assert refused.value.data == {"left_minor": 3000}
    give_back(held, 3000)
    with pytest.raises(NothingToRefund):
        ask(held, 1)
    assert [r["amount"] for r in at_stripe(sandbox, held)] == [3000, 500, 1000]
    assert Refund.objects.filter(due__booking=held.booking).count() == 3


def test_carrying_out_again_asks_nothing_more(sandbox: SandboxClient, held: Hold) -> None:
    refund = give_back(held)
    assert refunding.carry_out(refund.pk) is True
    heal()
    assert refund_calls(sandbox, refund) == [f"refund:{refund.pk}:1"]
    assert mails(held).count("refund") == 1


def test_nothing_or_less_is_no_refund(held: Hold) -> None:
    for amount in (0, -1):
        with pytest.raises(InvalidInput):
            ask(held, amount)


def test_nothing_captured_is_nothing_to_refund() -> None:
    unpaid = hold(line(make_room()))
    with pytest.raises(NothingToRefund):
        ask(unpaid)
    assert not Refund.objects.filter(due__booking=unpaid.booking).exists()


# --- Who keeps the fee --------------------------------------------------------------------------


@pytest.mark.parametrize("follows", [True, False])
def test_a_direct_charges_fee_follows_by_the_workspaces_setting(
    sandbox: SandboxClient, follows: bool
) -> None:
    room = room_charging(sandbox, "direct")
    held = paid(sandbox, room)
    type(room.workspace).objects.filter(pk=room.workspace_id).update(refund_application_fee=follows)
    refund = give_back(held, 2250)
    assert (refund.state, refund.refunds_fee, refund.reverses_transfer) == (
        "succeeded",
        follows,
        False,
    )
    fees = sandbox.api("GET", "/v1/application_fees?limit=100").json()["data"]
    (fee,) = [f for f in fees if f["account"] == room.workspace.stripe_account_id]
    assert (fee["amount"], fee["amount_refunded"]) == (113, 57 if follows else 0)


def test_a_destination_charges_transfer_is_reversed(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room_charging(sandbox, "destination"))
    refund = give_back(held)
    assert (refund.state, refund.refunds_fee, refund.reverses_transfer) == ("succeeded", True, True)
    (found,) = at_stripe(sandbox, held)
    assert found["transfer_reversal"]


# --- What Stripe says later ---------------------------------------------------------------------


def test_pending_is_submitted_and_then_succeeds(sandbox: SandboxClient, held: Hold) -> None:
    fault(sandbox, "refund_pending", held, then=None)
    refund = give_back(held)
    assert (refund.state, "refund" in mails(held)) == ("submitted", False)
    assert refund.next_try_at is not None, "it is asked about again"
    heal()
    assert reread(refund).state == "submitted"
    settle_at_stripe(sandbox, refund, "succeeded")
    heal()
    assert reread(refund).state == "succeeded"
    assert mails(held).count("refund") == 1
    assert refund_calls(sandbox, refund) == [f"refund:{refund.pk}:1"]
    assert findings(held) == []


def test_pending_and_then_failed_is_a_finding_and_can_be_given_back_anew(
    sandbox: SandboxClient, held: Hold
) -> None:
    fault(sandbox, "refund_pending", held, then=None)
    refund = give_back(held)
    with pytest.raises(NothingToRefund):
        ask(held)
    settle_at_stripe(sandbox, refund, "failed")
    heal()
    assert reread(refund).state == "failed"
    assert reread(refund).last_error
    assert findings(held) == [("refund_failed", "high", True)]
    assert history(held)[-1] == "refund_failed"
    assert "refund" not in mails(held)
    assert give_back(held).state == "succeeded"


def test_succeeded_can_fail_days_later(sandbox: SandboxClient, held: Hold) -> None:
    refund = give_back(held)
    settle_at_stripe(sandbox, refund, "failed")
    heal()
    assert reread(refund).state == "succeeded", "nobody has said so yet"
    refunding.look_again([refund.pk])
    assert refunding.carry_out(refund.pk) is True
    assert reread(refund).state == "failed"
    assert findings(held) == [("refund_failed", "high", True)]
    refunding.look_again([refund.pk])
    refunding.carry_out(refund.pk)
    assert history(held).count("refund_failed") == 1


def test_a_failure_at_once(sandbox: SandboxClient, held: Hold) -> None:
    fault(sandbox, "refund_fails", held)
    assert give_back(held).state == "failed"
    assert findings(held) == [("refund_failed", "high", True)]


# --- Refused by Stripe --------------------------------------------------------------------------


def test_too_low_a_balance_waits_for_staff_who_try_again(
    sandbox: SandboxClient, held: Hold
) -> None:
    fault(sandbox, "refund_insufficient_balance", held)
    refund = give_back(held)
    assert refund.state == "needs_attention"
    assert "balance" in refund.last_error
    assert findings(held) == [("refund_needs_attention", "high", True)]
    heal()
    assert reread(refund).state == "needs_attention", "nobody hammers Stripe"
    with pytest.raises(NothingToRefund):
        ask(held)
    refunding.retry(refund_id=refund.pk, actor=STAFF)
    refunding.carry_out(refund.pk)
    assert reread(refund).state == "succeeded"
    assert findings(held) == [("refund_needs_attention", "high", False)]
    assert refund_calls(sandbox, refund) == [f"refund:{refund.pk}:1", f"refund:{refund.pk}:2"]


def test_given_up_it_can_be_given_as_credit(sandbox: SandboxClient, held: Hold) -> None:
    fault(sandbox, "refund_insufficient_balance", held)
    refund = give_back(held)
    refunding.give_up(refund_id=refund.pk, actor=STAFF, reason="As credit instead")
    assert reread(refund).state == "failed"
    (as_credit,) = ask(held, to="credit").refunds
    assert as_credit.state == "succeeded"
    with pytest.raises(InvalidTransition):
        refunding.give_up(refund_id=as_credit.pk, actor=STAFF, reason="x")


def test_what_was_given_back_past_us_is_refused_by_stripe_and_seen(
    sandbox: SandboxClient, held: Hold
) -> None:
    intent = payment(held).payment_intent_id
    sandbox.api("POST", "/v1/refunds", data={"payment_intent": intent}).raise_for_status()
    refund = give_back(held)
    assert refund.state == "needs_attention"
    assert "charge_already_refunded" in refund.last_error
    assert len(at_stripe(sandbox, held)) == 1
    assert findings(held) == [("refund_needs_attention", "high", True)]


def test_what_staff_dismissed_is_not_told_again_until_it_changes(
    sandbox: SandboxClient, held: Hold
) -> None:
    fault(sandbox, "refund_insufficient_balance", held)
    refund = give_back(held)
    row = Finding.objects.get(kind="refund_needs_attention")
    resolve(row, resolution=Finding.Resolution.DISMISSED, actor=STAFF, note="The bank knows")
    check("refunds_stuck")
    assert findings(held) == [("refund_needs_attention", "high", False)]
    refunding.give_up(refund_id=refund.pk, actor=STAFF, reason="As cash")
    check("refunds_stuck")
    assert {kind for kind, _, is_open in findings(held) if is_open} <= {"refund_failed"}


# --- Calls that go wrong ------------------------------------------------------------------------


def test_a_500_after_the_deed_is_found_and_not_repeated(sandbox: SandboxClient, held: Hold) -> None:
    (refund,) = ask(held).refunds
    fault_call(sandbox, "error_500_after", refund)
    assert refunding.carry_out(refund.pk) is True
    assert reread(refund).state == "succeeded"
    assert len(at_stripe(sandbox, held)) == 1


def test_a_500_before_the_deed_is_asked_under_another_key(
    sandbox: SandboxClient, held: Hold
) -> None:
    (refund,) = ask(held, 1500).refunds
    fault_call(sandbox, "error_500_before", refund)
    assert refunding.carry_out(refund.pk) is False
    assert reread(refund).state == "requested"
    heal()
    assert reread(refund).state == "succeeded"
    assert refund_calls(sandbox, refund) == [f"refund:{refund.pk}:1", f"refund:{refund.pk}:2"]
    assert [r["amount"] for r in at_stripe(sandbox, held)] == [1500]


@pytest.mark.parametrize("way", ["cut_after", "hang_after", "rate_limit_429", "conflict_409"])
def test_an_answer_that_never_came_is_asked_for_under_the_same_key(
    sandbox: SandboxClient, held: Hold, way: str
) -> None:
    (refund,) = ask(held, 1500).refunds
    fault_call(sandbox, way, refund)
    with impatient():
        assert refunding.carry_out(refund.pk) is False
    assert (reread(refund).state, reread(refund).attempt) == ("requested", 1)
    sandbox.clear()
    heal()
    assert reread(refund).state == "succeeded"
    assert set(refund_calls(sandbox, refund)) == {f"refund:{refund.pk}:1"}
    assert [r["amount"] for r in at_stripe(sandbox, held)] == [1500]
    assert mails(held).count("refund") == 1


def test_while_it_is_unknown_what_became_of_a_call_its_key_stays(
    sandbox: SandboxClient, held: Hold
) -> None:
    """The answer never came, and Stripe cannot be asked either: another key could pay twice."""
    (refund,) = ask(held, 1500).refunds
    fault_call(sandbox, "cut_after", refund)
    sandbox.fault("error_500_before", match={"operation": "refunds.list"}, times=2)
    refunding.carry_out(refund.pk)
    heal(2)
    assert (reread(refund).state, reread(refund).attempt) == ("requested", 1)
    heal()
    assert reread(refund).state == "succeeded"
    assert [r["amount"] for r in at_stripe(sandbox, held)] == [1500]


def test_a_crash_between_call_and_answer_is_healed(
    sandbox: SandboxClient, held: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies when Stripe has done it and before we have written it down."""
    (refund,) = ask(held, 1500).refunds

    def power_cut(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(refunding, "_finish", power_cut)
        with pytest.raises(KeyboardInterrupt):
            refunding.carry_out(refund.pk)
    assert (reread(refund).state, reread(refund).stripe_refund_id) == ("requested", None)
    assert refunding.carry_out(refund.pk) is False, "the dead process's lease still holds"
    heal()
    assert reread(refund).state == "succeeded"
    assert len(at_stripe(sandbox, held)) == 1
    assert refund_calls(sandbox, refund) == [f"refund:{refund.pk}:1"]


def test_a_hint_during_a_call_is_not_lost(
    sandbox: SandboxClient, held: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe's news arrive after the truth was fetched and before it is written down."""
    (refund,) = ask(held).refunds
    finish = refunding._finish

    def meanwhile(leased: Refund, truth: refunding.GivenBack) -> bool:
        settle_at_stripe(sandbox, Refund(stripe_refund_id=truth.id), "failed")
        refunding.look_again([leased.pk])
        return finish(leased, truth)

    with monkeypatch.context() as hint:
        hint.setattr(refunding, "_finish", meanwhile)
        refunding.carry_out(refund.pk)
    assert reread(refund).state == "succeeded"
    heal()
    assert reread(refund).state == "failed"


def test_stripe_is_never_called_in_a_transaction(held: Hold) -> None:
    (refund,) = ask(held).refunds
    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        refunding.carry_out(refund.pk)


# --- At once ------------------------------------------------------------------------------------


def test_two_at_once_never_give_back_more_than_was_paid(sandbox: SandboxClient, held: Hold) -> None:
    found = together([lambda: ask(held, 3000)] * 4)
    won = [f for f in found if isinstance(f, refunding.Given)]
    lost = [f for f in found if isinstance(f, RefundTooLarge)]
    assert (len(won), len(lost)) == (1, 3), found
    heal()
    assert [r["amount"] for r in at_stripe(sandbox, held)] == [3000]


def test_carried_out_by_many_at_once_it_is_one_refund(sandbox: SandboxClient, held: Hold) -> None:
    (refund,) = ask(held, 1500).refunds
    together([lambda: refunding.carry_out(refund.pk)] * 4)
    heal()
    assert reread(refund).state == "succeeded"
    assert len(at_stripe(sandbox, held)) == 1
    assert history(held).count("refunded") == 1
    assert mails(held).count("refund") == 1


# --- Payments that were never accepted ----------------------------------------------------------


def test_a_duplicates_refund_never_touches_the_good_booking(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    start(held)
    second = second_checkout(held)
    pay(sandbox, Checkout.objects.get(due=second.due, attempt=1))
    pay(sandbox, second)
    assert settle(Checkout.objects.get(due=second.due, attempt=1)) == "confirmed"
    duplicate = captured_all_the_same(sandbox, second)
    good = Payment.objects.get(due=second.due, verdict="capture")
    before = Booking.objects.get(pk=held.booking_id)

    with transaction.atomic():
        money = lock_money(held.booking_id)
        refund = refunding.request_whole(money, duplicate, cause="duplicate", actor=SYSTEM)
        again = refunding.request_whole(money, duplicate, cause="duplicate", actor=SYSTEM)
    assert refund is not None
    assert again is None, "all of it is on its way"
    refunding.carry_out(refund.pk)

    assert reread(refund).state == "succeeded"
    after = Booking.objects.get(pk=held.booking_id)
    assert (after.state, after.version) == ("confirmed", before.version)
    assert not good.refunds.exists()
    assert not Receipt.objects.filter(refund=refund).exists(), "it never had a receipt"
    assert ask(held, 4500).total_minor == 4500, "the good payment is whole"
    mail = Notification.objects.get(kind="refund", subject_id=str(held.booking_id))
    assert "second payment" in mail.payload["text"]
    assert "not touched" in mail.payload["text"]
