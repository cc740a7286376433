"""What the sandbox knows, in one document, for tests and the curious."""

from __future__ import annotations

from typing import Any

from .core import Sandbox
from .store import Obj
from .words import words

_SESSION = words(
    "id status payment_status payment_intent amount_total currency client_reference_id metadata"
    " created expires_at"
)
_INTENT = words(
    "id status amount amount_capturable amount_received currency capture_method metadata created"
    " latest_charge cancellation_reason"
)
_REFUND = words("id status amount currency charge payment_intent reason metadata created")
_DISPUTE = words("id status amount currency charge payment_intent reason created")


def state(sandbox: Sandbox, account: str | None, limit: int) -> Obj:
    """Counts, and for each account its newest objects, ``limit`` of each."""
    store = sandbox.store
    with store.transaction():
        accounts = store.select("kind = 'account'", tail="ORDER BY seq")
        return {
            "now": sandbox.clock.now(),
            "platform": sandbox.platform,
            "counts": _count(sandbox, "SELECT kind AS name, count(*) AS n FROM objects GROUP BY 1"),
            "deliveries": _count(
                sandbox, "SELECT state AS name, count(*) AS n FROM deliveries GROUP BY 1"
            ),
            "accounts": {
                found["id"]: _account(sandbox, found["id"], limit)
                for found in accounts
                if account in (None, found["id"])
            },
            "withheld": sandbox.faults.withheld(),
            "faults": sandbox.faults.in_force(),
        }


def _count(sandbox: Sandbox, sql: str, *values: Any) -> dict[str, int]:
    return {row["name"]: row["n"] for row in sandbox.store.run(sql, *values)}


def _account(sandbox: Sandbox, account: str, limit: int) -> Obj:
    store = sandbox.store

    def newest(kind: str) -> list[Obj]:
        where, tail = "kind = ? AND account = ?", "ORDER BY seq DESC LIMIT ?"
        return store.select(where, kind, account, limit, tail=tail)

    return {
        "sessions": [
            {**_pick(session, _SESSION), "calls": store.calls(session["id"])}
            for session in newest("checkout.session")
        ],
        "payment_intents": [_intent(sandbox, intent) for intent in newest("payment_intent")],
        "refunds": [_pick(refund, _REFUND) for refund in newest("refund")],
        "disputes": [_pick(dispute, _DISPUTE) for dispute in newest("dispute")],
        "deliveries": _deliveries(sandbox, account, limit),
    }


def _intent(sandbox: Sandbox, intent: Obj) -> Obj:
    calls = sandbox.store.calls(intent["id"])
    return {
        **_pick(intent, _INTENT),
        "session": sandbox.store.private(intent["id"]).get("session"),
        "capture_calls": calls.get("capture", 0),
        "cancel_calls": calls.get("cancel", 0),
    }


def _deliveries(sandbox: Sandbox, account: str, limit: int) -> list[Obj]:
    rows = sandbox.store.run(
        "SELECT d.event, o.type, d.endpoint, d.state, d.attempts, d.last_status, d.last_error,"
        " d.duplicate FROM deliveries d JOIN objects o ON o.id = d.event"
        " WHERE o.account = ? ORDER BY d.id DESC LIMIT ?",
        account,
        limit,
    )
    return [{**dict(row), "duplicate": bool(row["duplicate"])} for row in rows]


def _pick(obj: Obj, names: tuple[str, ...]) -> Obj:
    return {name: obj[name] for name in names}
