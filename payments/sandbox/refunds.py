"""Refunds: giving captured money back, at once, later, or not after all."""

from __future__ import annotations

from typing import Any

from . import fees, ledger, money
from .core import Context, Sandbox
from .errors import StripeError, invalid, missing, wrong_state
from .faults import REFUND, Fault
from .store import Obj


def create(context: Context) -> Obj:
    """Refund a captured charge, whole or in part. A fault may delay it or make it fail."""
    asked = context.params
    charge = _charge_to_refund(context, asked)
    amount = _amount_to_refund(charge, asked)
    fees.check_shares(charge, asked)
    fault = _fault(context, charge)
    if fault and fault.kind == "refund_insufficient_balance":
        raise _no_balance()
    refund = ledger.refund(context.now, charge=charge, amount=amount, given=asked)
    _plan(context, refund, fault)
    if asked.get("reverse_transfer"):
        fees.reverse_transfer(context, charge, refund)
    _book(context, refund)
    context.store.save(refund)
    context.emit("refund.created", refund)
    _count(context, charge, amount)
    if asked.get("refund_application_fee"):
        fees.refund_fee(context, charge, amount)
    if fault and fault.kind == "refund_fails" and not fault.options["seconds"]:
        settle(context, refund, "failed", fault.options["failure_reason"])
    return refund


def _charge_to_refund(context: Context, asked: Obj) -> Obj:
    object_id = asked.get("charge") or _latest_charge(context, asked.get("payment_intent"))
    charge = context.store.get(object_id, kind="charge", account=context.account)
    if charge is None:
        raise missing("charge", object_id, param="charge")
    if asked.get("payment_intent") not in (None, charge["payment_intent"]):
        raise invalid("The charge is not of that payment intent.", "charge")
    if not charge["captured"] or charge["status"] != "succeeded":
        raise wrong_state(f"Charge {charge['id']} was not captured: nothing can be refunded.")
    if context.store.private(charge["id"]).get("charged_back"):
        raise wrong_state(f"Charge {charge['id']} was charged back.", code="charge_disputed")
    return charge


def _latest_charge(context: Context, intent_id: str | None) -> str:
    if intent_id is None:
        raise invalid("Give a `charge` or a `payment_intent`.", "charge", "parameter_missing")
    intent = context.store.get(intent_id, kind="payment_intent", account=context.account)
    if intent is None:
        raise missing("payment_intent", intent_id, param="payment_intent")
    if intent["latest_charge"] is None:
        raise wrong_state(
            f"The PaymentIntent {intent_id} has no charge that could be refunded.",
            param="payment_intent",
        )
    return str(intent["latest_charge"])


def _amount_to_refund(charge: Obj, asked: Obj) -> int:
    left = charge["amount_captured"] - charge["amount_refunded"]
    if not left:
        raise wrong_state(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    amount = int(asked.get("amount", left))
    if amount > left:
        currency = charge["currency"]
        raise wrong_state(
            f"A refund of {money.display(amount, currency)} is greater than the unrefunded amount"
            f" of the charge ({money.display(left, currency)}).",
            param="amount",
        )
    return amount


def _fault(context: Context, charge: Obj) -> Fault | None:
    facts = {
        "account": context.account,
        "charge": charge["id"],
        "payment_intent": charge["payment_intent"],
        "idempotency_key": context.idempotency_key,
    }
    return context.sandbox.faults.take(REFUND, facts)


def _no_balance() -> StripeError:
    return wrong_state(
        "The Stripe balance is too low to refund this amount.",
        message_code="insufficient_balance_for_refund",
    )


def _plan(context: Context, refund: Obj, fault: Fault | None) -> None:
    """Keep the refund, with what is to become of it and when."""
    private: dict[str, Any] = {}
    if fault and fault.kind == "refund_pending":
        refund.update(status="pending", pending_reason=fault.options["pending_reason"])
        private = _later(context, fault, fault.options["then"])
    if fault and fault.kind == "refund_fails" and fault.options["seconds"]:
        private = _later(context, fault, "failed")
    context.store.add(context.account, refund, private)


def _later(context: Context, fault: Fault, then: str | None) -> Obj:
    if then is None:
        return {}
    return {
        "then": then,
        "due_at": context.now + fault.options["seconds"],
        "failure_reason": fault.options["failure_reason"],
    }


def _book(context: Context, refund: Obj) -> None:
    """The money leaves the balance, unless that is what the refund waits for."""
    if refund.get("pending_reason") == "insufficient_funds":
        return
    booked = ledger.balance_transaction(
        context.now, type_name="refund", source=refund, amount=-refund["amount"]
    )
    refund["balance_transaction"] = context.store.add(context.account, booked)["id"]


def _count(context: Context, charge: Obj, amount: int) -> None:
    before = {name: charge[name] for name in ("amount_refunded", "refunded")}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    context.store.save(charge)
    context.emit("charge.refunded", charge, previous_attributes=before)


# What becomes of them


def settle(context: Context, refund: Obj, status: str, reason: str = "unknown") -> Obj:
    """End a refund: ``succeeded`` or, even after it had succeeded, ``failed``."""
    before = {"status": refund["status"]}
    if refund["status"] == "failed" or status == refund["status"]:
        raise invalid(f"The refund is already {refund['status']}.", "status")
    refund["status"] = status
    refund.pop("pending_reason", None)
    if status == "succeeded" and refund["balance_transaction"] is None:
        _book(context, refund)
    if status == "failed":
        _give_back(context, refund, reason)
    context.store.save(refund, {})
    context.emit("refund.updated", refund, previous_attributes=before)
    if status == "failed":
        context.emit("refund.failed", refund)
    return refund


def _give_back(context: Context, refund: Obj, reason: str) -> None:
    """The money is the account's again, and can be refunded once more."""
    refund["failure_reason"] = reason
    if refund["balance_transaction"]:
        booked = ledger.balance_transaction(
            context.now, type_name="refund_failure", source=refund, amount=refund["amount"]
        )
        refund["failure_balance_transaction"] = context.store.add(context.account, booked)["id"]
    charge = context.store.get(refund["charge"])
    assert charge is not None, "a refund has a charge"
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    context.store.save(charge)


def settle_due(sandbox: Sandbox) -> None:
    """End every refund whose time has come."""
    with sandbox.store.transaction():
        for account, refund in sandbox.store.due("refund", sandbox.clock.now()):
            plan = sandbox.store.private(refund["id"])
            settle(sandbox.context(account), refund, plan["then"], plan["failure_reason"])
