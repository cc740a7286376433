"""A workspace's resources as cards: what, where, from how much, and when next. Constant queries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import prefetch_related_objects

from bookings import near
from bookings.availability import Availability, Slot, bookable, slot_of
from bookings.forms import from_moment
from bookings.lengths import length_text
from bookings.models import Resource
from bookings.pricing import quote
from bookings.remembered import remembered
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from config.kernel.clock import now as database_now
from config.kernel.money import Money
from members.models import Workspace

_LOOK_AHEAD = timedelta(days=14)
_ANY_DAY = datetime(2000, 1, 3, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Card:
    """One resource on the home page. `price` is that of its shortest or of the wished window."""

    resource: Resource
    rules: Rules
    next: Window | None
    price: Money
    price_for: int
    query: str
    remaining: int = 1
    metres: int | None = None

    @property
    def distance(self) -> str:
        return "" if self.metres is None else near.said(self.metres)

    @property
    def lasting(self) -> str:
        """What the price is for: "1 h", "1 night"."""
        return length_text(self.rules, timedelta(seconds=self.price_for))


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Cards, how many resources there are without the search, and the time they were read at."""

    cards: list[Card]
    count: int
    now: datetime


def resources_of(workspace: Workspace) -> list[Resource]:
    """What can be booked, with place and category; one query, and one where some are for groups."""
    resources = Resource.objects.select_related("location", "category")
    shown = resources.filter(workspace=workspace, is_active=True, only_with_others=False)
    found = list(shown[:500])
    for_groups = [r for r in found if r.visibility == Resource.Visibility.GROUPS]
    prefetch_related_objects(for_groups, "allowed_groups")
    return found


def catalogue(
    workspace: Workspace, resources: Sequence[Resource], said: dict[str, Any]
) -> Catalogue:
    """Cards for what fits a search: all for an empty one, only free ones when a day is given."""
    now = database_now()
    rules = rules_for(workspace_id=workspace.pk)
    fitting = [r for r in resources if r.pk in rules and _fits(r, rules[r.pk], said)]
    found = _next_windows([rules[r.pk] for r in fitting], said, now)
    cards = [_card(r, rules[r.pk], found.get(r.pk), said) for r in fitting]
    if said.get("when"):
        cards = [card for card in cards if card.next is not None]
    if here := near.point_from(said.get("near", "")):
        cards = _nearest_first(cards, here)
    return Catalogue(cards, len(resources), now)


def _nearest_first(cards: list[Card], here: near.Point) -> list[Card]:
    """By distance, which the cards then tell; those that say not where they are come last."""
    metres = near.metres_from(here, {card.resource.location for card in cards})
    told = [replace(card, metres=metres.get(card.resource.location_id)) for card in cards]
    return sorted(told, key=lambda c: near.NOWHERE_METRES if c.metres is None else c.metres)


def _fits(resource: Resource, rules: Rules, said: dict[str, Any]) -> bool:
    """Whether what does not depend on the time is right: place, length, size."""
    many = said.get("many", 1)
    seconds = said.get("minutes", 0) * 60
    return (
        (not said.get("where") or resource.location.slug == said["where"])
        and (not seconds or rules.allows_length(seconds))
        and many <= (max(resource.seats or many, 1) if rules.is_exclusive else rules.capacity)
    )


def _next_windows(
    rules: Sequence[Rules], said: dict[str, Any], now: datetime
) -> dict[UUID, tuple[Window, int]]:
    """Each resource's first bookable window from the wished moment; one query for all."""
    if not rules:
        return {}
    starts = {r.resource_id: from_moment(said, r.zone, now) for r in rules}
    ends = {
        r.resource_id: _day_end(starts[r.resource_id], r)
        if said.get("when")
        else starts[r.resource_id] + _LOOK_AHEAD
        for r in rules
    }
    known = remembered(rules=rules, start=min(starts.values()), end=max(ends.values()))
    found = {}
    for r in rules:
        seconds = said.get("minutes", 0) * 60 or r.min_seconds
        quantity = 1 if r.is_exclusive else said.get("many", 1)
        wanted = Window(starts[r.resource_id], ends[r.resource_id])
        slot = _first_slot(known[r.resource_id], wanted, seconds, quantity)
        if slot is not None:
            found[r.resource_id] = (Window(slot.start, slot.end), slot.remaining)
    return found


def _first_slot(
    available: Availability, wanted: Window, seconds: int, quantity: int
) -> Slot | None:
    """The first bookable start within what is wanted; nothing after it is looked at."""
    known = replace(available, range=wanted)
    return next((slot_of(known, w, quantity) for w in bookable(known, seconds, quantity)), None)


def _day_end(start: datetime, rules: Rules) -> datetime:
    local = start.astimezone(rules.zone)
    return (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def _card(
    resource: Resource, rules: Rules, found: tuple[Window, int] | None, said: dict[str, Any]
) -> Card:
    seconds = said.get("minutes", 0) * 60 or rules.min_seconds
    quantity = 1 if rules.is_exclusive else said.get("many", 1)
    window, remaining = found or (None, 0)
    sample = window or rules.window_from(_ANY_DAY, seconds)
    query: dict[str, Any] = {}
    if window is not None and said:
        query = {"start": f"{window.start:%Y-%m-%dT%H:%MZ}", "minutes": seconds // 60}
        query |= {"quantity": quantity} if quantity > 1 else {}
    return Card(
        resource=resource,
        rules=rules,
        next=window,
        price=quote(rules, sample, quantity).total,
        price_for=seconds,
        query=f"?{urlencode(query)}" if query else "",
        remaining=remaining,
    )
