"""Everything that ends by itself when its time has come."""

from __future__ import annotations

from . import checkout, intents, refunds
from .core import Sandbox


def run(sandbox: Sandbox) -> None:
    """End what has run out by the sandbox's clock: sessions, authorisations, pending refunds."""
    checkout.expire_due(sandbox)
    intents.lapse_due(sandbox)
    refunds.settle_due(sandbox)
