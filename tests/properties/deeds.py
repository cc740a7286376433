"""What a run did that its outcome must answer for: the model beside the product's tables.

It keeps no copy of the product's state. It keeps promises (what somebody was told they get back)
and misfortunes (what may end with staff having to look).
"""

from collections import defaultdict
from dataclasses import dataclass, field
from uuid import UUID

# Which findings of severity high a misfortune may leave open. Nothing else may.
EXPLAINS = {
    # What the bank has taken back cannot be given back: Stripe refuses, staff look or give up.
    "dispute": {"dispute", "refund_needs_attention", "refund_failed"},
    "refund trouble": {"refund_failed", "refund_needs_attention"},
    # Told from the rows: a bank took what had been given back already. That money is really gone.
    "taken twice": {"sum_differs", "confirmed_without_money"},
    # Told from the rows: only an authorisation that the bank took back ends so.
    "capture trouble": {"capture_failed", "cancelled_unpaid", "taken_place_unpaid"},
}


@dataclass
class Deeds:
    """By booking: what was promised back, in minor units, and what misfortune befell it."""

    promised: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))
    misfortunes: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    # Units free of a block when it was placed: a later claim may not lie under it (INV-4).
    blocked: list["Blocked"] = field(default_factory=list)

    def promise(self, booking_id: UUID, amount_minor: int) -> None:
        self.promised[booking_id] += amount_minor

    def befalls(self, booking_id: UUID, misfortune: str) -> None:
        assert misfortune in EXPLAINS, misfortune
        self.misfortunes[booking_id].add(misfortune)

    def explained(self, booking_id: UUID) -> set[str]:
        """The kinds of findings that may stay open about a booking."""
        return set().union(*(EXPLAINS[each] for each in self.misfortunes[booking_id]))


@dataclass(frozen=True)
class Blocked:
    """A block, and who had the time before it was placed."""

    block_id: UUID
    resource_id: UUID
    before: frozenset[UUID]
