"""Webhooks on their way: signing, sending, retrying, and getting it wrong on request."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import queue
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from . import events, faults
from .core import Sandbox
from .faults import Fault
from .store import Obj

log = logging.getLogger(__name__)

BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60)
GIVE_UP_SECONDS = 3 * 24 * 60 * 60
TIMEOUT_SECONDS = 10
WORKERS = 8


def sign(body: bytes, secret: str, moment: int) -> str:
    """The ``Stripe-Signature`` header for ``body``, sent at ``moment``."""
    mac = hmac.new(secret.encode(), b"%d.%s" % (moment, body), hashlib.sha256)
    return f"t={moment},v1={mac.hexdigest()}"


@dataclass
class Delivery:
    """One event for one endpoint."""

    id: int
    event: str
    endpoint: str
    attempts: int
    faultless: bool


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def post(url: str, body: bytes, signature: str) -> tuple[int | None, str | None]:
    """Send one webhook; the status, or why there is none."""
    request = urllib.request.Request(  # noqa: S310 - endpoints are http(s) by validation
        url,
        data=body,
        method="POST",
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature,
            "User-Agent": "Surehold-Sandbox/1",
        },
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            return int(response.status), None
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, None
    except (OSError, ValueError) as error:
        return None, str(error) or type(error).__name__


class Deliverer:
    """Threads that bring queued events to their endpoints, in no promised order."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._store = sandbox.store
        self._wake = threading.Event()
        self._queue: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._busy: set[int] = set()
        self._busy_lock = threading.Lock()
        sandbox.wake_delivery = self._wake.set

    def start(self) -> None:
        """Begin, with whatever the last process left undelivered."""
        threads = [self._schedule] + [self._work] * WORKERS
        for number, target in enumerate(threads):
            threading.Thread(target=target, name=f"delivery-{number}", daemon=True).start()

    # Choosing what is due

    def _schedule(self) -> None:
        while not self._sandbox.stopping.is_set():
            self._wake.clear()
            try:
                for delivery in self._due():
                    self._queue.put(delivery)
            except Exception:
                log.exception("the delivery scheduler stumbled")
            self._wake.wait(self._pause())

    def _due(self) -> list[Delivery]:
        rows = self._store.run(
            "SELECT id, event, endpoint, attempts, faultless FROM deliveries"
            " WHERE state = 'pending' AND next_at <= ? ORDER BY next_at, id LIMIT 500",
            time.time(),
        )
        with self._busy_lock:
            fresh = [row for row in rows if row["id"] not in self._busy]
            self._busy.update(row["id"] for row in fresh)
        return [
            Delivery(r["id"], r["event"], r["endpoint"], r["attempts"], bool(r["faultless"]))
            for r in fresh
        ]

    def _pause(self) -> float:
        rows = self._store.run(
            "SELECT next_at FROM deliveries WHERE state = 'pending' AND next_at > ?"
            " ORDER BY next_at LIMIT 1",
            time.time(),
        )
        return min(0.5, max(0.0, rows[0]["next_at"] - time.time())) if rows else 0.5

    def _work(self) -> None:
        while True:
            delivery = self._queue.get()
            try:
                self._dispatch(delivery)
            except Exception:
                log.exception("delivery %s stumbled", delivery.id)
                self._done(delivery)

    def _done(self, delivery: Delivery) -> None:
        with self._busy_lock:
            self._busy.discard(delivery.id)
        self._wake.set()

    # Getting it wrong

    def _dispatch(self, delivery: Delivery) -> None:
        event = self._store.get(delivery.event)
        endpoint = self._store.get(delivery.endpoint, kind="webhook_endpoint")
        if event is None or endpoint is None or endpoint["status"] != "enabled":
            self._give_up(delivery, "failed")
            return
        fault = None if delivery.faultless else self._fault(event, endpoint)
        if fault and fault.kind == "reorder":
            self._reorder(fault, delivery)
            return
        if fault and fault.kind == "drop":
            self._give_up(delivery, "dropped")
            return
        if fault and fault.kind == "delay":
            self._copy(fault, delivery, wait=fault.options["seconds"])
            self._postpone(delivery, fault.options["seconds"])
            return
        self._mislead(fault, delivery, event, endpoint)
        self._attempt(delivery, event, endpoint, bad=bool(fault and fault.kind == "bad_signature"))

    def _fault(self, event: Obj, endpoint: Obj) -> Fault | None:
        facts = {
            "type": event["type"],
            "endpoint": endpoint["id"],
            "account": event.get("account", self._sandbox.platform),
            "object": event["data"]["object"].get("id"),
            "connect": self._store.private(endpoint["id"])["connect"],
        }
        return self._sandbox.faults.take(faults.WEBHOOK, facts)

    def _reorder(self, fault: Fault, delivery: Delivery) -> None:
        """Keep it until its group is full, then send the group one by one, last first."""
        self._send_group(self._sandbox.faults.hold(fault, delivery.id))

    def release(self, fault: Fault) -> None:
        """Send what a lifted fault was still holding."""
        with self._busy_lock:
            held, fault.held = fault.held, []
        threading.Thread(target=self._send_group, args=(held,), daemon=True).start()

    def _send_group(self, ids: list[int]) -> None:
        for object_id in ids:
            row = self._store.run("SELECT * FROM deliveries WHERE id = ?", object_id)[0]
            delivery = Delivery(object_id, row["event"], row["endpoint"], row["attempts"], True)
            event, endpoint = self._store.get(row["event"]), self._store.get(row["endpoint"])
            if event and endpoint:
                self._attempt(delivery, event, endpoint)

    def _mislead(self, fault: Fault | None, delivery: Delivery, event: Obj, endpoint: Obj) -> None:
        """Send copies, or a copy to an endpoint it was not for; the delivery itself goes on."""
        if fault is None:
            return
        if fault.kind == "duplicate":
            self._copy(fault, delivery, wait=0)
        if fault.kind == "wrong_endpoint":
            other = self._other_endpoint(endpoint, fault.options["endpoint"])
            if other:
                self._send(event, other, bad=False)

    def _copy(self, fault: Fault, delivery: Delivery, *, wait: float) -> None:
        """Queue the copies a fault asks for."""
        with self._store.transaction():
            for _ in range(fault.options["copies"] - 1):
                events.queue(
                    self._store, delivery.event, delivery.endpoint, duplicate=True, wait=wait
                )
        self._wake.set()

    def _other_endpoint(self, endpoint: Obj, wanted: str | None) -> Obj | None:
        if wanted:
            return self._store.get(wanted, kind="webhook_endpoint")
        connect = self._store.private(endpoint["id"])["connect"]
        for other in self._store.select("kind = 'webhook_endpoint' AND status = 'enabled'"):
            if self._store.private(other["id"])["connect"] != connect:
                return other
        return None

    # Getting it right

    def _attempt(self, delivery: Delivery, event: Obj, endpoint: Obj, *, bad: bool = False) -> bool:
        status, error = self._send(event, endpoint, bad=bad)
        ok = status is not None and 200 <= status < 300
        wait = BACKOFF_SECONDS[min(delivery.attempts, len(BACKOFF_SECONDS) - 1)]
        too_late = time.time() + self._offset() - event["created"] > GIVE_UP_SECONDS
        state = "succeeded" if ok else ("failed" if too_late else "pending")
        with self._store.transaction():
            self._store.run(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, next_at = ?,"
                " last_status = ?, last_error = ? WHERE id = ?",
                state,
                time.time() + wait,
                status,
                error,
                delivery.id,
            )
        self._done(delivery)
        return ok

    def _offset(self) -> float:
        return self._sandbox.clock.now() - time.time()

    def _send(self, event: Obj, endpoint: Obj, *, bad: bool) -> tuple[int | None, str | None]:
        body = json.dumps(events.with_pending(self._store, event), ensure_ascii=False)
        secret = self._store.private(endpoint["id"]).get("secret", "")
        if bad:
            secret = secret[::-1]
        signature = sign(body.encode(), secret, int(time.time()))
        return post(endpoint["url"], body.encode(), signature)

    def _postpone(self, delivery: Delivery, seconds: float) -> None:
        with self._store.transaction():
            self._store.run(
                "UPDATE deliveries SET next_at = ?, faultless = 1 WHERE id = ?",
                time.time() + seconds,
                delivery.id,
            )
        self._done(delivery)

    def _give_up(self, delivery: Delivery, state: str) -> None:
        with self._store.transaction():
            self._store.run("UPDATE deliveries SET state = ? WHERE id = ?", state, delivery.id)
        self._done(delivery)

    # On request

    def redeliver(self, ids: list[str], *, together: bool, endpoint: str | None) -> list[Obj]:
        """Send events again now, one after the other or all at once; what was answered."""
        work = [
            (object_id, target)
            for object_id in ids
            for target in self._targets(object_id, endpoint)
        ]
        results: list[Obj] = [{} for _ in work]

        def one(index: int) -> None:
            results[index] = self._redeliver(*work[index])

        if not together:
            for index in range(len(work)):
                one(index)
            return results
        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(work))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def _targets(self, event_id: str, endpoint: str | None) -> list[Obj]:
        event, owner = self._store.get(event_id, kind="event"), self._store.owner(event_id)
        if event is None or owner is None:
            return []
        if endpoint:
            chosen = self._store.get(endpoint, kind="webhook_endpoint")
            return [chosen] if chosen else []
        return events.listeners(self._store, event, owner, self._sandbox.platform)

    def _redeliver(self, event_id: str, endpoint: Obj) -> Obj:
        event = self._store.get(event_id, kind="event")
        assert event is not None
        status, error = self._send(event, endpoint, bad=False)
        if status is not None and 200 <= status < 300:
            with self._store.transaction():
                self._store.run(
                    "UPDATE deliveries SET state = 'succeeded', last_status = ?"
                    " WHERE event = ? AND endpoint = ?",
                    status,
                    event_id,
                    endpoint["id"],
                )
        return {"event": event_id, "endpoint": endpoint["id"], "status": status, "error": error}
