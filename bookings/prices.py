"""Price rules as plain data, and how they are read. What they come to is in `pricing.py`.

**Which rules count.** A rule applies to the moments, quantities and members that its conditions
name. At each moment, and kind by kind:

- *basic* rules (priority 0) that apply add up;
- a *special* rule (priority 1 or more) that applies stands in place of the basic ones of its kind;
  of several, the one of the highest priority counts, and of equals the cheapest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from bookings.taxes import Tax

PER_HOUR, PER_STEP, PER_DAY = "per_hour", "per_step", "per_day"
PER_BOOKING, MINIMUM = "per_booking", "minimum"
_MIDNIGHT = time(0)
_DAY = timedelta(days=1)

# What `prices_from` and `tax_from` read: a column of the statement that reads a resource's rules,
# where `r` is the resource and `w` its workspace.
PRICES_SQL = """
           json_build_array(
               coalesce(r.tax_basis_points, w.tax_basis_points),
               coalesce(r.tax_is_added, w.tax_is_added),
               w.tax_name,
               (SELECT json_agg(json_build_array(
                    p.kind, p.amount_minor, p.label, p.priority, p.step_seconds, p.from_seconds,
                    p.until_seconds, p.weekdays, p.from_time, p.to_time, p.first_day, p.last_day,
                    p.from_quantity, p.group_id)
                    ORDER BY p.kind, p.amount_minor, p.id)
                FROM bookings_pricerule p WHERE p.resource_id = r.id))"""


@dataclass(frozen=True, slots=True)
class Price:
    """One price rule: an amount of a kind, and when and for whom it applies.

    `from_seconds` and `until_seconds` name a part of the booking, counted from its start: tiers.
    `weekdays` (0 is Monday; none is all), times and days are those of the resource's clock; a time
    past midnight belongs to the day on which it began. `step_seconds` is of per_step alone.
    """

    kind: str
    amount_minor: int
    label: str
    priority: int = 0
    step_seconds: int | None = None
    from_seconds: int = 0
    until_seconds: int | None = None
    weekdays: frozenset[int] = frozenset()
    from_time: time | None = None
    to_time: time | None = None
    first_day: date | None = None
    last_day: date | None = None
    from_quantity: int = 1
    group_id: UUID | None = None

    @property
    def has_clock(self) -> bool:
        """Whether it depends on the local time."""
        return bool(
            self.weekdays or self.from_time or self.to_time or self.first_day or self.last_day
        )

    @property
    def has_tier(self) -> bool:
        """Whether it is for a part of the booking only."""
        return bool(self.from_seconds) or self.until_seconds is not None

    @property
    def is_conditional(self) -> bool:
        """Whether it applies to some bookings, or to some of their time, alone."""
        return (
            self.has_clock or self.has_tier or self.from_quantity > 1 or self.group_id is not None
        )

    def is_for(self, quantity: int, groups: frozenset[UUID]) -> bool:
        """Whether so many units, booked by a member of these groups, are priced by it."""
        is_theirs = self.group_id is None or self.group_id in groups
        return quantity >= self.from_quantity and is_theirs

    def applies(self, local: datetime, since_start: timedelta) -> bool:
        """Whether it applies at a local time, which is so long after the booking's start."""
        return self._is_in_tier(since_start) and (not self.has_clock or self._is_at(local))

    def _is_in_tier(self, since_start: timedelta) -> bool:
        seconds = since_start.total_seconds()
        return self.from_seconds <= seconds and (
            self.until_seconds is None or seconds < self.until_seconds
        )

    def _is_at(self, local: datetime) -> bool:
        day, clock = local.date(), local.time()
        start, end = self.from_time or _MIDNIGHT, self.to_time or _MIDNIGHT
        if end == _MIDNIGHT or start < end:
            is_then = start <= clock and (end == _MIDNIGHT or clock < end)
        else:
            is_then = start <= clock or clock < end
            day = day - _DAY if clock < end else day
        return is_then and self._is_on(day)

    def _is_on(self, day: date) -> bool:
        return (
            (not self.weekdays or day.weekday() in self.weekdays)
            and (self.first_day is None or self.first_day <= day)
            and (self.last_day is None or day <= self.last_day)
        )


def counting(prices: Sequence[Price]) -> list[Price]:
    """Of rules that apply at one moment, those that count (see the top of this module)."""
    best: dict[str, int] = {}
    for price in prices:
        best[price.kind] = max(best.get(price.kind, 0), price.priority)
    if not any(best.values()):
        return list(prices)
    first = [price for price in prices if price.priority == best[price.kind]]
    return [price for price in first if not price.priority or price is _cheapest(price, first)]


def _cheapest(price: Price, among: Sequence[Price]) -> Price:
    kin = (other for other in among if other.kind == price.kind)
    return min(kin, key=lambda p: p.amount_minor / (p.step_seconds or 1))


def prices_from(said: list[Any]) -> tuple[Price, ...]:
    """Price rules from PRICES_SQL's column."""
    return tuple(_price(*each) for each in said[3] or ())


def tax_from(said: list[Any]) -> Tax:
    """The tax from PRICES_SQL's column."""
    basis_points, is_added, name, _ = said
    return Tax(name or "Tax", basis_points, is_added)


def _price(kind: str, amount_minor: int, label: str, *rest: Any) -> Price:
    priority, step, start, until, weekdays, opens, closes, first, last, many, group = rest
    return Price(
        kind,
        amount_minor,
        label,
        priority,
        step,
        start,
        until,
        frozenset(map(int, weekdays)),
        opens and time.fromisoformat(opens),
        closes and time.fromisoformat(closes),
        first and date.fromisoformat(first),
        last and date.fromisoformat(last),
        many,
        group and UUID(group),
    )
