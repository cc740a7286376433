"""The one settlement: what it decides, whatever the order (design.md §6)."""

import pytest

from bookings.models import Booking
from members.models import Notification
from payments import settlement
from payments.models import Payment, Signal
from tests.core.support import hold, lapse, line, live, state_of
from tests.factories import ResourceFactory
from tests.money.support import intents, pay, payment_of, start

pytestmark = pytest.mark.django_db(transaction=True)
SELF_HEAL = Signal.Source.SELF_HEAL


def test_paying_in_time_confirms_and_captures_once(sandbox):
    held = hold(line(ResourceFactory()))
    checkout = start(held)
    pay(sandbox, checkout)

    outcome = settlement.settle(checkout_id=checkout.pk, source=SELF_HEAL)

    assert outcome.name == "confirmed"
    assert state_of(held) == ("confirmed", "confirmed")
    payment = payment_of(checkout)
    assert (payment.state, payment.verdict, payment.settled_by) == (
        "captured", "capture", "self_heal",
    )  # fmt: skip
    intent = intents(sandbox)[payment.payment_intent_id]
    assert (intent["status"], intent["capture_calls"]) == ("succeeded", 1)
    kinds = list(Notification.objects.values_list("kind", flat=True))
    assert kinds == ["confirmation"]


def test_settling_again_changes_nothing(sandbox):
    held = hold(line(ResourceFactory()))
    checkout = start(held)
    pay(sandbox, checkout)
    settlement.settle(checkout_id=checkout.pk, source=SELF_HEAL)
    before = Booking.objects.get(pk=held.booking_id).version

    outcome = settlement.settle(checkout_id=checkout.pk, source=Signal.Source.PLATFORM)

    assert outcome.name == "repeated"
    assert Booking.objects.get(pk=held.booking_id).version == before
    assert intents(sandbox)[payment_of(checkout).payment_intent_id]["capture_calls"] == 1


def test_unpaid_settles_to_nothing(sandbox):
    held = hold(line(ResourceFactory()))
    checkout = start(held)

    assert settlement.settle(checkout_id=checkout.pk, source=SELF_HEAL).name == "unpaid"
    assert state_of(held) == ("active", "pending_payment")
    assert not Payment.objects.exists()


@pytest.mark.parametrize("tidied", [True, False])
def test_paid_late_with_the_slot_still_free_is_won_back(sandbox, tidied):
    from holds.services import expire_lapsed

    held = hold(line(ResourceFactory()))
    checkout = start(held)
    pay(sandbox, checkout)
    lapse(held)
    if tidied:
        assert expire_lapsed() == 1

    outcome = settlement.settle(checkout_id=checkout.pk, source=SELF_HEAL)

    assert outcome.name == "confirmed"
    assert state_of(held) == ("confirmed", "confirmed")
    assert live(held.booking) == 1


def test_paid_late_with_the_slot_gone_is_voided_and_said(sandbox):
    room = ResourceFactory()
    held = hold(line(room))
    checkout = start(held)
    pay(sandbox, checkout)
    lapse(held)
    other = hold(line(room))

    outcome = settlement.settle(checkout_id=checkout.pk, source=SELF_HEAL)

    assert outcome.name == "voided"
    assert state_of(held) == ("expired", "expired")
    assert state_of(other) == ("active", "pending_payment")
    payment = payment_of(checkout)
    assert (payment.state, payment.verdict_because) == ("voided", "slot_gone")
    assert intents(sandbox)[payment.payment_intent_id]["status"] == "canceled"
    assert "not_charged" in Notification.objects.values_list("kind", flat=True)
