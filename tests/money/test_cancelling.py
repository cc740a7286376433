"""Cancelling: what is given back is what was shown, to the cent, and the slot is free."""

from datetime import timedelta

import pytest
from django.db import transaction

from bookings.models import Booking, Resource
from bookings.services import no_show
from config.kernel import clock
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import InvalidInput, InvalidTransition, VersionMismatch
from members.models import Member, Notification
from payments import cancelling
from payments.cancelling import Back, preview
from payments.credits import enter, lock_account
from payments.errors import (
    NobodyToCredit,
    PaymentInProgress,
    RefundChanged,
    RefundTooLarge,
    TooLateToCancel,
)
from payments.models import CreditAccount, CreditEntry, Due, Receipt, Refund
from tests.admin.support import confirmed, payment, place
from tests.core.support import live
from tests.core.threads import together
from tests.factories import WorkspaceFactory, make_room
from tests.money.refunds_support import STAFF, ask, at_stripe, paid
from tests.money.support import heal, mails
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)

ANA = Actor("member", label="Ana")
POLICY = {
    "cancel_free_hours": 48,
    "cancel_partial_hours": 24,
    "cancel_partial_percent": 50,
    "cancel_fee_minor": 0,
}


def room(**policy: int) -> Resource:
    return make_room(workspace=WorkspaceFactory(**(POLICY | policy)))


def booked(**policy: int) -> Booking:
    """Paid NZ$45, a week from now."""
    found = confirmed(room(**policy))
    payment(found)
    return found


def in_minor(booking: Booking, back: Back | None = None, **ahead: float) -> tuple[int, ...]:
    """(given back, kept, to card, to credit) of a preview so long before the start."""
    now = booking.starts_at - timedelta(**ahead) if ahead else clock.now()
    told = preview(booking, back, now=now)
    return tuple(m.amount_minor for m in (told.given_back, told.kept, told.to_card, told.to_credit))


# --- The preview --------------------------------------------------------------------------------


def test_free_then_a_share_then_nothing() -> None:
    booking = booked()
    assert in_minor(booking, hours=48) == (4500, 0, 4500, 0)
    assert in_minor(booking, hours=47, minutes=59) == (2250, 2250, 2250, 0)
    assert in_minor(booking, hours=24) == (2250, 2250, 2250, 0)
    assert in_minor(booking, hours=23, minutes=59) == (0, 4500, 0, 0)
    assert in_minor(booking, hours=-1) == (0, 4500, 0, 0)


def test_a_fee_is_kept_and_never_more_than_there_is() -> None:
    assert in_minor(booked(cancel_fee_minor=700), hours=72) == (3800, 700, 3800, 0)
    assert in_minor(booked(cancel_fee_minor=9999), hours=72) == (0, 4500, 0, 0)


def test_the_policy_is_the_one_it_was_booked_under() -> None:
    booking = booked()
    type(booking.workspace).objects.update(cancel_free_hours=0, cancel_partial_hours=0)
    assert in_minor(booking, hours=30) == (2250, 2250, 2250, 0)


def test_what_was_given_back_before_counts() -> None:
    booking = booked()
    ask(booking.holds.get(), 1000)
    assert in_minor(booking, hours=72) == (3500, 0, 3500, 0)
    assert in_minor(booking, hours=30) == (1250, 2250, 1250, 0)
    ask(booking.holds.get(), 2000)
    assert in_minor(booking, hours=30) == (0, 1500, 0, 0)


def test_staffs_choices() -> None:
    booking = booked()
    assert in_minor(booking, Back("none")) == (0, 4500, 0, 0)
    assert in_minor(booking, Back("full"), hours=1) == (4500, 0, 4500, 0)
    assert in_minor(booking, Back("full", "credit")) == (4500, 0, 0, 4500)
    assert in_minor(booking, Back("amount", "card", 1234)) == (1234, 3266, 1234, 0)
    with pytest.raises(RefundTooLarge):
        in_minor(booking, Back("amount", "card", 4501))
    for wrong in (Back("amount"), Back("amount", "card", -1), Back("some")):
        with pytest.raises(InvalidInput):
            in_minor(booking, wrong)


def test_a_booking_that_cost_nothing_gives_nothing_back() -> None:
    booking = confirmed(make_room(price=0))
    assert in_minor(booking) == (0, 0, 0, 0)
    cancelling.cancel(booking_id=booking.pk, actor=ANA)
    booking.refresh_from_db()
    assert booking.state == "cancelled"
    assert "money" not in booking.events.get(kind="cancelled").data
    assert not Receipt.objects.exists()


# --- Cancelling ---------------------------------------------------------------------------------


def test_what_was_shown_is_given_back_and_told(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room(cancel_fee_minor=250, cancel_free_hours=2, cancel_partial_hours=1))
    booking = Booking.objects.get(pk=held.booking_id)
    shown = preview(booking)
    cancelling.cancel(
        booking_id=booking.pk,
        actor=ANA,
        reason="Ill",
        expects_minor=shown.given_back.amount_minor,
    )
    booking.refresh_from_db()
    assert (booking.state, live(booking)) == ("cancelled", 0)
    told = Notification.objects.get(kind="cancellation").payload
    for part in (told["text"], told["html"]):
        assert "NZ$42.50" in part
        assert "NZ$2.50 is kept" in part
    assert mails(held).count("refund") == 0, "it is not there yet"
    heal()
    assert [r["amount"] for r in at_stripe(sandbox, held)] == [4250]
    assert mails(held).count("refund") == 1
    (refund,) = Refund.objects.filter(due__booking=booking)
    assert (refund.cause, refund.reason, refund.actor_label) == ("policy", "Ill", "Ana")


def test_cancelled_twice_is_given_back_once() -> None:
    booking = booked()
    for _ in range(2):
        cancelling.cancel(booking_id=booking.pk, actor=ANA)
    assert Refund.objects.get().amount_minor == 4500
    found = together([lambda: cancelling.cancel(booking_id=booking.pk, actor=ANA)] * 3)
    assert {getattr(f, "state", f) for f in found} == {"cancelled"}
    assert Refund.objects.count() == 1
    assert Notification.objects.filter(kind="cancellation").count() == 1


def test_many_cancel_at_once_and_the_money_moves_once() -> None:
    booking = booked()
    together([lambda: cancelling.cancel(booking_id=booking.pk, actor=ANA)] * 4)
    assert Refund.objects.get().amount_minor == 4500


def test_what_has_changed_since_it_was_shown_cancels_nothing() -> None:
    booking = booked()
    ask(booking.holds.get(), 1000)
    with pytest.raises(RefundChanged) as refused:
        cancelling.cancel(booking_id=booking.pk, actor=ANA, expects_minor=4500)
    assert refused.value.data == {"given_back_minor": 3500}
    with pytest.raises(VersionMismatch):
        cancelling.cancel(booking_id=booking.pk, actor=ANA, version=99)
    booking.refresh_from_db()
    assert (booking.state, live(booking)) == ("confirmed", 1)
    assert Refund.objects.count() == 1


def test_a_refund_that_cannot_be_asked_for_cancels_nothing() -> None:
    booking = booked()
    with pytest.raises(RefundTooLarge):
        cancelling.cancel(booking_id=booking.pk, actor=STAFF, back=Back("amount", "card", 9999))
    booking.refresh_from_db()
    assert (booking.state, live(booking)) == ("confirmed", 1)


def test_members_cancel_only_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    booking = booked()
    with monkeypatch.context() as later:
        later.setattr(cancelling.clock, "now", lambda: booking.starts_at)
        with pytest.raises(TooLateToCancel):
            cancelling.cancel_own(booking_id=booking.pk, actor=ANA)
    booking.refresh_from_db()
    assert booking.state == "confirmed"
    cancelling.cancel_own(booking_id=booking.pk, actor=ANA)
    booking.refresh_from_db()
    assert booking.state == "cancelled"


def test_a_payment_on_its_way_comes_first() -> None:
    booking = confirmed(make_room())
    payment(booking, "capturing")
    with pytest.raises(PaymentInProgress):
        cancelling.cancel(booking_id=booking.pk, actor=ANA)
    booking.refresh_from_db()
    assert (booking.state, live(booking)) == ("confirmed", 1)


def test_a_hold_is_not_cancelled() -> None:
    with pytest.raises(InvalidTransition):
        cancelling.cancel(booking_id=place(make_room()).booking_id, actor=ANA)


def test_nobody_came_and_the_money_stays() -> None:
    booking = booked()
    no_show(booking_id=booking.pk, actor=STAFF)
    booking.refresh_from_db()
    assert booking.state == "no_show"
    assert not Refund.objects.exists()


# --- Credit -------------------------------------------------------------------------------------


def spend(booking: Booking, amount_minor: int) -> CreditAccount:
    """A part of the due that credit has covered."""
    due = Due.objects.get(booking=booking)
    member, _ = Member.objects.get_or_create(email="ana@example.test")
    with transaction.atomic():
        account = lock_account(workspace=booking.workspace, member=member)
        for kind, amount in (("goodwill", amount_minor), ("spend", -amount_minor)):
            enter(
                account=account,
                kind=kind,
                amount_minor=amount,
                source="test",
                key=f"{kind}:{booking.pk}",
                actor=SYSTEM,
                due=due if kind == "spend" else None,
            )
    return account


def mixed(**policy: int) -> tuple[Booking, CreditAccount]:
    """NZ$45 by card and NZ$15 by credit."""
    booking = booked(**policy)
    return booking, spend(booking, 1500)


def balance(account: CreditAccount) -> int:
    account.refresh_from_db()
    return account.balance_minor


def test_a_mixed_payment_goes_to_the_card_first() -> None:
    booking, account = mixed()
    full = Back("full")
    assert in_minor(booking, full) == (6000, 0, 4500, 1500)
    cancelling.cancel(booking_id=booking.pk, actor=STAFF, back=full, reason="Closed")
    assert Refund.objects.get().amount_minor == 4500
    returned = CreditEntry.objects.get(kind="returned")
    assert (returned.amount_minor, returned.source, returned.reason) == (1500, "refund", "Closed")
    assert balance(account) == 1500
    assert booking.events.filter(kind="credit_returned").count() == 1
    assert Notification.objects.filter(kind="refund").count() == 1, "for the credit"


def test_as_credit_the_credit_spent_comes_back_first() -> None:
    booking, account = mixed()
    ask(booking.holds.get(), 2000, to="credit")
    assert CreditEntry.objects.get(kind="returned").amount_minor == 1500
    refund = Refund.objects.get()
    assert (refund.to, refund.amount_minor, refund.state) == ("credit", 500, "succeeded")
    assert balance(account) == 2000
    assert in_minor(booking, Back("full")) == (4000, 0, 4000, 0)


def test_a_guest_becomes_a_member_to_be_credited() -> None:
    booking = booked()
    assert not Member.objects.filter(email="ana@example.test").exists()
    ask(booking.holds.get(), to="credit")
    account = CreditAccount.objects.get(member__email="ana@example.test")
    assert (account.balance_minor, account.workspace_id) == (4500, booking.workspace_id)
    mail = Notification.objects.get(kind="refund").payload
    assert "NZ$45.00 as credit" in mail["text"]


def test_without_an_address_there_is_nobody_to_credit() -> None:
    booking = booked()
    Booking.objects.filter(pk=booking.pk).update(email="")
    with pytest.raises(NobodyToCredit):
        ask(booking.holds.get(), to="credit")
    assert not Refund.objects.exists()
