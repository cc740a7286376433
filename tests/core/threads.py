"""Real threads, each with a database connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")
DEADLINE_SECONDS = 60


def together(works: list[Callable[[], T]]) -> list[T | Exception]:
    """Run all at once, as near as a barrier gets them; results or errors, in order."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T | Exception:
        try:
            connection.ensure_connection()
            barrier.wait(DEADLINE_SECONDS)
            return work()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return [f.result(DEADLINE_SECONDS) for f in [pool.submit(run, work) for work in works]]


class Aside:
    """One piece of work in a thread of its own. `result` waits for it and raises its error."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()
        self.pid = 0
        self._known = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            connection.ensure_connection()
            self.pid = connection.connection.info.backend_pid
            self._known.set()
            self.value = self._work()
        except BaseException as error:
            self.error = error
        finally:
            self._known.set()
            self.done.set()
            connection.close()

    def backend(self) -> int:
        """The process id of its database session."""
        self._known.wait(DEADLINE_SECONDS)
        return self.pid

    def result(self) -> Any:
        assert self.done.wait(DEADLINE_SECONDS), "it hangs"
        if self.error is not None:
            raise self.error
        return self.value
