"""Money that does not come by Stripe, and none at all: one accepted per due, and even sums."""

import pytest
from django.db import IntegrityError, transaction

from bookings.states import CONFIRMED
from config.kernel.money import Money
from holds.errors import HoldExpired
from members.models import Notification
from payments import cancelling, complimentary, external, refunding
from payments.cancelling import FULL, Back
from payments.errors import AlreadyPaid, NothingToRefund, PaymentInProgress
from payments.external import AmountDiffers, ReferenceUsed
from payments.models import Checkout, Finding, Payment, Receipt, Refund
from payments.reconciler.effects import RefundsStuck
from tests.core.support import hold, lapse, line, live, state_of
from tests.core.threads import together
from tests.factories import BlockFactory, make_room
from tests.money.support import mails, pay, settle, start
from tests.policies.support import STAFF, assert_even, confirm, due_of, received
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db


def test_money_by_another_way_confirms_with_receipt_and_mail():
    held = hold(line(make_room()))
    booking = confirm(held)
    assert (booking.state, state_of(held)) == (CONFIRMED, ("confirmed", "confirmed"))
    payment = Payment.objects.get()
    assert (payment.state, payment.verdict, payment.name) == ("captured", "capture", "cash R-1")
    assert due_of(held).settled_at is not None
    receipt = Receipt.objects.get()
    assert receipt.content["parts"] == [{"by": "cash", "amount_minor": 4500}]
    assert mails(held) == ["confirmation"]
    assert "Paid by cash" in Notification.objects.get().payload["text"]
    assert_even(held)


def test_the_same_reference_again_is_the_same_payment():
    held = hold(line(make_room()))
    confirm(held)
    assert confirm(held).state == CONFIRMED
    assert (Payment.objects.count(), Receipt.objects.count(), len(mails(held))) == (1, 1, 1)
    with pytest.raises(AlreadyPaid):
        confirm(held, received(reference="R-2"))
    with pytest.raises(ReferenceUsed):
        confirm(held, received(minor=4400))


def test_a_reference_pays_for_one_thing():
    room = make_room()
    confirm(hold(line(room, 9, 10)))
    other = hold(line(room, 10, 11))
    with pytest.raises(ReferenceUsed):
        confirm(other)
    assert state_of(other) == ("active", "pending_payment")
    confirm(other, received(provider="paypal"))
    elsewhere = hold(line(make_room()))
    confirm(elsewhere)  # another workspace's books are its own


def test_another_amount_confirms_nothing():
    held = hold(line(make_room()))
    for wrong in (received(minor=4499), external.Received("cash", "R-1", Money(4500, "EUR"))):
        with pytest.raises(AmountDiffers):
            confirm(held, wrong)
    assert state_of(held) == ("active", "pending_payment")
    assert not Payment.objects.exists()


def test_a_lapsed_slot_that_is_free_is_won_again():
    held = hold(line(make_room()))
    lapse(held)
    confirm(held)
    assert (state_of(held), live(held.booking)) == (("confirmed", "confirmed"), 1)
    assert_even(held)


def test_a_slot_that_is_gone_is_a_finding_and_money_to_be_given_back():
    room = make_room()
    held = hold(line(room))
    lapse(held)
    other = hold(line(room))
    for _ in range(2):
        with pytest.raises(HoldExpired):
            confirm(held)
    refund = Refund.objects.get()
    assert (refund.to, refund.state, refund.amount_minor) == ("hand", "needs_attention", 4500)
    assert Finding.objects.get().kind == external.REFUSED
    assert state_of(other) == ("active", "pending_payment")
    assert mails(held) == ["expiry"]
    assert_even(held)
    refunding.given_by_hand(refund_id=refund.pk, actor=STAFF, reason="Sent back")
    assert_even(held)


def test_staff_are_told_that_it_is_gone_and_nothing_is_written():
    room = make_room()
    held = hold(line(room))
    lapse(held)
    BlockFactory(resource=room, during=(held.booking.starts_at, held.booking.ends_at))
    with pytest.raises(HoldExpired):
        external.record_offline(hold_id=held.pk, received=received(), actor=STAFF)
    assert not Payment.objects.exists()
    assert not Finding.objects.exists()


def test_it_goes_back_by_hand_when_staff_say_so():
    held = hold(line(make_room()))
    confirm(held)
    told = cancelling.preview(held.booking, Back(FULL))
    assert (str(told.to_hand), str(told.to_card)) == ("NZ$45.00", "NZ$0.00")
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF, back=Back(FULL))
    refund = Refund.objects.get()
    assert (refund.to, refund.state) == ("hand", "needs_attention")
    assert "by hand" in refund.last_error
    text = Notification.objects.get(kind="cancellation").payload["text"]
    assert "NZ$45.00 back in the way you paid it" in text
    assert "card" not in text
    assert_even(held)
    assert refunding.carry_out(refund.pk) is False  # Stripe is never asked
    check = RefundsStuck()
    assert check.look(check.start(now=None, before={}, since=None)).seen == []  # not for a week
    with pytest.raises(NothingToRefund):
        refunding.retry(refund_id=refund.pk, actor=STAFF)
    refunding.given_by_hand(refund_id=refund.pk, actor=STAFF, reason="Handed over")
    refunding.given_by_hand(refund_id=refund.pk, actor=STAFF, reason="Twice")
    refund.refresh_from_db()
    assert refund.state == "succeeded"
    note = Receipt.objects.get(kind="refund")
    assert note.content["parts"] == [{"by": "hand", "amount_minor": 4500}]
    assert mails(held).count("refund") == 1
    assert_even(held)


def test_it_may_become_credit():
    held = hold(line(make_room()))
    confirm(held)
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF, back=Back(FULL, to="credit"))
    assert [(r.to, r.state) for r in Refund.objects.all()] == [("credit", "succeeded")]
    assert_even(held)


def test_complimentary_is_confirmed_and_the_waived_price_stays_to_be_seen():
    held = hold(line(make_room()))
    booking = complimentary.waive(hold_id=held.pk, actor=STAFF, reason="Our fault last week")
    due = due_of(held)
    assert (booking.state, booking.total_minor) == (CONFIRMED, 4500)
    assert (due.waived_minor, due.amount_minor) == (4500, 4500)
    assert not Payment.objects.exists()
    assert booking.events.get(kind="waived").reason == "Our fault last week"
    assert mails(held) == ["confirmation"]
    assert_even(held)
    with pytest.raises(AlreadyPaid):
        confirm(held)
    assert not cancelling.preview(booking, Back(FULL)).given_back.amount_minor
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    assert_even(held)


def test_what_has_ended_is_not_given_away():
    held = hold(line(make_room()))
    lapse(held)
    with pytest.raises(HoldExpired):
        complimentary.waive(hold_id=held.pk, actor=STAFF, reason="Late")
    assert due_of(held).waived_minor == 0


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"reference": ""}, "payment_of_one_source"),
        ({"provider": ""}, "payment_of_one_source"),
        ({"workspace": None}, "payment_of_one_source"),
        ({"payment_intent_id": "pi_1"}, "payment_of_one_source"),
        ({}, "payment_external_once"),
    ],
)
def test_a_payment_has_one_source(columns, rule):
    held = hold(line(make_room()))
    confirm(held)
    known = Payment.objects.get()
    copied = ("due", "workspace", "provider", "reference", "amount_minor", "currency")
    row = {name: getattr(known, name) for name in copied} | columns
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Payment.objects.create(livemode=True, created_at=known.created_at, **row)
    assert caught.value.__cause__.diag.constraint_name == rule


@pytest.mark.django_db(transaction=True)
def test_two_references_at_once_are_one_payment():
    held = hold(line(make_room()))
    works = [lambda n=n: confirm(held, received(reference=f"R-{n % 2}")) for n in range(6)]
    found = sorted(type(each).__name__ for each in together(works))
    assert found == ["AlreadyPaid"] * 3 + ["Booking"] * 3
    assert Payment.objects.count() == Receipt.objects.count() == 1
    assert_even(held)


# --- Beside a card ------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_payment_page_is_closed_before_cash_is_booked_in(sandbox: SandboxClient):
    held = hold(line(make_room()))
    checkout = start(held)
    external.record_offline(hold_id=held.pk, received=received(), actor=STAFF)
    checkout.refresh_from_db()
    assert (checkout.state, state_of(held)) == ("expired", ("confirmed", "confirmed"))
    assert_even(held)


@pytest.mark.django_db(transaction=True)
def test_who_has_paid_by_card_meanwhile_is_not_asked_for_cash(sandbox: SandboxClient):
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    for settle_otherwise in (
        lambda: external.record_offline(hold_id=held.pk, received=received(), actor=STAFF),
        lambda: complimentary.waive(hold_id=held.pk, actor=STAFF, reason="Why not"),
    ):
        with pytest.raises((PaymentInProgress, AlreadyPaid)):
            settle_otherwise()
    assert [p.is_external for p in Payment.objects.all()] == [False]
    assert settle(checkout) == "repeated"
    assert Checkout.objects.get().state == "complete"
    assert_even(held)
