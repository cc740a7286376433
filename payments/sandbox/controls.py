"""Turns of events that no API call brings about: what banks, people and Stripe itself do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import accounts, delayed, disputes, refunds
from .core import Context, Sandbox
from .errors import invalid, missing
from .faults import FAILURE_REASONS
from .store import Obj

Control = Callable[[Sandbox, str, Obj], Obj]


def settle_refund(sandbox: Sandbox, object_id: str, asked: Obj) -> Obj:
    """End a refund: ``status`` succeeded or failed, the latter with a ``failure_reason``."""
    refund, context = _owned(sandbox, object_id, "refund")
    status = _choice(asked, "status", ("succeeded", "failed"))
    reason = _choice(asked, "failure_reason", FAILURE_REASONS, "unknown")
    return refunds.settle(context, refund, status, reason)


def answer_payment(sandbox: Sandbox, object_id: str, asked: Obj) -> Obj:
    """The bank answers a delayed payment, by its intent or session: ``outcome`` succeed or fail."""
    session = sandbox.store.get(object_id, kind="checkout.session")
    intent, context = _owned(
        sandbox, session["payment_intent"] if session else object_id, "payment_intent"
    )
    outcome = _choice(asked, "outcome", ("succeed", "fail"))
    return delayed.end(context, intent, paid=outcome == "succeed")


def dispute(sandbox: Sandbox, object_id: str, asked: Obj) -> Obj:
    """Open a dispute on a ``charge`` or ``payment_intent``, or move the named one on."""
    if object_id:
        found, context = _owned(sandbox, object_id, "dispute")
        status = _choice(asked, "status", (*disputes.OPEN, *disputes.CLOSED))
        return disputes.change(context, found, status)
    charge, context = _disputed_charge(sandbox, asked)
    return disputes.open_on(
        context,
        charge,
        amount=_number(asked, "amount", charge["amount_captured"]),
        reason=_choice(asked, "reason", disputes.REASONS, "fraudulent"),
        status=_choice(asked, "status", disputes.OPEN, "needs_response"),
    )


def account(sandbox: Sandbox, object_id: str, asked: Obj) -> Obj:
    """Set an account's switches, or its tie to the platform (``authorised``).

    Without an account, ``new_accounts`` says how those to come begin: ready or onboarding.
    """
    if not object_id:
        return accounts.start_new_as(sandbox, str(asked.get("new_accounts")))
    found, context = _owned(sandbox, object_id, "account")
    unknown = set(asked) - {*accounts.SWITCHES, "authorised"}
    if unknown or not all(isinstance(value, bool) for value in asked.values()):
        wanted = ", ".join((*accounts.SWITCHES, "authorised"))
        raise invalid(f"Give any of {wanted}, each true or false.")
    if "authorised" in asked:
        accounts.authorise(context, found, allowed=asked["authorised"])
    switches = {name: value for name, value in asked.items() if name != "authorised"}
    return accounts.switch(context, found, switches)


def _disputed_charge(sandbox: Sandbox, asked: Obj) -> tuple[Obj, Context]:
    charge_id = asked.get("charge")
    if asked.get("payment_intent"):
        intent, _ = _owned(sandbox, asked["payment_intent"], "payment_intent")
        charge_id = intent["latest_charge"]
    return _owned(sandbox, str(charge_id or ""), "charge")


def _owned(sandbox: Sandbox, object_id: str, kind: str) -> tuple[Obj, Context]:
    """An object of any account, and a context of its owner's."""
    found, owner = sandbox.store.get(object_id, kind=kind), sandbox.store.owner(object_id)
    if found is None or owner is None:
        raise missing(kind, object_id)
    return found, sandbox.context(owner)


def _number(asked: Obj, name: str, default: int) -> int:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"`{name}` must be a whole number.", name)
    return value


def _choice(asked: Obj, name: str, known: tuple[str, ...], default: str | None = None) -> str:
    value = asked.get(name) or default
    if value not in known:
        raise invalid(f"`{name}` must be one of {', '.join(known)}.", name)
    return str(value)


_CONTROLS: Mapping[str, Control] = {
    "refunds": settle_refund,
    "payments": answer_payment,
    "disputes": dispute,
    "accounts": account,
}
NAMES = tuple(_CONTROLS)


def work(sandbox: Sandbox, name: str, object_id: str, asked: Obj) -> Obj:
    """Bring one about, in one transaction; what the object is afterwards."""
    with sandbox.store.transaction():
        return _CONTROLS[name](sandbox, object_id, asked)
