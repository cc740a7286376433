"""Effects: what must happen because of a transition (design.md §2).

An effect is a function that is registered for a happening by name, in its app's `effects.py`. It
runs inside the happening's transaction and only returns rows to be written. A row whose model names
a `kick_task` is worked on at once after the commit; beat sweeps what the kick missed.

`manage.py effects` prints the registry.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from django.db import models, transaction

from config.kernel.context import Actor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Happening:
    """A transition that has been decided: its name ("booking.confirmed"), subject and story."""

    name: str
    subject: Any
    at: datetime
    actor: Actor
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)


Effect = Callable[[Happening], Iterable[models.Model]]
Together = Callable[[Sequence[Happening]], Iterable[models.Model]]
T = TypeVar("T", bound=Together)
_registry: dict[str, list[Effect]] = defaultdict(list)
_together: dict[Effect, Together] = {}


def on(*names: str) -> Callable[[Effect], Effect]:
    """Register a function as an effect of the happenings named."""

    def register(effect: Effect) -> Effect:
        for name in names:
            if effect not in _registry[name]:
                _registry[name].append(effect)
        return effect

    return register


def rows_for(happening: Happening) -> list[models.Model]:
    """The rows that the registered effects ask to be written, in the order of registration."""
    return [row for effect in _registry[happening.name] for row in effect(happening)]


def together(effect: Effect) -> Callable[[T], T]:
    """Register how an effect answers many happenings at once, with no more statements than one.

    It returns what the effect itself would return for each of them, in any order.
    """

    def register(many: T) -> T:
        _together[effect] = many
        return many

    return register


def rows_for_all(happenings: Sequence[Happening]) -> list[models.Model]:
    """The rows for many happenings of one name. Effects without a form for many run for each."""
    rows: list[models.Model] = []
    for effect in _registry[happenings[0].name] if happenings else ():
        many = _together.get(effect)
        if many is not None:
            rows += many(happenings)
        else:
            rows += [row for happening in happenings for row in effect(happening)]
    return rows


def registered() -> dict[str, list[str]]:
    """Every happening and its effects by dotted name, for the command that prints them."""
    return {
        name: [f"{effect.__module__}.{effect.__qualname__}" for effect in effects]
        for name, effects in sorted(_registry.items())
        if effects
    }


# --- Kicks: for speed only; the sweep is the guarantee ------------------------------------------

_PAUSE_SECONDS = 5.0
_broker_paused_until = 0.0


def kick_for(row: models.Model) -> None:
    """After the commit, run the task that works on this row, if its model names one."""
    task = getattr(row, "kick_task", None)
    if task:
        kick(task, str(row.pk))


def kick(task: str, *args: Any, countdown_seconds: float | None = None) -> None:
    """Send a task by name once the transaction has committed. Never raises.

    When the broker is gone the first kick costs a sub-second timeout, the next ones nothing for
    five seconds.
    """
    transaction.on_commit(lambda: _send(task, args, countdown_seconds), robust=True)


def _send(task: str, args: tuple[Any, ...], countdown_seconds: float | None) -> None:
    global _broker_paused_until
    if time.monotonic() < _broker_paused_until:
        return
    from config.celery import app

    try:
        app.send_task(task, args=args, countdown=countdown_seconds, retry=False)
    except Exception as error:
        _broker_paused_until = time.monotonic() + _PAUSE_SECONDS
        log.warning("the broker did not take %s (%s); the sweep will find its row", task, error)
