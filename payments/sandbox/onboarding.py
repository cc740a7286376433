"""The hosted onboarding page: where an account link leads, and what its buttons do."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qsl

from . import accounts
from .core import Sandbox
from .markup import page
from .store import Obj
from .web import Page, redirect

# What each answer makes of the account's switches, in the order of accounts.SWITCHES.
_ANSWERS: dict[str, tuple[bool, bool, bool]] = {
    "complete": (True, True, True),
    "without_payouts": (True, False, True),
    "under_review": (False, False, True),
}
_LABELS = {
    "complete": "Everything is accepted",
    "without_payouts": "Payments work, payouts do not yet",
    "under_review": "Sent in, and under review",
}
OUTCOMES = (*_ANSWERS, "leave")


class Onboarding:
    """Answers ``/connect/{token}``."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def show(self, token: str) -> Page:
        """The page, once; afterwards, or too late, the way to a fresh link."""
        with self._sandbox.store.transaction():
            link, private = self._link(token)
            if link is None:
                return _missing()
            if private.get("opened") or self._sandbox.clock.now() > link["expires_at"]:
                return redirect(private["refresh_url"])
            self._sandbox.store.save(link, {**private, "opened": True})
            return Page(200, page("Your account", _form(self._owner(link))))

    def submit(self, token: str, form: str) -> Page:
        """One answer, then back to the platform."""
        outcome = dict(parse_qsl(form)).get("outcome", "")
        with self._sandbox.store.transaction():
            link, private = self._link(token)
            if link is None or outcome not in OUTCOMES:
                return _missing()
            late = self._sandbox.clock.now() > link["expires_at"] and not private.get("opened")
            if private.get("done") or late:
                return redirect(private["refresh_url"])
            self._sandbox.store.save(link, {**private, "opened": True, "done": True})
            if outcome in _ANSWERS:
                self._answer(self._owner(link), outcome)
            return redirect(private["return_url"])

    def _link(self, token: str) -> tuple[Obj | None, Obj]:
        store = self._sandbox.store
        return store.get(f"link_{token}", kind="account_link"), store.private(f"link_{token}")

    def _owner(self, link: Obj) -> Obj:
        account = self._sandbox.store.get(self._sandbox.store.owner(link["id"]) or "")
        assert account is not None, "a link is an account's"
        return account

    def _answer(self, account: Obj, outcome: str) -> None:
        switches = dict(zip(accounts.SWITCHES, _ANSWERS[outcome], strict=True))
        accounts.switch(self._sandbox.context(account["id"]), account, switches)


def _missing() -> Page:
    text = "<h1>There is no such page</h1><p>Ask the platform for a new link.</p>"
    return Page(404, page("No such page", text))


def _form(account: Obj) -> str:
    name = escape(account["business_profile"]["name"] or account["id"])
    choices = "".join(
        f'<label class="choice"><input type="radio" name="outcome" value="{value}"'
        f"{' checked' if value == 'complete' else ''}><span>{label}</span></label>"
        for value, label in _LABELS.items()
    )
    return (
        f"<h1>Set up {name}</h1><p>In life you would say here who you are and where your money"
        ' goes. Choose how it ends.</p><form method="post" class="card"><fieldset>'
        f"<legend>What becomes of it</legend>{choices}</fieldset>"
        '<button type="submit">Send and go back</button></form>'
        '<form method="post"><input type="hidden" name="outcome" value="leave">'
        '<button class="quiet" type="submit">Go back without finishing</button></form>'
    )
