"""Attaching a payment at Stripe that nothing explains to the booking that lacks it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from bookings.models import Booking
from bookings.states import CONFIRMED
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput, NotFound
from config.kernel.locks import retried_on_deadlock
from payments import carrying, findings, stripe_api, unpaid
from payments.errors import NotOffered
from payments.lock_objects import LockedMoney, lock_money
from payments.models import Checkout, Finding, Payment
from payments.moves import move_checkout, move_payment
from payments.reconciler.about import about
from payments.standing import credit_on
from payments.states import AUTHORISED, CAPTURE, CAPTURED, CAPTURING, COMPLETE, OPEN


def attach(finding: Finding, *, reference: str, actor: Actor, note: str) -> None:
    """Explain a payment at Stripe: it is the money of a confirmed booking that had none.

    Raises NotFound for an unknown reference, InvalidInput when amount, currency or account are
    not the booking's, and NotOffered when the booking is paid (by credit, say) or does not stand,
    or when some of the money went back at Stripe.
    """
    if not about(finding).can_attach:
        raise NotOffered
    account = finding.evidence.get("account", "")
    intent = stripe_api.fetch_intent_fully(finding.subject_id, account=account)
    of_workspace = {"workspace_id": finding.workspace_id} if finding.workspace_id else {}
    found = Booking.objects.filter(reference=reference.strip().upper(), **of_workspace)
    if found.count() != 1:
        raise NotFound("There is no booking with this reference here.")
    _attach(found.get().pk, intent, account)
    said = f"{reference.strip().upper()}: {note}"
    findings.resolve(finding, resolution=Finding.Resolution.ATTACHED, actor=actor, note=said)


@retried_on_deadlock
def _attach(booking_id: UUID, intent: dict[str, Any], account: str) -> None:
    if _given_back_minor(intent):
        raise NotOffered("Some of it was given back at Stripe already.")
    with transaction.atomic():
        money = lock_money(booking_id)
        due, workspace = money.due, money.booking.workspace
        if money.booking.state != CONFIRMED:
            raise NotOffered("Only a confirmed booking can take a payment.")
        if unpaid.accepted(money.payments) is not None:
            raise NotOffered("That booking has an accepted payment already.")
        if due.settled_at is not None or credit_on(due):
            raise NotOffered("That booking is paid already, or a part of it with credit.")
        came_in = (intent["amount_received"], intent["currency"].upper(), account)
        if came_in != (due.amount_minor, due.currency, workspace.charging_account):
            raise InvalidInput(f"That booking owes {due.amount}.", field="reference")
        _write_payment(money, intent, account)


def _given_back_minor(intent: dict[str, Any]) -> int:
    charge = intent.get("latest_charge")
    return int(charge.get("amount_refunded") or 0) if isinstance(charge, dict) else 0


def _write_payment(money: LockedMoney, intent: dict[str, Any], account: str) -> None:
    """The rows that a payment through our own Checkout would have left."""
    due = money.due
    checkout = Checkout(
        due=due,
        attempt=len(money.checkouts) + 1,
        account=account,
        livemode=intent["livemode"],
        amount_minor=due.amount_minor,
        currency=due.currency,
        title="Paid at Stripe, attached by staff",
        success_url="",
        cancel_url="",
        created_at=money.now,
        expires_at=money.now + timedelta(hours=1),
        close_requested_at=money.now,
    )
    payment = Payment(
        due=due,
        checkout=checkout,
        payment_intent_id=intent["id"],
        account=account,
        livemode=intent["livemode"],
        amount_minor=due.amount_minor,
        currency=due.currency,
        created_at=money.now,
    )
    rows.insert([checkout, payment])
    move_checkout(checkout, OPEN)
    move_checkout(checkout, COMPLETE, ended_at=money.now)
    move_payment(payment, AUTHORISED)
    move_payment(
        payment, CAPTURING, verdict=CAPTURE, verdict_because="attached", decided_at=money.now,
        settled_by="staff",
    )  # fmt: skip
    move_payment(payment, CAPTURED, captured_at=money.now)
    carrying.captured(money, payment)
