"""Two payments where one is owed: one is captured, the other voided, and no slot is lost."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from holds.models import Hold
from members.models import Workspace
from payments import stripe_api, tasks
from payments.models import Checkout, Due, Payment
from tests.core.support import hold, lapse, line, live, state_of
from tests.factories import make_room
from tests.money.support import (
    assert_never_charged,
    assert_paid_once,
    connected_account,
    heal,
    intent_at,
    intents_of,
    latest,
    mails,
    pay,
    payment_of,
    second_checkout,
    sessions,
    settle,
    signal_for,
    start,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


def settle_together(*checkouts: Checkout) -> list[str]:
    """Settle at once, a thread and a connection each."""

    def one(checkout: Checkout) -> str:
        try:
            return settle(checkout)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(checkouts)) as pool:
        return list(pool.map(one, checkouts))


def both_paid_late(sandbox: SandboxClient) -> tuple[Hold, Hold]:
    """Two visitors paid for the same slot, one after the other's time; both are late by now."""
    room = make_room()
    early = hold(line(room))
    pay(sandbox, start(early))
    lapse(early)
    later = hold(line(room))
    pay(sandbox, start(later))
    return early, later


# --- Two visitors, one slot -----------------------------------------------------------------------


@pytest.mark.parametrize("first", ["early", "later"])
def test_the_live_hold_wins_whoever_settles_first(sandbox: SandboxClient, first: str) -> None:
    early, later = both_paid_late(sandbox)
    order = [early, later] if first == "early" else [later, early]

    found = {held.pk: settle(latest(held)) for held in order}

    assert found == {early.pk: "voided", later.pk: "confirmed"}
    assert_paid_once(sandbox, later)
    assert_never_charged(sandbox, early)
    assert mails(early).count("not_charged") == 1


@pytest.mark.parametrize("first", ["early", "later"])
def test_of_two_late_ones_the_first_to_settle_wins(sandbox: SandboxClient, first: str) -> None:
    early, later = both_paid_late(sandbox)
    lapse(later)
    winner, loser = (early, later) if first == "early" else (later, early)

    assert settle(latest(winner)) == "confirmed"
    assert settle(latest(loser)) == "voided"

    assert_paid_once(sandbox, winner)
    assert_never_charged(sandbox, loser)


def test_two_late_ones_at_once_end_in_one_booking(sandbox: SandboxClient) -> None:
    early, later = both_paid_late(sandbox)
    lapse(later)

    found = settle_together(latest(early), latest(later), latest(early), latest(later))
    heal()

    assert sorted(name for name in found if name != "repeated") == ["confirmed", "voided"]
    states = {held.pk: state_of(held)[1] for held in (early, later)}
    assert sorted(states.values()) == ["confirmed", "expired"]
    winner, loser = (early, later) if states[early.pk] == "confirmed" else (later, early)
    assert_paid_once(sandbox, winner)
    assert_never_charged(sandbox, loser)


# --- One hold, two tabs ---------------------------------------------------------------------------


def test_two_tabs_show_one_session_which_is_paid_once(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    one, other = start(held), start(held)
    assert (one.pk, one.url) == (other.pk, other.url)

    pay(sandbox, one)
    again = sandbox.pay(other.url)
    assert again.status_code == 409
    settle_together(one, other)
    heal()

    assert len(sessions(sandbox, held)) == 1
    assert_paid_once(sandbox, held)
    assert Payment.objects.count() == 1


# --- A duplicate for the same due -----------------------------------------------------------------


@pytest.mark.parametrize("first", [0, 1])
def test_a_duplicate_is_voided_and_the_booking_stays(sandbox: SandboxClient, first: int) -> None:
    held = hold(line(make_room()))
    both = [start(held), second_checkout(held)]
    for checkout in both:
        pay(sandbox, checkout)

    assert settle(both[first]) == "confirmed"
    assert settle(both[1 - first]) == "voided"

    assert_paid_once(sandbox, held)
    assert live(held.booking) == 1
    refused = payment_of(both[1 - first])
    assert (refused.state, refused.verdict_because) == ("voided", "duplicate")
    assert intent_at(sandbox, both[1 - first])["status"] == "canceled"
    assert mails(held) == ["confirmation", "paid_twice"]


def test_duplicates_settled_at_once(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    both = [start(held), second_checkout(held)]
    for checkout in both:
        pay(sandbox, checkout)

    found = settle_together(*both, *both)
    heal()

    assert sorted(name for name in found if name != "repeated") == ["confirmed", "voided"]
    assert_paid_once(sandbox, held)


def test_the_page_left_open_is_closed_when_the_other_is_paid(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    first, second = start(held), second_checkout(held)
    pay(sandbox, second)
    assert settle(second) == "confirmed"

    heal()

    assert {s["id"]: s["status"] for s in sessions(sandbox, held)} == {
        first.session_id: "expired",
        second.session_id: "complete",
    }
    assert_paid_once(sandbox, held)


def test_a_session_whose_creation_we_never_heard_of_is_settled_all_the_same(
    sandbox: SandboxClient,
) -> None:
    """Stripe answered 500 and had made it: its events name our row."""
    held = hold(line(make_room()))
    sandbox.fault("error_500_after", match={"operation": "checkout.sessions.create"})
    with pytest.raises(stripe_api.StripeDown):
        start(held)
    lost = latest(held)
    assert (lost.state, lost.session_id) == ("abandoned", None)
    (unknown,) = sessions(sandbox, held)
    second = start(held)
    pay(sandbox, second)
    assert settle(second) == "confirmed"
    assert sandbox.pay(unknown["id"]).status_code == 303

    hint = signal_for(lost, session_id=unknown["id"], event_type="checkout.session.completed")
    assert tasks.follow_signal(str(hint.pk)) == "voided"

    assert_paid_once(sandbox, held)
    assert sorted(i["status"] for i in intents_of(sandbox, held)) == ["canceled", "succeeded"]


# --- What does not agree is never confirmed -------------------------------------------------------


def amount(held: Hold, sandbox: SandboxClient) -> None:
    Due.objects.filter(booking=held.booking).update(amount_minor=4501)


def currency(held: Hold, sandbox: SandboxClient) -> None:
    Due.objects.filter(booking=held.booking).update(currency="AUD")


def livemode(held: Hold, sandbox: SandboxClient) -> None:
    Checkout.objects.filter(due__booking=held.booking).update(livemode=True)


def account(held: Hold, sandbox: SandboxClient) -> None:
    Workspace.objects.filter(pk=held.workspace_id).update(
        charges="direct", stripe_account_id=connected_account(sandbox)
    )


@pytest.mark.parametrize(
    ("differs", "because"),
    [
        (amount, "amount_differs"),
        (currency, "amount_differs"),
        (livemode, "livemode_differs"),
        (account, "account_differs"),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["in time", "late"])
def test_what_differs_is_voided(
    sandbox: SandboxClient, differs: Any, because: str, late: bool
) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    differs(held, sandbox)
    if late:
        lapse(held)

    assert settle(checkout) == "voided"

    payment = payment_of(checkout)
    assert (payment.state, payment.verdict_because) == ("voided", because)
    assert_never_charged(sandbox, held)
    expected = ("expired", "expired") if late else ("active", "pending_payment")
    assert state_of(held) == expected, "it can still be paid properly, while there is time"


def test_a_cheaper_session_that_claims_to_be_ours_buys_nothing(sandbox: SandboxClient) -> None:
    """Metadata is not proof: the amount of the PaymentIntent decides."""
    held = hold(line(make_room()))
    sandbox.fault("error_500_before", match={"operation": "checkout.sessions.create"})
    with pytest.raises(stripe_api.StripeDown):
        start(held)
    row = latest(held)
    params = stripe_api._session_params(row)
    params["line_items"][0]["price_data"]["unit_amount"] = 100
    cheap = stripe_api.client().v1.checkout.sessions.create(params=params)
    assert sandbox.pay(cheap.url or "").status_code == 303

    hint = signal_for(row, session_id=cheap.id, event_type="checkout.session.completed")
    assert tasks.follow_signal(str(hint.pk)) == "voided"

    assert payment_of(row).verdict_because == "amount_differs"
    assert_never_charged(sandbox, held)
    assert state_of(held) == ("active", "pending_payment")


# --- Stale truth ----------------------------------------------------------------------------------


def test_truths_fetched_at_different_moments_end_in_one_verdict(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    unpaid = stripe_api.fetch_session(checkout)
    pay(sandbox, checkout)
    authorised = stripe_api.fetch_session(checkout)

    assert settle(checkout, authorised) == "confirmed"
    assert settle(checkout, unpaid) == "unpaid"
    assert settle(checkout, authorised) == "repeated"
    assert settle(checkout) == "repeated"

    assert_paid_once(sandbox, held)
    assert Payment.objects.count() == 1


def test_a_truth_from_before_the_slot_was_lost_does_not_win_it(sandbox: SandboxClient) -> None:
    room = make_room()
    held = hold(line(room))
    checkout = start(held)
    pay(sandbox, checkout)
    fetched_in_time = stripe_api.fetch_session(checkout)
    lapse(held)
    other = hold(line(room))

    assert settle(checkout, fetched_in_time) == "voided"
    assert settle(checkout, fetched_in_time) == "repeated"

    assert_never_charged(sandbox, held)
    assert state_of(other) == ("active", "pending_payment")


def test_an_authorisation_fetched_before_it_was_voided_captures_nothing(
    sandbox: SandboxClient,
) -> None:
    room = make_room()
    held = hold(line(room))
    checkout = start(held)
    pay(sandbox, checkout)
    authorised = stripe_api.fetch_session(checkout)
    lapse(held)
    hold(line(room))
    assert settle(checkout) == "voided"

    assert settle(checkout, authorised) == "repeated"
    heal()

    assert_never_charged(sandbox, held)
    assert intent_at(sandbox, checkout)["capture_calls"] == 0


def test_two_truths_decided_at_once(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    unpaid = stripe_api.fetch_session(checkout)
    pay(sandbox, checkout)
    authorised = stripe_api.fetch_session(checkout)

    def decide(truth: stripe_api.Session) -> str:
        try:
            return settle(checkout, truth)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(decide, [unpaid, authorised, unpaid, authorised]))
    heal()

    assert sorted(found) == ["confirmed", "repeated", "unpaid", "unpaid"]
    assert_paid_once(sandbox, held)
    assert Payment.objects.count() == 1
