"""Payment methods whose answer comes days later: bank debits, vouchers, transfers."""

from __future__ import annotations

from . import intents, objects
from .core import Context
from .errors import wrong_state
from .sessions import DELAYED
from .store import Obj

FAILURE_MESSAGE = "The payer's bank did not pay."


def method_of(session: Obj) -> str | None:
    """The first method of the session's whose answer comes later; ``None`` if it has none."""
    return next((name for name in session["payment_method_types"] if name in DELAYED), None)


def begin(context: Context, intent: Obj, method: Obj) -> None:
    """Ask the payer's bank. The money is on its way, and may never arrive."""
    charge = objects.charge(context.now, intent=intent, method=method, captured=True, card={})
    charge.update(status="pending", paid=False)
    context.store.add(context.account, charge)
    intent.update(
        status="processing",
        latest_charge=charge["id"],
        payment_method=method["id"],
        last_payment_error=None,
        next_action=None,
    )
    context.store.save(intent)
    context.emit("charge.pending", charge)
    context.emit("payment_intent.processing", intent)


def end(context: Context, intent: Obj, *, paid: bool) -> Obj:
    """The bank's answer, after the session was complete."""
    if intent["status"] != "processing":
        raise wrong_state(f"The intent waits for no bank: it is {intent['status']}.")
    charge = intents.charge_of(context, intent)
    if paid:
        charge.update(status="succeeded", paid=True)
        intents.settle(context, intent, charge, event="charge.succeeded")
    else:
        _fail(context, intent, charge)
    word = "succeeded" if paid else "failed"
    context.emit(f"checkout.session.async_payment_{word}", intents.session_of(context, intent))
    return intent


def _fail(context: Context, intent: Obj, charge: Obj) -> None:
    charge.update(
        status="failed",
        captured=False,
        amount_captured=0,
        failure_code="insufficient_funds",
        failure_message=FAILURE_MESSAGE,
        outcome=objects.declined_outcome("insufficient_funds"),
    )
    context.store.save(charge)
    context.emit("charge.failed", charge)
    error = {
        "charge": charge["id"],
        "code": "payment_intent_payment_attempt_failed",
        "message": FAILURE_MESSAGE,
        "payment_method": context.store.get(intent["payment_method"]),
        "type": "invalid_request_error",
    }
    intents.fail(context, intent, error)
