"""What `up` watches while the processes run: readiness, its own servers, and who started it."""

import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from config.embedded.run import Run
from config.up.processes import Listener

READY_SECONDS = 90.0
WORKER_SECONDS = 15.0


class Watch(threading.Thread):
    """Ends the run, with `reason` set, when something it needs is gone."""

    def __init__(
        self, run: Run, address: str, listener: Listener, once_ready: Callable[[], None]
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._run, self._address, self._listener = run, address, listener
        self._once_ready = once_ready
        self._starter = os.getppid()
        self._began = time.monotonic()
        self._web_ready_at = 0.0
        self.reason = ""
        self.over = threading.Event()

    def run(self) -> None:
        waiting = True
        while not self.over.wait(0.2):
            self.reason = self._trouble(waiting=waiting)
            if self.reason or self._starter_is_gone():
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if waiting and self._ready():
                waiting = False
                self._once_ready()

    def _trouble(self, *, waiting: bool) -> str:
        for child in self._run.children:
            if not child.running():
                return f"{child.name} ended by itself: {child.last_words()}"
        if waiting and time.monotonic() - self._began > READY_SECONDS:
            return f"the site was not ready after {READY_SECONDS:.0f} s."
        return ""

    def _starter_is_gone(self) -> bool:
        """A killed `uv run` cannot take us along, so we follow it; other parents may leave."""
        return bool(os.environ.get("UV_RUN_RECURSION_DEPTH")) and os.getppid() != self._starter

    def _ready(self) -> bool:
        """The site answers; the worker gets a while longer, since the site works without it."""
        if not self._web_ready_at and answers(f"{self._address}/readyz"):
            self._web_ready_at = time.monotonic()
        late = time.monotonic() - self._web_ready_at > WORKER_SECONDS
        return bool(self._web_ready_at) and (self._listener.worker_ready or late)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
