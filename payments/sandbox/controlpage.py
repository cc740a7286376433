"""The control page: everything the tools can bring about, for people, in plain forms."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from . import controls, due
from .accounts import NEW_ACCOUNTS
from .core import Sandbox
from .errors import StripeError, invalid
from .faults import Fault
from .formfields import ADDRESS, button, buttons, card, choice, described, number, select
from .markup import link, page, table
from .money import display
from .store import Obj
from .web import Page, redirect

_WEBHOOKS = (
    ("twice", "twice"),
    ("late", "late"),
    ("twice_late", "twice and late"),
    ("reorder", "in pairs, the later first"),
    ("drop", "never"),
    ("bad_signature", "with a wrong signature"),
    ("wrong_endpoint", "to the wrong endpoint as well"),
)
_TIMES = (("1", "the next one"), ("10", "the next ten"), ("", "all, until lifted"))
_OPERATIONS = (
    ("", "any call"),
    ("checkout.sessions.create", "open a session"),
    ("checkout.sessions.expire", "expire a session"),
    ("payment_intents.capture", "capture"),
    ("payment_intents.cancel", "cancel"),
    ("refunds.create", "refund"),
)
_FAILURES = (
    ("error_500_before", "500, and nothing happened"),
    ("error_500_after", "500, and it happened"),
    ("rate_limit_429", "429, too many requests"),
    ("lock_timeout", "429, lock timeout"),
    ("conflict_409", "409, the key is in use"),
    ("cut_before", "the connection breaks, and nothing happened"),
    ("cut_after", "the connection breaks, and it happened"),
    ("slow", "slow"),
)
_HOURS = ((0.25, "15 minutes"), (1, "an hour"), (24, "a day"), (168, "7 days"), (720, "30 days"))
_MOST = 20


class ControlPage:
    """Answers ``/_sandbox/control``."""

    def __init__(self, sandbox: Sandbox, release: Callable[[Fault], None]) -> None:
        self._sandbox = sandbox
        self._release = release

    def show(self, *, done: bool = False, error: str | None = None) -> Page:
        """All forms, with what they could be about just now."""
        note = '<p role="status"><strong>Done.</strong></p>' if done else ""
        if error:
            text = f"<strong>Not done.</strong> {escape(error)}"
            note = f'<div class="note" role="alert">{text}</div>'
        parts = (
            self._faults(),
            _payments(),
            _webhooks(),
            _calls(),
            _refunds(),
            self._clock(),
            self._waiting(),
            self._charges(),
            self._disputes(),
            self._accounts(),
        )
        body = f"<h1>Control</h1>{note}{''.join(parts)}<p>{link('/_sandbox/', 'All tools')}</p>"
        return Page(400 if error else 200, page("Control", body, wide=True))

    def submit(self, form: str) -> Page:
        """One form, carried out as the tool of that name would; then the page again."""
        given = dict(parse_qsl(form, keep_blank_values=True))
        try:
            self._carry_out(given.pop("do", ""), given.pop("id", ""), given)
        except StripeError as error:
            return self.show(error=error.message)
        return redirect(f"{ADDRESS}?done=1")

    def _carry_out(self, name: str, object_id: str, given: dict[str, str]) -> None:
        if name == "fault":
            self._sandbox.faults.add(_fault(given))
        elif name == "lift":
            for fault in self._sandbox.faults.clear(object_id or None):
                self._release(fault)
        elif name == "clock":
            self._sandbox.clock.advance(_whole(given.get("seconds", "")))
            due.run(self._sandbox)
        elif name in controls.NAMES:
            controls.work(self._sandbox, name, object_id, {k: _typed(v) for k, v in given.items()})
        else:
            raise invalid("There is no such control.", "do")

    # What there is to decide now

    def _faults(self) -> str:
        found = self._sandbox.faults.in_force()
        if not found:
            return card("In force", '<p class="soft">Nothing is told to go wrong.</p>')
        rows = [[described(fault), button("Lift", do="lift", id=fault["id"])] for fault in found]
        shown = table(["What goes wrong", ""], rows, empty="")
        return card("In force", shown, button("Lift all", do="lift"))

    def _clock(self) -> str:
        now = time.strftime("%d %B %Y, %H:%M UTC", time.gmtime(self._sandbox.clock.now()))
        steps = [
            button(f"Let {words} pass", do="clock", seconds=int(hours * 3600))
            for hours, words in _HOURS
        ]
        return card("Clock", f"<p>It is {now}. It only goes forward.</p>", buttons(*steps))

    def _waiting(self) -> str:
        intents = self._newest("payment_intent", "status = 'processing'")
        refunds = self._newest("refund", "status = 'pending'")
        rows = [
            _row(
                intent,
                button("The bank pays", do="payments", id=intent["id"], outcome="succeed"),
                button("It does not", do="payments", id=intent["id"], outcome="fail"),
            )
            for intent in intents
        ]
        rows += [
            _row(
                refund,
                button("It arrives", do="refunds", id=refund["id"], status="succeeded"),
                button("It fails", do="refunds", id=refund["id"], status="failed"),
            )
            for refund in refunds
        ]
        empty = "No payment and no refund waits for a bank."
        return card("Waiting for a bank", table(["What", "Amount", ""], rows, empty=empty))

    def _charges(self) -> str:
        undisputed = (
            "status = 'succeeded' AND json_extract(data, '$.captured')"
            " AND NOT json_extract(data, '$.disputed')"
        )
        rows = [
            _row(
                charge,
                button("Dispute it", do="disputes", charge=charge["id"]),
                button(
                    "Ask first", do="disputes", charge=charge["id"], status="warning_needs_response"
                ),
            )
            for charge in self._newest("charge", undisputed)
        ]
        shown = table(["Charge", "Amount", ""], rows, empty="Nothing was captured yet.")
        return card("Charges", shown)

    def _disputes(self) -> str:
        ends = "status NOT IN ('won', 'lost', 'warning_closed')"
        rows = [_row(found, *_verdicts(found)) for found in self._newest("dispute", ends)]
        shown = table(["Dispute", "Amount", ""], rows, empty="No dispute is open.")
        return card("Disputes", shown)

    def _accounts(self) -> str:
        store, rows = self._sandbox.store, []
        for account in self._newest("account", "id != ?", self._sandbox.platform):
            tied = not store.private(account["id"]).get("deauthorised")
            rows.append([escape(account["id"]), buttons(*_switches(account, tied=tied))])
        new = select("New accounts start", "new_accounts", [(name, name) for name in NEW_ACCOUNTS])
        shown = table(["Account", ""], rows, empty="No account is connected.")
        return card("Accounts", shown, choice("Set", new, do="accounts"))

    def _newest(self, kind: str, where: str, *values: Any) -> list[Obj]:
        return self._sandbox.store.select(
            f"kind = ? AND {where}", kind, *values, _MOST, tail="ORDER BY seq DESC LIMIT ?"
        )


def _payments() -> str:
    race = {"do": "fault", "kind": "pay_and_expire"}
    return card(
        "The next payment",
        buttons(
            button("is declined", do="fault", kind="decline"),
            button("needs authentication", do="fault", kind="challenge"),
            button("meets an expiry, and wins", **race, winner="pay"),
            button("meets an expiry, and loses", **race, winner="expire"),
        ),
    )


def _webhooks() -> str:
    inside = (
        select("Webhooks are delivered", "kind", _WEBHOOKS)
        + select("Which", "times", _TIMES)
        + number("How late, in seconds", "seconds", 30)
    )
    return card("Webhooks", choice("Deliver them so", inside, do="fault"))


def _calls() -> str:
    inside = (
        select("The next call that would", "operation", _OPERATIONS)
        + select("ends with", "kind", _FAILURES)
        + select("Which", "times", _TIMES)
    )
    return card("Calls of the API", choice("Make it fail", inside, do="fault"))


def _refunds() -> str:
    pending = {"do": "fault", "kind": "refund_pending"}
    return card(
        "The next refund",
        buttons(
            button("waits, then arrives", **pending, then="succeeded", seconds=30),
            button("waits, then fails", **pending, then="failed", seconds=30),
            button("waits for your word", **pending, then=""),
            button("fails at once", do="fault", kind="refund_fails"),
            button("finds the balance too low", do="fault", kind="refund_insufficient_balance"),
        ),
    )


def _row(obj: Obj, *forms: str) -> list[str]:
    amount = f'<span class="digits">{escape(display(obj["amount"], obj["currency"]))}</span>'
    about = f'{escape(obj["id"])} <span class="soft">{escape(obj["status"])}</span>'
    return [about, amount, buttons(*forms)]


def _verdicts(dispute: Obj) -> list[str]:
    """What may become of an open dispute."""
    inquiry = dispute["status"].startswith("warning")
    after = (
        (("warning_closed", "Close the inquiry"), ("needs_response", "Make it a dispute"))
        if inquiry
        else (("under_review", "Review it"), ("won", "Won"), ("lost", "Lost"))
    )
    return [
        button(words, do="disputes", id=dispute["id"], status=status)
        for status, words in after
        if status != dispute["status"]
    ]


def _switches(account: Obj, *, tied: bool) -> list[str]:
    def switch(name: str, words: str, *, on: bool) -> str:
        label = f"{words}: turn {'off' if on else 'on'}"
        return button(label, do="accounts", id=account["id"], **{name: str(not on).lower()})

    return [
        switch("charges_enabled", "Payments", on=account["charges_enabled"]),
        switch("payouts_enabled", "Payouts", on=account["payouts_enabled"]),
        switch("authorised", "Connection", on=tied),
    ]


# From a form to a tool's document

_LATE = {"twice": ("duplicate", 2), "late": ("delay", 1), "twice_late": ("delay", 2)}
# The kinds a form's number of seconds is meant for.
_TIMED = ("delay", "refund_pending")


def _fault(given: dict[str, str]) -> Obj:
    """A form's fields as a fault."""
    kind, copies = _LATE.get(given.get("kind", ""), (given.get("kind", ""), 0))
    asked: Obj = {"kind": kind}
    if copies:
        asked["copies"] = copies
    if kind in _TIMED and "seconds" in given:
        asked["seconds"] = _whole(given["seconds"])
    if given.get("operation"):
        asked["match"] = {"operation": given["operation"]}
    if "times" in given:
        asked["times"] = _whole(given["times"]) if given["times"] else None
    for name in ("then", "winner"):
        if name in given:
            asked[name] = given[name] or None
    return asked


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise invalid("Give a whole number from 0.")
    return int(text)


def _typed(text: str) -> str | bool:
    return text == "true" if text in ("true", "false") else text
