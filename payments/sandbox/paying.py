"""What happens when a payer presses Pay: the only place where a session becomes complete."""

from __future__ import annotations

from dataclasses import dataclass

from . import delayed, objects, sessions
from .core import Context
from .fees import application_of
from .intents import AUTHORISATION_SECONDS, fail, settle
from .store import Obj

WORKS: Obj = {"last4": "4242"}
DECLINED: Obj = {"last4": "0002"}
CHALLENGED: Obj = {"last4": "3220", "authenticated": True}

DECLINE_MESSAGE = "Your card was declined."
CHALLENGE_MESSAGE = "Your bank could not confirm that it is you."


@dataclass
class NotOpenError(Exception):
    """The session cannot be paid: it is complete or expired."""

    session: Obj


def attempt(context: Context, session_id: str, outcome: str, email: str | None) -> Obj:
    """One try to pay. Returns the session, complete, or with its intent awaiting the bank.

    ``outcome`` is ``pay``, ``pay_later``, ``decline``, ``start_authentication``, ``authenticate``
    or ``fail_authentication``. A refusal is reported by :func:`refusal`, after what it changed is
    written.
    """
    session = context.store.get(session_id, kind="checkout.session")
    assert session is not None
    if session["status"] != "open":
        raise NotOpenError(session)
    if not session["amount_total"]:
        return _complete(context, session, email)
    intent = _intent(context, session)
    step = {
        "pay": _pay,
        "pay_later": _pay_later,
        "decline": _decline,
        "start_authentication": _challenge,
        "authenticate": _authenticate,
        "fail_authentication": _fail_challenge,
    }[outcome]
    step(context, session, intent, email)
    return session


def refusal(intent: Obj | None) -> str | None:
    """Why the last attempt failed, in words for the payer; ``None`` if it did not."""
    if not intent or intent["status"] != "requires_payment_method":
        return None
    return (intent["last_payment_error"] or {}).get("message")


def _intent(context: Context, session: Obj) -> Obj:
    """The session's intent, made at the first attempt."""
    if session["payment_intent"]:
        known = context.store.get(session["payment_intent"])
        assert known is not None
        return known
    platform = context.sandbox.platform
    intent = objects.payment_intent(
        context.now,
        session=session,
        plan=context.store.private(session["id"])["plan"],
        application=application_of(platform) if context.is_direct else None,
    )
    context.store.add(context.account, intent, {"session": session["id"]})
    session["payment_intent"] = intent["id"]
    context.store.save(session)
    context.emit("payment_intent.created", intent)
    return intent


def _pay(context: Context, session: Obj, intent: Obj, email: str | None) -> None:
    if _type_of(session) == delayed.method_of(session):
        _pay_later(context, session, intent, email)
    else:
        _authorise(context, session, intent, email, WORKS)


def _pay_later(context: Context, session: Obj, intent: Obj, email: str | None) -> None:
    """A method whose answer comes days after the session is complete."""
    type_name = delayed.method_of(session)
    assert type_name is not None, "the page offers it only where the session does"
    known = _address(session, email)
    method = objects.payment_method(context.now, type_name=type_name, email=known, card={})
    delayed.begin(context, intent, context.store.add(context.account, method))
    _complete(context, session, email)


def _authenticate(context: Context, session: Obj, intent: Obj, email: str | None) -> None:
    if intent["status"] != "requires_action":
        _challenge(context, session, intent, email)
    _authorise(context, session, intent, email, CHALLENGED)


def _authorise(context: Context, session: Obj, intent: Obj, email: str | None, card: Obj) -> None:
    """The bank said yes: hold the money, or take it when nothing says "later"."""
    method = _method(context, session, email, card)
    later = _captures_later(intent)
    charge = objects.charge(
        context.now, intent=intent, method=method, captured=not later, card=card
    )
    context.store.add(context.account, charge)
    intent.update(
        latest_charge=charge["id"],
        payment_method=method["id"],
        last_payment_error=None,
        next_action=None,
    )
    if later:
        _hold(context, intent, charge)
    else:
        settle(context, intent, charge, event="charge.succeeded")
        session["payment_status"] = "paid"
    _complete(context, session, email)


def _captures_later(intent: Obj) -> bool:
    options = intent["payment_method_options"] or {}
    return bool(
        intent["capture_method"] == "manual"
        or options.get("card", {}).get("capture_method") == "manual"
    )


def _hold(context: Context, intent: Obj, charge: Obj) -> None:
    intent.update(status="requires_capture", amount_capturable=intent["amount"])
    until = context.now + AUTHORISATION_SECONDS
    private = {**context.store.private(intent["id"]), "due_at": until}
    context.store.save(intent, private)
    if charge["payment_method_details"]["type"] == "card":
        charge["payment_method_details"]["card"]["capture_before"] = until
        context.store.save(charge)
    context.emit("charge.succeeded", charge)
    context.emit("payment_intent.amount_capturable_updated", intent)


def _complete(context: Context, session: Obj, email: str | None) -> Obj:
    known = sessions.customer_details(_address(session, email))
    session.update(status="complete", url=None, customer_details=known)
    context.store.save(session)
    context.emit("checkout.session.completed", session)
    return session


def _decline(context: Context, session: Obj, intent: Obj, email: str | None) -> None:
    method = _method(context, session, email, DECLINED)
    charge = objects.charge(
        context.now, intent=intent, method=method, captured=False, card=DECLINED
    )
    charge.update(
        status="failed",
        paid=False,
        failure_code="card_declined",
        failure_message=DECLINE_MESSAGE,
        outcome=objects.declined_outcome("generic_decline"),
    )
    context.store.add(context.account, charge)
    intent["latest_charge"] = charge["id"]
    context.emit("charge.failed", charge)
    error = {
        "charge": charge["id"],
        "code": "card_declined",
        "decline_code": "generic_decline",
        "message": DECLINE_MESSAGE,
        "payment_method": method,
        "type": "card_error",
    }
    fail(context, intent, error)


def _fail_challenge(context: Context, session: Obj, intent: Obj, email: str | None) -> None:
    if intent["status"] != "requires_action":
        _challenge(context, session, intent, email)
    error = {
        "code": "payment_intent_authentication_failure",
        "message": CHALLENGE_MESSAGE,
        "payment_method": context.store.get(intent["payment_method"]),
        "type": "card_error",
    }
    fail(context, intent, error)


def _challenge(context: Context, session: Obj, intent: Obj, email: str | None) -> None:
    """The bank wants to see the cardholder first."""
    method = _method(context, session, email, CHALLENGED)
    page = f"{context.sandbox.settings.base_url}/pay/{session['id']}"
    intent.update(
        status="requires_action",
        payment_method=method["id"],
        last_payment_error=None,
        next_action={
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": page, "url": page},
        },
    )
    context.store.save(intent)
    context.emit("payment_intent.requires_action", intent)


def _method(context: Context, session: Obj, email: str | None, card: Obj) -> Obj:
    known = _address(session, email)
    method = objects.payment_method(
        context.now, type_name=_type_of(session), email=known, card=card
    )
    return context.store.add(context.account, method)


def _type_of(session: Obj) -> str:
    types: list[str] = session["payment_method_types"]
    return "card" if "card" in types else types[0]


def _address(session: Obj, email: str | None) -> str | None:
    return email or (session["customer_details"] or {}).get("email")
