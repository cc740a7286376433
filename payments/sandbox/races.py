"""Paying and expiring a session in the same instant."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from .faults import Fault

T = TypeVar("T")


def run(fault: Fault | None, own: str, mine: Callable[[], T], other: Callable[[], object]) -> T:
    """Do ``mine`` (named ``own``) and, when there is a fault, ``other`` as well.

    With a ``winner`` that one goes first; without, two threads start together and the lock decides.
    ``other`` must not raise.
    """
    if fault is None:
        return mine()
    winner = fault.options["winner"]
    if winner is None:
        return _together(mine, other)
    if winner != own:
        other()
        return mine()
    try:
        return mine()
    finally:
        other()


def _together(mine: Callable[[], T], other: Callable[[], object]) -> T:
    start = threading.Barrier(2)

    def opponent() -> None:
        start.wait()
        other()

    thread = threading.Thread(target=opponent, name="sandbox-race", daemon=True)
    thread.start()
    start.wait()
    try:
        return mine()
    finally:
        thread.join()
