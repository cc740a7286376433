"""Where money went, as Stripe's objects: balances, fees, transfers, refunds."""

from __future__ import annotations

from typing import Any

from .ids import new_id
from .objects import listing
from .store import Obj

AVAILABLE_AFTER = 2 * 86400


def balance_transaction(
    created: int, *, type_name: str, source: Obj, amount: int, fee: int = 0
) -> Obj:
    """What ``source`` does to its account's balance; money that leaves is negative."""
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created + AVAILABLE_AFTER,
        "balance_type": "payments",
        "created": created,
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [],
        "net": amount - fee,
        "reporting_category": "dispute" if source["object"] == "dispute" else type_name,
        "source": source["id"],
        "status": "pending",
        "type": type_name,
    }


def application_fee(created: int, *, charge: Obj, account: str, application: str) -> Obj:
    """What the platform earned on a charge of ``account``'s."""
    object_id = new_id("fee")
    return {
        "id": object_id,
        "object": "application_fee",
        "account": account,
        "amount": charge["application_fee_amount"],
        "amount_refunded": 0,
        "application": application,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "fee_source": None,
        "livemode": False,
        "originating_transaction": None,
        "refunded": False,
        "refunds": listing(f"/v1/application_fees/{object_id}/refunds", []),
    }


def fee_refund(created: int, *, fee: Obj, amount: int) -> Obj:
    """A part of an application fee, given back."""
    return {
        "id": new_id("fr"),
        "object": "fee_refund",
        "amount": amount,
        "balance_transaction": None,
        "created": created,
        "currency": fee["currency"],
        "fee": fee["id"],
        "metadata": {},
    }


def transfer(created: int, *, charge: Obj, amount: int) -> Obj:
    """The destination's share of a destination charge."""
    object_id = new_id("tr")
    return {
        "id": object_id,
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": created,
        "currency": charge["currency"],
        "description": None,
        "destination": charge["transfer_data"]["destination"],
        "destination_payment": None,
        "livemode": False,
        "metadata": {},
        "reversals": listing(f"/v1/transfers/{object_id}/reversals", []),
        "reversed": False,
        "source_transaction": charge["id"],
        "source_type": "card",
        "transfer_group": charge["transfer_group"] or f"group_{charge['payment_intent']}",
    }


def transfer_reversal(created: int, *, transfer: Obj, refund: str, amount: int) -> Obj:
    """A part of a transfer, taken back for a refund."""
    return {
        "id": new_id("trr"),
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": created,
        "currency": transfer["currency"],
        "destination_payment_refund": None,
        "metadata": {},
        "source_refund": refund,
        "transfer": transfer["id"],
    }


def refund(created: int, *, charge: Obj, amount: int, given: Obj) -> Obj:
    """Money on its way back to the payer."""
    type_name = charge["payment_method_details"]["type"]
    made: dict[str, Any] = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "destination_details": {"type": type_name, type_name: _destination(type_name)},
        "metadata": given.get("metadata") or {},
        "payment_intent": charge["payment_intent"],
        "reason": given.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    if given.get("instructions_email"):
        made["instructions_email"] = given["instructions_email"]
    return made


def _destination(type_name: str) -> Obj:
    if type_name != "card":
        return {}
    return {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
