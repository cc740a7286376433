"""Idempotency keys: the first answer is the answer.

A key is first written as *in flight*; its answer is written in the transaction of the effect. So a
process that dies leaves either the effect with its answer, or a key without either, which the next
start forgets.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from .errors import StripeError, invalid
from .store import Store

KEPT_SECONDS = 7 * 24 * 60 * 60


@dataclass(frozen=True)
class Kept:
    """An answer given before."""

    status: int
    body: str
    request_id: str


def fingerprint(method: str, path: str, params: dict[str, Any]) -> str:
    """What has to be the same for a key to be used again."""
    text = json.dumps([method, path, params], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Keys:
    """The keys of all accounts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def recover(self) -> None:
        """Forget the keys whose request died with the last process."""
        with self._store.transaction():
            self._store.run("DELETE FROM idempotency WHERE status IS NULL")

    def forget_old(self, now: float) -> None:
        """Drop what nobody may count on any more."""
        with self._store.transaction():
            self._store.run("DELETE FROM idempotency WHERE created < ?", now - KEPT_SECONDS)

    def begin(
        self, account: str, key: str, print_: str, request_id: str, now: float
    ) -> Kept | None:
        """Take the key, or return its kept answer. Raises for other parameters, or in flight."""
        if len(key) > 255:
            raise invalid("Idempotency keys have at most 255 characters.")
        with self._store.transaction():
            rows = self._store.run(
                "SELECT * FROM idempotency WHERE account = ? AND key = ?", account, key
            )
            if rows and (rows[0]["created"] >= now - KEPT_SECONDS or rows[0]["status"] is None):
                return _judge(dict(rows[0]), key, print_)
            self._store.run(
                "INSERT OR REPLACE INTO idempotency (account, key, fingerprint, request, created)"
                " VALUES (?, ?, ?, ?, ?)",
                account,
                key,
                print_,
                request_id,
                now,
            )
        return None

    def finish(self, account: str, key: str, status: int, body: str) -> None:
        """Keep the answer; call it in the transaction of the effect."""
        self._store.run(
            "UPDATE idempotency SET status = ?, body = ? WHERE account = ? AND key = ?",
            status,
            body,
            account,
            key,
        )

    def abandon(self, account: str, key: str) -> None:
        """Give the key back: nothing happened under it."""
        with self._store.transaction():
            self._store.run(
                "DELETE FROM idempotency WHERE account = ? AND key = ? AND status IS NULL",
                account,
                key,
            )


def _judge(row: dict[str, Any], key: str, print_: str) -> Kept:
    if row["fingerprint"] != print_:
        raise StripeError(
            f"The idempotency key '{key}' was first used with other parameters or another URL.",
            type_name="idempotency_error",
        )
    if row["status"] is None:
        raise in_use(key)
    return Kept(row["status"], row["body"], row["request"])


def in_use(key: str) -> StripeError:
    """Somebody else's request holds this key."""
    return StripeError(
        f"Another request with the idempotency key '{key}' is still in progress.",
        status=409,
        code="idempotency_key_in_use",
    )
