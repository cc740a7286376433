"""Connected accounts: made, onboarded, switched on and off, and cut off from the platform."""

from __future__ import annotations

import json

from . import objects
from .core import Context, Sandbox
from .errors import StripeError, invalid, missing
from .fees import application_of
from .ids import new_id
from .store import Obj

LINK_SECONDS = 5 * 60
SWITCHES = ("charges_enabled", "payouts_enabled", "details_submitted")
NEW_ACCOUNTS = ("ready", "onboarding")

_NEW = "new_accounts"
_DUE = ["business_profile.url", "external_account", "tos_acceptance.date"]


def known(sandbox: Sandbox, account_id: str) -> Obj:
    """An account the platform may speak for; others are refused as Stripe refuses them."""
    found = sandbox.store.get(account_id, kind="account")
    if found is None or sandbox.store.private(account_id).get("deauthorised"):
        raise StripeError(
            f"The provided key does not have access to account '{account_id}'"
            " (or that account does not exist).",
            status=403,
            code="account_invalid",
        )
    return found


def own(context: Context) -> Obj:
    """The account the call speaks for."""
    return known(context.sandbox, context.account)


def retrieve(context: Context) -> Obj:
    """The platform reads any account; a connected account reads itself."""
    if context.is_direct and context.path_id != context.account:
        raise missing("account", context.path_id, param="account")
    return known(context.sandbox, context.path_id)


def create(context: Context) -> Obj:
    """Connect an account: ready at once, or (see :func:`start_new_as`) still to be onboarded."""
    made = objects.account(new_id("acct"), context.now, context.params)
    if context.store.meta(_NEW, NEW_ACCOUNTS[0]) != "ready":
        made.update(_switched(made, dict.fromkeys(SWITCHES, False)))
        made["tos_acceptance"]["date"] = None
    return context.store.add(made["id"], made)


def start_new_as(sandbox: Sandbox, state: str) -> Obj:
    """Whether new accounts are ``ready`` at once or need ``onboarding``."""
    if state not in NEW_ACCOUNTS:
        raise invalid(f"`{_NEW}` must be one of {', '.join(NEW_ACCOUNTS)}.", _NEW)
    sandbox.store.set_meta(_NEW, state)
    return {_NEW: state}


def switch(context: Context, account: Obj, switches: Obj) -> Obj:
    """Set any of :data:`SWITCHES`, and tell the platform of what changed."""
    after = _switched(account, switches)
    before = {name: account[name] for name, value in after.items() if account[name] != value}
    if before:
        account.update(after)
        context.store.save(account)
        context.emit("account.updated", account, previous_attributes=before)
    return account


def _switched(account: Obj, switches: Obj) -> Obj:
    """The fields that follow from the switches."""
    after = {name: switches.get(name, account[name]) for name in SWITCHES}
    can_charge, complete = after["charges_enabled"], after["details_submitted"]
    capability = "active" if can_charge else ("pending" if complete else "inactive")
    requirements: Obj = json.loads(json.dumps(account["requirements"]))
    requirements["currently_due"] = [] if complete else list(_DUE)
    requirements["eventually_due"] = [] if complete else list(_DUE)
    closed = complete and not can_charge
    requirements["disabled_reason"] = "other" if closed else None
    return {
        **after,
        "capabilities": dict.fromkeys(account["capabilities"], capability),
        "requirements": requirements,
    }


def authorise(context: Context, account: Obj, *, allowed: bool) -> Obj:
    """Connect the account to the platform again, or cut it off."""
    context.store.save(account, {"deauthorised": not allowed})
    if not allowed:
        name = application_of(context.sandbox.platform)
        application = {"id": name, "object": "application", "name": "Sandbox platform"}
        context.emit("account.application.deauthorized", application)
    return account


def check_charges(context: Context, destination: str | None) -> None:
    """Refuse a session whose account, or whose destination, cannot take payments."""
    if not own(context)["charges_enabled"]:
        raise StripeError("This account cannot take payments at present.")
    if destination and not known(context.sandbox, destination)["charges_enabled"]:
        raise invalid(
            "The destination account cannot receive transfers at present.",
            "payment_intent_data[transfer_data][destination]",
            "insufficient_capabilities_for_transfer",
        )


# Links


def create_link(context: Context) -> Obj:
    """A page, open for minutes and for one visit, where an account's owner answers questions."""
    asked = context.params
    account = context.store.get(asked["account"], kind="account")
    if account is None or asked["account"] == context.sandbox.platform:
        raise missing("account", asked["account"], param="account", status=400)
    token = new_id("link")[5:]
    link = {
        "object": "account_link",
        "created": context.now,
        "expires_at": context.now + LINK_SECONDS,
        "url": f"{context.sandbox.settings.base_url}/connect/{token}",
    }
    private = {"refresh_url": asked["refresh_url"], "return_url": asked["return_url"]}
    context.store.add(asked["account"], {**link, "id": f"link_{token}"}, private)
    return link
