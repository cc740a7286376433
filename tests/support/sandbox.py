"""The Stripe sandbox as tests steer it: faults, payers, mail, endpoints."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from config.embedded.sandbox import Sandbox


class SandboxClient:
    """A session-wide sandbox process. Its state outlives a test; faults and mail do not."""

    def __init__(self, process: Sandbox) -> None:
        self.process = process
        self.url = process.url
        self.secret_key = process.secret_key
        self.http = httpx.Client(base_url=process.url, timeout=30)

    def _asked(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self.http.request(method, f"/_sandbox/{path}", **options)
        answer.raise_for_status()
        return answer

    # --- what goes wrong ------------------------------------------------------------------------

    def fault(self, kind: str, *, times: int | None = 1, **options: Any) -> str:
        """Put a fault in force (docs of payments/sandbox name the kinds) and return its id.

        `match={...}` narrows it; `times=None` keeps it until it is cleared.
        """
        answer = self._asked("POST", "faults", json={"kind": kind, "times": times, **options})
        fault_id: str = answer.json()["id"]
        return fault_id

    def clear(self, fault_id: str = "") -> None:
        """Lift one fault, or all; answers kept back are let go."""
        self._asked("DELETE", f"faults/{fault_id}" if fault_id else "faults")

    # --- payers ---------------------------------------------------------------------------------

    def pay(self, url: str, outcome: str = "pay", **form: str) -> httpx.Response:
        """Act on a payment page's address or a session id as a payer would.

        `outcome`: pay, pay_later, decline, start_authentication, authenticate,
        fail_authentication, abandon or pay_without_returning. The answer is not followed, so
        that a test sees where it leads.
        """
        path = url if url.startswith("http") else f"/pay/{url}"
        return self.http.post(path, data={"outcome": outcome, **form}, follow_redirects=False)

    # --- what it knows --------------------------------------------------------------------------

    def state(self, account: str | None = None) -> dict[str, Any]:
        params = {"account": account} if account else {}
        found: dict[str, Any] = self._asked("GET", "state", params=params).json()
        return found

    def mailbox(self, to: str | None = None) -> list[dict[str, Any]]:
        """Mails, newest first."""
        params = {"format": "json", **({"to": to} if to else {})}
        found = self._asked("GET", "mailbox", params=params).json()
        mails: list[dict[str, Any]] = found["mails"] if isinstance(found, dict) else found
        return mails

    def requests(self) -> list[dict[str, Any]]:
        """The API calls it has answered, for tests about what was asked and how often."""
        found: list[dict[str, Any]] = self._asked("GET", "requests").json()
        return found

    def deliver(self, events: list[str], order: str = "given", **options: Any) -> dict[str, Any]:
        """Deliver events again: `order` is given, reversed or together."""
        body = {"events": events, "order": order, **options}
        found: dict[str, Any] = self._asked("POST", "deliver", json=body).json()
        return found

    def advance(self, seconds: float) -> None:
        """Move the sandbox's own clock forward."""
        self._asked("POST", "clock", json={"advance_seconds": seconds})

    # --- what banks, people and Stripe itself do ------------------------------------------------

    def control(self, name: str, object_id: str = "", **asked: Any) -> dict[str, Any]:
        """Work a control (see docs/sandbox.md) and return the object it changed."""
        path = f"{name}/{object_id}" if object_id else name
        found: dict[str, Any] = self._asked("POST", path, json=asked).json()
        return found

    def settle_refund(self, refund: str, status: str, **asked: Any) -> dict[str, Any]:
        """End a refund: `succeeded` or `failed` (with a `failure_reason`)."""
        return self.control("refunds", refund, status=status, **asked)

    def answer_payment(self, payment: str, outcome: str) -> dict[str, Any]:
        """The bank answers a delayed payment, named by session or intent: succeed or fail."""
        return self.control("payments", payment, outcome=outcome)

    def dispute(self, **asked: Any) -> dict[str, Any]:
        """Open a dispute on a `charge` or `payment_intent`; `amount`, `reason`, `status`."""
        return self.control("disputes", **asked)

    def close_dispute(self, dispute: str, status: str) -> dict[str, Any]:
        """Move a dispute on: under_review, won, lost, warning_closed, …"""
        return self.control("disputes", dispute, status=status)

    def switch_account(self, account: str, **switches: bool) -> dict[str, Any]:
        """Set charges_enabled, payouts_enabled, details_submitted or authorised."""
        return self.control("accounts", account, **switches)

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A bare call of Stripe's API, past the product."""
        headers = {"Authorization": f"Bearer {self.secret_key}", **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)

    # --- between tests --------------------------------------------------------------------------

    def reset(self) -> None:
        """No faults, no mail, nobody to tell about events."""
        self.clear()
        self._asked("DELETE", "mailbox")
        for endpoint in self.api("GET", "/v1/webhook_endpoints?limit=100").json()["data"]:
            self.api("DELETE", f"/v1/webhook_endpoints/{endpoint['id']}")


def eventually(check: Callable[[], Any], seconds: float = 15.0, every: float = 0.05) -> Any:
    """The first true answer of `check`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := check():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {check}")
        time.sleep(every)
