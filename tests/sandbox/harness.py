"""The real process, a listener for its webhooks, and words for what the tests do with them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
import stripe

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk_test_sandboxtests000000000000000"
SUCCESS = "https://shop.test/back?session={CHECKOUT_SESSION_ID}"
CANCEL = "https://shop.test/cancelled"
PATIENCE = 20.0

T = TypeVar("T")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(question: Callable[[], T], *, what: str) -> T:
    """Ask until the answer is true; only a broken sandbox takes longer than the patience."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE} s in vain for {what}")


class Process:
    """``python -m payments.sandbox`` on ports and state of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port, self.smtp_port = free_port(), free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.base, timeout=PATIENCE)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Process:
        """Start, and come back when it answers."""
        options = {
            "--host": "127.0.0.1",
            "--port": self.port,
            "--smtp-port": self.smtp_port,
            "--data": self.data,
            "--secret-key": KEY,
        }
        words = [str(word) for pair in options.items() for word in pair]
        with (self.data / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "payments.sandbox", *words],
                cwd=ROOT,
                env={"PATH": os.environ.get("PATH", "")},
                stdout=log,
                stderr=log,
            )
        until(self._healthy, what="the sandbox to start")
        return self

    def _healthy(self) -> bool:
        try:
            return self.http.get("/_sandbox/health").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(PATIENCE)

    def restart(self, number: signal.Signals) -> None:
        """End it with a signal and start it again on the same state."""
        self.stop(number)
        self.start()

    # Words for tests

    def client(self) -> Any:
        """stripe-python, talking to this process; untyped, for odd parameters are the point."""
        return stripe.StripeClient(KEY, base_addresses={"api": self.base})

    def fault(self, kind: str, **details: Any) -> str:
        """Put a fault in force; its id."""
        answer = self.http.post("/_sandbox/faults", json={"kind": kind, **details})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def clear(self, fault: str = "") -> None:
        """Lift one fault, or all."""
        self.http.delete(f"/_sandbox/faults/{fault}" if fault else "/_sandbox/faults")

    def state(self) -> dict[str, Any]:
        """The inspection document."""
        return dict(self.http.get("/_sandbox/state").json())

    def tool(self, path: str, **body: Any) -> dict[str, Any]:
        """Work a control; what it answers."""
        answer = self.http.post(f"/_sandbox/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())

    def advance(self, seconds: float) -> None:
        """Let time pass in the sandbox."""
        answer = self.http.post("/_sandbox/clock", json={"advance_seconds": seconds})
        assert answer.status_code == 200

    def withheld(self, count: int) -> list[dict[str, Any]]:
        """Wait until ``count`` requests are being kept waiting."""

        def counted() -> bool:
            return len(self.state()["withheld"]) == count

        until(counted, what=f"{count} withheld requests")
        return list(self.state()["withheld"])


@dataclass
class Shop:
    """One connected account, and the calls a shop makes for it."""

    process: Process
    account: str

    def __post_init__(self) -> None:
        self.stripe = self.process.client()

    def options(self, key: str | None = None) -> Any:
        """Request options: this account, and an idempotency key."""
        return {"stripe_account": self.account, **({"idempotency_key": key} if key else {})}

    def open(self, *, key: str | None = None, **changes: Any) -> Any:
        """A Checkout Session for NZ$45.00, captured later."""
        return self.stripe.v1.checkout.sessions.create(order(**changes), self.options(key))

    def session(self, session_id: str, *expand: str) -> Any:
        """The session as it is now."""
        params: Any = {"expand": list(expand)} if expand else {}
        return self.stripe.v1.checkout.sessions.retrieve(session_id, params, self.options())

    def intent(self, session_id: str) -> Any:
        """The session's intent as it is now."""
        return self.session(session_id, "payment_intent").payment_intent

    def expire(self, session_id: str, key: str | None = None) -> Any:
        """End the session unpaid."""
        return self.stripe.v1.checkout.sessions.expire(session_id, None, self.options(key))

    def pay(self, session: Any, outcome: str = "pay", **form: str) -> httpx.Response:
        """Press a button on the payment page."""
        page = f"/pay/{session.id}"
        return self.process.http.post(page, data={"outcome": outcome, **form})

    def paid(self, **changes: Any) -> Any:
        """A session that was just paid."""
        session = self.open(**changes)
        assert self.pay(session).status_code == 303
        return self.session(session.id)

    def capture(self, intent_id: str, key: str | None = None, **params: Any) -> Any:
        """Take the authorised money."""
        asked: Any = params
        return self.stripe.v1.payment_intents.capture(intent_id, asked, self.options(key))

    def cancel(self, intent_id: str, key: str | None = None, **params: Any) -> Any:
        """Let the authorised money go."""
        asked: Any = params
        return self.stripe.v1.payment_intents.cancel(intent_id, asked, self.options(key))

    def captured(self, **changes: Any) -> Any:
        """The charge of a session that was paid and captured."""
        intent = self.capture(self.paid(**changes).payment_intent)
        return self.charge(intent.latest_charge)

    def charge(self, charge_id: str, *expand: str) -> Any:
        """The charge as it is now."""
        params: Any = {"expand": list(expand)} if expand else {}
        return self.stripe.v1.charges.retrieve(charge_id, params, self.options())

    def refund(self, key: str | None = None, **params: Any) -> Any:
        """Give money back."""
        asked: Any = params
        return self.stripe.v1.refunds.create(asked, self.options(key))

    def found_refund(self, refund_id: str) -> Any:
        """The refund as it is now."""
        return self.stripe.v1.refunds.retrieve(refund_id, {}, self.options())

    def events(self, **filters: Any) -> list[Any]:
        """The account's events, oldest first."""
        asked: Any = {"limit": 100, **filters}
        return self.stripe.v1.events.list(asked, self.options()).data[::-1]

    def event_types(self) -> list[str]:
        """What happened, oldest first."""
        return [event.type for event in self.events()]

    def summary(self, session_id: str) -> dict[str, Any]:
        """What the inspection document says about the session's intent."""
        intents = self.process.state()["accounts"][self.account]["payment_intents"]
        return next(intent for intent in intents if intent["session"] == session_id)


def code_of(error: stripe.StripeError) -> str | None:
    """The error's code, which stripe-python keeps for some kinds only."""
    body: Any = error.json_body
    code: str | None = body["error"].get("code")
    return code


def order(**changes: Any) -> Any:
    """Parameters of a session; ``intent`` changes ``payment_intent_data``."""
    intent = changes.pop("intent", {})
    usual: dict[str, Any] = {
        "mode": "payment",
        "success_url": SUCCESS,
        "cancel_url": CANCEL,
        "customer_email": "mia@example.com",
        "line_items": [line()],
        "payment_intent_data": {"capture_method": "manual", **intent},
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def paid_later(shop: Shop, *, types: Sequence[str] = ("card", "sepa_debit")) -> Any:
    """A session paid with a method whose answer comes days later."""
    session = shop.open(
        payment_method_types=list(types),
        line_items=[line(4500, "eur")],
        intent={"capture_method": "automatic"},
    )
    assert shop.pay(session, "pay_later").status_code == 303
    return shop.session(session.id)


def line(amount: int = 4500, currency: str = "nzd", quantity: int = 1) -> dict[str, Any]:
    """One line of an order."""
    product = {"name": "Meeting room <Kauri>"}
    price = {"currency": currency, "unit_amount": amount, "product_data": product}
    return {"quantity": quantity, "price_data": price}


@dataclass
class Hook:
    """One webhook as it came in."""

    path: str
    body: str
    signature: str
    at: float

    @property
    def event(self) -> dict[str, Any]:
        """The event in it."""
        return dict(json.loads(self.body))


class Listener:
    """A shop's webhook endpoints: takes everything down, answers what it is told to."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.answers: list[int] = []
        self.gather = 1
        self.meanwhile, self.most_at_once = 0, 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def take(self, hook: Hook) -> int:
        """Note a webhook; the status to answer."""
        with self._lock:
            self.meanwhile += 1
            self.most_at_once = max(self.most_at_once, self.meanwhile)
        self._wait_for_others()
        with self._lock:
            self.meanwhile -= 1
            self.hooks.append(hook)
            return self.answers.pop(0) if self.answers else 200

    def _wait_for_others(self) -> None:
        """Answer nobody before ``gather`` webhooks are here, within the sender's patience."""
        deadline = time.monotonic() + 8
        while self.most_at_once < self.gather and time.monotonic() < deadline:
            time.sleep(0.01)

    def heard(self, account: str | None, *types: str, path: str = "", count: int = 1) -> list[Hook]:
        """Wait for ``count`` webhooks of these types about ``account`` (``None``: the platform)."""

        def found() -> list[Hook]:
            hooks = self.about(account, *types, path=path)
            return hooks if len(hooks) >= count else []

        return until(found, what=f"{count} of {types} about {account} at {path or 'any path'}")

    def about(self, account: str | None, *types: str, path: str = "") -> list[Hook]:
        """Webhooks that came so far."""
        return [
            hook
            for hook in list(self.hooks)
            if hook.event.get("account") == account
            and (not types or hook.event["type"] in types)
            and path in hook.path
        ]


def _handler(listener: Listener) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            signature = self.headers.get("Stripe-Signature", "")
            status = listener.take(Hook(self.path, body, signature, time.time()))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    return Handler
