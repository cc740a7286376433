"""What is not wrong with a due's sum is not told (INV-6), and what is wrong is told once."""

import uuid

import pytest
from django.db import transaction

from bookings.models import Booking
from config.kernel import clock
from holds.models import Hold
from holds.services import expire_lapsed
from payments import cancelling, refunding
from payments.lock_objects import lock_money
from payments.models import Dispute, Payment, Refund
from tests.core.support import lapse
from tests.money.mixed_support import STAFF, ana_with, capture_fails, held_by, room_with, start_with
from tests.money.reconciling import (
    assert_over,
    assert_told_once,
    check,
    only_finding,
    past_the_guards,
)
from tests.money.refunds_support import ask, paid, payment
from tests.money.support import payment_of, settle
from tests.money.test_reconciler_sums import quiet
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
FREE = {"cancel_free_hours": 0, "cancel_partial_hours": 0, "cancel_partial_percent": 100}


def disputed(held: Hold, status: str = "needs_response", amount_minor: int = 4500) -> Dispute:
    return Dispute.objects.create(
        payment=payment(held),
        stripe_dispute_id=f"dp_{uuid.uuid4().hex}",
        amount_minor=amount_minor,
        currency="NZD",
        status=status,
        opened_at=clock.now(),
        is_lost=status == "lost",
    )


def ends(dispute: Dispute, status: str) -> None:
    Dispute.objects.filter(pk=dispute.pk).update(status=status, is_lost=status == "lost")


def failed(held: Hold, amount_minor: int = 4500) -> Refund:
    """A refund that did not arrive."""
    (refund,) = ask(held, amount_minor).refunds
    Refund.objects.filter(pk=refund.pk).update(state="failed", version=1, next_try_at=None)
    return refund


# --- Payments on their way ------------------------------------------------------------------------


def test_a_mixed_booking_that_waits_to_be_paid_again(sandbox: SandboxClient) -> None:
    room = room_with()
    capture_fails(sandbox, held_by(ana_with(room, 1000), room), 1000)
    quiet()


def test_credit_beside_a_payment_that_is_still_processing(sandbox: SandboxClient) -> None:
    room = room_with(takes_delayed_methods=True, processing_limit_seconds=7200)
    held = held_by(ana_with(room, 1000), room)
    checkout = start_with(held, 1000)
    assert sandbox.pay(checkout.url, "pay_later").status_code == 303
    assert settle(checkout) == "processing"
    lapse(held)
    assert expire_lapsed() == 1
    assert payment_of(checkout).state == "processing"
    quiet()


# --- Disputes -------------------------------------------------------------------------------------


def test_cancelled_while_a_dispute_is_open_and_told_once_it_is_won(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room_with(**FREE))
    dispute = disputed(held, amount_minor=3000)
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    assert Refund.objects.get().amount_minor == 1500
    quiet()
    ends(dispute, "won")
    finding = assert_told_once("dues", "sum_differs")
    assert finding.evidence["sum"]["difference"] == 3000


def test_cancelled_while_a_dispute_is_open_that_is_lost(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room_with(**FREE))
    dispute = disputed(held)
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    assert not Refund.objects.exists()
    quiet()
    ends(dispute, "lost")
    quiet()


@pytest.mark.parametrize("lost_minor", [4500, 3000])
@pytest.mark.parametrize("state", ["failed", "needs_attention"])
def test_a_refund_that_did_not_arrive_and_a_dispute_that_was_lost(
    sandbox: SandboxClient, state: str, lost_minor: int
) -> None:
    held = paid(sandbox, room_with())
    (refund,) = ask(held).refunds
    Refund.objects.filter(pk=refund.pk).update(state=state, version=1, next_try_at=None)
    quiet()
    disputed(held, "lost", lost_minor)
    quiet()


def test_what_a_lost_dispute_took_is_not_missing_of_a_failed_refund(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room_with())
    failed(held)
    check("refunds_stuck")
    finding = only_finding("refund_failed")
    disputed(held, "lost")
    assert_over("refunds_stuck", finding)


# --- Cancelling -----------------------------------------------------------------------------------


def test_a_share_is_decided_and_audited_for_one_moment(sandbox: SandboxClient) -> None:
    """At the very border of a policy the two could differ by their microseconds."""
    held = paid(sandbox, room_with(**FREE))
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    booking = Booking.objects.get(pk=held.booking_id)
    assert booking.ended_at == Refund.objects.get().created_at
    assert booking.ended_at == booking.events.get(kind="cancelled").at
    quiet()


# --- Failed refunds -------------------------------------------------------------------------------


def test_a_failed_refund_stays_told_until_what_was_given_anew_covers_it(
    sandbox: SandboxClient,
) -> None:
    held = paid(sandbox, room_with())
    failed(held)
    assert_told_once("refunds_stuck", "refund_failed")
    ask(held, 100)
    check("refunds_stuck")
    finding = only_finding("refund_failed")
    assert "NZ$44.00 was not given back anew" in finding.summary
    assert check("dues").found == 0  # one cause, told once
    ask(held, 4400)
    assert_over("refunds_stuck", finding)
    quiet()


def test_what_was_given_before_it_failed_covers_nothing(sandbox: SandboxClient) -> None:
    """Banks take their days: another refund may have been asked for meanwhile."""
    held = paid(sandbox, room_with())
    (first,) = ask(held, 1000).refunds
    ask(held, 1000)
    Refund.objects.filter(pk=first.pk).update(
        state="failed", version=1, next_try_at=None, ended_at=clock.now()
    )
    assert_told_once("refunds_stuck", "refund_failed")
    assert check("dues").found == 0


def test_of_two_that_failed_the_older_is_given_anew_first(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room_with())
    older, newer = (ask(held, amount).refunds[0] for amount in (1000, 2000))
    for refund in (older, newer):
        Refund.objects.filter(pk=refund.pk).update(
            state="failed", version=1, next_try_at=None, ended_at=clock.now()
        )
    check("refunds_stuck")
    ask(held, 1500)
    check("refunds_stuck")
    finding = only_finding("refund_failed")
    assert finding.subject_id == str(newer.pk) != str(older.pk)
    assert "NZ$15.00 was not given back anew" in finding.summary
    assert check("dues").found == 0


# --- Too much -------------------------------------------------------------------------------------


def test_giving_back_what_is_too_much_does_not_lessen_what_is_owed(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room_with())
    past_the_guards("UPDATE payments_due SET amount_minor = 3000")
    finding = assert_told_once("dues", "sum_differs")
    assert finding.evidence["sum"]["difference"] == 1500
    with transaction.atomic():
        refunding.request(
            lock_money(held.booking_id), amount_minor=1500, cause="reconciler", actor=STAFF
        )
    assert_over("dues", finding)
    ask(held, 1000)  # beyond it, staff are free as ever
    quiet()
    assert Payment.objects.get().amount_minor == 4500
