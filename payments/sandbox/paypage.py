"""The hosted payment page: what a payer sees at a session's ``url``, and what its buttons do."""

from __future__ import annotations

import time
from html import escape
from urllib.parse import parse_qsl

from . import checkout, delayed, faults, money, paying, races
from .api import expire_quietly
from .core import Sandbox
from .errors import StripeError
from .markup import page
from .params import email as check_email
from .store import Obj
from .web import Page, redirect

ATTEMPTS = (
    "pay",
    "pay_later",
    "decline",
    "start_authentication",
    "authenticate",
    "fail_authentication",
)
OUTCOMES = (*ATTEMPTS, "abandon", "pay_without_returning")

# The status of a page that shows a field to be put right.
WRONG_ADDRESS = 422

_CARDS = (
    ("pay", "Card that works", "4242"),
    ("decline", "Card that is declined", "0002"),
    ("start_authentication", "Card that needs authentication", "3220"),
    ("pay_without_returning", "Card that works, then the browser is closed", "4242"),
)


class PayPage:
    """Answers ``/pay/{session}``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def show(self, session_id: str) -> Page:
        """The page as the session's state has it."""
        session = self._session(session_id)
        return self._missing() if session is None else self._render(session)

    def submit(self, session_id: str, form: str) -> Page:
        """One press of a button, or a program's ``outcome``."""
        session = self._session(session_id)
        if session is None:
            return self._missing()
        given = dict(parse_qsl(form, keep_blank_values=True))
        outcome = given.get("outcome", "")
        if outcome not in OUTCOMES:
            wanted = ", ".join(OUTCOMES)
            return self._render(session, f"Choose one of: {wanted}.", status=400)
        if outcome == "abandon":
            return self._abandon(session)
        if outcome == "pay_later" and delayed.method_of(session) is None:
            return self._render(session, "This shop takes no such payment.", status=400)
        try:
            address = self._address(session, given)
        except StripeError:
            message = "Enter an e-mail address like name@example.com."
            return self._render(
                session, message, status=WRONG_ADDRESS, email=given.get("email", "")
            )
        return self._pay(session, outcome, address)

    def _session(self, session_id: str) -> Obj | None:
        checkout.expire_due(self._sandbox)
        return self._sandbox.store.get(session_id, kind="checkout.session")

    def _address(self, session: Obj, given: dict[str, str]) -> str | None:
        """The payer's address: optional for programs, asked for on the page."""
        if session["customer_email"] or "email" not in given:
            return None
        if not given["email"].strip():
            raise StripeError("An address is needed.")
        address: str | None = check_email(given["email"].strip(), "email")
        return address

    def _abandon(self, session: Obj) -> Page:
        if session["cancel_url"]:
            return redirect(session["cancel_url"])
        return self._render(session, "This shop gave no page to go back to.")

    # Paying

    def _pay(self, session: Obj, outcome: str, address: str | None) -> Page:
        sandbox, object_id = self._sandbox, session["id"]
        account = sandbox.store.owner(object_id) or sandbox.platform
        facts = {"account": account, "session": object_id}
        returns = outcome != "pay_without_returning"
        step = "pay" if not returns else outcome
        step = self._misled(step, facts)
        race = sandbox.faults.take(faults.RACE, facts)
        try:
            after = races.run(
                race,
                "pay",
                lambda: self._attempt(account, object_id, step, address),
                lambda: expire_quietly(sandbox, account, object_id),
            )
        except paying.NotOpenError as closed:
            status = 409 if closed.session["status"] == "complete" else 410
            return self._render(closed.session, status=status)
        return self._after(after, address, returns=returns)

    def _misled(self, step: str, facts: Obj) -> str:
        """What a fault makes of a payment that would have worked."""
        if step not in ("pay", "authenticate"):
            return step
        kinds = faults.PAY if step == "pay" else ("decline",)
        fault = self._sandbox.faults.take(kinds, facts)
        if fault is None:
            return step
        return "start_authentication" if fault.kind == "challenge" else "decline"

    def _attempt(self, account: str, object_id: str, step: str, address: str | None) -> Obj:
        with self._sandbox.store.transaction():
            context = self._sandbox.context(account)
            return paying.attempt(context, object_id, step, address)

    def _after(self, session: Obj, address: str | None, *, returns: bool) -> Page:
        if session["status"] != "complete":
            error = paying.refusal(self._intent(session))
            return self._render(session, error, email=address or "")
        if returns:
            return redirect(return_url(session))
        return _plain(
            "Paid, and not going back",
            "The payment went through. This page plays a browser that was closed before it could"
            " return to the shop.",
        )

    def _intent(self, session: Obj) -> Obj | None:
        object_id = session["payment_intent"]
        return self._sandbox.store.get(object_id) if object_id else None

    # Showing

    def _missing(self) -> Page:
        return _plain("There is no such payment", "Check the address, or go back.", status=404)

    def _render(
        self, session: Obj, error: str | None = None, *, status: int = 200, email: str = ""
    ) -> Page:
        if session["status"] == "complete":
            return _complete(session, status)
        if session["status"] == "expired":
            return _expired(session, status)
        intent = self._intent(session)
        seller = self._seller(session)
        if intent and intent["status"] == "requires_action":
            return Page(status, page("Confirm it is you", _challenge(session, seller)))
        lines = self._sandbox.store.private(session["id"])["lines"]
        field = _email_field(session, email, wrong=status == WRONG_ADDRESS)
        body = _form(session, lines, seller, error=error, address_field=field)
        return Page(status, page(f"Pay {seller}", body))

    def _seller(self, session: Obj) -> str:
        account = self._sandbox.store.get(self._sandbox.store.owner(session["id"]) or "")
        profile = (account or {}).get("business_profile") or {}
        return str(profile.get("name") or "Sandbox business")


def return_url(session: Obj) -> str:
    """Where a payer goes after paying."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _plain(title: str, text: str, *, status: int = 200, after: str = "") -> Page:
    return Page(status, page(title, f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{after}"))


def _complete(session: Obj, status: int) -> Page:
    back = f'<a class="button" href="{escape(return_url(session))}">Continue</a>'
    return _plain(
        "This payment is complete",
        "There is nothing left to pay here, and nothing is charged twice.",
        status=status,
        after=back,
    )


def _expired(session: Obj, status: int) -> Page:
    address = session["cancel_url"]
    back = f'<a class="button" href="{escape(address)}">Go back</a>' if address else ""
    return _plain(
        "This payment page has ended",
        "It can no longer be paid, and your card was not charged.",
        status=status,
        after=back,
    )


def _form(
    session: Obj, lines: list[Obj], seller: str, *, error: str | None, address_field: str
) -> str:
    total = money.display(session["amount_total"], session["currency"])
    ends = time.strftime("%H:%M UTC on %d %B", time.gmtime(session["expires_at"]))
    return (
        f"{_note(error)}<h1>Pay {escape(seller)}</h1>"
        f'<section class="card" aria-label="What you are paying for">{_summary(lines, total)}'
        '</section><form method="post" class="card">'
        f"{address_field}{_choices(session)}"
        f'<button type="submit">Pay {escape(total)}</button></form>'
        '<form method="post"><input type="hidden" name="outcome" value="abandon">'
        '<button class="quiet" type="submit">Cancel and go back</button></form>'
        f'<p class="soft">This page stays open until {ends}.</p>'
    )


def _note(error: str | None) -> str:
    if not error:
        return ""
    return (
        '<div class="note" role="alert" id="error" tabindex="-1" autofocus>'
        f"<strong>Not paid.</strong> {escape(error)} You have not been charged;"
        " you can try again below.</div>"
    )


def _summary(lines: list[Obj], total: str) -> str:
    rows = "".join(
        f"<dt>{escape(line['description'])}{_times(line['quantity'])}</dt>"
        f"<dd>{escape(money.display(line['amount_total'], line['currency']))}</dd>"
        for line in lines
    )
    return (
        f'<dl class="sum">{rows}<dt class="total">Total</dt>'
        f'<dd class="total">{escape(total)}</dd></dl>'
    )


def _times(quantity: int) -> str:
    return f' <span class="soft">&times; {quantity}</span>' if quantity > 1 else ""


def _email_field(session: Obj, email: str, *, wrong: bool) -> str:
    known = session["customer_email"] or (session["customer_details"] or {}).get("email")
    if known:
        return f'<p class="soft">Receipt to {escape(known)}</p>'
    invalid = ' aria-invalid="true" aria-describedby="error"' if wrong else ""
    return (
        '<label class="field">E-mail for the receipt'
        f'<input type="email" name="email" required autocomplete="email" value="{escape(email)}"'
        f"{invalid}></label>"
    )


def _choices(session: Obj) -> str:
    ways = [(value, label, f"•••• {last4}") for value, label, last4 in _CARDS]
    method = delayed.method_of(session)
    if method:
        ways.append(("pay_later", "Bank debit, answered days later", method))
    choices = "".join(
        f'<label class="choice"><input type="radio" name="outcome" value="{value}"'
        f"{' checked' if value == 'pay' else ''}>"
        f'<span>{label} <span class="digits">{escape(detail)}</span></span></label>'
        for value, label, detail in ways
    )
    return f"<fieldset><legend>Pay with</legend>{choices}</fieldset>"


def _challenge(session: Obj, seller: str) -> str:
    total = money.display(session["amount_total"], session["currency"])
    return (
        "<h1>Your bank wants to know it is you</h1>"
        f"<p>{escape(seller)} asks for {escape(total)}. In life your bank would ask here.</p>"
        '<form method="post"><input type="hidden" name="outcome" value="authenticate">'
        '<button type="submit">Yes, it is me</button></form>'
        '<form method="post"><input type="hidden" name="outcome" value="fail_authentication">'
        '<button class="quiet" type="submit">Fail the check</button></form>'
        '<form method="post"><input type="hidden" name="outcome" value="abandon">'
        '<button class="quiet" type="submit">Cancel and go back</button></form>'
    )
