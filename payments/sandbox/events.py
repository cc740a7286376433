"""Events: what happened, and which webhook endpoints are to hear of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .ids import new_id
from .store import Obj, Store

if TYPE_CHECKING:
    from .core import Context

API_VERSION = "2026-08-26.dahlia"


def emit(context: Context, type_name: str, obj: Obj, account: str, data: dict[str, Any]) -> Obj:
    """Write an event with a snapshot of ``obj`` and one delivery for each matching endpoint.

    ``data`` may carry ``previous_attributes``. Delivery starts once the transaction is written.
    """
    event: Obj = {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": context.now,
        "data": {"object": obj, **data},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": context.request_id, "idempotency_key": context.idempotency_key},
        "type": type_name,
    }
    if account != context.sandbox.platform:
        event["account"] = account
    store = context.store
    store.add(account, event)
    for endpoint in listeners(store, event, account, context.sandbox.platform):
        queue(store, event["id"], endpoint["id"])
    store.on_commit(context.sandbox.wake_delivery)
    return event


def listeners(store: Store, event: Obj, account: str, platform: str) -> list[Obj]:
    """Endpoints an event goes to.

    An account's own endpoints hear of its own objects; the platform's ``connect`` endpoints hear
    of every connected account's, and of nothing else.
    """
    endpoints = store.select(
        "kind = 'webhook_endpoint' AND status = 'enabled'", tail="ORDER BY seq"
    )
    return [
        endpoint
        for endpoint in endpoints
        if _wants(endpoint, event["type"])
        and _hears(store, endpoint["id"], account, account != platform)
    ]


def _wants(endpoint: Obj, type_name: str) -> bool:
    return "*" in endpoint["enabled_events"] or type_name in endpoint["enabled_events"]


def _hears(store: Store, endpoint_id: str, account: str, connected: bool) -> bool:
    if store.private(endpoint_id)["connect"]:
        return connected
    return store.owner(endpoint_id) == account


def queue(
    store: Store, event_id: str, endpoint_id: str, *, duplicate: bool = False, wait: float = 0
) -> int:
    """Ask for one delivery; a ``duplicate`` is sent as it is and counted nowhere."""
    rows = store.run(
        "INSERT INTO deliveries (event, endpoint, state, next_at, duplicate, faultless)"
        " VALUES (?, ?, 'pending', ?, ?, ?) RETURNING id",
        event_id,
        endpoint_id,
        time.time() + wait,
        int(duplicate),
        int(duplicate),
    )
    return int(rows[0]["id"])


def with_pending(store: Store, event: Obj) -> Obj:
    """The event with its true number of deliveries still owed."""
    rows = store.run(
        "SELECT count(*) AS n FROM deliveries"
        " WHERE event = ? AND state != 'succeeded' AND NOT duplicate",
        event["id"],
    )
    return {**event, "pending_webhooks": rows[0]["n"]}
