"""Four sources may settle a payment: each alone, all at once, late, forged (design.md §6).

Real web and worker processes, and webhooks that the sandbox signs, for a workspace that charges
directly (its events come through the Connect endpoint) and one with destination charges (through
the platform's).
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe
from django.core.management import call_command
from django.db import connection
from djstripe.models import WebhookEndpoint, WebhookEventTrigger

from bookings.models import Resource
from config.celery import app
from holds import services as holds_services
from holds.models import Hold
from payments import checkouts, settlement, tasks
from payments.models import Checkout, Payment, Signal
from tests.core.support import SOMEBODY, hold, lapse, line, state_of
from tests.money.conftest import Stack
from tests.money.support import (
    Hooks,
    assert_never_charged,
    assert_paid_once,
    booking_of,
    connected_account,
    heal,
    history,
    latest,
    mails,
    make_due,
    outcomes,
    pay,
    payment_of,
    return_path,
    room_charging,
    start,
)
from tests.support.instances import Starter
from tests.support.sandbox import SandboxClient, eventually

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 30.0
COMPLETED = "checkout.session.completed"


def captured(held: Hold) -> bool:
    return Payment.objects.filter(due__booking_id=held.booking_id, state="captured").exists()


def followed(held: Hold) -> bool:
    """Every hint so far has been followed."""
    hints = Signal.objects.filter(checkout__due__booking_id=held.booking_id)
    return hints.exists() and not hints.filter(followed_at=None).exists()


def delivered(hooks: Hooks, account: str, about: str) -> list[dict[str, Any]]:
    """Wait until every delivery about an intent has been answered; what was answered."""
    ids = [event["id"] for event in hooks.events(account, about)]

    def answered() -> list[dict[str, Any]]:
        found = hooks.deliveries(ids)
        return found if found and all(d["state"] == "succeeded" for d in found) else []

    return list(eventually(answered, PATIENCE))


def paid_held(sandbox: SandboxClient, room: Resource) -> Hold:
    held = hold(line(room))
    pay(sandbox, start(held), "pay_without_returning")
    return held


def everything(held: Hold) -> tuple[Any, ...]:
    """What must not change when nothing new has happened."""
    booking = booking_of(held)
    payments = Payment.objects.filter(due__booking_id=booking.pk).order_by("id")
    return (
        booking.version,
        booking.state,
        history(held),
        mails(held),
        list(payments.values_list("id", "state", "version", "verdict", "settled_by")),
    )


# --- Each alone -----------------------------------------------------------------------------------


def test_the_success_page_alone(stack: Stack, sandbox: SandboxClient) -> None:
    held = hold(line(room_charging(sandbox, "direct")))
    pay(sandbox, start(held))

    page = httpx.get(f"{stack.web.url}{return_path(held)}", timeout=20)

    assert page.status_code == 200, page.text
    assert_paid_once(sandbox, held)
    assert outcomes(held) == [("success_page", "confirmed")]
    assert payment_of(latest(held)).settled_by == "success_page"


@pytest.mark.parametrize(
    ("charges", "source"), [("direct", "connect_webhook"), ("destination", "platform_webhook")]
)
def test_a_webhook_alone(sandbox: SandboxClient, hooks: Hooks, charges: str, source: str) -> None:
    hooks.switch_off(hooks.platform if charges == "direct" else hooks.connect)
    held = paid_held(sandbox, room_charging(sandbox, charges))

    eventually(lambda: captured(held), PATIENCE)
    eventually(lambda: followed(held), PATIENCE)

    assert_paid_once(sandbox, held)
    assert {found for found, _ in outcomes(held)} == {source}
    assert [name for _, name in outcomes(held)].count("confirmed") == 1
    assert payment_of(latest(held)).settled_by == source


@pytest.mark.parametrize("charges", ["direct", "destination"])
def test_the_other_endpoint_hears_nothing(
    sandbox: SandboxClient, hooks: Hooks, charges: str
) -> None:
    """Direct charges signal only through Connect, destination charges only to the platform."""
    hooks.switch_off(hooks.connect if charges == "direct" else hooks.platform)
    held = paid_held(sandbox, room_charging(sandbox, charges))
    checkout = latest(held)

    events = hooks.events(checkout.account, checkout.session_id or "")

    assert COMPLETED in {event["type"] for event in events}
    assert hooks.deliveries(event["id"] for event in events) == []
    assert not WebhookEventTrigger.objects.exists()
    assert (outcomes(held), state_of(held)) == ([], ("active", "pending_payment"))


@pytest.mark.long
def test_the_self_heal_alone(stack: Stack, beat: Starter, sandbox: SandboxClient) -> None:
    """No page, no webhook: beat finds it when its time to look has come."""
    held = paid_held(sandbox, room_charging(sandbox, "direct"))
    make_due()
    beat()

    eventually(lambda: captured(held), 45)

    assert_paid_once(sandbox, held)
    assert {found for found, _ in outcomes(held)} <= {"self_heal"}
    assert payment_of(latest(held)).settled_by == "self_heal"


# --- What the workspace's way of charging asks of Stripe ------------------------------------------


def created(sandbox: SandboxClient, held: Hold) -> dict[str, Any]:
    """The request that made a hold's session."""
    key = f"checkout:{latest(held).pk}"
    (found,) = [r for r in sandbox.requests() if r.get("idempotency_key") == key]
    return found


def test_a_direct_charge_is_made_on_the_workspaces_account(sandbox: SandboxClient) -> None:
    room = room_charging(sandbox, "direct")
    held = hold(line(room))
    start(held)

    asked = created(sandbox, held)

    assert asked["account"] == room.workspace.stripe_account_id
    intent = asked["params"]["payment_intent_data"]
    assert (intent["application_fee_amount"], intent["capture_method"]) == ("113", "manual")
    assert "transfer_data" not in intent


def test_a_destination_charge_is_the_platforms(sandbox: SandboxClient) -> None:
    room = room_charging(sandbox, "destination")
    held = hold(line(room))
    start(held)

    asked = created(sandbox, held)

    assert asked["account"] == sandbox.state()["platform"]
    intent = asked["params"]["payment_intent_data"]
    assert intent["application_fee_amount"] == "113"
    assert intent["transfer_data"] == {"destination": room.workspace.stripe_account_id}
    assert intent["metadata"]["checkout"] == asked["params"]["client_reference_id"]


# --- All at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("charges", ["direct", "destination"])
def test_all_at_once_confirm_once(
    stack: Stack, sandbox: SandboxClient, hooks: Hooks, charges: str
) -> None:
    held = paid_held(sandbox, room_charging(sandbox, charges))
    checkout = latest(held)

    def arrive(source: str) -> None:
        try:
            if source == "page":
                httpx.get(f"{stack.web.url}{return_path(held)}", timeout=20)
            elif source == "sweep":
                make_due()
                app.send_task("payments.sweep")
            else:
                settlement.settle(checkout_id=checkout.pk, source=Signal.Source.SELF_HEAL)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(arrive, ["page", "sweep", "settle", "page", "sweep", "settle", "page"]))
    eventually(lambda: captured(held), PATIENCE)
    intent = payment_of(checkout).payment_intent_id
    delivered(hooks, checkout.account, intent)
    eventually(lambda: followed(held), PATIENCE)

    assert_paid_once(sandbox, held)
    assert history(held).count("confirmed") == history(held).count("paid") == 1


@pytest.mark.parametrize("order", ["given", "reversed", "together"])
def test_repeats_in_any_order_change_nothing(
    sandbox: SandboxClient, hooks: Hooks, order: str
) -> None:
    held = paid_held(sandbox, room_charging(sandbox, "direct"))
    checkout = latest(held)
    eventually(lambda: captured(held), PATIENCE)
    intent = payment_of(checkout).payment_intent_id
    delivered(hooks, checkout.account, intent)
    eventually(lambda: followed(held), PATIENCE)
    before = everything(held)
    hints = Signal.objects.count()

    ids = [event["id"] for event in hooks.events(checkout.account, intent)]
    answers = sandbox.deliver([*ids, *ids], order)["deliveries"]

    assert {answer["status"] for answer in answers} == {200}
    assert Signal.objects.count() == hints
    assert everything(held) == before
    assert_paid_once(sandbox, held)


def as_new(event: dict[str, Any]) -> dict[str, Any]:
    """The same news under another event id: one that dj-stripe has not seen."""
    return {**event, "id": f"{event['id']}again"}


def test_a_late_hint_is_recorded_ignored_and_answered_200(
    sandbox: SandboxClient, hooks: Hooks
) -> None:
    """The payment was voided; then its webhook comes."""
    room = room_charging(sandbox, "direct")
    fault = sandbox.fault("drop", times=None)
    held = paid_held(sandbox, room)
    checkout = latest(held)
    lapse(held)
    hold(line(room))
    assert tasks.close_ended(str(checkout.pk)) == "complete"
    assert payment_of(checkout).state == "voided"
    before = everything(held)
    sandbox.clear(fault)

    (late,) = [
        e
        for e in hooks.events(checkout.account, checkout.session_id or "")
        if e["type"] == COMPLETED
    ]
    assert hooks.send(hooks.connect, late) == 200
    eventually(lambda: followed(held), PATIENCE)

    assert outcomes(held) == [("connect_webhook", "ignored")]
    assert Signal.objects.get().event_type == COMPLETED
    assert everything(held) == before
    assert_never_charged(sandbox, held)


def test_a_hint_about_a_hold_that_was_let_go_is_answered_200(
    sandbox: SandboxClient, hooks: Hooks
) -> None:
    """We expired the session ourselves; Stripe tells us so."""
    held = hold(line(room_charging(sandbox, "direct")))
    checkout = start(held)
    checkouts.close(checkout.pk)
    holds_services.release(hold_id=held.pk, actor=SOMEBODY)
    eventually(lambda: followed(held), PATIENCE)

    assert outcomes(held) == [("connect_webhook", "expired")]
    assert state_of(held) == ("released", "released")
    assert {d["last_status"] for d in delivered(hooks, checkout.account, checkout.session_id)} == {
        200
    }


# --- Who may say so -------------------------------------------------------------------------------


@pytest.fixture
def quiet_payment(sandbox: SandboxClient, hooks: Hooks) -> tuple[Hold, dict[str, Any]]:
    """A paid hold of which nobody has told us, and the event that would."""
    fault = sandbox.fault("drop", times=None)
    held = paid_held(sandbox, room_charging(sandbox, "direct"))
    checkout = latest(held)
    events = hooks.events(checkout.account, checkout.session_id or "")
    (event,) = [e for e in events if e["type"] == COMPLETED]
    eventually(lambda: all(d["state"] == "dropped" for d in hooks.deliveries([event["id"]])))
    sandbox.clear(fault)
    return held, event


def untouched(held: Hold) -> bool:
    return state_of(held) == ("active", "pending_payment") and not Signal.objects.exists()


def test_signatures(hooks: Hooks, quiet_payment: tuple[Hold, dict[str, Any]]) -> None:
    held, event = quiet_payment
    other = hooks.platform.secret
    assert hooks.send(hooks.connect, event, secret="whsec_of_somebody") == 400
    assert hooks.send(hooks.connect, event, secret=other) == 400, "each endpoint has its own"
    body = json.dumps(event)
    unsigned = httpx.post(hooks.connect.url, content=body)
    assert unsigned.status_code == 400
    stale = stripe.WebhookSignature.generate_signature_header(
        body, hooks.connect.secret, timestamp=int(time.time()) - 301
    )
    old = httpx.post(hooks.connect.url, content=body, headers={"Stripe-Signature": stale})
    assert old.status_code == 400
    assert untouched(held)

    assert hooks.send(hooks.connect, event) == 200
    eventually(lambda: captured(held), PATIENCE)


def test_a_changed_body_is_refused(
    hooks: Hooks, quiet_payment: tuple[Hold, dict[str, Any]]
) -> None:
    held, event = quiet_payment
    body = json.dumps(event)
    signature = stripe.WebhookSignature.generate_signature_header(body, hooks.connect.secret)
    changed = body.replace(COMPLETED, "checkout.session.expired")

    answer = httpx.post(hooks.connect.url, content=changed, headers={"Stripe-Signature": signature})

    assert answer.status_code == 400
    assert untouched(held)


def test_the_header_that_brings_its_own_secret_is_refused(
    hooks: Hooks, quiet_payment: tuple[Hold, dict[str, Any]]
) -> None:
    """dj-stripe takes it while DEBUG is on; a server that can be reached never is."""
    held, event = quiet_payment
    forged = "whsec_forged"

    status = hooks.send(hooks.connect, event, secret=forged, X_Djstripe_Webhook_Secret=forged)

    assert status == 400
    assert untouched(held)


def test_an_unknown_endpoint_is_not_found(
    stack: Stack, hooks: Hooks, quiet_payment: tuple[Hold, dict[str, Any]]
) -> None:
    held, event = quiet_payment
    body = json.dumps(event)
    signature = stripe.WebhookSignature.generate_signature_header(body, hooks.connect.secret)
    url = f"{stack.web.url}/stripe/webhook/00000000-0000-0000-0000-000000000000/"

    answer = httpx.post(url, content=body, headers={"Stripe-Signature": signature})

    assert answer.status_code == 404
    assert untouched(held)


@pytest.mark.parametrize("as_account", ["another's", "the platform's"])
def test_another_accounts_event_never_touches_this_booking(
    sandbox: SandboxClient, hooks: Hooks, as_account: str
) -> None:
    """A connected account can write our ids into its own sessions; that buys nothing here."""
    held = hold(line(room_charging(sandbox, "direct")))
    checkout = start(held)
    attacker = connected_account(sandbox) if as_account == "another's" else ""
    forged = sandbox.api(
        "POST",
        "/v1/checkout/sessions",
        headers={"Stripe-Account": attacker} if attacker else {},
        data={
            "mode": "payment",
            "success_url": "https://shop.test/",
            "metadata[checkout]": str(checkout.pk),
            "payment_intent_data[metadata][checkout]": str(checkout.pk),
            "payment_intent_data[capture_method]": "manual",
            "line_items[0][quantity]": 1,
            "line_items[0][price_data][currency]": "nzd",
            "line_items[0][price_data][unit_amount]": 4500,
            "line_items[0][price_data][product_data][name]": "Nothing",
        },
    ).json()
    assert sandbox.pay(forged["id"]).status_code == 303

    intent = sandbox.api(
        "GET",
        f"/v1/checkout/sessions/{forged['id']}",
        headers={"Stripe-Account": attacker} if attacker else {},
    ).json()["payment_intent"]
    answered = delivered(hooks, attacker, intent)
    heal()

    assert {d["last_status"] for d in answered} == {200}
    assert WebhookEventTrigger.objects.filter(valid=True).count() >= 2
    assert {found for found, _ in outcomes(held)} <= {"self_heal"}
    assert state_of(held) == ("active", "pending_payment")
    assert not Payment.objects.exists()
    assert Checkout.objects.get().session_id == checkout.session_id


# --- Registering ----------------------------------------------------------------------------------


def test_registering_again_keeps_endpoints_and_secrets(
    sandbox: SandboxClient, hooks: Hooks
) -> None:
    before = {row.id: row.secret for row in WebhookEndpoint.objects.all()}
    call_command("ensure_webhook_endpoints", verbosity=0)

    assert {row.id: row.secret for row in WebhookEndpoint.objects.all()} == before
    known = sandbox.api("GET", "/v1/webhook_endpoints?limit=100").json()["data"]
    assert {endpoint["id"] for endpoint in known} == set(before)
