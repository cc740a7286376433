"""Two operations on two connections, the first stopped after each of its locks in turn.

The first runs until its k-th lock and waits there, inside its transaction. The second runs until
it ends or another session holds it up. Then the first goes on, and both end. PostgreSQL itself
says who waits, so that no sleep decides.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connection

from config.kernel.errors import DomainError
from config.kernel.locks import sqlstate
from tests.core.raw import sql
from tests.core.threads import Aside

# What can take a lock that was not there before: an UPDATE of a row that is locked already cannot,
# an UPDATE of occupancies can, since their locks are their resources'.
LOCK = re.compile(
    r"FOR NO KEY UPDATE|FOR UPDATE|pg_advisory|\bINSERT INTO\b|^UPDATE \"?bookings_occupancy", re.I
)
DEADLINE_SECONDS = 30
DEADLOCK = "40P01"


@dataclass
class Run:
    """What an operation did: its locks in order, how it ended, and deadlocks it was chosen for."""

    name: str
    work: Callable[[], Any]
    stop_after: int = 0
    locks: list[str] = field(default_factory=list)
    outcome: str = ""
    error: BaseException | None = None
    deadlocks: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        try:
            with connection.execute_wrapper(self._watch):
                found = self.work()
            self.outcome = found if isinstance(found, str) else "done"
        except DomainError as error:
            self.outcome = error.code
        except BaseException as error:
            self.outcome, self.error = type(error).__name__, error
        finally:
            self.stopped.set()

    def _watch(self, execute: Any, statement: Any, params: Any, many: bool, context: Any) -> Any:
        try:
            found = execute(statement, params, many, context)
        except OperationalError as error:
            self.deadlocks += sqlstate(error) == DEADLOCK
            raise
        if LOCK.search(str(statement)) and connection.in_atomic_block:
            self.locks.append(" ".join(str(statement).split())[:90])
            if len(self.locks) == self.stop_after:
                self.stopped.set()
                assert self.go_on.wait(DEADLINE_SECONDS), "nobody let it go on"
        return found


def interleave(first: Run, second: Run) -> bool:
    """Run both, the first stopped at its lock `stop_after`; False when it has no such lock.

    Without it the two have simply run one after the other.
    """
    one = Aside(first)
    assert first.stopped.wait(DEADLINE_SECONDS), f"{first.name} hangs before its lock"
    reached = not one.done.is_set() and len(first.locks) == first.stop_after
    two = Aside(second)
    try:
        _until_ended_or_held_up(two)
    finally:
        first.go_on.set()
    one.result()
    two.result()
    return reached


def _until_ended_or_held_up(aside: Aside) -> None:
    pid = aside.backend()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not aside.done.wait(0.004):
        ((held_up,),) = sql("SELECT pg_blocking_pids(%s) <> '{}'", pid)
        if held_up:
            return
        assert time.monotonic() < deadline, "it neither ends nor waits"
