"""Payments answered days later: they keep the slot for a while, and end cleanly after it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from bookings.models import Booking, Occupancy, Resource
from config.kernel import clock
from holds import services as holds_services
from holds.errors import CheckoutOpen
from holds.models import Hold
from holds.services import expire_lapsed
from payments import checkouts, stripe_api, tasks
from payments.errors import PaymentInProgress
from payments.holding import let_go
from payments.models import Checkout, CreditEntry, Payment, Refund
from tests.core.support import SOMEBODY, hold, lapse, line, live, state_of
from tests.factories import make_room
from tests.money.support import (
    CANCEL,
    SUCCESS,
    booking_of,
    heal,
    history,
    intents_of,
    latest,
    mails,
    make_due,
    pay,
    return_path,
    settle,
    start,
)
from tests.pages.support import text
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
DAY = 24 * 3600


def room_with(**columns: Any) -> Resource:
    room = make_room()
    columns = {"takes_delayed_methods": True, "processing_limit_seconds": 2 * 3600} | columns
    for name, value in columns.items():
        setattr(room.workspace, name, value)
    room.workspace.save()
    return room


def under_way(sandbox: SandboxClient, room: Resource | None = None) -> Hold:
    """Held, and paid by a method whose answer is still to come."""
    held = hold(line(room or room_with()))
    checkout = start(held)
    assert sandbox.pay(checkout.url, "pay_later").status_code == 303
    assert settle(checkout) == "processing"
    held.refresh_from_db()
    return held


def answers(sandbox: SandboxClient, held: Hold, outcome: str) -> None:
    """The bank says yes (`succeed`) or no (`fail`)."""
    sandbox.answer_payment(latest(held).session_id or "", outcome)


def payment(held: Hold) -> Payment:
    return Payment.objects.get(due__booking_id=held.booking_id)


def taken(sandbox: SandboxClient, held: Hold) -> int:
    return sum(i["amount_received"] for i in intents_of(sandbox, held))


# --- What Stripe is asked for ---------------------------------------------------------------------


def test_cards_still_wait_for_the_verdict(sandbox: SandboxClient) -> None:
    held = hold(line(room_with()))
    checkout = start(held)

    asked = stripe_api._session_params(checkout)

    assert checkout.takes_delayed_methods
    assert asked["payment_method_types"] == ["card", "nz_bank_account"]
    assert asked["payment_method_options"] == {"card": {"capture_method": "manual"}}
    assert asked["payment_intent_data"]["capture_method"] == "automatic_async"
    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"
    (intent,) = intents_of(sandbox, held)
    assert (intent["status"], intent["capture_calls"]) == ("succeeded", 1)


@pytest.mark.parametrize(
    "columns", [{"takes_delayed_methods": False}, {"currency": "CHF"}], ids=["not asked", "none"]
)
def test_only_where_the_workspace_takes_them_and_there_are_any(
    sandbox: SandboxClient, columns: dict[str, Any]
) -> None:
    checkout = start(hold(line(room_with(**columns))))

    assert not checkout.takes_delayed_methods
    assert stripe_api._session_params(checkout)["payment_method_types"] == ["card"]


# --- Under way ------------------------------------------------------------------------------------


def test_the_slot_is_kept_up_to_the_limit_and_the_member_told(
    client: Client, sandbox: SandboxClient
) -> None:
    room = room_with()
    held = under_way(sandbox, room)

    left = held.lapses_at - clock.now()
    assert timedelta(minutes=119) < left <= timedelta(hours=2)
    assert held.expires_at == held.lapses_at
    kept = Occupancy.objects.filter(booking_id=held.booking_id, released_at=None)
    assert [o.lapses_at for o in kept] == [held.lapses_at]
    assert state_of(held) == ("active", "pending_payment")
    assert payment(held).state == "processing"
    assert mails(held) == ["processing"]
    assert taken(sandbox, held) == 0
    words = text(client.get(return_path(held)))
    assert "Your payment is under way" in words
    assert "Please do not pay a second time" in words
    on_the_hold = text(client.get(f"/hold/{held.token}/"))
    assert "Your payment is under way" in on_the_hold
    assert "Pay NZ$" not in on_the_hold

    settle(latest(held))
    again = Hold.objects.get(pk=held.pk)
    assert again.lapses_at == held.lapses_at, "hearing of it again buys no more time"
    assert mails(held) == ["processing"]


def test_the_slot_is_not_kept_into_its_own_time(sandbox: SandboxClient) -> None:
    held = under_way(sandbox, room_with(processing_limit_seconds=14 * DAY))

    assert held.lapses_at == booking_of(held).starts_at


def test_nobody_pays_a_second_time_or_lets_it_go_meanwhile(sandbox: SandboxClient) -> None:
    held = under_way(sandbox)

    with pytest.raises(PaymentInProgress):
        checkouts.start(hold_id=held.pk, success_url=SUCCESS, cancel_url=CANCEL)
    with pytest.raises(PaymentInProgress):
        let_go(hold_id=held.pk, actor=SOMEBODY)
    with pytest.raises(CheckoutOpen):
        holds_services.release(hold_id=held.pk, actor=SOMEBODY)
    heal(2)
    tasks.close_ended(str(latest(held).pk))
    assert state_of(held) == ("active", "pending_payment")
    assert live(held.booking) == 1


def test_another_page_of_the_hold_that_closes_takes_nothing_from_it(
    sandbox: SandboxClient,
) -> None:
    held = hold(line(room_with()))
    first = start(held)
    Checkout.objects.filter(pk=first.pk).update(expires_at=clock.now() + timedelta(seconds=30))
    second = start(held)
    sandbox.pay(second.url, "pay_later")
    assert settle(second) == "processing"
    held.refresh_from_db()
    before = held.lapses_at

    heal()

    first.refresh_from_db()
    held.refresh_from_db()
    assert first.state == "expired"
    assert (held.lapses_at, held.has_open_checkout) == (before, True)


def test_it_is_not_asked_about_every_few_minutes(sandbox: SandboxClient) -> None:
    held = under_way(sandbox)
    make_due()
    tasks.sweep()

    assert latest(held).next_look_at > clock.now() + timedelta(minutes=50)


# --- Answered within the limit --------------------------------------------------------------------


def test_yes_confirms_without_a_capture_of_ours(client: Client, sandbox: SandboxClient) -> None:
    held = under_way(sandbox)
    answers(sandbox, held, "succeed")

    assert settle(latest(held)) == "confirmed"

    assert state_of(held) == ("confirmed", "confirmed")
    assert (payment(held).state, payment(held).verdict) == ("captured", "capture")
    assert payment(held).captured_at is not None
    assert booking_of(held).dues.get().settled_at is not None
    assert taken(sandbox, held) == 4500
    assert [i["capture_calls"] for i in intents_of(sandbox, held)] == [0]
    assert mails(held) == ["processing", "confirmation"]
    assert not Refund.objects.exists()
    assert "Confirmed. It is yours." in text(client.get(return_path(held)))
    assert settle(latest(held)) == "repeated"


def test_no_frees_the_slot_and_tells(client: Client, sandbox: SandboxClient) -> None:
    room = room_with()
    held = under_way(sandbox, room)
    answers(sandbox, held, "fail")

    assert settle(latest(held)) == "failed"

    assert state_of(held) == ("expired", "expired")
    assert payment(held).state == "failed"
    assert live(held.booking) == 0
    assert mails(held) == ["processing", "payment_failed"]
    assert taken(sandbox, held) == 0
    page = client.get(return_path(held))
    assert "Your payment did not go through" in text(page)
    assert "/rebook/" in page.content.decode()
    assert hold(line(room)).state == "active", "free for others at once"
    assert settle(latest(held)) == "unpaid"
    heal()
    assert mails(held) == ["processing", "payment_failed"]
    assert history(held).count("payment_failed") == 1


def test_no_on_one_page_leaves_the_other_to_pay(sandbox: SandboxClient) -> None:
    held = hold(line(room_with()))
    first = start(held)
    sandbox.pay(first.url, "pay_later")
    Checkout.objects.filter(pk=first.pk).update(expires_at=clock.now() + timedelta(seconds=30))
    second = start(held)
    pay(sandbox, second)
    assert settle(second) == "confirmed"
    sandbox.answer_payment(first.session_id or "", "fail")

    assert settle(first) == "failed"

    assert state_of(held) == ("confirmed", "confirmed")
    assert mails(held) == ["confirmation"]
    assert live(held.booking) == 1


def test_both_pages_paid_refunds_the_one_that_came_later(sandbox: SandboxClient) -> None:
    held = hold(line(room_with(goodwill_credit_minor=500)))
    first = start(held)
    sandbox.pay(first.url, "pay_later")
    Checkout.objects.filter(pk=first.pk).update(expires_at=clock.now() + timedelta(seconds=30))
    second = start(held)
    pay(sandbox, second)
    assert settle(second) == "confirmed"
    sandbox.answer_payment(first.session_id or "", "succeed")

    assert settle(first) == "refunded"

    (refund,) = Refund.objects.all()
    assert (refund.cause, refund.amount_minor) == ("duplicate", 4500)
    assert state_of(held) == ("confirmed", "confirmed")
    assert mails(held) == ["confirmation", "given_back"]
    assert not CreditEntry.objects.exists()


# --- Answered after the limit ---------------------------------------------------------------------


def test_the_limit_passes_and_the_slot_is_free(client: Client, sandbox: SandboxClient) -> None:
    room = room_with()
    held = under_way(sandbox, room)
    lapse(held)
    assert expire_lapsed() == 1

    assert state_of(held) == ("expired", "expired")
    assert mails(held) == ["processing", "processing_too_long"]
    words = text(client.get(return_path(held)))
    assert "We could not keep this time for you any longer" in words
    assert "nothing was charged" not in words.lower()


def test_yes_after_the_limit_wins_a_free_slot_back(sandbox: SandboxClient) -> None:
    held = under_way(sandbox)
    lapse(held)
    expire_lapsed()
    answers(sandbox, held, "succeed")

    assert settle(latest(held)) == "confirmed"

    assert state_of(held) == ("confirmed", "confirmed")
    assert payment(held).state == "captured"
    assert live(held.booking) == 1
    assert not Refund.objects.exists()


@pytest.mark.parametrize("tidied", [True, False])
def test_yes_after_the_limit_for_a_slot_that_is_gone_is_refunded(
    client: Client, sandbox: SandboxClient, tidied: bool
) -> None:
    room = room_with(goodwill_credit_minor=500)
    held = under_way(sandbox, room)
    lapse(held)
    if tidied:
        expire_lapsed()
    other = hold(line(room))
    answers(sandbox, held, "succeed")

    assert settle(latest(held)) == "refunded"
    assert settle(latest(held)) == "repeated"
    heal()

    found = payment(held)
    assert (found.state, found.verdict, found.verdict_because) == (
        "captured",
        "refund",
        "slot_gone",
    )
    (refund,) = Refund.objects.all()
    assert (refund.cause, refund.state, refund.to) == ("late", "succeeded", "card")
    assert (refund.amount_minor, refund.currency, refund.payment_id) == (4500, "NZD", found.pk)
    assert state_of(held) == ("expired", "expired")
    assert state_of(other) == ("active", "pending_payment")
    assert booking_of(held).dues.get().settled_at is None
    assert mails(held)[-1] == "given_back"
    assert "confirmation" not in mails(held)
    assert [e.amount_minor for e in CreditEntry.objects.all()] == [500]
    words = text(client.get(return_path(held)))
    assert "You get all of your money back" in words
    assert "Your card was not charged" not in words


def test_yes_when_the_hour_has_begun_is_refunded(sandbox: SandboxClient) -> None:
    held = under_way(sandbox)
    lapse(held)
    Booking.objects.filter(pk=held.booking_id).update(starts_at=clock.now() - timedelta(minutes=1))
    answers(sandbox, held, "succeed")

    assert settle(latest(held)) == "refunded"
    assert payment(held).verdict_because == "too_late"


def test_no_after_the_limit_is_only_told(sandbox: SandboxClient) -> None:
    room = room_with()
    held = under_way(sandbox, room)
    lapse(held)
    expire_lapsed()
    other = hold(line(room))
    answers(sandbox, held, "fail")

    assert settle(latest(held)) == "failed"

    assert mails(held) == ["processing", "processing_too_long", "payment_failed"]
    assert state_of(other) == ("active", "pending_payment")
    assert not Refund.objects.exists()


@pytest.mark.parametrize("late", [False, True])
def test_heard_of_only_when_it_had_failed(sandbox: SandboxClient, late: bool) -> None:
    """Every signal of its processing was lost: it kept no slot beyond what was promised."""
    held = hold(line(room_with()))
    checkout = start(held)
    sandbox.pay(checkout.url, "pay_later")
    answers(sandbox, held, "fail")
    if late:
        lapse(held)

    assert settle(checkout) == "failed"

    assert payment(held).state == "failed"
    if late:
        assert mails(held) == ["payment_failed"]
        expire_lapsed()
        assert state_of(held) == ("expired", "expired")
        assert mails(held) == ["payment_failed"]
    else:
        assert state_of(held) == ("active", "pending_payment")
        assert start(held).pk != checkout.pk, "while there is time it can be paid in another way"
        assert mails(held) == []
