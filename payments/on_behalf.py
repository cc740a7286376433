"""Staff book for somebody: with a link to pay by, paid by hand, or asking for nothing.

It is a claim like any other, so whether there is room, and what is closed, stays as true as for
everybody. Notice, horizon, opening hours and a member's limits can be set aside, said and confirmed
beforehand, with a reason that is kept in the history.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.urls import reverse

from bookings import mails
from bookings.availability import availability
from bookings.checks import OVERRIDABLE, broken_rules
from bookings.errors import UnknownResource
from bookings.limits import Booked
from bookings.links import absolute
from bookings.models import Booking
from bookings.parts import first_taken, parts_of
from bookings.policy import Terms
from bookings.rules import Rules
from bookings.selectors import rules_for
from bookings.services import note
from config.kernel import clock, rows
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput
from config.kernel.locks import require_transaction
from config.kernel.money import Money
from holds import booking_limits, services
from holds.booking_limits import BookingLimitReached
from holds.claims import Claimant, LineRequest
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.parts import with_required
from holds.pricing import groups_of_claimant, priced_parts
from members.models import Workspace
from payments import connect, external
from payments.complimentary import waive_locked
from payments.errors import PriceChanged
from payments.external import Received
from payments.lock_objects import lock_money

LINK = "link"
OFFLINE = "offline"
COMPLIMENTARY = "complimentary"
LONGEST = timedelta(days=7)
# However soon it begins, so much time there is to pay by the link.
_AT_LEAST = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is booked for whom, and how it is paid: by `link` within `pay_within`, `offline` with
    what was `received` (method and reference), or not at all. `overrides` sets rules aside.
    """

    workspace: Workspace
    line: LineRequest
    email: str
    name: str
    how: str
    pay_within: timedelta = timedelta(days=1)
    method: str = ""
    reference: str = ""
    overrides: bool = False
    reason: str = ""

    @property
    def claimant(self) -> Claimant:
        """The member by their address. Staff decide, so nobody else is asked to approve it."""
        return Claimant(
            email=self.email.strip().lower(),
            name=self.name,
            vouched_for=self.email.strip().lower(),
            approved=True,
            may_exceed=self.overrides,
            overrides=self.overrides,
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """What booking it would mean, as stale as every look: `broken` are the rules that would have to
    be set aside, `refused` what cannot be.
    """

    price: Money
    terms: Terms
    rules: Rules
    broken: list[str]
    refused: list[str]


def preview(wish: Wish) -> Preview:
    """Price, policy, and what stands against it. Raises UnknownResource."""
    known = _rules(wish)
    line = _line(wish, known)
    rules = known[line.resource_id]
    now = clock.now()
    found = broken_rules(rules, line.window, quantity=line.quantity, now=now)
    may = {code for code, _ in found} & OVERRIDABLE if line.end > now else set()
    refused = [said for code, said in found if code not in may]
    if not refused and not _has_room(known, line):
        refused.append("Somebody else has some of that time, or it is closed then.")
    return Preview(
        price=_price(wish, line, known),
        terms=rules.terms,
        rules=rules,
        broken=[*(said for code, said in found if code in may), *_beyond(wish, rules)],
        refused=refused,
    )


def book(wish: Wish, *, actor: Actor, expects_minor: int | None = None) -> Booking:
    """Book it, in the caller's transaction, that of its idempotency record.

    By link it is held until the time to pay is over; otherwise it is theirs at once.
    `expects_minor` is the price as staff were shown it. Raises what a claim raises, PriceChanged
    (409), InvalidInput for rules set aside without a reason, ChargesNotEnabled (409) for a link
    that nobody could pay by, and what `external.record_offline` raises.
    """
    require_transaction()
    if wish.overrides and not wish.reason.strip():
        raise InvalidInput("Say why the rules are set aside.", field="reason")
    told = preview(wish) if wish.overrides else None
    hold = services.claim(
        workspace=wish.workspace,
        lines=[_line(wish, _rules(wish))],
        claimant=wish.claimant,
        actor=actor,
    )
    total = hold.booking.total
    if expects_minor is not None and expects_minor != total.amount_minor:
        raise PriceChanged(difference_minor=total.amount_minor - expects_minor)
    story = {"how": wish.how, "set_aside": told.broken if told else []}
    rows.insert(
        [
            note(
                hold.booking, kind="booked_on_behalf", at=hold.created_at, actor=actor,
                reason=wish.reason, **story,
            )
        ]
    )  # fmt: skip
    _settle(wish, hold, actor)
    return Booking.objects.get(pk=hold.booking_id)


def pay_url(hold: Hold) -> str:
    """Where it is paid, by whoever has the link."""
    return absolute(reverse("holds:hold", args=[hold.token]))


def _settle(wish: Wish, hold: Hold, actor: Actor) -> None:
    amount = hold.booking.total
    if wish.how == COMPLIMENTARY or not amount.amount_minor:
        waive_locked(lock_money(hold.booking_id), actor, wish.reason)
    elif wish.how == OFFLINE:
        external.record_offline(
            hold_id=hold.pk,
            received=Received(wish.method, wish.reference or hold.booking.reference, amount),
            actor=actor,
            reason=wish.reason,
        )
    elif wish.how == LINK:
        _ask_to_pay(wish, hold)
    else:
        raise InvalidInput("By link, offline or complimentary.", field="how")


def _ask_to_pay(wish: Wish, hold: Hold) -> None:
    """Hold it as long as staff chose, at the longest until it begins; the mail has the link."""
    connect.refuse_unless_charging(wish.workspace, hold.booking.total_minor)
    if not wish.email:
        raise InvalidInput("A link to pay needs an e-mail address.", field="email")
    found = lock_hold(hold.pk)
    within = min(wish.pay_within, LONGEST)
    until = max(min(found.now + within, found.booking.starts_at), found.now + _AT_LEAST)
    services.keep_to_pay(found, until)
    told = mails.pay_by_link(
        found.booking, amount=found.booking.total, until=until, url=pay_url(hold)
    )
    rows.insert(told)


def _rules(wish: Wish) -> dict[UUID, Rules]:
    """Those of what is booked, and of the pools offered with it."""
    resource_id: UUID = wish.line.resource_id
    known = rules_for(workspace_id=wish.workspace.pk, resource_ids=[resource_id])
    if resource_id not in known:
        raise UnknownResource(line=0)
    pools = [offer.pool_id for offer in known[resource_id].offers if offer.is_required]
    return known | (rules_for(workspace_id=wish.workspace.pk, resource_ids=pools) if pools else {})


def _line(wish: Wish, known: Mapping[UUID, Rules]) -> LineRequest:
    """With what must be booked with it: staff choose no add-ons here."""
    return with_required(wish.line, known[wish.line.resource_id])


def _price(wish: Wish, line: LineRequest, known: Mapping[UUID, Rules]) -> Money:
    groups = groups_of_claimant(wish.claimant, wish.workspace.pk, known.values())
    parts = [part for part in parts_of([line]) if part.resource_id in known]
    quotes = [each for _, each in priced_parts(parts, [line], known, groups)]
    return Money(sum(q.total.amount_minor for q in quotes), wish.workspace.currency)


def _has_room(rules: Mapping[UUID, Rules], line: LineRequest) -> bool:
    """Whether nobody has it and nothing is closed then, whatever the opening hours say."""
    known = availability(rules=list(rules.values()), start=line.start, end=line.end)
    return first_taken(known, parts_of([line])) is None


def _beyond(wish: Wish, rules: Rules) -> list[str]:
    """That the member's limit would be exceeded, in words."""
    line = wish.line
    wanted = Booked(
        None, rules.resource_id, rules.category_id, line.start, line.end, rules.timezone
    )
    who = Claimant(email=wish.email.strip().lower())
    found = booking_limits.found_beyond(wish.workspace, who, [wanted])
    return [BookingLimitReached.of(found).message] if found else []


def moment_until(wish: Wish, now: datetime) -> datetime:
    """Until when a link would be good, for showing."""
    within = min(wish.pay_within, LONGEST)
    return max(min(now + within, wish.line.start), now + _AT_LEAST)
