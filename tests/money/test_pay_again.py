"""A capture that fails after the confirmation: a deadline to pay again, then cancelled and said."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from bookings.models import Booking
from config.kernel import clock
from config.kernel.context import SYSTEM
from holds.claims import Claimant
from holds.models import Hold
from members.models import Notification
from payments import cancelling, checkouts, pay_again, tasks
from payments.credits import issue
from payments.errors import AlreadyPaid, PayAgainOver, PaymentInProgress
from payments.models import Checkout, Due, Finding, Payment
from tests.core.support import SOMEBODY, hold, line, live, state_of
from tests.factories import MemberFactory, make_room
from tests.money.support import (
    booking_of,
    heal,
    history,
    intents_of,
    latest,
    mails,
    make_due,
    pay,
    return_path,
    sessions,
    settle,
    start,
)
from tests.pages.support import form_to, send, text
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
HERE = "http://testserver/return/x"


def broken(sandbox: SandboxClient, **columns: Any) -> Hold:
    """Confirmed, and then the bank withdrew its promise before the capture."""
    room = make_room()
    for name, value in columns.items():
        setattr(room.workspace, name, value)
    room.workspace.save()
    held = hold(line(room))
    checkout = start(held)
    pay(sandbox, checkout)
    fault = sandbox.fault("error_500_before", match={"operation": "payment_intents.capture"})
    assert settle(checkout) == "confirmed"
    sandbox.clear(fault)
    payment = Payment.objects.get(checkout=checkout)
    path = f"/v1/payment_intents/{payment.payment_intent_id}/cancel"
    assert sandbox.api("POST", path).status_code == 200
    heal()
    payment.refresh_from_db()
    assert payment.state == "capture_failed"
    return held


def again(held: Hold) -> str:
    return pay_again.start(booking_id=held.booking_id, success_url=HERE, cancel_url=HERE)


def due_of(held: Hold) -> Due:
    return Due.objects.get(booking_id=held.booking_id)


def deadline_passes(held: Hold) -> None:
    Due.objects.filter(booking_id=held.booking_id).update(
        pay_again_until=clock.now() - timedelta(minutes=5)
    )


def taken(sandbox: SandboxClient, held: Hold) -> list[int]:
    """What was captured at Stripe for it, payment by payment."""
    return [i["amount_received"] for i in intents_of(sandbox, held) if i["amount_received"]]


# --- The deadline ---------------------------------------------------------------------------------


def test_a_failed_capture_sets_a_deadline_and_tells(client: Client, sandbox: SandboxClient) -> None:
    held = broken(sandbox, pay_again_seconds=7200)

    until = due_of(held).pay_again_until
    assert isinstance(until, datetime)
    assert timedelta(minutes=119) < until - clock.now() <= timedelta(hours=2)
    assert state_of(held) == ("confirmed", "confirmed"), "the slot stays theirs"
    assert live(held.booking) == 1
    assert mails(held) == ["capture_failed"], "no confirmation of what is not paid"
    written = held.booking.workspace.notifications.get(kind="capture_failed").payload
    assert return_path(held) in written["text"]
    assert return_path(held) in written["html"]
    words = text(client.get(return_path(held)))
    assert "Please pay again" in words
    assert "Confirmed. It is yours." not in words


def test_the_deadline_never_reaches_into_the_slots_own_time(sandbox: SandboxClient) -> None:
    held = broken(sandbox, pay_again_seconds=14 * 24 * 3600)

    assert due_of(held).pay_again_until == booking_of(held).starts_at


# --- Paying again ---------------------------------------------------------------------------------


def test_paying_again_by_the_page_ends_it_well(client: Client, sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    form = form_to(client.get(return_path(held)), "/pay-again/")
    first = send(client, form)
    assert first.status_code == 303
    assert {send(client, form).url for _ in range(2)} == {first.url}, "a double click"

    sandbox.pay(first.url)
    words = text(client.get(return_path(held)))

    assert "Confirmed. It is yours." in words
    assert [p.state for p in Payment.objects.order_by("created_at")] == [
        "capture_failed",
        "captured",
    ]
    assert taken(sandbox, held) == [4500]
    assert due_of(held).pay_again_until is None
    assert due_of(held).settled_at is not None
    assert mails(held) == ["capture_failed", "confirmation"]
    assert send(client, form).url == return_path(held), "a press from before leads to the truth"
    with pytest.raises(AlreadyPaid):
        again(held)


def test_the_manage_page_has_the_same_button(client: Client, sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    manage = return_path(held).replace("/return/", "/b/")

    answer = send(client, form_to(client.get(manage), "/pay-again/"))

    assert answer.url.startswith(sandbox.url)
    assert client.get(f"{manage}pay-again/").status_code == 302


def test_paid_but_not_settled_is_not_paid_twice(sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    url = again(held)
    assert again(held) == url
    sandbox.pay(url)
    heal()  # nobody came back to the page

    assert taken(sandbox, held) == [4500]
    with pytest.raises(AlreadyPaid):
        again(held)


def test_while_it_is_being_settled_no_second_page_opens(sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    again(held)
    Checkout.objects.filter(pk=latest(held).pk).update(state="complete", version=2)

    with pytest.raises(PaymentInProgress):
        again(held)


def test_two_captures_may_fail_and_the_deadline_stays(sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    before = due_of(held).pay_again_until
    url = again(held)
    sandbox.pay(url)
    sandbox.fault("error_500_before", match={"operation": "payment_intents.capture"})
    assert settle(latest(held)) == "confirmed"
    second = Payment.objects.get(checkout=latest(held))
    sandbox.api("POST", f"/v1/payment_intents/{second.payment_intent_id}/cancel")
    heal()

    assert [p.state for p in Payment.objects.all()] == ["capture_failed"] * 2
    assert due_of(held).pay_again_until == before
    assert mails(held) == ["capture_failed"] * 2


def test_two_pages_paid_at_once_capture_one(sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    first = again(held)
    soon = clock.now() + timedelta(seconds=30)
    Checkout.objects.filter(url=first).update(expires_at=soon)
    second = again(held)
    assert second != first
    sandbox.pay(first)
    sandbox.pay(second)
    both = Checkout.objects.filter(url__in=[first, second])

    def one(checkout: Checkout) -> str:
        try:
            return settle(checkout)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(one, both)) == ["confirmed", "voided"]
    heal()

    assert taken(sandbox, held) == [4500]
    assert sorted(p.state for p in Payment.objects.all()) == [
        "capture_failed",
        "captured",
        "voided",
    ]


# --- The deadline passes --------------------------------------------------------------------------


def test_not_paid_in_time_is_cancelled_told_and_filed(
    client: Client, sandbox: SandboxClient
) -> None:
    held = broken(sandbox)
    again(held)
    deadline_passes(held)

    assert tasks.sweep()["unpaid"] == 1
    heal()

    assert state_of(held) == ("confirmed", "cancelled")
    assert live(held.booking) == 0
    assert mails(held) == ["capture_failed", "cancellation"]
    assert {s["status"] for s in sessions(sandbox, held)} == {"complete", "expired"}
    (finding,) = Finding.objects.all()
    assert (finding.kind, finding.subject_id) == ("cancelled_unpaid", str(held.booking_id))
    assert finding.workspace_id == held.workspace_id
    assert history(held).count("cancelled") == 1
    page = client.get(return_path(held), follow=True)
    assert "Cancelled" in text(page)
    assert "It was not paid by" in held.booking.events.get(kind="cancelled").reason
    with pytest.raises(PayAgainOver):
        again(held)
    assert tasks.sweep()["unpaid"] == 0


def test_before_the_deadline_nothing_is_cancelled(sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    make_due()

    assert tasks.sweep()["unpaid"] == 0
    assert pay_again.give_up(due_of(held).pk) is False
    assert state_of(held)[1] == "confirmed"


def test_paid_in_the_last_second_and_unsettled_is_kept(sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    sandbox.pay(again(held))
    deadline_passes(held)

    assert pay_again.give_up(due_of(held).pk) is False
    heal()

    assert state_of(held)[1] == "confirmed"
    assert taken(sandbox, held) == [4500]
    assert not Finding.objects.exists()


@pytest.mark.parametrize("winner", ["pay", "expire"])
def test_the_last_second_goes_one_way_only(sandbox: SandboxClient, winner: str) -> None:
    held = broken(sandbox)
    url = again(held)
    deadline_passes(held)
    sandbox.fault("pay_and_expire", winner=winner, match={"session": latest(held).session_id})

    pay_again.give_up(due_of(held).pk)
    heal(2)

    if winner == "pay":
        assert state_of(held)[1] == "confirmed"
        assert taken(sandbox, held) == [4500]
    else:
        assert state_of(held)[1] == "cancelled"
        assert taken(sandbox, held) == []
    assert sandbox.pay(url).status_code != 303


def test_paid_after_it_was_given_up_is_not_charged(sandbox: SandboxClient) -> None:
    """Stripe was away at the deadline; the page could be paid a moment longer."""
    held = broken(sandbox)
    url = again(held)
    deadline_passes(held)
    fault = sandbox.fault(
        "error_500_before", times=None, match={"operation": "checkout.sessions.expire"}
    )
    assert pay_again.give_up(due_of(held).pk) is True
    sandbox.pay(url)
    sandbox.clear(fault)
    heal(2)

    assert state_of(held)[1] == "cancelled"
    assert taken(sandbox, held) == []
    late = Payment.objects.latest("created_at")
    assert (late.state, late.verdict_because) == ("voided", "not_revived")


def test_stripe_away_at_the_deadline_is_waited_for_within_the_grace(
    sandbox: SandboxClient,
) -> None:
    held = broken(sandbox, checkout_grace_seconds=600)
    again(held)
    deadline_passes(held)
    sandbox.fault("error_500_before", match={"operation": "checkout.sessions.expire"})

    assert tasks.sweep()["unpaid"] == 0
    assert state_of(held)[1] == "confirmed"

    assert tasks.sweep()["unpaid"] == 1
    assert state_of(held)[1] == "cancelled"


def test_an_hour_had_without_paying_is_filed_and_stays(sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    Booking.objects.filter(pk=held.booking_id).update(state="completed", version=2)
    deadline_passes(held)

    tasks.sweep()

    assert state_of(held)[1] == "completed"
    assert [f.kind for f in Finding.objects.all()] == ["taken_place_unpaid"]


def test_who_cancels_meanwhile_owes_nothing_and_is_not_filed(sandbox: SandboxClient) -> None:
    held = broken(sandbox)
    url = again(held)
    cancelling.cancel(booking_id=held.booking_id, actor=SOMEBODY)
    heal()
    deadline_passes(held)
    heal()

    assert sandbox.pay(url).status_code != 303, "its page was closed"
    assert mails(held).count("cancellation") == 1
    assert not Finding.objects.exists()
    assert SYSTEM.kind not in [e.actor_kind for e in held.booking.events.filter(kind="cancelled")]


def test_the_mail_asks_for_what_paying_again_costs(sandbox: SandboxClient) -> None:
    """The credit of the payment that failed is the member's again: the card is asked for all."""
    room = make_room()
    ana = MemberFactory(email="ana@example.test")
    issue(
        workspace=room.workspace, member=ana, amount_minor=1000,
        reason="Sorry", source="test", key="g", actor=SYSTEM,
    )  # fmt: skip
    held = hold(line(room), claimant=Claimant(member=ana, email=ana.email))
    checkouts.start(
        hold_id=held.pk, success_url=HERE, cancel_url=HERE, actor=SYSTEM, credit_minor=1000
    )
    pay(sandbox, latest(held))
    sandbox.fault("capture_fails", match={"operation": "payment_intents.capture"})
    assert settle(latest(held)) == "confirmed"
    heal()
    again(held)
    assert latest(held).amount_minor == 4500
    assert "NZ$45.00" in Notification.objects.get(kind="capture_failed").payload["text"]
