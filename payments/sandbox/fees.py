"""Shares of a charge: the platform's fee, the destination's transfer, and taking them back."""

from __future__ import annotations

from . import ledger
from .core import Context
from .errors import wrong_state
from .store import Obj


def application_of(platform: str) -> str:
    """The platform's Connect application, named after its account."""
    return platform.replace("acct_", "ca_")


def book(context: Context, charge: Obj) -> None:
    """Enter a captured charge: its balance, the platform's fee, the destination's share."""
    processing = round(charge["amount_captured"] * 29 / 1000)
    booked = ledger.balance_transaction(
        context.now,
        type_name="charge",
        source=charge,
        amount=charge["amount_captured"],
        fee=processing + (charge["application_fee_amount"] or 0),
    )
    charge["balance_transaction"] = booked["id"]
    context.store.add(context.account, booked)
    if charge["transfer_data"]:
        _transfer(context, charge)
    if charge["application_fee_amount"]:
        _take_fee(context, charge)


def _transfer(context: Context, charge: Obj) -> None:
    amount = charge["transfer_data"].get("amount") or charge["amount_captured"]
    made = ledger.transfer(context.now, charge=charge, amount=amount)
    charge.update(transfer=made["id"], transfer_group=made["transfer_group"])
    context.store.add(context.account, made)
    context.emit("transfer.created", made)


def _take_fee(context: Context, charge: Obj) -> None:
    """The fee is the platform's, whoever owns the charge."""
    platform = context.sandbox.platform
    payee = context.account if context.is_direct else charge["transfer_data"]["destination"]
    fee = ledger.application_fee(
        context.now, charge=charge, account=payee, application=application_of(platform)
    )
    charge["application_fee"] = fee["id"]
    context.store.add(platform, fee, {"charge": charge["id"]})
    context.emit("application_fee.created", fee, account=platform)


def check_shares(charge: Obj, asked: Obj) -> None:
    """Refuse to take back a share that nobody got."""
    shares = {"refund_application_fee": "application_fee", "reverse_transfer": "transfer"}
    for name, field in shares.items():
        if asked.get(name) and not charge.get(field):
            what = field.replace("_", " ")
            raise wrong_state(f"Charge {charge['id']} has no {what} to take back.", param=name)


def share(of: int, *, part: int, whole: int, left: int) -> int:
    """The part of a share ``of`` that goes with ``part`` of ``whole``, at most what is ``left``."""
    return min(left, (2 * of * part + whole) // (2 * whole))


def refund_fee(context: Context, charge: Obj, amount: int) -> None:
    """Give back the application fee in proportion to a refund of ``amount``."""
    fee = context.store.get(charge["application_fee"], kind="application_fee")
    assert fee is not None, "checked before"
    left = fee["amount"] - fee["amount_refunded"]
    back = share(fee["amount"], part=amount, whole=charge["amount_captured"], left=left)
    if not back:
        return
    made = ledger.fee_refund(context.now, fee=fee, amount=back)
    fee["refunds"]["data"].insert(0, made)
    fee["amount_refunded"] += back
    fee["refunded"] = fee["amount_refunded"] == fee["amount"]
    context.store.save(fee)
    context.emit("application_fee.refunded", fee, account=context.sandbox.platform)


def reverse_transfer(context: Context, charge: Obj, refund: Obj) -> None:
    """Take the destination's share back in proportion to ``refund``."""
    transfer = context.store.get(charge["transfer"], kind="transfer")
    assert transfer is not None, "checked before"
    left = transfer["amount"] - transfer["amount_reversed"]
    back = share(
        transfer["amount"], part=refund["amount"], whole=charge["amount_captured"], left=left
    )
    made = ledger.transfer_reversal(
        context.now, transfer=transfer, refund=refund["id"], amount=back
    )
    transfer["reversals"]["data"].insert(0, made)
    transfer["amount_reversed"] += back
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    context.store.save(transfer)
    refund["transfer_reversal"] = made["id"]
    context.emit("transfer.reversed", transfer)
