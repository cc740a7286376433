"""What staff do about something at Stripe that no row of ours is about.

A payment or a refund made past Surehold; or, after a backup was restored, one of ours that the
restored rows have never heard of. Stripe is asked outside of any transaction.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from bookings.models import Booking
from bookings.states import CONFIRMED, EXPIRED, PENDING_PAYMENT
from config.kernel import effects, rows
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput, NotFound
from config.kernel.ids import new_id
from config.kernel.locks import retried_on_deadlock
from payments import carrying, stripe_api, unpaid
from payments.lock_objects import LockedMoney, lock_due, lock_money
from payments.models import Checkout, Finding, Payment, Refund
from payments.moves import move_checkout, move_payment
from payments.reconciler import at_stripe, stripe_objects
from payments.reconciler.about import NotOffered, about, resolve
from payments.reconciler.deeds import Resolution, win
from payments.standing import credit_on, left_of
from payments.states import AUTHORISED, CAPTURE, CAPTURED, CAPTURING, COMPLETE, CREATING, OPEN
from payments.stripe_api import StripeRefused


def give_back(finding: Finding, *, actor: Actor, note: str) -> None:
    """Let an unexplained payment go, or refund it whole, at Stripe.

    Raises NotOffered, and StripeDown when Stripe does not answer: it may be asked again.
    """
    if about(finding).returnable is None:
        raise NotOffered
    account = finding.evidence.get("account", "")
    try:
        intent = stripe_api.fetch_intent_fully(finding.subject_id, account=account)
        if stripe_objects.is_money(intent):
            named = {at_stripe.FOR_FINDING: str(finding.pk)}
            stripe_api.give_back_whole(intent, account=account, metadata=named)
    except StripeRefused as refusal:
        raise NotOffered(f"Stripe refuses: {refusal}") from refusal
    resolve(finding, Resolution.REFUNDED, actor, note)


def record(finding: Finding, *, actor: Actor, note: str) -> None:
    """Write the row of a refund that was made at Stripe; what became of it is fetched after.

    The booking does not move with it. Raises NotOffered when it did not succeed, or is more than
    our rows have left of its payment.
    """
    it = about(finding)
    if it.due is None or not it.can_record:
        raise NotOffered
    intent = finding.evidence["payment_intent"]
    payment = Payment.objects.get(payment_intent_id=intent, due=it.due)
    found = stripe_api.fetch_refund_fully(finding.subject_id, account=payment.account)
    if found["status"] in {"failed", "canceled"}:
        raise NotOffered("That refund has come to nothing.")
    _record(finding, payment, found, actor, note)


@retried_on_deadlock
def _record(
    finding: Finding, payment: Payment, found: dict[str, Any], actor: Actor, note: str
) -> None:
    with transaction.atomic():
        money = lock_due(payment.due_id)
        payment = next(p for p in money.payments if p.pk == payment.pk)
        if payment.state != CAPTURED or left_of(payment) < found["amount"]:
            raise NotOffered("Our rows do not have that much left of its payment.")
        resolve(finding, Resolution.ATTACHED, actor, note)
        refund = Refund(
            id=_id_of_ours(found) or new_id(),
            due=money.due,
            payment=payment,
            cause=Refund.Cause.RECONCILER,
            amount_minor=found["amount"],
            currency=payment.currency,
            reason=note[:500],
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=actor.label[:200],
            stripe_refund_id=found["id"],
            created_at=money.now,
            next_try_at=money.now,
        )
        rows.insert([refund])
        effects.kick_for(refund)


def _id_of_ours(found: dict[str, Any]) -> UUID | None:
    """The id that a refund of ours had before its row was lost: Stripe's hints name it."""
    with suppress(ValueError):
        named = UUID((found.get("metadata") or {}).get("refund", ""))
        return None if Refund.objects.filter(pk=named).exists() else named
    return None


def attach(finding: Finding, *, reference: str, actor: Actor, note: str) -> None:
    """Explain a payment at Stripe: it is the money of a booking that stands or is held unpaid.

    Raises NotFound for an unknown reference, InvalidInput when amount, currency or account are
    not the booking's, NotOffered when it is paid or has ended, and SlotTaken (409).
    """
    if not about(finding).can_attach:
        raise NotOffered
    account = finding.evidence.get("account", "")
    intent = stripe_api.fetch_intent_fully(finding.subject_id, account=account)
    if not stripe_objects.is_money(intent) or _given_back_minor(intent):
        raise NotOffered("That money has gone back meanwhile, or a part of it.")
    of_workspace = {"workspace_id": finding.workspace_id} if finding.workspace_id else {}
    found = Booking.objects.filter(reference=reference.strip().upper(), **of_workspace)
    if found.count() != 1:
        raise NotFound("There is no booking with this reference here.")
    _attach(found.get().pk, intent, account, actor, note)
    resolve(finding, Resolution.ATTACHED, actor, f"{reference.strip().upper()}: {note}")


def _given_back_minor(intent: dict[str, Any]) -> int:
    charge = intent.get("latest_charge")
    return int(charge.get("amount_refunded") or 0) if isinstance(charge, dict) else 0


@retried_on_deadlock
def _attach(
    booking_id: UUID, intent: dict[str, Any], account: str, actor: Actor, note: str
) -> None:
    with transaction.atomic():
        money = lock_money(booking_id)
        _check_fits(money, intent, account)
        if money.booking.state != CONFIRMED:
            _confirm(money, actor, note)
        _write_payment(money, intent, account)


def _check_fits(money: LockedMoney, intent: dict[str, Any], account: str) -> None:
    due, booking = money.due, money.booking
    if booking.state not in {CONFIRMED, PENDING_PAYMENT, EXPIRED}:
        raise NotOffered("Only a booking that stands or is held can take a payment.")
    if booking.needs_approval:
        raise NotOffered("That booking was not approved.")
    if unpaid.accepted(money.payments) is not None or due.settled_at:
        raise NotOffered("That booking is paid already.")
    if credit_on(due):
        raise NotOffered("Credit is being spent on that booking; wait until its page has closed.")
    came_in = (intent["amount_received"], intent["currency"].upper(), account)
    if came_in != (due.amount_minor, due.currency, booking.workspace.charging_account):
        raise InvalidInput(f"That booking owes {due.amount}.", field="reference")


def _confirm(money: LockedMoney, actor: Actor, note: str) -> None:
    """What was held is theirs, if its time is still free; nobody is to pay for it again."""
    win(money, actor, note)
    for checkout in money.checkouts.values():
        if checkout.state in {CREATING, OPEN}:
            checkout.close_requested_at = checkout.next_look_at = money.now
            checkout.save(update_fields=["close_requested_at", "next_look_at"])


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
