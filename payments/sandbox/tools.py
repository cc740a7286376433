"""``/_sandbox``: health, state, faults, time, redelivery and the mailbox."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import parse_qs

from . import controls, due
from .api import Headers
from .core import Sandbox
from .delivery import Deliverer
from .errors import StripeError, invalid, unrecognized
from .mailbox import Mailbox
from .markup import link, page, table
from .money import display
from .overview import state
from .web import Page, as_json


@dataclass
class Ask:
    """A request to a tool."""

    method: str
    parts: list[str]
    query: dict[str, str]
    body: str
    accept: str

    @property
    def wants_page(self) -> bool:
        """Whether a browser is looking."""
        return "text/html" in self.accept and self.query.get("format") != "json"

    @property
    def wants_data(self) -> bool:
        """Whether a program asked for JSON."""
        return self.query.get("format") == "json" or "application/json" in self.accept

    def document(self) -> dict[str, Any]:
        """The JSON object that was sent."""
        try:
            given = json.loads(self.body or "{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise invalid("Send a JSON object.")
        return given


def read(method: str, path: str, query: str, body: str, headers: Headers) -> Ask:
    """The request behind ``/_sandbox…``."""
    parts = [part for part in path.split("/")[2:] if part]
    flat = {name: values[-1] for name, values in parse_qs(query).items()}
    return Ask(method, parts, flat, body, headers.get("Accept", ""))


class Tools:
    """Answers ``/_sandbox…``."""

    def __init__(self, sandbox: Sandbox, deliverer: Deliverer, mailbox: Mailbox) -> None:
        self._sandbox = sandbox
        self._deliverer = deliverer
        self._mailbox = mailbox

    def answer(self, ask: Ask) -> Page:
        """The answer to ``ask``, errors included."""
        try:
            return self._answer(ask)
        except StripeError as error:
            return as_json(error.body(), error.status)

    def _answer(self, ask: Ask) -> Page:
        name = ask.parts[0] if ask.parts else ""
        if name == "mailbox":
            return self._mail(ask, ask.parts[1:])
        if name == "faults":
            return self._faults(ask, ask.parts[1:])
        if name in controls.NAMES and ask.method == "POST" and len(ask.parts) <= 2:
            object_id = ask.parts[1] if len(ask.parts) > 1 else ""
            return as_json(controls.work(self._sandbox, name, object_id, ask.document()))
        handler = {
            ("GET", ""): self._index,
            ("GET", "health"): lambda _: as_json({"status": "ok"}),
            ("GET", "state"): self._state,
            ("GET", "sessions"): self._sessions,
            ("GET", "requests"): lambda _: as_json(list(self._sandbox.requests)),
            ("POST", "deliver"): self._deliver,
            ("GET", "clock"): lambda _: self._clock(),
            ("POST", "clock"): self._advance,
        }.get((ask.method, name))
        if handler is None or len(ask.parts) > 1:
            raise unrecognized(ask.method, "/_sandbox/" + "/".join(ask.parts))
        return handler(ask)

    # Pages

    def _index(self, ask: Ask) -> Page:
        rows = [
            ("mailbox", "Mailbox", "every mail sent to the sandbox"),
            ("sessions", "Sessions", "Checkout Sessions and their payment pages"),
            ("faults", "Faults", "what is told to go wrong"),
            ("state", "State", "counts, deliveries, requests kept waiting"),
        ]
        lines = "".join(
            f"<li>{link(f'/_sandbox/{path}', name)}: {about}</li>" for path, name, about in rows
        )
        text = "<h1>Stripe, in a sandbox</h1><p>A stand-in for the real one, on this machine.</p>"
        return Page(200, page("Tools", f"{text}<ul>{lines}</ul>"))

    def _sessions(self, ask: Ask) -> Page:
        kind, limit = "kind = 'checkout.session'", "ORDER BY seq DESC LIMIT 200"
        sessions = self._sandbox.store.select(kind, tail=limit)
        if ask.wants_data:
            return as_json(sessions)
        rows = [
            [
                link(f"/pay/{session['id']}", session["id"][:20] + "…"),
                escape(session["status"]),
                escape(display(session["amount_total"], session["currency"])),
                escape(session["client_reference_id"] or ""),
            ]
            for session in sessions
        ]
        shown = table(["Session", "State", "Total", "Reference"], rows, empty="None yet.")
        return Page(200, page("Sessions", f"<h1>Sessions</h1>{shown}", wide=True))

    def _state(self, ask: Ask) -> Page:
        limit = ask.query.get("limit", "")
        found = state(
            self._sandbox, ask.query.get("account"), int(limit) if limit.isdigit() else 200
        )
        return self._shown(ask, "State", found)

    def _shown(self, ask: Ask, title: str, data: Any) -> Page:
        if not ask.wants_page:
            return as_json(data)
        text = escape(json.dumps(data, indent=2))
        return Page(200, page(title, f"<h1>{title}</h1><pre class=card>{text}</pre>", wide=True))

    def _mail(self, ask: Ask, parts: list[str]) -> Page:
        as_data = ask.wants_data
        match ask.method, parts:
            case "GET", []:
                return self._mailbox.index(ask.query.get("to"), as_data=as_data)
            case "DELETE", []:
                self._mailbox.clear()
                return Page(204, "")
            case "GET", [object_id]:
                return self._mailbox.show(object_id, as_data=as_data)
            case "GET", [object_id, "html"]:
                return self._mailbox.html(object_id)
            case "GET", [object_id, "attachments", number]:
                return self._mailbox.attachment(object_id, number)
        raise unrecognized(ask.method, "/_sandbox/mailbox/…")

    # Orders

    def _faults(self, ask: Ask, parts: list[str]) -> Page:
        box = self._sandbox.faults
        match ask.method, parts:
            case "GET", []:
                return self._shown(ask, "Faults", {"faults": box.in_force()})
            case "POST", []:
                return as_json(box.add(ask.document()).summary(), 201)
            case "DELETE", [] | [_]:
                lifted = box.clear(parts[0] if parts else None)
                for fault in lifted:
                    self._deliverer.release(fault)
                if parts and not lifted:
                    raise StripeError(f"No such fault: '{parts[0]}'", status=404)
                return Page(204, "")
        raise unrecognized(ask.method, "/_sandbox/faults/…")

    def _deliver(self, ask: Ask) -> Page:
        asked = ask.document()
        ids, order = asked.get("events"), asked.get("order", "given")
        if not isinstance(ids, list) or not all(isinstance(object_id, str) for object_id in ids):
            raise invalid("`events` must be a list of event ids.", "events")
        if order not in ("given", "reversed", "together"):
            raise invalid('`order` must be "given", "reversed" or "together".', "order")
        chosen = ids[::-1] if order == "reversed" else ids
        results = self._deliverer.redeliver(
            chosen, together=order == "together", endpoint=asked.get("endpoint")
        )
        return as_json({"deliveries": results})

    def _clock(self) -> Page:
        return as_json({"now": self._sandbox.clock.now()})

    def _advance(self, ask: Ask) -> Page:
        seconds = ask.document().get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise invalid("`advance_seconds` must be a number from 0.", "advance_seconds")
        self._sandbox.clock.advance(seconds)
        due.run(self._sandbox)
        return self._clock()
