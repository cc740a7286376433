"""What Stripe has and we do not: payments, refunds, events, payment pages."""

from typing import Any

import pytest
from django.core.management import call_command
from djstripe.models import Event

from config.kernel import clock
from holds.models import Hold
from members.models import Workspace
from payments import checkouts, pay_again, stripe_api
from payments.models import Checkout, CheckRun, Finding, Payment, Refund, Signal
from payments.reconciler import registry, runner
from payments.reconciler.stripe_objects import StripePayments
from tests.core.support import hold, lapse, line, state_of
from tests.factories import make_room
from tests.money.mixed_support import capture_fails
from tests.money.reconciling import (
    assert_told_once,
    begins_at,
    check,
    in_the_past,
    judge_from_now,
    only_finding,
    open_findings,
    past_the_guards,
)
from tests.money.support import (
    SUCCESS,
    assert_paid_once,
    heal,
    latest,
    pay,
    payment_of,
    room_charging,
    sessions,
    settle,
    start,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch, sandbox: SandboxClient) -> None:
    judge_from_now(monkeypatch, sandbox)


def paid(sandbox: SandboxClient, charges: str = "platform") -> Hold:
    held = hold(line(room_charging(sandbox, charges)))
    checkout = start(held)
    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"
    return held


def stranger(sandbox: SandboxClient, account: str = "", **more: str) -> str:
    """Somebody pays at Stripe what this product has never heard of; the intent's id."""
    headers = {"Stripe-Account": account} if account else {}
    form = {
        "mode": "payment",
        "success_url": SUCCESS,
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "nzd",
        "line_items[0][price_data][unit_amount]": "700",
        "line_items[0][price_data][product_data][name]": "Coffee",
        **more,
    }
    made = sandbox.api("POST", "/v1/checkout/sessions", data=form, headers=headers)
    assert made.status_code == 200, made.text
    assert sandbox.pay(made.json()["url"]).status_code == 303
    session = sandbox.api("GET", f"/v1/checkout/sessions/{made.json()['id']}", headers=headers)
    intent: str = session.json()["payment_intent"]
    return intent


# --- Payments -----------------------------------------------------------------------------------


@pytest.mark.parametrize("charges", ["platform", "direct", "destination"])
def test_silent_when_every_payment_is_known(sandbox: SandboxClient, charges: str) -> None:
    paid(sandbox, charges)
    run = check("stripe_payments")
    assert run.looked_at == 1
    assert (run.found, run.healed) == (0, 0)
    assert open_findings() == []


@pytest.mark.parametrize("charges", ["platform", "direct"])
def test_a_payment_that_nothing_explains(sandbox: SandboxClient, charges: str) -> None:
    room = room_charging(sandbox, charges)
    account = room.workspace.charging_account
    intent = stranger(sandbox, account)
    finding = assert_told_once("stripe_payments", "unexplained_payment")
    assert finding.subject_id == intent
    assert finding.severity == ("medium" if account else "high")
    assert finding.workspace == (room.workspace if account else None)
    assert finding.evidence["amount"] == 700
    assert finding.evidence["account"] == account

    headers = {"Stripe-Account": account} if account else {}
    answer = sandbox.api("POST", "/v1/refunds", data={"payment_intent": intent}, headers=headers)
    assert answer.status_code == 200, answer.text
    check("stripe_payments")
    finding.refresh_from_db()
    assert finding.resolution == "cause_gone"


def test_it_stays_told_when_its_window_has_passed(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger(sandbox)
    check("stripe_payments")
    later = int(clock.now().timestamp()) + 2
    monkeypatch.setattr(StripePayments, "start", begins_at(StripePayments.start, later))
    run = check("stripe_payments")
    assert (run.looked_at, run.found) == (0, 0)
    only_finding("unexplained_payment")


def test_a_payment_of_a_checkout_of_ours_is_settled(sandbox: SandboxClient) -> None:
    """Every other source was silent, and the session's id never reached us."""
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    past_the_guards(
        "UPDATE payments_checkout SET session_id = NULL, url = '', state = 'creating',"
        " next_look_at = NULL WHERE id = %s",
        checkout.pk,
    )
    run = check("stripe_payments")
    assert (run.healed, run.found) == (1, 0)
    finding = Finding.objects.get(kind="unexplained_payment")
    assert (finding.resolution, finding.done) == ("cause_gone", "Settled: confirmed.")
    assert_paid_once(sandbox, held)


def test_taken_at_stripe_and_given_up_here(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    past_the_guards("UPDATE payments_payment SET state = 'voided', verdict = 'void'")
    finding = assert_told_once("stripe_payments", "stripe_differs")
    assert "is voided here and was taken at Stripe" in finding.summary
    past_the_guards("UPDATE payments_payment SET state = 'captured', verdict = 'capture'")
    check("stripe_payments")
    assert open_findings() == []
    assert held.booking_id


def test_a_refund_made_in_stripes_dashboard(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    payment = Payment.objects.get()
    made = sandbox.api(
        "POST", "/v1/refunds", data={"payment_intent": payment.payment_intent_id, "amount": 500}
    ).json()
    finding = assert_told_once("stripe_payments", "refund_not_ours")
    assert (finding.subject_id, finding.severity) == (made["id"], "high")
    assert finding.evidence["due"] == str(payment.due_id)
    Refund.objects.create(
        due=payment.due,
        payment=payment,
        cause="reconciler",
        amount_minor=500,
        currency="NZD",
        actor_kind="system",
        created_at=clock.now(),
        stripe_refund_id=made["id"],
    )
    check("stripe_payments")
    assert open_findings() == []
    assert held.booking_id


def test_pages_and_accounts_are_resumed(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = [room_charging(sandbox, "direct") for _ in range(2)]
    intents = [stranger(sandbox)]
    for room in rooms:
        intents += [stranger(sandbox, room.workspace.charging_account) for _ in range(3)]
    listed = stripe_api.list_page
    monkeypatch.setattr(
        stripe_api, "list_page", lambda what, **options: listed(what, **(options | {"limit": 2}))
    )
    runs = 0
    while runs == 0 or not CheckRun.objects.latest("started_at").is_complete:
        assert runner.run(registry.check_named("stripe_payments"), seconds=0) is not None
        runs += 1
    # the platform's one page, two of each account (one of them with two to be tried, for which
    # there is time in two runs), and a list of refunds for each
    assert runs == 1 + 1 + 2 * (3 + 1)
    found = {finding.subject_id for finding in open_findings("unexplained_payment")}
    assert found == set(intents)


def test_an_account_that_is_lost_to_us_does_not_keep_the_others_waiting(
    sandbox: SandboxClient,
) -> None:
    lost = Workspace.objects.create(
        name="Lost", slug="lost", stripe_account_id="acct_gone", charges="direct"
    )
    room = room_charging(sandbox, "direct")
    intent = stranger(sandbox, room.workspace.charging_account)
    assert check("stripe_payments").found == 2
    unreadable, unexplained = sorted(open_findings(), key=lambda finding: finding.kind)
    assert (unreadable.kind, unreadable.workspace) == ("account_unreadable", lost)
    assert unexplained.subject_id == intent


def test_while_stripe_is_away_nothing_is_called_fine(sandbox: SandboxClient) -> None:
    sandbox.fault("error_500_before", times=None)
    run = runner.run(registry.check_named("stripe_payments"))
    assert run is not None
    assert not run.is_complete
    assert run.error
    sandbox.clear()
    assert check("stripe_payments").is_complete


# --- Payment pages ------------------------------------------------------------------------------


def test_a_page_open_for_a_hold_that_is_over_is_closed(sandbox: SandboxClient) -> None:
    check("open_sessions")  # pages that other tests have left open, of which no row is left
    held = hold(line(make_room()))
    checkout = start(held)
    assert check("open_sessions").healed == 0
    lapse(held, seconds=1)
    # As if its answer had never come, and nobody remembered that it was to be closed.
    past_the_guards(
        "UPDATE payments_checkout SET session_id = NULL, state = 'abandoned',"
        " next_look_at = NULL WHERE id = %s",
        checkout.pk,
    )
    run = check("open_sessions")
    assert (run.healed, run.found) == (1, 0)
    finding = Finding.objects.get(kind="session_open", workspace=held.workspace)
    assert (finding.resolution, finding.done) == ("cause_gone", "It is closed.")
    assert [s["status"] for s in sessions(sandbox, held)] == ["expired"]
    assert state_of(held) == ("expired", "expired")
    assert Checkout.objects.get().state == "expired"
    assert check("open_sessions").healed == 0


@pytest.mark.parametrize("name", ["checkouts_stuck", "open_sessions"])
def test_a_page_to_pay_again_stays_open(sandbox: SandboxClient, name: str) -> None:
    held = hold(line(make_room()))
    capture_fails(sandbox, held)
    in_the_past("holds_hold", "ended_at", held.pk, minutes=10)
    url = pay_again.start(booking_id=held.booking_id, success_url=SUCCESS, cancel_url=SUCCESS)

    assert check(name).healed == 0
    assert latest(held).state == "open"
    assert sandbox.pay(url).status_code == 303
    assert settle(latest(held)) == "confirmed"


# --- Events -------------------------------------------------------------------------------------


@pytest.fixture
def nobody_listens(sandbox: SandboxClient, settings: Any) -> None:
    """Our endpoints are known at Stripe, and nothing answers there."""
    settings.SITE_URL = "http://127.0.0.1:9"
    call_command("ensure_webhook_endpoints", verbosity=0)


@pytest.mark.parametrize("charges", ["direct", "destination"])
def test_events_that_could_not_be_delivered_are_taken_in_once(
    sandbox: SandboxClient, nobody_listens: None, charges: str
) -> None:
    held = hold(line(room_charging(sandbox, charges)))
    checkout = start(held)
    pay(sandbox, checkout, "pay_without_returning")
    assert not Signal.objects.exists()

    run = check("undelivered_events")
    assert run.healed >= 1
    assert run.found == 0
    taken = Event.objects.count()
    hints = Signal.objects.filter(checkout=checkout)
    source = "connect_webhook" if charges == "direct" else "platform_webhook"
    assert set(hints.values_list("source", flat=True)) == {source}
    many = hints.count()
    assert many >= 1

    assert check("undelivered_events").healed == 0
    assert (Event.objects.count(), hints.count()) == (taken, many)
    heal()
    assert_paid_once(sandbox, held)
    assert payment_of(checkout).settled_by == source
    assert checkouts.close(checkout.pk) == "complete"
