"""The payment page: each outcome, for people and for programs."""

from __future__ import annotations

import pytest

from .harness import CANCEL, Process, Shop

AUTHORISED = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.amount_capturable_updated",
    "checkout.session.completed",
]


def test_paying_authorises_and_sends_the_payer_back(shop: Shop) -> None:
    session = shop.open(intent={"metadata": {"booking": "b1"}, "application_fee_amount": 90})
    answer = shop.pay(session)
    after = shop.session(session.id, "payment_intent.latest_charge")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"https://shop.test/back?session={session.id}"
    # Authorised is complete, and not paid.
    assert (after.status, after.payment_status, after.url) == ("complete", "unpaid", None)
    intent = after.payment_intent
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 4500)
    assert (intent.amount_received, intent.application_fee_amount) == (0, 90)
    assert intent.metadata.to_dict() == {"booking": "b1"}
    assert (intent.latest_charge.captured, intent.latest_charge.paid) == (False, True)
    assert shop.event_types() == AUTHORISED


def test_automatic_capture_pays_at_once(shop: Shop) -> None:
    session = shop.open(intent={"capture_method": "automatic"})
    shop.pay(session)
    after = shop.session(session.id, "payment_intent.latest_charge")
    assert after.payment_status == "paid"
    assert (after.payment_intent.status, after.payment_intent.amount_received) == (
        "succeeded",
        4500,
    )
    assert after.payment_intent.latest_charge.captured is True
    assert shop.event_types() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_a_declined_card_leaves_the_session_open_for_another(shop: Shop) -> None:
    session = shop.open()
    page = shop.pay(session, "decline")
    after = shop.session(session.id, "payment_intent")
    assert page.status_code == 200
    assert "declined" in page.text
    assert after.status == "open"
    assert after.payment_intent.status == "requires_payment_method"
    assert after.payment_intent.last_payment_error.code == "card_declined"
    assert shop.pay(session).status_code == 303
    assert shop.intent(session.id).id == after.payment_intent.id
    assert shop.event_types() == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        *AUTHORISED[1:],
    ]


def test_authentication_that_passes(shop: Shop) -> None:
    session = shop.open()
    assert shop.pay(session, "authenticate").status_code == 303
    assert shop.event_types() == [
        AUTHORISED[0],
        "payment_intent.requires_action",
        *AUTHORISED[1:],
    ]


def test_authentication_that_fails(shop: Shop) -> None:
    session = shop.open()
    page = shop.pay(session, "fail_authentication")
    intent = shop.intent(session.id)
    assert page.status_code == 200
    assert "could not confirm" in page.text
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error.code == "payment_intent_authentication_failure"
    assert shop.session(session.id).status == "open"


def test_authentication_that_is_left_half_way(shop: Shop) -> None:
    session = shop.open()
    page = shop.pay(session, "start_authentication")
    assert "Your bank wants to know it is you" in page.text
    assert shop.intent(session.id).status == "requires_action"
    assert shop.pay(session, "abandon").headers["Location"] == CANCEL
    assert shop.session(session.id).status == "open"
    assert shop.pay(session, "authenticate").status_code == 303


def test_abandoning_goes_back_and_changes_nothing(shop: Shop) -> None:
    session = shop.open()
    answer = shop.pay(session, "abandon")
    assert (answer.status_code, answer.headers["Location"]) == (303, CANCEL)
    assert shop.session(session.id).status == "open"
    assert shop.event_types() == []


def test_paying_and_never_coming_back(shop: Shop) -> None:
    session = shop.open()
    answer = shop.pay(session, "pay_without_returning")
    assert answer.status_code == 200
    assert "Location" not in answer.headers
    assert shop.session(session.id).status == "complete"


def test_paying_twice_pays_once(shop: Shop) -> None:
    session = shop.paid()
    again = shop.pay(session)
    assert again.status_code == 409
    assert "already" in again.text or "complete" in again.text
    charges = shop.stripe.v1.charges.list(
        {"payment_intent": session.payment_intent}, shop.options()
    )
    assert len(charges.data) == 1


def test_the_payers_address_is_taken_from_the_page(shop: Shop) -> None:
    session = shop.open(customer_email=None)
    assert session.customer_details is None
    assert 'type="email"' in shop.process.http.get(f"/pay/{session.id}").text
    wrong = shop.pay(session, email="nonsense")
    assert wrong.status_code == 422
    assert 'aria-invalid="true" aria-describedby="error"' in wrong.text
    assert shop.pay(session, email="").status_code == 422
    assert shop.session(session.id).status == "open"
    declined = shop.pay(session, "decline", email="jo@example.com").text
    assert 'value="jo@example.com"' in declined
    assert "aria-invalid" not in declined
    shop.pay(session, email="jo@example.com")
    assert shop.session(session.id).customer_details.email == "jo@example.com"


def test_the_page_says_what_is_bought_and_that_it_is_a_sandbox(shop: Shop) -> None:
    session = shop.open()
    answer = shop.process.http.get(f"/pay/{session.id}")
    page = answer.text
    assert "Sandbox — no real money" in page
    assert "Meeting room &lt;Kauri&gt;" in page
    assert "NZ$45.00" in page
    assert "mia@example.com" in page
    assert 'type="email"' not in page
    assert page.count("<h1>") == 1
    assert "<script" not in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("outcome", ["pay", "decline", "start_authentication"])
def test_a_person_can_choose_every_card(shop: Shop, outcome: str) -> None:
    page = shop.process.http.get(f"/pay/{shop.open().id}").text
    assert f'value="{outcome}"' in page


def test_closed_sessions_show_the_truth(shop: Shop) -> None:
    paid, ended = shop.paid(), shop.open()
    shop.expire(ended.id)
    complete = shop.process.http.get(f"/pay/{paid.id}")
    expired = shop.process.http.get(f"/pay/{ended.id}")
    assert (complete.status_code, expired.status_code) == (200, 200)
    assert "This payment is complete" in complete.text
    assert "your card was not charged" in expired.text
    assert "<form" not in complete.text + expired.text


def test_nonsense_is_refused(shop: Shop, sandbox: Process) -> None:
    assert shop.pay(shop.open(), "bribe").status_code == 400
    assert sandbox.http.get("/pay/cs_test_unknown").status_code == 404
    assert sandbox.http.post("/pay/cs_test_unknown", data={"outcome": "pay"}).status_code == 404
