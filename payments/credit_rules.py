"""Which credit is left, and until when: pure functions over a ledger's entries, in minor units.

Credit that expires first is spent first. What is given back goes where it was taken from, so that
an abandoned checkout does not make old credit young.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from config.kernel.money import smallest_charge

_NEVER = datetime.max.replace(tzinfo=UTC)


class Entry(Protocol):
    """What these rules read of a CreditEntry."""

    id: UUID
    kind: str
    amount_minor: int
    created_at: datetime
    expires_at: datetime | None
    due_id: UUID | None
    checkout_id: UUID | None
    reverses_id: UUID | None


@dataclass(slots=True)
class Grant:
    """One entry that gave credit, and what is left of it."""

    id: UUID
    expires_at: datetime | None
    left_minor: int
    expired_minor: int = 0

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


@dataclass(slots=True)
class _Taken:
    """What a spend took from one grant."""

    grant: Grant
    amount_minor: int


@dataclass(slots=True)
class _Ledger:
    grants: dict[UUID, Grant] = field(default_factory=dict)
    spent: dict[tuple[UUID | None, UUID | None], list[_Taken]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def follow(self, entry: Entry) -> None:
        if entry.kind == "returned":
            self._put_back(entry)
        elif entry.amount_minor > 0:
            self._give(entry, entry.amount_minor)
        else:
            self._take(entry)

    def _give(self, entry: Entry, amount_minor: int) -> None:
        self.grants[entry.id] = Grant(entry.id, entry.expires_at, amount_minor)

    def _take(self, entry: Entry) -> None:
        missing = -entry.amount_minor
        for grant in self._first_to_last(entry.reverses_id):
            part = min(grant.left_minor, missing)
            if not part:
                continue
            missing -= part
            grant.left_minor -= part
            if entry.kind == "expiry":
                grant.expired_minor += part
            elif entry.kind == "spend":
                self.spent[entry.due_id, entry.checkout_id].append(_Taken(grant, part))

    def _first_to_last(self, reversed_id: UUID | None) -> list[Grant]:
        """What expires first comes first; what is being reversed comes before everything."""
        return sorted(
            self.grants.values(), key=lambda g: (g.id != reversed_id, g.expires_at or _NEVER)
        )

    def _put_back(self, entry: Entry) -> None:
        """The last that was taken is the first to come back; more than was taken is a new grant."""
        rest, taken = entry.amount_minor, self.spent[entry.due_id, entry.checkout_id]
        while rest and taken:
            last = taken[-1]
            part = min(rest, last.amount_minor)
            rest -= part
            last.amount_minor -= part
            last.grant.left_minor += part
            if not last.amount_minor:
                taken.pop()
        if rest:
            self._give(entry, rest)


def grants(entries: Iterable[Entry]) -> list[Grant]:
    """Every grant of one account's ledger with what is left of it, in the order they were given."""
    ledger = _Ledger()
    for entry in sorted(entries, key=lambda e: (e.created_at, e.id)):
        ledger.follow(entry)
    return list(ledger.grants.values())


def overdue(found: Iterable[Grant], now: datetime) -> list[Grant]:
    """Grants with something left although their time is over, oldest expiry first."""
    over = [grant for grant in found if grant.left_minor and grant.is_over(now)]
    return sorted(over, key=lambda grant: grant.expires_at or _NEVER)


def spendable_minor(found: Iterable[Grant], now: datetime) -> int:
    """What can be spent at `now`."""
    return sum(grant.left_minor for grant in found if not grant.is_over(now))


def next_expiry(found: Iterable[Grant]) -> datetime | None:
    """When the first of what is left expires; None when nothing does."""
    ends = [grant.expires_at for grant in found if grant.left_minor and grant.expires_at]
    return min(ends, default=None)


def usable_minor(spendable: int, owed: int, currency: str) -> int:
    """How much credit can pay for a due: all of it, or so much that a card can pay the rest."""
    usable = min(spendable, owed)
    least = smallest_charge(currency)
    return max(0, owed - least) if 0 < owed - usable < least else usable
