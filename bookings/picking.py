"""What a visitor has chosen of a resource: a window, how many, add-ons; whether it can be had, and
what it costs. It only looks: a claim decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.http import QueryDict

from bookings.availability import Availability, Slot, units_free
from bookings.breakdown import Breakdown, Priced, breakdown
from bookings.forms import Wish, whole_number
from bookings.offers import Offer
from bookings.pricing import Quote, quote, quote_add_on
from bookings.remembered import remembered
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from bookings.week import Choice, longest_from, range_of, slot_at
from config.kernel.money import Money

_PREFIX = "add-"
_COST = {
    "per_booking": "{} in all",
    "per_unit": "{} each",
    "per_hour": "{} each per hour",
}


@dataclass(frozen=True, slots=True)
class Extra:
    """An add-on as it is offered with so many units.

    `left` is how many nobody has for the chosen window, None while none is chosen.
    """

    offer: Offer
    currency: str
    least: int
    most: int
    chosen: int
    left: int | None = None
    quote: Quote | None = None

    @property
    def field(self) -> str:
        """The name of its field in forms and links."""
        return field_of(self.offer.pool_id)

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to choose."""
        return self.least == self.most

    @property
    def is_short(self) -> bool:
        return self.left is not None and self.chosen > self.left

    @property
    def is_few(self) -> bool:
        """Whether what is left is less than what may be chosen, so that one should know."""
        return self.left is not None and self.left < self.most

    @property
    def choices(self) -> range:
        return range(self.least, self.most + 1)

    @property
    def cost(self) -> str:
        """ "NZ$3.00 each", or "free"."""
        if not self.offer.amount_minor:
            return "free"
        return _COST[self.offer.kind].format(Money(self.offer.amount_minor, self.currency))


@dataclass(frozen=True, slots=True)
class Picked:
    """A chosen window. `left` is how many units nobody has then, where fewer than were wanted."""

    window: Window
    slot: Slot | None
    extras: Sequence[Extra]
    prices: Breakdown
    shortened_from: int = 0
    left: int | None = None

    @property
    def short(self) -> list[Extra]:
        """The add-ons of which more is wanted than is left."""
        return [extra for extra in self.extras if extra.is_short]

    @property
    def has_add_ons(self) -> bool:
        return any(extra.chosen for extra in self.extras)

    @property
    def can_be_had(self) -> bool:
        return self.slot is not None and not self.short

    @property
    def total(self) -> Money:
        return self.prices.total


def field_of(pool_id: UUID) -> str:
    return f"{_PREFIX}{pool_id}"


def add_ons_said(query: QueryDict) -> Iterator[tuple[UUID, int]]:
    """The add-ons of a form or link, (pool, how many) of each; what cannot be read is left out."""
    for name in sorted(query):
        if not name.startswith(_PREFIX):
            continue
        many = whole_number(query.get(name, ""), least=0, most=10_000, otherwise=0)
        try:
            pool_id = UUID(name.removeprefix(_PREFIX))
        except ValueError:
            continue
        if many:
            yield pool_id, many


def extras_of(rules: Rules, query: QueryDict, quantity: int) -> list[Extra]:
    """Every add-on that is offered, with what a query says of it made to fit the units chosen.

    Nothing said: the fewest that can be had, which is one for each unit where it is required.
    """
    found = []
    for offer in rules.offers:
        least = quantity if offer.is_required else 0
        most = max(least, offer.max_per_unit * quantity)
        said = query.get(field_of(offer.pool_id), "")
        chosen = whole_number(said, least=least, most=most, otherwise=least)
        found.append(Extra(offer, rules.currency, least, most, chosen))
    return found


def seen(rules: Rules, first: date) -> tuple[dict[UUID, Rules], dict[UUID, Availability]]:
    """The pools offered with a resource, and what is free of it and of them in a week.

    At most one query, and one more where anything is offered.
    """
    ids = [offer.pool_id for offer in rules.offers]
    pools = rules_for(workspace_id=rules.workspace_id, resource_ids=ids) if ids else {}
    around = range_of(first, rules.zone)
    every = {rules.resource_id: rules, **pools}
    known = remembered(rules=list(every.values()), start=around.start, end=around.end)
    return pools, known


def pick(
    known: Mapping[UUID, Availability],
    pools: Mapping[UUID, Rules],
    wish: Wish,
    extras: Sequence[Extra],
    groups: frozenset[UUID],
    rules: Rules,
) -> Picked | None:
    """The chosen start with the chosen duration, or with what fits when that is too long.

    None when no start is chosen, or one beside the week that is shown.
    """
    available = known[rules.resource_id]
    shown = range_of(wish.first, rules.zone)
    if wish.start is None or not shown.start <= wish.start < shown.end:
        return None
    choice = Choice(wish.day, wish.minutes, wish.quantity)
    fits = longest_from(available, wish.start, choice)
    minutes = fits or wish.minutes
    window = rules.window_from(wish.start, minutes * 60)
    priced = [_with_window(extra, window, known, pools) for extra in extras]
    lines = [Priced("", quote(rules, window, wish.quantity, groups=groups).parts)]
    lines += [Priced(e.offer.name, e.quote.parts, e.chosen) for e in priced if e.quote]
    return Picked(
        window=window,
        slot=slot_at(available, wish.start, minutes, wish.quantity) if fits else None,
        extras=priced,
        prices=breakdown(lines, rules.currency),
        shortened_from=wish.minutes if fits and fits < wish.minutes else 0,
        left=None if fits else _left(available, wish.start, minutes, wish.quantity),
    )


def _with_window(
    extra: Extra,
    window: Window,
    known: Mapping[UUID, Availability],
    pools: Mapping[UUID, Rules],
) -> Extra:
    """The same with what is left of it for a window, and its price."""
    pool = pools.get(extra.offer.pool_id)
    left, cost = 0, None
    if pool is not None:
        left = units_free(known[pool.resource_id], pool.occupied(window))
        if extra.chosen:
            cost = quote_add_on(extra.offer, window, extra.chosen, rules=pool)
    return Extra(extra.offer, extra.currency, extra.least, extra.most, extra.chosen, left, cost)


def _left(available: Availability, start: datetime, minutes: int, quantity: int) -> int | None:
    """How many units could be had of it then, where fewer than were wanted but some."""
    if quantity == 1:
        return None
    slot = slot_at(available, start, minutes, 1)
    return slot.remaining if slot else None
