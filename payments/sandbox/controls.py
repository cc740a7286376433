"""Turns of events that no API call brings about: what banks, people and Stripe itself do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import refunds
from .core import Context, Sandbox
from .errors import invalid, missing
from .faults import FAILURE_REASONS
from .store import Obj

Control = Callable[[Sandbox, str, Obj], Obj]


def settle_refund(sandbox: Sandbox, object_id: str, asked: Obj) -> Obj:
    """End a refund: ``status`` succeeded or failed, the latter with a ``failure_reason``."""
    refund, context = _owned(sandbox, object_id, "refund")
    status = _choice(asked, "status", ("succeeded", "failed"))
    reason = _choice(asked, "failure_reason", FAILURE_REASONS, "unknown")
    return refunds.settle(context, refund, status, reason)


def _owned(sandbox: Sandbox, object_id: str, kind: str) -> tuple[Obj, Context]:
    """An object of any account, and a context of its owner's."""
    found, owner = sandbox.store.get(object_id, kind=kind), sandbox.store.owner(object_id)
    if found is None or owner is None:
        raise missing(kind, object_id)
    return found, sandbox.context(owner)


def _choice(asked: Obj, name: str, known: tuple[str, ...], default: str | None = None) -> str:
    value = asked.get(name) or default
    if value not in known:
        raise invalid(f"`{name}` must be one of {', '.join(known)}.", name)
    return str(value)


_CONTROLS: Mapping[str, Control] = {"refunds": settle_refund}
NAMES = tuple(_CONTROLS)


def work(sandbox: Sandbox, name: str, object_id: str, asked: Obj) -> Obj:
    """Bring one about, in one transaction; what the object is afterwards."""
    with sandbox.store.transaction():
        return _CONTROLS[name](sandbox, object_id, asked)
