"""A week of bookings for the demo, made as members make them: held, paid, settled."""

import random
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import requests
from django.conf import settings
from django.db import transaction

from bookings.availability import Slot, availability, slots
from bookings.models import Resource
from bookings.rules import Rules
from bookings.selectors import rules_for
from config.kernel import clock
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import DomainError
from holds.claims import AddOnRequest, Claimant, LineRequest, claim
from members.models import Workspace
from payments import checkouts, settlement
from payments.models import Checkout, Signal

PEOPLE = (
    ("Aroha Ngata", "aroha@example.com"), ("Ben Carter", "ben@example.com"),
    ("Chloé Martin", "chloe@example.com"), ("Deepa Rao", "deepa@example.com"),
    ("Emil Lindqvist", "emil@example.com"), ("Fatima Haddad", "fatima@example.com"),
    ("Grace Leota", "grace@example.com"), ("Hiroshi Tanaka", "hiroshi@example.com"),
)  # fmt: skip
_BOOKINGS = 44
_DESK = Actor("staff", label="Demo")


def fill(workspace: Workspace, rooms: Sequence[Resource]) -> int:
    """Place and pay about forty bookings in the coming week; returns how many stand.

    Paying works only at our sandbox; at Stripe's own test mode only the free room is booked.
    """
    dice = random.Random(2026)  # noqa: S311  (the same week for everybody, not a secret)
    rules = rules_for(workspace_id=workspace.pk, resource_ids=[room.pk for room in rooms])
    now = clock.now()
    known = availability(rules=list(rules.values()), start=now, end=now + timedelta(days=7))
    made = 0
    for _ in range(_BOOKINGS):
        chosen = dice.choice(list(rules.values()))
        hours = dice.choice([1, 1, 2, 2, 3])
        seconds = min(max(hours * 3600, chosen.min_seconds), chosen.max_seconds)
        open_slots = slots(known[chosen.resource_id], duration_seconds=seconds)
        if open_slots:
            made += _book(workspace, chosen, dice.choice(open_slots), dice)
    return made


def _book(workspace: Workspace, rules: Rules, slot: Slot, dice: random.Random) -> int:
    name, email = dice.choice(PEOPLE)
    if rules.prices and not _at_sandbox():
        return 0
    try:
        with transaction.atomic():
            held = claim(
                workspace=workspace,
                lines=[_line(rules, slot, dice)],
                claimant=Claimant(email=email, name=name),
                actor=_DESK,
            )
        site = f"{settings.SITE_URL}/w/{workspace.slug}/"
        started = checkouts.start(hold_id=held.pk, success_url=site, cancel_url=site, actor=SYSTEM)
        if started.url:
            _pay(held.booking_id, started.url)
    except DomainError:
        return 0  # the dice chose a time that an earlier throw has taken
    return 1


def _line(rules: Rules, slot: Slot, dice: random.Random) -> LineRequest:
    """Some units of it, with what has to go with them and sometimes with what may."""
    quantity = 1 if rules.is_exclusive else dice.randint(1, min(2, slot.remaining))
    chosen = [o for o in rules.offers if o.is_required or dice.random() < 0.5]
    add_ons = tuple(AddOnRequest(offer.pool_id, quantity) for offer in chosen)
    return LineRequest(rules.resource_id, slot.start, slot.end, quantity, add_ons)


def _pay(booking_id: UUID, url: str) -> None:
    requests.post(url, data={"outcome": "pay"}, allow_redirects=False, timeout=10)
    for checkout in Checkout.objects.filter(due__booking_id=booking_id):
        settlement.settle(checkout_id=checkout.pk, source=Signal.Source.SUCCESS_PAGE)


def _at_sandbox() -> bool:
    return settings.STRIPE_HOST.startswith(("http://127.0.0.1", "http://localhost"))
