"""The sandbox's memory: one SQLite file, one lock, everything written in transactions.

One lock for all of it is what makes *complete* and *expired* exclude each other: whoever holds it
sees a session's state and changes it in the same breath.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Obj = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    status TEXT,
    type TEXT,
    payment_intent TEXT,
    customer TEXT,
    due_at INTEGER,
    data TEXT NOT NULL,
    private TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, account, seq);
CREATE INDEX IF NOT EXISTS objects_by_intent ON objects (payment_intent)
    WHERE payment_intent IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_due ON objects (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL,
    last_status INTEGER,
    last_error TEXT,
    duplicate INTEGER NOT NULL DEFAULT 0,
    faultless INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (next_at) WHERE state = 'pending';

CREATE TABLE IF NOT EXISTS idempotency (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    request TEXT NOT NULL,
    created REAL NOT NULL,
    status INTEGER,
    body TEXT,
    PRIMARY KEY (account, key)
);
CREATE TABLE IF NOT EXISTS calls (
    object TEXT NOT NULL,
    name TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (object, name)
);
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT NOT NULL,
    subject TEXT NOT NULL,
    raw BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

# States in which an object's ``due_at`` (kept in its private part) still means something; in
# others it does only with a ``then`` beside it.
_WAITING = ("open", "requires_capture")


class Store:
    """All durable state. Every method takes the lock; group them with :meth:`transaction`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._depth = 0
        self._after: list[Callable[[], None]] = []
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file, after whoever is writing."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock and write all or nothing; inside another one it is a savepoint."""
        with self._lock:
            name = f"level_{self._depth}"
            self._db.execute(f"SAVEPOINT {name}" if self._depth else "BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                self._undo(name)
                raise
            self._depth -= 1
            self._db.execute(f"RELEASE {name}" if self._depth else "COMMIT")
            hooks = self._take_hooks()
        for hook in hooks:
            hook()

    def _undo(self, name: str) -> None:
        if self._depth:
            self._db.execute(f"ROLLBACK TO {name}")
            self._db.execute(f"RELEASE {name}")
        else:
            self._db.execute("ROLLBACK")
            self._after = []

    def _take_hooks(self) -> list[Callable[[], None]]:
        if self._depth:
            return []
        hooks, self._after = self._after, []
        return hooks

    def on_commit(self, hook: Callable[[], None]) -> None:
        """Run ``hook`` once the outermost transaction is written and the lock is free."""
        with self._lock:
            self._after.append(hook)

    def run(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Execute one statement and return its rows."""
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # Objects

    def add(self, account: str, obj: Obj, private: Mapping[str, Any] | None = None) -> Obj:
        """Keep a new object; ``private`` is what the API never shows."""
        kept = dict(private or {})
        self.run(
            "INSERT INTO objects (id, account, kind, created, status, type, payment_intent,"
            " customer, due_at, data, private) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            obj["id"],
            account,
            obj["object"],
            obj["created"],
            *_columns(obj, kept),
            json.dumps(obj),
            json.dumps(kept),
        )
        return obj

    def save(self, obj: Obj, private: Mapping[str, Any] | None = None) -> Obj:
        """Write a changed object; without ``private`` that part stays as it is."""
        kept = self.private(obj["id"]) if private is None else dict(private)
        self.run(
            "UPDATE objects SET status = ?, type = ?, payment_intent = ?, customer = ?,"
            " due_at = ?, data = ?, private = ? WHERE id = ?",
            *_columns(obj, kept),
            json.dumps(obj),
            json.dumps(kept),
            obj["id"],
        )
        return obj

    def get(
        self, object_id: str, *, kind: str | None = None, account: str | None = None
    ) -> Obj | None:
        """The object, if it exists, is of that kind and belongs to that account."""
        rows = self.run("SELECT kind, account, data FROM objects WHERE id = ?", object_id)
        if not rows or kind not in (None, rows[0]["kind"]):
            return None
        if account not in (None, rows[0]["account"]):
            return None
        return dict(json.loads(rows[0]["data"]))

    def owner(self, object_id: str) -> str | None:
        """The account an object belongs to."""
        rows = self.run("SELECT account FROM objects WHERE id = ?", object_id)
        return rows[0]["account"] if rows else None

    def private(self, object_id: str) -> Obj:
        """What was kept beside an object."""
        rows = self.run("SELECT private FROM objects WHERE id = ?", object_id)
        return dict(json.loads(rows[0]["private"])) if rows else {}

    def delete(self, object_id: str) -> None:
        """Forget an object."""
        self.run("DELETE FROM objects WHERE id = ?", object_id)

    def select(self, where: str, *values: Any, tail: str = "ORDER BY seq DESC") -> list[Obj]:
        """Objects matching an SQL condition, newest first unless ``tail`` says otherwise."""
        sql = f"SELECT data FROM objects WHERE {where} {tail}"  # noqa: S608 - conditions are ours
        rows = self.run(sql, *values)
        return [dict(json.loads(row["data"])) for row in rows]

    def seq(self, object_id: str, kind: str, account: str) -> int | None:
        """An object's place in its list."""
        rows = self.run(
            "SELECT seq FROM objects WHERE id = ? AND kind = ? AND account = ?",
            object_id,
            kind,
            account,
        )
        return rows[0]["seq"] if rows else None

    def due(self, kind: str, now: float) -> list[tuple[str, Obj]]:
        """Objects of ``kind`` whose time is up, with their accounts."""
        rows = self.run(
            "SELECT account, data FROM objects WHERE due_at <= ? AND kind = ? ORDER BY due_at",
            now,
            kind,
        )
        return [(row["account"], dict(json.loads(row["data"]))) for row in rows]

    # Small things

    def count_call(self, object_id: str, name: str) -> None:
        """Remember that a call reached an object."""
        self.run(
            "INSERT INTO calls VALUES (?, ?, 1) ON CONFLICT (object, name) DO UPDATE SET n = n + 1",
            object_id,
            name,
        )

    def calls(self, object_id: str) -> dict[str, int]:
        """How often each counted call reached an object."""
        rows = self.run("SELECT name, n FROM calls WHERE object = ?", object_id)
        return {row["name"]: row["n"] for row in rows}

    def meta(self, name: str, default: str) -> str:
        """A remembered value."""
        rows = self.run("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0]["value"]) if rows else default

    def set_meta(self, name: str, value: str) -> None:
        """Remember a value."""
        self.run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)


def _columns(obj: Obj, private: Obj) -> tuple[Any, ...]:
    """What lists filter on, lifted out of the object."""
    intent, customer = obj.get("payment_intent"), obj.get("customer")
    waiting = obj.get("status") in _WAITING or "then" in private
    return (
        obj.get("status"),
        obj.get("type"),
        intent if isinstance(intent, str) else None,
        customer if isinstance(customer, str) else None,
        private.get("due_at") if waiting else None,
    )
