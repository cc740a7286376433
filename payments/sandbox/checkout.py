"""Checkout Sessions: opening them, reading them, and ending them unpaid."""

from __future__ import annotations

from . import accounts, intents, money, sessions
from .core import Context, Sandbox
from .errors import invalid, missing, wrong_state
from .store import Obj


def create(context: Context) -> Obj:
    """Open a session from checked parameters. No intent is made before somebody pays."""
    given = context.params
    _check_references(context, given)
    lines = sessions.lines(context.now, given["line_items"])
    session = sessions.session(
        context.now,
        given,
        lines,
        base_url=context.sandbox.settings.base_url,
        known_email=_known_email(context, given),
    )
    total = session["amount_total"]
    money.check_total(total, session["currency"])
    sessions.check_fee(given, total, is_direct=context.is_direct)
    plan = {
        **(given.get("payment_intent_data") or {}),
        "payment_method_options": given.get("payment_method_options"),
    }
    private = {"due_at": session["expires_at"], "lines": lines, "plan": plan}
    return context.store.add(context.account, session, private)


def _check_references(context: Context, given: Obj) -> None:
    """Whatever the parameters point at must exist."""
    if given["mode"] != "payment":
        raise invalid("The sandbox takes one-off payments only.", "mode")
    customer = given.get("customer")
    if customer and not context.store.get(customer, kind="customer", account=context.account):
        raise missing("customer", customer, param="customer", status=400)
    transfer = (given.get("payment_intent_data") or {}).get("transfer_data")
    destination = transfer["destination"] if transfer else None
    if destination and not context.store.get(destination, kind="account"):
        name = "payment_intent_data[transfer_data][destination]"
        raise missing("destination", destination, param=name, status=400)
    accounts.check_charges(context, destination)


def _known_email(context: Context, given: Obj) -> str | None:
    if given.get("customer"):
        customer = context.store.get(given["customer"]) or {}
        return customer.get("email")
    return given.get("customer_email")


def find(context: Context, object_id: str) -> Obj:
    """The account's session, or ``resource_missing``."""
    session = context.store.get(object_id, kind="checkout.session", account=context.account)
    if session is None:
        raise missing("checkout.session", object_id, param="session")
    return session


def expire(context: Context) -> Obj:
    """End an open session at once; any other is refused, and stays what it is."""
    session = find(context, context.path_id)
    if session["status"] != "open":
        raise wrong_state(
            'Only Checkout Sessions with a status in ["open"] can be expired.'
            f" This Checkout Session has a status of `{session['status']}`."
        )
    return end(context, session)


def end(context: Context, session: Obj) -> Obj:
    """Make an open session expired, cancel the intent it may have, and tell of both."""
    session.update(status="expired", url=None)
    context.store.save(session)
    context.emit("checkout.session.expired", session)
    if session["payment_intent"]:
        intent = context.store.get(session["payment_intent"])
        if intent and intent["status"] in intents.UNPAID:
            intents.void(context, intent, "expired")
    return session


def expire_due(sandbox: Sandbox) -> None:
    """End every session whose time is up, wherever it belongs."""
    with sandbox.store.transaction():
        for account, session in sandbox.store.due("checkout.session", sandbox.clock.now()):
            end(sandbox.context(account), session)
