"""Leaving a line while something is held for one: the hold goes first, which may ask Stripe."""

from collections.abc import Callable
from uuid import UUID

from config.kernel.context import Actor
from config.kernel.errors import InvalidTransition, TemporarilyUnavailable
from holds import waitlist
from holds.errors import StillOffered
from holds.models import WaitlistEntry
from payments.holding import let_go


def leave(*, entry_id: UUID, actor: Actor) -> WaitlistEntry:
    """Leave a line at any time; what is held for them goes to the next in line.

    Idempotent. Raises NotFound, PaymentInProgress (409) when they are paying for it,
    TemporarilyUnavailable (503) when Stripe does not answer: everything stays as it is then.
    """
    return _without_offer(
        entry_id,
        actor,
        "Left the waiting list",
        lambda: waitlist.leave(entry_id=entry_id, actor=actor),
    )


def remove(*, entry_id: UUID, actor: Actor, reason: str) -> WaitlistEntry:
    """The same by staff, with a reason that is told."""
    return _without_offer(
        entry_id, actor, reason,
        lambda: waitlist.remove(entry_id=entry_id, actor=actor, reason=reason),
    )  # fmt: skip


def _without_offer(
    entry_id: UUID, actor: Actor, reason: str, end: Callable[[], WaitlistEntry]
) -> WaitlistEntry:
    for _ in range(3):
        try:
            return end()
        except StillOffered:
            entry = WaitlistEntry.objects.get(pk=entry_id)
            try:
                let_go(hold_id=entry.hold_id, actor=actor, reason=reason)  # type: ignore[arg-type]
            except InvalidTransition:
                continue  # it has just been paid: the entry says so by now
    raise TemporarilyUnavailable
