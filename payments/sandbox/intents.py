"""PaymentIntents after confirmation: capturing, cancelling, and authorisations that run out."""

from __future__ import annotations

from . import fees
from .core import Context, Sandbox
from .errors import StripeError, invalid, missing, wrong_state
from .store import Obj

AUTHORISATION_SECONDS = 7 * 24 * 60 * 60

UNPAID = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELLABLE = (*UNPAID, "requires_capture")


def find(context: Context, object_id: str) -> Obj:
    """The account's intent, or ``resource_missing``."""
    intent = context.store.get(object_id, kind="payment_intent", account=context.account)
    if intent is None:
        raise missing("payment_intent", object_id, param="intent")
    return intent


def capture(context: Context) -> Obj:
    """Take the money that was authorised, or the part of it that was asked for."""
    intent = find(context, context.path_id)
    if intent["status"] != "requires_capture":
        raise _unexpected(intent, "captured", ("requires_capture",))
    amount = _amount_to_capture(context, intent)
    fee = context.params.get("application_fee_amount")
    if fee is not None:
        if fee > amount:
            raise invalid("The fee is more than the amount.", "application_fee_amount")
        intent["application_fee_amount"] = fee
    if "metadata" in context.params:
        intent["metadata"] = {**intent["metadata"], **context.params["metadata"]}
    charge = charge_of(context, intent)
    charge.update(captured=True, amount_captured=amount)
    charge["application_fee_amount"] = intent["application_fee_amount"]
    return settle(context, intent, charge, event="charge.captured")


def _amount_to_capture(context: Context, intent: Obj) -> int:
    most: int = intent["amount_capturable"]
    amount: int = context.params.get("amount_to_capture") or most
    if amount > most:
        raise invalid(
            "The amount to capture is more than the amount that can be captured.",
            "amount_to_capture",
            "amount_too_large",
        )
    return amount


def settle(context: Context, intent: Obj, charge: Obj, *, event: str) -> Obj:
    """Book a captured charge: balance, application fee, intent, session, events."""
    fees.book(context, charge)
    context.store.save(charge)
    intent.update(
        status="succeeded", amount_capturable=0, amount_received=charge["amount_captured"]
    )
    context.store.save(intent)
    _mark_paid(context, intent)
    context.emit(event, charge)
    context.emit("payment_intent.succeeded", intent)
    return intent


def _mark_paid(context: Context, intent: Obj) -> None:
    session = session_of(context, intent)
    session["payment_status"] = "paid"
    context.store.save(session)


def session_of(context: Context, intent: Obj) -> Obj:
    """The session an intent was made for."""
    session = context.store.get(context.store.private(intent["id"])["session"])
    assert session is not None, "every intent comes from a session"
    return session


def cancel(context: Context) -> Obj:
    """Void an authorisation, or give up an intent that nobody paid."""
    intent = find(context, context.path_id)
    if intent["status"] not in CANCELLABLE:
        raise _unexpected(intent, "canceled", CANCELLABLE)
    if intent["status"] in UNPAID and _has_open_session(context, intent):
        raise wrong_state(
            "This PaymentIntent belongs to an open Checkout Session: expire the session instead.",
            code="payment_intent_unexpected_state",
            payment_intent=intent,
        )
    return void(context, intent, context.params.get("cancellation_reason"))


def _has_open_session(context: Context, intent: Obj) -> bool:
    return bool(session_of(context, intent)["status"] == "open")


def void(context: Context, intent: Obj, reason: str | None) -> Obj:
    """Cancel ``intent``; an authorised charge is let go, which Stripe shows as refunded."""
    if intent["status"] == "requires_capture":
        _release_charge(context, intent, "charge.refunded")
    intent.update(
        status="canceled",
        amount_capturable=0,
        canceled_at=context.now,
        cancellation_reason=reason,
        next_action=None,
    )
    context.store.save(intent)
    context.emit("payment_intent.canceled", intent)
    return intent


def _release_charge(context: Context, intent: Obj, event: str) -> None:
    charge = charge_of(context, intent)
    charge.update(refunded=True, amount_refunded=charge["amount"])
    context.store.save(charge)
    context.emit(event, charge)


def charge_of(context: Context, intent: Obj) -> Obj:
    """The charge of an intent whose payment has got that far."""
    charge = context.store.get(intent["latest_charge"], kind="charge")
    assert charge is not None, "an authorised intent has a charge"
    return charge


def charge_back(context: Context, charge_id: str, *, taken: bool) -> None:
    """Note whether the payer's bank has taken a charge back: then it cannot be refunded."""
    charge = context.store.get(charge_id)
    assert charge is not None, "a dispute has a charge"
    context.store.save(charge, {**context.store.private(charge_id), "charged_back": taken})


def fail(context: Context, intent: Obj, error: Obj) -> None:
    """Back to the start: another way to pay may be tried while the session is open."""
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        last_payment_error=error,
    )
    context.store.save(intent)
    context.emit("payment_intent.payment_failed", intent)


def _unexpected(intent: Obj, done: str, allowed: tuple[str, ...]) -> StripeError:
    return wrong_state(
        f"This PaymentIntent could not be {done} because it has a status of {intent['status']}."
        f" Only a PaymentIntent with one of the following statuses may be {done}:"
        f" {', '.join(allowed)}.",
        code="payment_intent_unexpected_state",
        payment_intent=intent,
    )


def lapse(context: Context, intent: Obj) -> None:
    """An authorisation nobody captured is over."""
    _release_charge(context, intent, "charge.expired")
    intent.update(status="canceled", amount_capturable=0, canceled_at=context.now)
    intent["cancellation_reason"] = "automatic"
    context.store.save(intent)
    context.emit("payment_intent.canceled", intent)


def lapse_due(sandbox: Sandbox) -> None:
    """End every authorisation that is older than the card network keeps it."""
    with sandbox.store.transaction():
        for account, intent in sandbox.store.due("payment_intent", sandbox.clock.now()):
            lapse(sandbox.context(account), intent)
