"""Faults on request: what to get wrong, for which calls or events, and how often."""

from __future__ import annotations

import itertools
import random
import threading
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .errors import invalid
from .store import Obj

WEBHOOK = ("drop", "delay", "duplicate", "reorder", "bad_signature", "wrong_endpoint")
API = (
    "error_500_before",
    "error_500_after",
    "rate_limit_429",
    "conflict_409",
    "lock_timeout",
    "hang_before",
    "hang_after",
    "cut_before",
    "cut_after",
    "slow",
    "capture_fails",
)
PAY = ("decline", "challenge")
REFUND = ("refund_pending", "refund_fails", "refund_insufficient_balance")
RACE = ("pay_and_expire",)
KINDS = WEBHOOK + API + PAY + REFUND + RACE

# Which facts each kind can be narrowed by.
_MATCHABLE = {
    **dict.fromkeys(WEBHOOK, ("type", "endpoint", "account", "object", "connect")),
    **dict.fromkeys(API, ("operation", "account", "object", "idempotency_key")),
    **dict.fromkeys(PAY + RACE, ("account", "session")),
    **dict.fromkeys(REFUND, ("account", "charge", "payment_intent", "idempotency_key")),
}
_OPTIONS: dict[str, Obj] = {
    "delay": {"seconds": 5.0, "copies": 1},
    "slow": {"seconds": 2.0},
    "duplicate": {"copies": 2},
    "reorder": {"count": 2},
    "wrong_endpoint": {"endpoint": None},
    "error_500_before": {"should_retry": False},
    "error_500_after": {"should_retry": False},
    "rate_limit_429": {"should_retry": None},
    "conflict_409": {"should_retry": None},
    "lock_timeout": {"should_retry": None, "status": 429},
    "refund_pending": {
        "seconds": 5.0,
        "then": "succeeded",
        "pending_reason": "processing",
        "failure_reason": "unknown",
    },
    "refund_fails": {"seconds": 0.0, "failure_reason": "lost_or_stolen_card"},
    "pay_and_expire": {"winner": None},
}
_LEAST = {"seconds": 0, "copies": 1, "count": 2}
FAILURE_REASONS = (
    "charge_for_pending_refund_disputed",
    "declined",
    "expired_or_canceled_card",
    "insufficient_funds",
    "lost_or_stolen_card",
    "merchant_request",
    "unknown",
)
_CHOICES: dict[str, tuple[Any, ...]] = {
    "winner": ("pay", "expire", None),
    "should_retry": (True, False, None),
    "status": (409, 429),
    "then": ("succeeded", "failed", None),
    "pending_reason": ("charge_pending", "insufficient_funds", "processing"),
    "failure_reason": FAILURE_REASONS,
}


@dataclass
class Withheld:
    """A request whose answer is being kept back."""

    operation: str
    effect_done: bool
    idempotency_key: str | None
    object: str
    since: float = field(default_factory=time.time)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass
class Fault:
    """One instruction. ``remaining`` counts down to 0; ``None`` means until it is cleared."""

    id: str
    kind: str
    match: Obj
    options: Obj
    remaining: int | None
    share: float = 1.0
    used: int = 0
    withheld: list[Withheld] = field(default_factory=list)
    held: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.id)  # noqa: S311 - the same run is the same again

    def fits(self, facts: Obj) -> bool:
        """Whether every condition of ``match`` holds; texts may be lists and use ``*``."""
        return self.remaining != 0 and all(
            _fits(wanted, facts.get(name)) for name, wanted in self.match.items()
        )

    def strikes(self) -> bool:
        """Whether this is one of the ``share`` of what fits; the others go on unharmed."""
        return self.share >= 1 or self._chance.random() < self.share

    def spend(self) -> None:
        """Count one use."""
        self.used += 1
        if self.remaining is not None:
            self.remaining -= 1

    @property
    def hangs(self) -> bool:
        """Whether a request may be about to wait for it, although it is spent."""
        return self.kind.startswith("hang")

    @property
    def over(self) -> bool:
        """Spent, with nothing kept back any more."""
        return self.remaining == 0 and not self.withheld and not self.held

    def summary(self) -> Obj:
        """As JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "match": self.match,
            **self.options,
            "share": self.share,
            "remaining": self.remaining,
            "used": self.used,
            "withheld": len(self.withheld),
            "held": list(self.held),
        }


def _fits(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, list):
        return any(_fits(entry, found) for entry in wanted)
    if isinstance(wanted, str) and isinstance(found, str):
        return fnmatchcase(found, wanted)
    return bool(wanted == found)


class FaultBox:
    """All faults in force, in the order they were asked for. They do not survive a restart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, asked: Obj) -> Fault:
        """Put a fault in force; raises the API's error for one that makes no sense."""
        kind, match, options, times, share = _read(asked)
        with self._lock:
            self._faults = [old for old in self._faults if old.hangs or not old.over]
            fault = Fault(f"fault_{next(self._numbers)}", kind, match, options, times, share)
            self._faults.append(fault)
        return fault

    def in_force(self) -> list[Obj]:
        """Every fault still in force, or still keeping something back."""
        with self._lock:
            return [fault.summary() for fault in self._faults if not fault.over]

    def clear(self, object_id: str | None = None) -> list[Fault]:
        """Lift one fault, or all; answers and deliveries kept back are let go."""
        with self._lock:
            lifted = [fault for fault in self._faults if object_id in (None, fault.id)]
            self._faults = [fault for fault in self._faults if fault not in lifted]
            for fault in lifted:
                for request in fault.withheld:
                    request.released.set()
        return lifted

    def take(self, kinds: tuple[str, ...], facts: Obj) -> Fault | None:
        """The first fault of ``kinds`` that fits, used once."""
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds and fault.fits(facts) and fault.strikes():
                    if fault.kind != "reorder":
                        fault.spend()
                    return fault
        return None

    def hold(self, fault: Fault, delivery: int) -> list[int]:
        """Keep a delivery back; when the group is full, all of it, last first."""
        with self._lock:
            fault.held.append(delivery)
            if fault in self._faults and len(fault.held) < fault.options["count"]:
                return []
            fault.spend()
            group, fault.held = fault.held[::-1], []
            return group

    def withhold(self, fault: Fault, request: Withheld) -> None:
        """Register a request that waits for ``fault`` to be lifted."""
        with self._lock:
            if fault in self._faults:
                fault.withheld.append(request)
            else:
                request.released.set()

    def forget(self, fault: Fault, request: Withheld) -> None:
        """The request waits no more."""
        with self._lock:
            if request in fault.withheld:
                fault.withheld.remove(request)

    def withheld(self) -> list[Obj]:
        """Requests being kept waiting now."""
        with self._lock:
            return [
                {
                    "fault": fault.id,
                    "operation": request.operation,
                    "object": request.object,
                    "effect_done": request.effect_done,
                    "idempotency_key": request.idempotency_key,
                    "since": request.since,
                }
                for fault in self._faults
                for request in fault.withheld
            ]


def _read(asked: Obj) -> tuple[str, Obj, Obj, int | None, float]:
    kind = asked.get("kind")
    if kind not in KINDS:
        raise invalid(f"`kind` must be one of {', '.join(KINDS)}.", "kind")
    options = {**_OPTIONS.get(kind, {})}
    match = asked.get("match") or {}
    unknown = set(match) - set(_MATCHABLE[kind]) if isinstance(match, dict) else {"match"}
    unknown |= set(asked) - {"kind", "match", "times", "share"} - set(options)
    if unknown:
        raise invalid(f"Not known to `{kind}`: {', '.join(sorted(unknown))}.", "match")
    options.update({name: asked[name] for name in options if name in asked})
    _check_options(options)
    times = asked.get("times", 1)
    if times is not None and (not isinstance(times, int) or times < 1):
        raise invalid("`times` must be a whole number from 1, or null for no end.", "times")
    return kind, match, options, times, _share(asked.get("share", 1.0))


def _share(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= 1:
        raise invalid("`share` must be a number above 0 and up to 1.", "share")
    return float(given)


def _check_options(options: Obj) -> None:
    for name, value in options.items():
        if name in _LEAST:
            _check_number(name, value, _LEAST[name])
        if name in _CHOICES and value not in _CHOICES[name]:
            known = ", ".join("null" if entry is None else str(entry) for entry in _CHOICES[name])
            raise invalid(f"`{name}` must be one of {known}.", name)


def _check_number(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
        raise invalid(f"`{name}` must be a number from {least}.", name)
