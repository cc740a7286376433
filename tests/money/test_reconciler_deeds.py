"""What staff do about a finding: it settles the matter, once, with the money that it is about."""

from typing import Any

import pytest
from django.db import transaction

from bookings import services as bookings_services
from config.kernel.context import SYSTEM
from holds.claims import Claimant
from holds.models import Hold
from holds.services import expire_lapsed
from payments import cancelling, checkouts, findings, refunding
from payments.credits import balance
from payments.lock_objects import lock_money
from payments.models import Checkout, CreditEntry, Finding, Payment, Refund
from payments.reconciler import deeds, strangers
from payments.reconciler.about import NotOffered, about
from tests.core.support import hold, lapse, line
from tests.factories import MemberFactory, make_room
from tests.money.mixed_support import (
    STAFF,
    ana_with,
    capture_fails,
    held_by,
    room_with,
)
from tests.money.reconciling import (
    check,
    only_finding,
    open_findings,
    past_the_guards,
)
from tests.money.refunds_support import ask, captured_all_the_same, paid
from tests.money.support import CANCEL, SUCCESS, mails, pay, second_checkout, settle, start
from tests.money.test_reconciler_no_alarm import failed
from tests.money.test_reconciler_stripe import stranger
from tests.money.test_reconciler_sums import quiet
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


def fails(refund: Refund | None) -> Finding:
    """It does not arrive, and the check says so."""
    assert refund is not None
    Refund.objects.filter(pk=refund.pk).update(state="failed", version=1, next_try_at=None)
    check("refunds_stuck")
    return Finding.objects.get(kind="refund_failed", closed_at=None)


def given() -> list[tuple[int, str, str]]:
    """(amount, where to, cause) of what was asked for and has not failed, oldest first."""
    live = Refund.objects.exclude(state="failed").order_by("created_at")
    return [(refund.amount_minor, refund.to, refund.cause) for refund in live]


def duplicate(sandbox: SandboxClient) -> tuple[Hold, Payment]:
    """A booking that is paid, and a second payment for it that was taken as well."""
    held = hold(line(make_room()))
    start(held)
    second = second_checkout(held)
    first = Checkout.objects.get(due=second.due, attempt=1)
    pay(sandbox, first)
    pay(sandbox, second)
    assert settle(first) == "confirmed"
    return held, captured_all_the_same(sandbox, second)


def lost_but_paid(sandbox: SandboxClient, amount_minor: int = 4500) -> Hold:
    """Captured, and its booking has expired; Ana booked."""
    ana = MemberFactory(email="ana@example.test")
    held = hold(line(make_room()), claimant=Claimant(member=ana, email=ana.email))
    pay(sandbox, start(held))
    assert settle(Checkout.objects.get()) == "confirmed"
    past_the_guards("UPDATE bookings_booking SET state = 'expired' WHERE id = %s", held.booking_id)
    check("dues")
    finding = only_finding("captured_without_booking")
    assert finding.evidence["sum"]["difference"] == amount_minor
    return held


# --- Refunds that failed --------------------------------------------------------------------------


def test_a_duplicates_failed_refund_is_taken_from_the_duplicate(sandbox: SandboxClient) -> None:
    held, second = duplicate(sandbox)
    with transaction.atomic():
        refund = refunding.request_whole(
            lock_money(held.booking_id), second, cause="duplicate", actor=SYSTEM
        )
    deeds.refund(fails(refund), actor=STAFF, note="Again")
    new = Refund.objects.exclude(state="failed").get()
    assert (new.payment_id, new.amount_minor, new.cause) == (second.pk, 4500, "reconciler")
    quiet()


def test_a_late_payments_failed_refund_is_given_back_and_told(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    late = captured_all_the_same(sandbox, checkout)
    lapse(held)
    expire_lapsed()
    with transaction.atomic():
        refund = refunding.request_whole(lock_money(held.booking_id), late, cause="late")
    finding = fails(refund)
    assert str(about(finding).refundable) == "NZ$45.00"
    deeds.refund(finding, actor=STAFF, note="Again")
    new = Refund.objects.exclude(state="failed").get()
    assert (new.payment_id, new.amount_minor) == (late.pk, 4500)
    refunding.carry_out(new.pk)
    assert mails(held).count("refund") == 1
    quiet()


def test_what_a_cheaper_change_gave_back_is_given_anew_for_that(sandbox: SandboxClient) -> None:
    """So that a later cancellation does not take it for a part of its own share."""
    held = paid(sandbox, make_room())
    (refund,) = ask(held, 1000, cause="change").refunds
    deeds.refund(fails(refund), actor=STAFF, note="Again")
    assert given() == [(1000, "card", "change")]
    quiet()


def test_a_failed_refund_as_credit(sandbox: SandboxClient) -> None:
    room = make_room()
    ana = MemberFactory(email="ana@example.test")
    held = hold(line(room), claimant=Claimant(member=ana, email=ana.email))
    pay(sandbox, start(held))
    settle(Checkout.objects.get())
    (refund,) = ask(held, 1000).refunds
    deeds.credit(fails(refund), amount_minor=1200, actor=STAFF, note="Sorry")
    assert given() == [(1000, "credit", "staff")]
    assert balance(workspace=room.workspace, member=ana).amount_minor == 1200
    check("refunds_stuck")
    assert open_findings() == []
    quiet()


# --- What has changed since -----------------------------------------------------------------------


def test_a_failed_refund_that_was_given_anew_is_not_given_twice(sandbox: SandboxClient) -> None:
    held = paid(sandbox, make_room())
    finding = fails(failed(held, 1000))
    ask(held, 1000, to="credit")  # from the booking's page
    with pytest.raises(NotOffered):
        deeds.refund(finding, actor=STAFF, note="Again")
    assert given() == [(1000, "credit", "staff")]


def test_of_a_failed_refund_only_what_is_missing_is_given(sandbox: SandboxClient) -> None:
    held = paid(sandbox, make_room())
    finding = fails(failed(held, 1000))
    ask(held, 400)
    with pytest.raises(NotOffered):
        deeds.refund(finding, actor=STAFF, note="Again", expects_minor=1000)
    deeds.refund(finding, actor=STAFF, note="Again", expects_minor=600)
    assert [amount for amount, _, _ in given()] == [400, 600]


def test_a_sum_that_was_set_right_since_is_not_refunded(sandbox: SandboxClient) -> None:
    held = paid(
        sandbox,
        room_with(cancel_free_hours=300, cancel_partial_hours=0, cancel_partial_percent=33),
    )
    bookings_services.cancel(booking_id=held.booking_id, actor=SYSTEM)
    check("dues")
    finding = only_finding("sum_differs")
    assert finding.evidence["sum"]["difference"] == 1485
    ask(held, 1485)
    for deed in (deeds.refund, _all_as_credit):
        with pytest.raises(NotOffered):
            deed(finding, actor=STAFF, note="Late")
    assert given() == [(1485, "card", "staff")]
    assert open_findings() == [], "it says how it stands at once"


def _all_as_credit(finding: Finding, **who: Any) -> None:
    deeds.credit(finding, amount_minor=1485, **who)


def test_a_sum_that_has_moved_is_told_anew_and_refunded_as_it_is(sandbox: SandboxClient) -> None:
    held = lost_but_paid(sandbox)
    finding = only_finding("captured_without_booking")
    ask(held, 1000)
    with pytest.raises(NotOffered):
        deeds.refund(finding, actor=STAFF, note="Sorry")
    again = only_finding("captured_without_booking")
    assert (again.pk, again.evidence["sum"]["difference"]) == (finding.pk, 3500)
    assert "NZ$35.00 taken" in again.summary
    deeds.refund(again, actor=STAFF, note="Sorry", expects_minor=3500)
    assert [amount for amount, _, _ in given()] == [1000, 3500]
    quiet()


# --- Refunds and credit ---------------------------------------------------------------------------


def test_refunding_what_is_too_much_ends_it(sandbox: SandboxClient) -> None:
    paid(sandbox, make_room())
    past_the_guards("UPDATE payments_due SET amount_minor = 3000")
    check("dues")
    deeds.refund(only_finding("sum_differs"), actor=STAFF, note="Too much")
    assert given() == [(1500, "card", "reconciler")]
    quiet()


def test_money_of_a_payment_that_bought_nothing_is_not_taken_from_the_good_one(
    sandbox: SandboxClient,
) -> None:
    _, second = duplicate(sandbox)
    check("dues")
    deeds.refund(only_finding("sum_differs"), actor=STAFF, note="Twice")
    assert Refund.objects.get().payment_id == second.pk
    quiet()


def test_of_a_cancelled_booking_it_is_taken_from_all_its_dues(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room_with(cancel_free_hours=0, cancel_partial_hours=0))
    bookings_services.cancel(booking_id=held.booking_id, actor=SYSTEM)
    check("dues")
    deeds.refund(only_finding("sum_differs"), actor=STAFF, note="By the policy")
    assert given() == [(4500, "card", "reconciler")]
    quiet()


def test_credit_for_money_without_a_booking_settles_the_matter(sandbox: SandboxClient) -> None:
    held = lost_but_paid(sandbox)
    finding = only_finding("captured_without_booking")
    deeds.credit(finding, amount_minor=4500, actor=STAFF, note="Credit instead")
    assert given() == [(4500, "credit", "reconciler")]
    assert CreditEntry.objects.get().amount_minor == 4500
    finding.refresh_from_db()
    assert finding.resolution == "credited"
    with pytest.raises(NotOffered):
        deeds.credit(finding, amount_minor=4500, actor=STAFF, note="Once more")
    quiet()
    assert balance(workspace=held.workspace, member=held.member).amount_minor == 4500


def test_credit_for_a_part_leaves_the_rest_told(sandbox: SandboxClient) -> None:
    lost_but_paid(sandbox)
    deeds.credit(
        only_finding("captured_without_booking"), amount_minor=1000, actor=STAFF, note="A part"
    )
    check("dues")
    rest = only_finding("captured_without_booking")
    assert rest.evidence["sum"]["difference"] == 3500
    deeds.refund(rest, actor=STAFF, note="The rest")
    quiet()


def test_a_gift_about_what_cannot_be_refunded_is_asked_for_once(sandbox: SandboxClient) -> None:
    """Nothing can be given back, and its cause goes on: it is not held out again."""
    room = make_room()
    held = held_by(ana_with(room, 500), room)
    pay(sandbox, start(held))
    settle(Checkout.objects.get())
    past_the_guards("UPDATE payments_payment SET state = 'voided', verdict = 'void'")
    check("dues")
    finding = only_finding("confirmed_without_money")
    deeds.credit(finding, amount_minor=700, actor=STAFF, note="Sorry")
    assert not Refund.objects.exists()
    check("dues")
    assert open_findings() == []
    assert balance(workspace=room.workspace, member=held.member).amount_minor == 1200


# --- Attaching ------------------------------------------------------------------------------------


def strangers_payment(sandbox: SandboxClient) -> str:
    """Somebody paid NZ$45 at Stripe past us; the intent's id."""
    return stranger(sandbox, **{"line_items[0][price_data][unit_amount]": "4500"})


def attach(held: Hold, intent: str) -> None:
    """As staff do whom the check has told of it."""
    finding = findings.file(
        kind="unexplained_payment",
        severity="high",
        subject_type="payment_intent",
        subject_id=intent,
        summary="Belongs to no payment of ours",
        evidence={"status": "succeeded", "account": ""},
    )
    strangers.attach(finding, reference=held.booking.reference, actor=STAFF, note="Theirs")


def test_what_was_paid_at_stripe_is_attached(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    capture_fails(sandbox, held)
    intent = strangers_payment(sandbox)
    attach(held, intent)
    assert Payment.objects.get(state="captured").payment_intent_id == intent
    quiet()


@pytest.mark.parametrize("credit_minor", [4500, 1000])
def test_what_credit_pays_for_takes_no_payment(sandbox: SandboxClient, credit_minor: int) -> None:
    room = make_room()
    held = held_by(ana_with(room, credit_minor), room)
    checkouts.start(
        hold_id=held.pk,
        success_url=SUCCESS,
        cancel_url=CANCEL,
        actor=SYSTEM,
        credit_minor=credit_minor,
    )
    intent = strangers_payment(sandbox)
    with pytest.raises(NotOffered):
        attach(held, intent)
    assert not Payment.objects.exists()


@pytest.mark.parametrize("refunded", [4500, 1])
def test_what_was_refunded_at_stripe_is_not_attached(sandbox: SandboxClient, refunded: int) -> None:
    held = hold(line(make_room()))
    capture_fails(sandbox, held)
    intent = strangers_payment(sandbox)
    asked = {"payment_intent": intent, "amount": str(refunded)}
    sandbox.api("POST", "/v1/refunds", data=asked).raise_for_status()
    with pytest.raises(NotOffered):
        attach(held, intent)
    assert not Payment.objects.filter(state="captured").exists()


def test_cancelled_in_full_after_a_change_was_not_paid_is_no_excess(sandbox: SandboxClient) -> None:
    """Giving everything back carries the reconciler's cause too."""
    held = paid(sandbox, make_room())
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF, back=cancelling.Back("none"))
    quiet()
    ask(held, cause="reconciler")
    quiet()
