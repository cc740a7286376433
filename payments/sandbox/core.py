"""What every part of the sandbox shares: settings, memory, clock, faults, a call's context."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import events
from .config import Settings
from .faults import FaultBox
from .store import Obj, Store


class Clock:
    """The sandbox's time: the machine's, moved forward on request. Survives restarts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._offset = float(store.meta("clock_offset", "0"))

    def now(self) -> float:
        """Seconds since the epoch, as the sandbox sees it."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self._offset += seconds
        self._store.set_meta("clock_offset", str(self._offset))


@dataclass
class Sandbox:
    """The running stand-in."""

    settings: Settings
    store: Store
    clock: Clock
    faults: FaultBox
    requests: deque[Obj] = field(default_factory=lambda: deque(maxlen=5000))
    wake_delivery: Callable[[], None] = lambda: None
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def platform(self) -> str:
        """Id of the platform's own account."""
        return self.settings.platform

    def context(self, account: str, **details: Any) -> Context:
        """A place for work on ``account``'s objects, as of now."""
        return Context(sandbox=self, account=account, now=int(self.clock.now()), **details)


@dataclass
class Context:
    """One piece of work: for whom, when, and on whose request."""

    sandbox: Sandbox
    account: str
    now: int
    operation: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    path_id: str = ""
    request_id: str | None = None
    idempotency_key: str | None = None

    @property
    def store(self) -> Store:
        """The sandbox's memory."""
        return self.sandbox.store

    @property
    def is_direct(self) -> bool:
        """Whether the work concerns a connected account's own objects."""
        return self.account != self.sandbox.platform

    def emit(self, type_name: str, obj: Obj, *, account: str | None = None, **data: Any) -> Obj:
        """Record an event about ``obj`` and queue it for whoever listens."""
        return events.emit(self, type_name, obj, account or self.account, data)
