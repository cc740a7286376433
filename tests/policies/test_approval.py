"""Requests that staff approve: authorised, not captured, and held while they decide."""

import pytest
from django.db import IntegrityError, connection, transaction

from bookings.errors import SlotTaken
from bookings.models import Booking
from config.kernel.errors import InvalidTransition
from holds import services
from holds.claims import Claimant
from holds.errors import HoldExpired
from members.models import Notification
from payments import approval, checkouts, complimentary, external, holding, stripe_api
from payments import credits as ledger
from payments.errors import PaymentInProgress
from payments.external import AwaitingApproval
from payments.models import CreditAccount, Payment, Receipt
from payments.reconciler.money import CheckoutsStuck, PaymentsStuck
from tests.core.support import hold, lapse, line, live, state_of
from tests.core.threads import together
from tests.factories import MemberFactory, make_room
from tests.money.support import (
    CANCEL,
    SUCCESS,
    assert_never_charged,
    assert_paid_once,
    booking_of,
    heal,
    intents_of,
    latest,
    mails,
    pay,
    payment_of,
    settle,
    start,
)
from tests.policies.support import STAFF, assert_even, due_of, received
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db
AWAITING = ("active", "awaiting_approval")


def asked(**room):
    """A hold of a room whose bookings staff approve within a day."""
    return hold(line(make_room(needs_approval=True, **room)))


def send_free(held):
    checkouts.start(hold_id=held.pk, success_url="https://x.test/", cancel_url="https://x.test/")
    held.refresh_from_db()


def approve(held):
    return approval.approve(booking_id=held.booking_id, actor=STAFF)


def decline(held, reason="We are closed that day"):
    return approval.let_go(booking_id=held.booking_id, actor=STAFF, reason=reason)


# --- Without a card -----------------------------------------------------------------------------


def test_a_free_request_is_held_until_the_deadline_and_both_are_told():
    held = asked(price=0)
    short = held.expires_at
    send_free(held)
    assert (state_of(held), live(held.booking)) == (AWAITING, 1)
    assert held.expires_at == held.lapses_at > short
    booking = booking_of(held)
    assert (held.expires_at - booking.requested_at).total_seconds() <= 24 * 3600
    assert held.expires_at <= booking.starts_at
    assert sorted(mails(held)) == ["request_waiting", "requested"]
    desk = Notification.objects.get(kind="request_waiting")
    assert desk.to == held.workspace.contact_email
    with pytest.raises(SlotTaken):
        hold(line(booking.lines.get().resource))
    assert_even(held)


def test_approved_it_is_theirs_at_once_and_only_once():
    held = asked(price=0)
    send_free(held)
    assert approve(held).state == "confirmed"
    assert approve(held).state == "confirmed"
    assert mails(held).count("confirmation") == 1
    with pytest.raises(InvalidTransition):
        decline(held)
    assert_even(held)


def test_declined_the_slot_is_free_and_the_reason_told():
    held = asked(price=0)
    send_free(held)
    decline(held)
    assert (state_of(held), live(held.booking)) == (("released", "released"), 0)
    told = Notification.objects.get(kind="not_approved")
    assert "We are closed that day" in told.payload["text"]
    assert "released" not in mails(held)
    with pytest.raises(InvalidTransition):
        approve(held)


def test_nobody_answered_in_time():
    held = asked(price=0)
    send_free(held)
    lapse(held)
    with pytest.raises(HoldExpired):
        approve(held)
    assert services.expire_lapsed() == 1
    assert state_of(held) == ("expired", "expired")
    assert "did not answer" in Notification.objects.get(kind="not_approved").payload["text"]
    assert "expiry" not in mails(held)


def test_what_was_never_sent_is_nobodys_work():
    held = asked(price=0)
    with pytest.raises(InvalidTransition):
        approve(held)
    lapse(held)
    services.expire_lapsed()
    assert mails(held) == ["expiry"]


def test_a_request_that_was_sent_is_taken_back_not_replaced_by_mistake():
    held = asked(price=0)
    send_free(held)
    with pytest.raises(PaymentInProgress):
        send_free(held)
    with pytest.raises(PaymentInProgress):
        holding.placed(lambda: hold(line(held.lines[0].resource, 9, 12), token=held.token))
    holding.let_go(hold_id=held.pk, actor=STAFF, reason="")
    assert state_of(held) == ("released", "released")


def test_credit_is_put_aside_and_comes_back_or_pays():
    for end, balance, state in [(decline, 10000, "released"), (approve, 5500, "confirmed")]:
        member = MemberFactory()
        room = make_room(needs_approval=True)
        ledger.issue(
            workspace=room.workspace, member=member, amount_minor=10000, actor=STAFF,
            reason="Gift", source="gift", key=f"gift-{state}",
        )  # fmt: skip
        held = hold(line(room), claimant=Claimant(member=member))
        checkouts.start(
            hold_id=held.pk,
            success_url="https://x.test/",
            cancel_url="https://x.test/",
            credit_minor=4500,
        )
        account = CreditAccount.objects.get(member=member)
        assert (account.balance_minor, state_of(held)) == (5500, AWAITING)
        assert_even(held)
        end(held)
        account.refresh_from_db()
        assert (account.balance_minor, state_of(held)[1]) == (balance, state)
        assert_even(held)
    assert Receipt.objects.count() == 1


def test_money_by_another_way_waits_for_the_answer_too():
    held = asked()
    for other in (
        lambda: external.confirm_external(hold_id=held.pk, received=received(), actor=STAFF),
        lambda: complimentary.waive(hold_id=held.pk, actor=STAFF, reason="x"),
    ):
        with pytest.raises(AwaitingApproval):
            other()
    assert state_of(held) == AWAITING


def test_the_database_keeps_what_was_not_approved_from_being_theirs():
    held = asked()
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        Booking.objects.filter(pk=held.booking_id).update(state="confirmed", version=1)
    rule = caught.value.__cause__.diag.constraint_name
    assert rule == "booking_approved_before_it_is_theirs"


def test_staff_and_approval_of_only_one_line():
    """The shortest time to answer of those that ask for one; staff's own needs none."""
    plain = make_room()
    slow = make_room(workspace=plain.workspace, needs_approval=True, approval_ttl_seconds=7200)
    both = hold(line(plain), line(slow))
    assert both.booking.approval_ttl_seconds == 7200
    own = hold(line(slow, 12, 13), claimant=Claimant(email="a@b.test", approved=True))
    assert state_of(own) == ("active", "pending_payment")


# --- With a card --------------------------------------------------------------------------------

WITH_CARD = pytest.mark.django_db(transaction=True)


def authorised(sandbox: SandboxClient):
    held = asked()
    checkout = start(held)
    pay(sandbox, checkout)
    assert settle(checkout) == "awaiting"
    held.refresh_from_db()
    return held, checkout


@WITH_CARD
def test_authorised_it_waits_and_is_captured_when_approved(sandbox: SandboxClient):
    held, checkout = authorised(sandbox)
    assert state_of(held) == AWAITING
    assert (payment_of(checkout).state, payment_of(checkout).verdict) == ("authorised", "")
    assert [i["status"] for i in intents_of(sandbox, held)] == ["requires_capture"]
    assert sorted(mails(held)) == ["request_waiting", "requested"]
    assert settle(checkout) == "awaiting"  # told again, nothing more happens
    heal()
    assert state_of(held) == AWAITING
    assert [c.look(c.start(now=None, before={}, since=None)).seen for c in
            (PaymentsStuck(), CheckoutsStuck())] == [[], []]  # fmt: skip
    assert_even(held)
    approve(held)
    assert_paid_once(sandbox, held)
    assert settle(checkout) == "repeated"
    assert_even(held)


@WITH_CARD
@pytest.mark.parametrize("how", ["declined", "withdrawn", "not_answered"])
def test_what_is_not_approved_is_never_charged(sandbox: SandboxClient, how: str):
    held, checkout = authorised(sandbox)
    if how == "declined":
        decline(held)
    elif how == "withdrawn":
        from tests.core.support import SOMEBODY

        holding.let_go(hold_id=held.pk, actor=SOMEBODY)
    else:
        lapse(held)
        services.expire_lapsed()
        heal()
    payment = payment_of(checkout)
    assert (payment.state, payment.verdict, payment.verdict_because) == ("voided", "void", how)
    assert_never_charged(sandbox, held)
    assert mails(held).count("not_approved") == (how != "withdrawn")
    assert live(held.booking) == 0
    assert_even(held)


@WITH_CARD
def test_a_card_that_comes_after_the_hold_asks_for_nothing(sandbox: SandboxClient):
    held = asked()
    checkout = start(held)
    pay(sandbox, checkout)
    lapse(held)
    services.expire_lapsed()
    assert settle(checkout) == "voided"
    assert_never_charged(sandbox, held)
    assert state_of(held) == ("expired", "expired")


@WITH_CARD
def test_an_authorisation_that_the_bank_let_go_of_is_paid_anew(sandbox: SandboxClient):
    held, checkout = authorised(sandbox)
    intent = payment_of(checkout).intent_id
    sandbox.api("POST", f"/v1/payment_intents/{intent}/cancel")
    booking = approve(held)
    held.refresh_from_db()
    assert (booking.state, held.state, held.has_open_checkout) == (
        "pending_payment", "active", False,
    )  # fmt: skip
    link = Notification.objects.get(kind="approved_to_pay").payload["text"]
    assert f"/hold/{held.token}/" in link
    assert payment_of(checkout).state == "voided"
    again = start(held)
    pay(sandbox, again)
    assert settle(again) == "confirmed"
    assert_paid_once(sandbox, held)
    assert_even(held)


@WITH_CARD
def test_stripe_being_away_approves_nothing(sandbox: SandboxClient, monkeypatch):
    held, _ = authorised(sandbox)

    def away(payment):
        raise stripe_api.StripeDown

    monkeypatch.setattr(stripe_api, "fetch_intent", away)
    with pytest.raises(stripe_api.StripeDown):
        approve(held)
    assert state_of(held) == AWAITING


@WITH_CARD
def test_yes_and_no_at_once_are_one_of_them(sandbox: SandboxClient):
    held, checkout = authorised(sandbox)
    found = together([lambda: approve(held), lambda: decline(held)])
    assert sorted(isinstance(each, Exception) for each in found) == [False, True]
    heal()
    state, payment = state_of(held)[1], payment_of(checkout)
    assert (state, payment.state) in {("confirmed", "captured"), ("released", "voided")}
    assert Payment.objects.count() == 1
    assert due_of(held).payments.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM payments_payment WHERE verdict = ''")
        assert cursor.fetchone() == (0,)
    assert_even(held)


@WITH_CARD
@pytest.mark.parametrize("answer", [approve, decline])
def test_a_request_paid_by_card_and_credit(sandbox: SandboxClient, answer):
    member = MemberFactory()
    held = hold(line(make_room(needs_approval=True)), claimant=Claimant(member=member))
    ledger.issue(
        workspace=held.workspace, member=member, amount_minor=2000, actor=STAFF,
        reason="Gift", source="gift", key="gift",
    )  # fmt: skip
    checkouts.start(
        hold_id=held.pk, success_url=SUCCESS, cancel_url=CANCEL, credit_minor=2000, actor=STAFF
    )
    checkout = latest(held)
    pay(sandbox, checkout)
    assert settle(checkout) == "awaiting"
    assert_even(held)
    answer(held)
    balance = CreditAccount.objects.get(member=member).balance_minor
    state, said = payment_of(checkout).state, state_of(held)[1]
    if answer is approve:
        assert (balance, state, said) == (0, "captured", "confirmed")
    else:
        assert (balance, state, said) == (2000, "voided", "released")
    assert_even(held)


def test_a_series_of_what_staff_approve_is_asked_for_together():
    from payments import series

    room = make_room(needs_approval=True)
    room.workspace.series_paid_each = True
    assert not series.is_paid_each(room)
    room.needs_approval = False
    assert series.is_paid_each(room)
