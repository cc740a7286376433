"""What is given back when a booking is cancelled: pure, in minor units, frozen when it is made."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from config.kernel.money import round_to_coin


@dataclass(frozen=True, slots=True)
class Terms:
    """Free until `free_hours` before the start; from then until `partial_hours` before it
    `partial_percent` is given back; then nothing. `fee_minor` is kept in any case.
    """

    free_hours: int
    partial_hours: int
    partial_percent: int
    fee_minor: int

    def percent(self, starts_at: datetime, now: datetime) -> int:
        """The share of a line that is given back at `now`: 0 to 100."""
        ahead = starts_at - now
        if ahead >= timedelta(hours=self.free_hours) and ahead > timedelta(0):
            return 100
        if ahead >= timedelta(hours=self.partial_hours) and ahead > timedelta(0):
            return self.partial_percent
        return 0

    def as_json(self) -> dict[str, int]:
        return asdict(self)


def snapshot(terms: list[Terms]) -> dict[str, Any]:
    """What a booking keeps: the terms of each line, in order."""
    return {"lines": [each.as_json() for each in terms]}


def terms_of(policy: dict[str, Any]) -> list[Terms]:
    """The terms that a booking has kept; none when it was made before there were any."""
    return [Terms(**each) for each in policy.get("lines", [])]


def is_free(policy: dict[str, Any], position: int, *, starts_at: datetime, now: datetime) -> bool:
    """Whether a line could be cancelled now with its whole price given back, fees aside."""
    terms = terms_of(policy)
    if position >= len(terms):
        return starts_at > now
    return terms[position].percent(starts_at, now) == 100


def share_of(
    policy: dict[str, Any],
    position: int,
    line: tuple[datetime, int],
    *,
    now: datetime,
    currency: str,
) -> int:
    """Minor units given back for one line of (starts_at, amount_minor), fees aside; half up, and in
    steps that a card can be given back.
    """
    starts_at, amount = line
    terms = terms_of(policy)
    if position >= len(terms):
        return amount if starts_at > now else 0
    return _share(amount, terms[position].percent(starts_at, now), currency)


def _share(amount_minor: int, percent: int, currency: str) -> int:
    return round_to_coin(Decimal(amount_minor * percent) / 100, currency)


def given_back(
    policy: dict[str, Any], lines: list[tuple[datetime, int]], *, now: datetime, currency: str
) -> int:
    """Minor units given back for lines of (starts_at, amount_minor), by their frozen terms.

    Each line's share is rounded half up; the largest fee is kept once, and never more than there
    is. A booking without terms is given back in full until it starts.
    """
    terms = terms_of(policy)
    if not terms:
        return sum(amount for starts_at, amount in lines if starts_at > now)
    shares = [
        _share(amount, each.percent(starts_at, now), currency)
        for each, (starts_at, amount) in zip(terms, lines, strict=True)
    ]
    fee = max(each.fee_minor for each in terms)
    return max(0, sum(shares) - fee)
