"""Claiming: all lines of a request or none, in one transaction (design.md §5).

The constraints decide. What is looked up beforehand, under the resources' locks, is there so that
the error can say which line failed, and so that a flash crowd's losers cost little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError

from bookings import discounts, lock_objects, policy
from bookings.add_ons import check_add_ons
from bookings.calendars import freshening
from bookings.checks import check_window
from bookings.discount_rules import frozen_reduction, reduced, snapshot
from bookings.errors import SlotTaken, UnknownResource, WindowNotAllowed
from bookings.limits import Booked
from bookings.models import Booking, Line, Occupancy, Series
from bookings.pool_use import peak_of_pool
from bookings.pricing import Quote
from bookings.rules import Rules, Window
from bookings.selectors import is_taken, rules_for
from bookings.series import MOST as MOST_OF_SERIES
from bookings.services import Move, event_for
from bookings.states import AWAITING_APPROVAL, PENDING_PAYMENT
from bookings.visibility import visible
from config.kernel import locks, rows
from config.kernel.context import Actor
from config.kernel.database_errors import translated
from config.kernel.effects import Happening, rows_for
from config.kernel.errors import InvalidInput
from holds import booking_limits, ending, limits
from holds.errors import CheckoutOpen
from holds.models import Hold
from holds.parts import Part, likeness, parts_of, requests_of, wanted
from holds.pricing import groups_of_claimant, priced_parts
from holds.probe import Seen, look
from holds.states import ACTIVE
from holds.subjects import AddOnRequest, Claimant, LineRequest
from members.models import Workspace

_LONGEST = timedelta(days=366)
MOST_LINES, _MOST_ADD_ONS = 20, 40

__all__ = ["AddOnRequest", "Claimant", "LineRequest", "check_shape", "claim"]


@dataclass(slots=True)
class _Claim:
    """A claim on its way: the request, then what the locks and the clock add to it."""

    workspace: Workspace
    lines: Sequence[LineRequest]
    claimant: Claimant
    actor: Actor
    ttl_seconds: int | None
    own: list[Hold]
    series: Series | None = None
    discount: discounts.Found | None = None
    rules: dict[UUID, Rules] = field(default_factory=dict)
    now: datetime = field(init=False)
    is_probed: bool = False
    parts: list[Part] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = parts_of(self.lines)


def claim(
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    claimant: Claimant,
    actor: Actor,
    token: str | Sequence[str] = (),
    ttl_seconds: int | None = None,
    series: Series | None = None,
    discount_code: str = "",
) -> Hold:
    """Hold every line, or none, for `ttl_seconds` (60 to 7200; default by resource, workspace).

    Must run inside a transaction, that of its idempotency record. With the token of an earlier
    live hold: the same lines return that hold; other lines replace it. Several tokens name several
    holds of theirs, all of which are replaced. Of a `series` there may be more lines than usual.

    Raises UnknownResource, WindowNotAllowed, OutsideOpeningHours, AddOnNotAllowed, OnlyWithOthers
    (422), SlotTaken (409) with the index of the line (and of its add-on) and how many are left,
    DiscountRefused (422) for a code that cannot be used, BookingLimitReached (422), TooManyHolds
    (429), and CheckoutOpen when a hold to be replaced has an open Checkout, which payments closes
    before it tries again. Within `freshening.fresh_first`, calendars that are too old are read.
    """
    locks.require_transaction()
    check_shape(lines, ttl_seconds, most=MOST_OF_SERIES if series else MOST_LINES)
    tokens = [token] if isinstance(token, str) and token else list(token)
    code = discounts.find(workspace.pk, discount_code) if discount_code else None
    own = _named(workspace, tokens)
    request = _Claim(workspace, lines, claimant, actor, ttl_seconds, own, series, code)
    also = code.subjects if code else []
    limits.refuse_too_many(workspace, claimant, own=[hold.pk for hold in own], also=also)
    _lock(request)
    freshening.refuse_stale(request.rules.values())
    if workspace.limits_bookings:
        _refuse_beyond(request)
    if request.is_probed:
        _check(request)
        return _write_unseen(request)
    return _probe(request) or _write(request)


def _named(workspace: Workspace, tokens: list[str]) -> list[Hold]:
    """The visitor's earlier holds, by the tokens that they brought."""
    if not tokens:
        return []
    mine = Hold.objects.filter(token__in=tokens, workspace=workspace)
    return list(mine.order_by("booking_id"))


def check_shape(
    lines: Sequence[LineRequest], ttl_seconds: int | None, *, most: int = MOST_LINES
) -> None:
    """What can be refused without looking anything up."""
    if not lines:
        raise InvalidInput("Name at least one line.", field="lines")
    if len(lines) > most:
        raise InvalidInput(f"At most {most} lines can be held together.", field="lines")
    if sum(len(line.add_ons) for line in lines) > max(most, _MOST_ADD_ONS):
        raise InvalidInput("These are too many add-ons to be held together.", field="lines")
    if ttl_seconds is not None and not 60 <= ttl_seconds <= 7200:
        raise InvalidInput("Give 60 to 7200 seconds.", field="ttl_seconds")
    for index, line in enumerate(lines):
        if not timedelta(0) < line.window.duration <= _LONGEST:
            raise WindowNotAllowed(
                "The end must come after the start, within a year.", line=index, rule="duration"
            )


def _lock(request: _Claim) -> None:
    """Lock the resources asked for, and those of the hold to be replaced, in one order."""
    if len(request.parts) == 1 and not request.own:
        _lock_one(request)
        return
    ids = {part.resource_id for part in request.parts}
    if request.own:
        ids |= set(
            Occupancy.objects.filter(
                booking_id__in=[hold.booking_id for hold in request.own]
            ).values_list("resource_id", flat=True)
        )
    locked = lock_objects.lock_rules(workspace_id=request.workspace.pk, resource_ids=ids)
    request.rules = visible(locked, request.claimant.viewer)
    for part in request.parts:
        if part.resource_id not in request.rules:
            raise _unknown(part)


def _unknown(part: Part) -> UnknownResource:
    return UnknownResource(line=part.line, add_on=part.add_on)


def _lock_one(request: _Claim) -> None:
    """The usual claim: one exclusive resource, nobody in the window, and so nothing more to ask.

    Of a crowd, those who come after the first need not wait for the lock, nor those for whom a pool
    has too few units left. A pool is looked at under the lock, for what has lapsed there.
    """
    (line,) = request.lines
    workspace_id, resource_id = request.workspace.pk, line.resource_id
    free = lock_objects.lock_rules_if_free(
        workspace_id=workspace_id,
        resource_id=resource_id,
        window=line.window,
        quantity=line.quantity,
    )
    if free is not None:
        rules, request.now = free
        if not visible({resource_id: rules}, request.claimant.viewer):
            raise UnknownResource(line=0)
        request.rules, request.is_probed = {resource_id: rules}, rules.is_exclusive
        return
    known = rules_for(workspace_id=workspace_id, resource_ids=[resource_id])
    if not visible(known, request.claimant.viewer):
        raise UnknownResource(line=0)
    request.rules = known
    request.now, remaining = _left(known[resource_id], line)
    _check(request)
    if remaining < line.quantity:
        raise SlotTaken(line=0, remaining=remaining)
    locked = lock_objects.lock_rules(workspace_id=workspace_id, resource_ids=[resource_id])
    request.rules = visible(locked, request.claimant.viewer)
    if not request.rules:
        raise UnknownResource(line=0)


def _left(rules: Rules, line: LineRequest) -> tuple[datetime, int]:
    """The time, and how many units nobody has: as stale as every look without a lock."""
    occupied = rules.occupied(line.window)
    if rules.is_exclusive:
        now, taken = is_taken(line.resource_id, occupied)
        return now, 0 if taken else 1
    now, peak = peak_of_pool(line.resource_id, occupied)
    return now, max(0, rules.capacity - peak)


def _probe(request: _Claim) -> Hold | None:
    """Under the locks: clear what lapsed, deal with the visitor's own hold, find what is taken."""
    seen = _look(request)
    request.now = seen.now
    _check(request)
    seen.clear(ending.expire_locked)
    return _same_or_replaced(request) if request.own else None


def _refuse_beyond(request: _Claim) -> None:
    """What the member may book, counted under their lock. A hold to be replaced does not count."""
    wanted = [
        Booked(None, r.resource_id, r.category_id, line.start, line.end, r.timezone)
        for line in request.lines
        for r in [request.rules[line.resource_id]]
    ]
    own = [hold.booking_id for hold in request.own]
    booking_limits.refuse_beyond(request.workspace, request.claimant, wanted, own=own)


def _check(request: _Claim) -> None:
    for index, line in enumerate(request.lines):
        rules = request.rules[line.resource_id]
        check_window(
            rules,
            line.window,
            quantity=line.quantity,
            now=request.now,
            line=index,
            overridden=request.claimant.overrides,
        )
        chosen = [(add_on.resource_id, add_on.quantity) for add_on in line.add_ons]
        check_add_ons(rules, chosen, quantity=line.quantity, line=index)


def _look(request: _Claim) -> Seen:
    all_wanted = [wanted(part, request.rules[part.resource_id]) for part in request.parts]
    return look(all_wanted, own={hold.booking_id for hold in request.own})


def _same_or_replaced(request: _Claim) -> Hold | None:
    """The visitor's own live hold is returned when it is the same, else all are released first."""
    found = [ending.lock_own(hold) for hold in request.own]
    live = [h for h in found if h and h.state == ACTIVE and h.lapses_at > request.now]
    asked = likeness(request.lines)
    for own in live:
        if own.change_id is not None:
            continue
        held = list(Line.objects.filter(booking_id=own.booking_id))
        if likeness(requests_of(held)) == asked and _is_same_price(request, own):
            return own
    paying = [own.pk for own in live if own.has_open_checkout]
    if paying:
        raise CheckoutOpen(*paying)
    for own in live:
        ending.release_locked(own, request.now, request.actor, "Replaced by another choice")
    return None


def _is_same_price(request: _Claim, own: Hold) -> bool:
    """Whether it has the code that is asked for; who names none keeps the one they have."""
    has = frozen_reduction(own.booking.price)
    return request.discount is None or (has is not None and has == request.discount.reduction)


def _write_unseen(request: _Claim) -> Hold:
    """Write without a look under the lock: the constraint knows who came in before it was had."""
    try:
        return _write(request)
    except IntegrityError as error:
        named = translated(error)
        if isinstance(named, SlotTaken):
            raise SlotTaken(named.message, line=0, remaining=0) from error
        raise


def _write(request: _Claim) -> Hold:
    """Booking, lines, occupancies, hold, event and effects, in one statement."""
    quotes = _quotes(request)
    booking = _booking(request, quotes)
    hold = _hold(request, booking)
    lines = _lines(request, booking, quotes)
    occupancies = [_occupancy(request, line, hold) for line in lines]
    move = Move(booking.state, request.now, request.actor)
    event = event_for(booking, move, from_state="", kind="held")
    placed = Happening("hold.placed", hold, request.now, request.actor, data={"lines": lines})
    uses = [discounts.use_of(request.discount, booking, request.now)] if request.discount else []
    with discounts.refusals():
        rows.insert([booking, *lines, *occupancies, hold, event, *uses, *rows_for(placed)])
    hold.lines = lines
    return hold


def _lines(request: _Claim, booking: Booking, quotes: list[Quote]) -> list[Line]:
    """A line for each part, in order: an add-on comes after the line that it belongs to."""
    lines: list[Line] = []
    for position, (part, priced) in enumerate(zip(request.parts, quotes, strict=True)):
        line = Line(
            booking_id=booking.pk,
            position=position,
            resource_id=part.resource_id,
            starts_at=part.window.start,
            ends_at=part.window.end,
            quantity=part.quantity,
            parent_id=None if part.add_on is None else lines[part.line].pk,
            amount_minor=priced.total.amount_minor,
            price=priced.parts,
        )
        lines.append(line)
    return lines


def _quotes(request: _Claim) -> list[Quote]:
    """What each part costs whoever claims, less their discount."""
    groups = groups_of_claimant(request.claimant, request.workspace.pk, request.rules.values())
    priced = priced_parts(request.parts, request.lines, request.rules, groups)
    if request.discount is None:
        return [found for _, found in priced]
    if not request.claimant.limited:  # visitors give theirs when they pay, and are counted then
        discounts.refuse_anonymous(request.discount, email=_email(request.claimant))
    currency = request.workspace.currency
    discounts.refuse_unless_fit(request.discount, priced, at=request.now, currency=currency)
    return reduced(priced, request.discount.reduction)


def _of_line(request: _Claim, part: Part) -> Rules:
    """The rules of the line that a part is, or belongs to."""
    return request.rules[request.lines[part.line].resource_id]


def _booking(request: _Claim, quotes: list[Quote]) -> Booking:
    who, workspace = request.claimant, request.workspace
    approval = _approval(request)
    return Booking(
        state=AWAITING_APPROVAL if approval else PENDING_PAYMENT,
        approval_ttl_seconds=approval,
        workspace=workspace,
        series=request.series,
        member=who.member,
        email=_email(who),
        name=who.name or (who.member.name if who.member else ""),
        currency=workspace.currency,
        total_minor=sum(q.total.amount_minor for q in quotes),
        price=snapshot(quotes, request.discount.reduction if request.discount else None),
        policy=policy.snapshot([_of_line(request, part).terms for part in request.parts]),
        starts_at=min(line.start for line in request.lines),
        ends_at=max(line.end for line in request.lines),
        created_at=request.now,
    )


def _approval(request: _Claim) -> int | None:
    """How long staff have to approve it, where one of the lines asks for that: the shortest."""
    if request.claimant.approved:
        return None
    asked = [request.rules[line.resource_id].approval_ttl_seconds for line in request.lines]
    return min((seconds for seconds in asked if seconds is not None), default=None)


def _email(who: Claimant) -> str:
    return who.email or (who.member.email if who.member else "")


def _hold(request: _Claim, booking: Booking) -> Hold:
    who = request.claimant
    by_rules = min(request.rules[ln.resource_id].hold_ttl_seconds for ln in request.lines)
    expires_at = request.now + timedelta(seconds=request.ttl_seconds or by_rules)
    return Hold(
        workspace_id=request.workspace.pk,
        booking=booking,
        created_at=request.now,
        expires_at=expires_at,
        lapses_at=expires_at,
        member=who.member,
        visitor=who.visitor,
        address=who.address,
    )


def _occupancy(request: _Claim, line: Line, hold: Hold) -> Occupancy:
    rules = request.rules[line.resource_id]
    taken = rules.occupied(Window(line.starts_at, line.ends_at))
    return Occupancy(
        resource_id=line.resource_id,
        booking_id=hold.booking_id,
        line_id=line.pk,
        during=(taken.start, taken.end),
        quantity=line.quantity,
        exclusive=rules.is_exclusive,
        lapses_at=hold.lapses_at,
    )
