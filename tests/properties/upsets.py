"""What goes wrong around a call to Stripe: the network, Stripe itself, our own power.

Nothing is replaced: a power cut wraps the one function through which every call goes, and the call
itself is made. Since no call is made inside a transaction, a cut before or after the n-th call
is every place at which a process can die with something half done.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from payments import stripe_api
from tests.support.sandbox import SandboxClient

CAPTURE_FAILS = "capture_fails"
REFUND_FAULTS = ("refund_fails", "refund_pending", "refund_insufficient_balance")
_OPTIONS: dict[str, dict[str, Any]] = {
    CAPTURE_FAILS: {"match": {"operation": "payment_intents.capture"}},
    "refund_pending": {"then": None},
}


class PowerCut(BaseException):
    """The process is gone: no `except Exception` of the product may catch it."""


@dataclass(frozen=True)
class Upset:
    """A fault of the sandbox's, or (`power_cut`) our end before or after the n-th call."""

    kind: str
    call: int = 0
    moment: str = ""

    def __repr__(self) -> str:
        return f"Upset({self.kind!r}, {self.call}, {self.moment!r})" if self.call else self.kind


FAULTS = [
    Upset(kind)
    for kind in (
        "error_500_before",
        "error_500_after",
        "rate_limit_429",
        "conflict_409",
        "lock_timeout",
        "cut_before",
        "cut_after",
    )
]
CUTS = [Upset("power_cut", call, moment) for call in (1, 2) for moment in ("before", "after")]


@contextmanager
def in_force(sandbox: SandboxClient, upset: Upset | None) -> Iterator[None]:
    """The upset happens to the first call that it fits, and is over with the block."""
    if upset is None:
        yield
    elif upset.kind == "power_cut":
        with _power_cut(upset):
            yield
    else:
        fault = sandbox.fault(upset.kind, **_OPTIONS.get(upset.kind, {}))
        try:
            yield
        finally:
            sandbox.http.delete(f"/_sandbox/faults/{fault}")  # 404 where it is spent


@contextmanager
def _power_cut(upset: Upset) -> Iterator[None]:
    whole, calls = stripe_api._call, 0

    def until_the_cut(work: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == upset.call and upset.moment == "before":
            raise PowerCut
        try:
            return whole(work)
        finally:
            if calls == upset.call:
                raise PowerCut

    stripe_api._call = until_the_cut  # type: ignore[assignment]
    try:
        yield
    finally:
        stripe_api._call = whole
