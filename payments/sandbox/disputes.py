"""Disputes: a payer's bank takes the money back, and perhaps returns it."""

from __future__ import annotations

from . import intents, ledger
from .core import Context
from .errors import invalid, wrong_state
from .ids import new_id
from .store import Obj
from .words import words

REASONS = words(
    "bank_cannot_process check_returned credit_not_processed customer_initiated "
    "debit_not_authorized duplicate fraudulent general incorrect_account_details "
    "insufficient_funds product_not_received product_unacceptable subscription_canceled "
    "unrecognized"
)
OPEN = words("needs_response under_review warning_needs_response warning_under_review")
CLOSED = words("won lost warning_closed")
EVIDENCE_SECONDS = 10 * 86400
FEE = 2500

_EVIDENCE = words(
    "access_activity_log billing_address cancellation_policy cancellation_policy_disclosure "
    "cancellation_rebuttal customer_communication customer_email_address customer_name "
    "customer_purchase_ip customer_signature duplicate_charge_documentation "
    "duplicate_charge_explanation duplicate_charge_id product_description receipt refund_policy "
    "refund_policy_disclosure refund_refusal_explanation service_date service_documentation "
    "shipping_address shipping_carrier shipping_date shipping_documentation "
    "shipping_tracking_number uncategorized_file uncategorized_text"
)


def _dispute(created: int, *, charge: Obj, amount: int, reason: str, status: str) -> Obj:
    inquiry = status.startswith("warning")
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": created + EVIDENCE_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": status,
        **_card(charge, "inquiry" if inquiry else "chargeback"),
    }


def _card(charge: Obj, case_type: str) -> Obj:
    if charge["payment_method_details"]["type"] != "card":
        return {}
    card = {
        "brand": "visa",
        "case_type": case_type,
        "network": "visa",
        "network_reason_code": "10.4",
    }
    return {"payment_method_details": {"card": card, "type": "card"}}


def open_on(context: Context, charge: Obj, *, amount: int, reason: str, status: str) -> Obj:
    """The bank asks about a captured charge, or (without a ``warning``) takes the money at once."""
    if not charge["captured"] or charge["status"] != "succeeded":
        raise wrong_state("Only a captured charge can be disputed.")
    if charge["disputed"]:
        raise wrong_state("The charge is disputed already.")
    if not 0 < amount <= charge["amount_captured"]:
        raise invalid("The amount must be within what was captured.", "amount")
    charge["disputed"] = True
    dispute = _dispute(context.now, charge=charge, amount=amount, reason=reason, status=status)
    context.store.add(context.account, dispute)
    context.store.save(charge)
    context.emit("charge.dispute.created", dispute)
    if dispute["is_charge_refundable"]:
        return dispute
    return _withdraw(context, dispute)


def _withdraw(context: Context, dispute: Obj) -> Obj:
    intents.charge_back(context, dispute["charge"], taken=True)
    _book(context, dispute, -dispute["amount"], FEE)
    context.emit("charge.dispute.funds_withdrawn", dispute)
    return dispute


def _book(context: Context, dispute: Obj, amount: int, fee: int) -> None:
    booked = ledger.balance_transaction(
        context.now, type_name="adjustment", source=dispute, amount=amount, fee=fee
    )
    context.store.add(context.account, booked)
    dispute["balance_transactions"].append(booked)
    context.store.save(dispute)


def change(context: Context, dispute: Obj, status: str) -> Obj:
    """Move a dispute on; ``won``, ``lost`` and ``warning_closed`` end it."""
    before = {"status": dispute["status"]}
    inquiry = dispute["status"].startswith("warning")
    if dispute["status"] in CLOSED or status == dispute["status"]:
        raise wrong_state(f"The dispute is already {dispute['status']}.")
    if status in CLOSED and inquiry != (status == "warning_closed"):
        raise invalid(f"A dispute that is {dispute['status']} cannot be {status}.", "status")
    if not inquiry and status.startswith("warning"):
        raise invalid("A dispute does not become an inquiry again.", "status")
    dispute.update(status=status, is_charge_refundable=status.startswith("warning"))
    context.store.save(dispute)
    if inquiry and not status.startswith("warning"):
        _withdraw(context, dispute)
    if status == "won":
        _reinstate(context, dispute)
    name = "closed" if status in CLOSED else "updated"
    context.emit(f"charge.dispute.{name}", dispute, previous_attributes=before)
    return dispute


def _reinstate(context: Context, dispute: Obj) -> None:
    intents.charge_back(context, dispute["charge"], taken=False)
    _book(context, dispute, dispute["amount"], 0)
    context.emit("charge.dispute.funds_reinstated", dispute)
