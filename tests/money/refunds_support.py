"""Bookings that are paid at the sandbox, and what both sides say of their refunds."""

from typing import Any

from django.db import transaction

from bookings.models import Booking, Resource
from config.kernel.context import Actor
from holds.models import Hold
from payments import refunding, stripe_api
from payments.lock_objects import lock_money
from payments.models import Checkout, Finding, Payment, Refund
from payments.moves import move_payment
from tests.core.support import hold, line
from tests.money.support import latest, pay, payment_of, settle, start
from tests.support.sandbox import SandboxClient, eventually

STAFF = Actor("staff", "1", "Sam of the desk")


def paid(sandbox: SandboxClient, room: Resource, start_hour: int = 9) -> Hold:
    """A hold of NZ$45 that is paid and captured."""
    held = hold(line(room, start_hour, start_hour + 1))
    pay(sandbox, start(held))
    # Where webhooks are followed too, either of the two may be the first.
    assert settle(latest(held)) in {"confirmed", "repeated"}
    eventually(lambda: payment_of(latest(held)).state == "captured")
    return held


def ask(held: Hold, amount_minor: int = 4500, **options: Any) -> refunding.Given:
    """Ask for a refund as staff would; nothing is called out to."""
    options = {"cause": Refund.Cause.STAFF, "actor": STAFF, "reason": "Sorry"} | options
    with transaction.atomic():
        return refunding.request(lock_money(held.booking_id), amount_minor=amount_minor, **options)


def give_back(held: Hold, amount_minor: int = 4500, **options: Any) -> Refund:
    """Ask for a refund to the card and carry it out; the row afterwards."""
    (refund,) = ask(held, amount_minor, **options).refunds
    refunding.carry_out(refund.pk)
    refund.refresh_from_db()
    return refund


def payment(held: Hold) -> Payment:
    return Payment.objects.get(due__booking_id=held.booking_id)


def captured_all_the_same(sandbox: SandboxClient, checkout: Checkout) -> Payment:
    """A payment that was taken though it is not accepted, as methods do that cannot wait."""
    session = stripe_api.fetch_session(checkout)
    assert session.intent is not None
    sandbox.api("POST", f"/v1/payment_intents/{session.intent.id}/capture").raise_for_status()
    row = Payment.objects.create(
        due=checkout.due,
        checkout=checkout,
        payment_intent_id=session.intent.id,
        livemode=False,
        amount_minor=session.intent.amount_minor,
        currency=session.intent.currency,
        created_at=checkout.created_at,
    )
    move_payment(row, "authorised")
    move_payment(row, "captured", verdict="refund", verdict_because="duplicate")
    return row


def at_stripe(sandbox: SandboxClient, held: Hold) -> list[dict[str, Any]]:
    """Every refund that the sandbox has for a booking's payment, newest first."""
    about = payment(held)
    headers = {"Stripe-Account": about.account} if about.account else {}
    answer = sandbox.api(
        "GET", f"/v1/refunds?payment_intent={about.payment_intent_id}&limit=100", headers=headers
    )
    return list(answer.json()["data"])


def refund_calls(sandbox: SandboxClient, refund: Refund) -> list[str]:
    """The idempotency keys under which a refund was asked for, in order."""
    mine = f"refund:{refund.pk}:"
    keys = [r.get("idempotency_key") or "" for r in sandbox.requests()]
    return [key for key in keys if key.startswith(mine)]


def findings(held: Hold) -> list[tuple[str, str, bool]]:
    """(kind, severity, whether it is open) of a booking's findings, oldest first."""
    reference = Booking.objects.get(pk=held.booking_id).reference
    found = Finding.objects.filter(evidence__booking=reference).order_by("seen_at")
    return [(f.kind, f.severity, f.closed_at is None) for f in found]
