"""Paying at the real sandbox, and what tests ask of either side afterwards."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import stripe
from django.db import transaction
from django.test import override_settings
from djstripe.models import WebhookEndpoint

from bookings.links import manage_token
from bookings.models import Booking, BookingEvent, Resource
from config.kernel import clock, rows
from config.kernel.context import SYSTEM
from holds.models import Hold
from members.models import Notification, Workspace
from payments import checkouts, settlement, stripe_api, tasks
from payments.models import Checkout, Payment, Refund, Signal
from tests.core.support import lapse
from tests.factories import ResourceFactory, WorkspaceFactory
from tests.support.sandbox import SandboxClient

SUCCESS = "http://testserver/return/x?session={CHECKOUT_SESSION_ID}"
CANCEL = "http://testserver/hold/x"
SELF_HEAL = Signal.Source.SELF_HEAL


# --- Opening, paying, settling ------------------------------------------------------------------


def start(held: Hold) -> Checkout:
    """Open the payment page of a hold."""
    checkouts.start(hold_id=held.pk, success_url=SUCCESS, cancel_url=CANCEL, actor=SYSTEM)
    return latest(held)


def latest(held: Hold) -> Checkout:
    """The newest Checkout of a hold."""
    of_hold = Checkout.objects.filter(due__booking_id=held.booking_id, due__change=held.change_id)
    return of_hold.latest("attempt")


def pay(sandbox: SandboxClient, checkout: Checkout, outcome: str = "pay") -> None:
    """Act on the payment page; paying must lead back to the success page."""
    answer = sandbox.pay(checkout.url, outcome)
    if outcome == "pay":
        assert answer.status_code == 303, answer.text


def settle(checkout: Checkout, known: stripe_api.Session | None = None) -> str:
    """Settle as the self-heal would; what came of it."""
    return settlement.settle(checkout_id=checkout.pk, source=SELF_HEAL, known=known).name


def second_checkout(held: Hold) -> Checkout:
    """Another payment page beside the first: that one is about to end at Stripe by itself.

    The product asks for the first to be closed; until that is done, both can be paid.
    """
    first = latest(held)
    soon = clock.now() + timedelta(seconds=30)
    Checkout.objects.filter(pk=first.pk).update(expires_at=soon)
    second = start(held)
    assert second.session_id != first.session_id
    return second


def signal_for(checkout: Checkout, **columns: Any) -> Signal:
    """Write a webhook's hint as the receiver does: whoever works the queue is kicked."""
    signal = Signal(checkout=checkout, **({"source": Signal.Source.PLATFORM} | columns))
    with transaction.atomic():
        rows.insert([signal])
    return signal


# --- Letting time pass --------------------------------------------------------------------------


def into_grace(held: Hold) -> None:
    """The promised time is over; the grace of an open Checkout is not."""
    lapse(held, seconds=-20)
    assert held.expires_at < clock.now() < held.lapses_at


def make_due() -> None:
    """Leases run out and everything that waits for its time is due now."""
    now = clock.now() - timedelta(seconds=1)
    waiting = Payment.objects.filter(next_try_at__isnull=False)
    waiting.update(next_try_at=now, leased_until=None)
    refunds = Refund.objects.filter(next_try_at__isnull=False)
    refunds.update(next_try_at=now, leased_until=None)
    Checkout.objects.filter(next_look_at__isnull=False).update(next_look_at=now)
    unfollowed = Signal.objects.filter(followed_at=None)
    unfollowed.update(received_at=now - timedelta(seconds=10), next_try_at=now)


def heal(sweeps: int = 1) -> None:
    """The self-heal with its waiting times left out."""
    for _ in range(sweeps):
        make_due()
        tasks.sweep()


@contextmanager
def impatient(read_seconds: float = 0.4) -> Iterator[None]:
    """Calls to Stripe time out soon, so that a test need not wait for it."""
    with override_settings(STRIPE_TIMEOUT=(3, read_seconds)):
        stripe_api.client.cache_clear()
        try:
            yield
        finally:
            stripe_api.client.cache_clear()


# --- What our side says -------------------------------------------------------------------------


def payment_of(checkout: Checkout) -> Payment:
    return Payment.objects.get(checkout=checkout)


def booking_of(held: Hold) -> Booking:
    return Booking.objects.get(pk=held.booking_id)


def mails(held: Hold) -> list[str]:
    """The kinds of the mails about a booking, oldest first."""
    about = Notification.objects.filter(subject_id=str(held.booking_id))
    return list(about.order_by("created_at", "id").values_list("kind", flat=True))


def history(held: Hold) -> list[str]:
    """The kinds of a booking's events, oldest first."""
    events = BookingEvent.objects.filter(booking_id=held.booking_id)
    return list(events.order_by("at", "id").values_list("kind", flat=True))


def outcomes(held: Hold) -> list[tuple[str, str]]:
    """Which sources came by for a booking, and what they found."""
    signals = Signal.objects.filter(checkout__due__booking_id=held.booking_id)
    return list(signals.order_by("received_at").values_list("source", "outcome"))


def return_path(held: Hold) -> str:
    """The success page of a booking."""
    return f"/return/{manage_token(held.booking)}/"


# --- What the sandbox says ----------------------------------------------------------------------


def sessions(sandbox: SandboxClient, held: Hold) -> list[dict[str, Any]]:
    """Every session the sandbox has for a hold's due, by the metadata that names it."""
    due = str(booking_of(held).dues.get().pk)
    found = [s for a in sandbox.state()["accounts"].values() for s in a["sessions"]]
    return [s for s in found if (s["metadata"] or {}).get("due") == due]


def intents_of(sandbox: SandboxClient, held: Hold) -> list[dict[str, Any]]:
    """Every PaymentIntent the sandbox has for a hold's due."""
    due = str(booking_of(held).dues.get().pk)
    return [i for i in intents(sandbox).values() if (i["metadata"] or {}).get("due") == due]


def intents(sandbox: SandboxClient, account: str | None = None) -> dict[str, dict]:
    """Every PaymentIntent the sandbox has, by id."""
    state = sandbox.state(account)
    return {
        intent["id"]: intent
        for found in state["accounts"].values()
        for intent in found["payment_intents"]
    }


def intent_at(sandbox: SandboxClient, checkout: Checkout) -> dict[str, Any]:
    """The intent behind a Checkout as the sandbox has it."""
    return intents(sandbox)[payment_of(checkout).payment_intent_id]


# --- Whole outcomes -----------------------------------------------------------------------------


def assert_paid_once(sandbox: SandboxClient, held: Hold, *, asked_at_most: int = 1) -> None:
    """Confirmed, captured once, told once, nothing left open to be paid again.

    `asked_at_most` is how often the capture may have been asked for; Stripe refuses a second one.
    """
    held.refresh_from_db()
    assert (held.state, booking_of(held).state) == ("confirmed", "confirmed")
    accepted = Payment.objects.filter(due__booking_id=held.booking_id, verdict="capture")
    assert [p.state for p in accepted] == ["captured"]
    taken = [i for i in intents_of(sandbox, held) if i["status"] == "succeeded"]
    assert [i["id"] for i in taken] == [accepted.get().payment_intent_id]
    assert [i["amount_received"] for i in taken] == [booking_of(held).total_minor]
    assert all(1 <= i["capture_calls"] <= asked_at_most for i in taken), taken
    assert "open" not in {s["status"] for s in sessions(sandbox, held)}
    assert mails(held).count("confirmation") == 1
    assert "not_charged" not in mails(held)


def assert_never_charged(sandbox: SandboxClient, held: Hold) -> None:
    """Nothing of this booking's was ever captured, and nothing of it is still authorised."""
    found = intents_of(sandbox, held)
    assert {i["status"] for i in found} <= {"canceled", "requires_payment_method"}
    assert [i["amount_received"] for i in found] == [0] * len(found)
    assert not Payment.objects.filter(
        due__booking_id=held.booking_id, state__in=["captured", "capturing"]
    ).exists()
    assert "confirmation" not in mails(held)


# --- Workspaces that charge in the three ways ---------------------------------------------------


def connected_account(sandbox: SandboxClient) -> str:
    """A connected account at the sandbox."""
    answer = sandbox.api("POST", "/v1/accounts", data={"country": "NZ", "type": "standard"})
    assert answer.status_code == 200, answer.text
    account: str = answer.json()["id"]
    return account


def room_charging(sandbox: SandboxClient, charges: str = "platform") -> Resource:
    """A room whose workspace charges `platform`, `direct` or `destination`, at a fee of 2.5%."""
    account = "" if charges == Workspace.Charges.PLATFORM else connected_account(sandbox)
    workspace = WorkspaceFactory(
        charges=charges, stripe_account_id=account, application_fee_basis_points=250
    )
    return ResourceFactory(workspace=workspace)


# --- Webhooks -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hooks:
    """The two endpoints as Stripe knows them, and what has been delivered to them."""

    sandbox: SandboxClient
    platform: WebhookEndpoint
    connect: WebhookEndpoint

    def send(
        self, endpoint: WebhookEndpoint, event: dict[str, Any], *, secret: str = "", **headers: str
    ) -> int:
        """Post an event as Stripe would, signed with the endpoint's secret or another one."""
        body = json.dumps(event)
        signature = stripe.WebhookSignature.generate_signature_header(
            body, secret or endpoint.secret
        )
        answer = httpx.post(
            endpoint.url,
            content=body,
            headers={
                "Content-Type": "application/json",
                "Stripe-Signature": signature,
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
            timeout=20,
        )
        return answer.status_code

    def events(self, account: str, about: str = "") -> list[dict[str, Any]]:
        """An account's events, oldest first; those about one object where it is named."""
        headers = {"Stripe-Account": account} if account else {}
        found = self.sandbox.api("GET", "/v1/events?limit=100", headers=headers).json()["data"]
        wanted = [e for e in found if not about or about in json.dumps(e["data"]["object"])]
        return wanted[::-1]

    def deliveries(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        """What became of the deliveries of these events."""
        wanted = set(ids)
        found = [d for a in self.sandbox.state()["accounts"].values() for d in a["deliveries"]]
        return [d for d in found if d["event"] in wanted]

    def switch_off(self, endpoint: WebhookEndpoint) -> None:
        """Stripe forgets the endpoint: that source is gone."""
        self.sandbox.api("DELETE", f"/v1/webhook_endpoints/{endpoint.id}")
