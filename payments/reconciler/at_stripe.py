"""What checks say of Stripe's objects, and how they find what is ours behind them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from config.kernel.version import code_version
from members.models import Workspace
from payments.models import Checkout

UNEXPLAINED_PAYMENT = "unexplained_payment"
STRIPE_DIFFERS = "stripe_differs"
ACCOUNT_UNREADABLE = "account_unreadable"
EVENT_NOT_TAKEN = "event_not_taken"
SESSION_OPEN = "session_open"
# The key under which a refund at Stripe names the finding that it was made for.
FOR_FINDING = "finding"


def ours(metadata: dict[str, Any] | None) -> Checkout | None:
    """The Checkout that an object's metadata names."""
    try:
        return Checkout.objects.filter(pk=UUID((metadata or {}).get("checkout", ""))).first()
    except ValueError:
        return None


def said(account: str, item: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an object of Stripe's: no card, no name."""
    kept = ("id", "object", "status", "amount", "amount_received", "currency", "created",
            "livemode", "metadata", "description")  # fmt: skip
    return {
        "account": account,
        **{name: item[name] for name in kept if name in item},
        "metadata": item.get("metadata") or {},
        "code_version": code_version(),
    }


def workspace_of(account: str, item: dict[str, Any]) -> UUID | None:
    checkout = ours(item.get("metadata"))
    if checkout is not None:
        return checkout.due.workspace_id
    if not account:
        return None
    found = Workspace.objects.filter(stripe_account_id=account).values_list("pk", flat=True)
    return found.first()


def uuids(words: Iterable[str]) -> list[UUID]:
    found = []
    for word in words:
        try:
            found.append(UUID(word))
        except ValueError:
            continue
    return found
