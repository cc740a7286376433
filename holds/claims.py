"""Claiming: all lines of a request or none, in one transaction (design.md §5).

The constraints decide. What is looked up beforehand, under the resources' locks, is there so that
the error can say which line failed, and so that a flash crowd's losers cost little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection

from bookings import lock_objects, policy
from bookings.checks import check_window
from bookings.errors import SlotTaken, UnknownResource, WindowNotAllowed
from bookings.models import Booking, Line, Occupancy
from bookings.pricing import Quote, quote
from bookings.rules import Rules, Window
from bookings.selectors import is_taken, rules_for
from bookings.services import Move, event_for
from config.kernel import locks, rows
from config.kernel.context import Actor
from config.kernel.database_errors import translated
from config.kernel.effects import Happening, rows_for
from config.kernel.errors import InvalidInput
from holds import ending
from holds.errors import CheckoutOpen, TooManyHolds
from holds.models import Hold
from holds.states import ACTIVE
from members.models import Member, Workspace

_LONGEST = timedelta(days=366)

# One round trip under the locks: the time, and what stands in each line's window. `OFFSET 0` keeps
# the look-ups apart, so that each is one index scan whatever the planner knows of the tables.
_PROBE = """
    SELECT clock_timestamp(), w.position, o.booking_id, o.exclusive, o.lapses_at
    FROM (VALUES {wanted}) AS w(position, resource_id, during)
    LEFT JOIN LATERAL (
        SELECT booking_id, exclusive, lapses_at FROM bookings_occupancy
        WHERE exclusive AND resource_id = w.resource_id AND during && w.during
          AND released_at IS NULL
        {pooled}
        OFFSET 0
    ) o ON true
    ORDER BY w.position
"""
_POOLED = """
        UNION ALL
        SELECT booking_id, exclusive, lapses_at FROM bookings_occupancy
        WHERE NOT exclusive AND resource_id = w.resource_id AND during && w.during
          AND released_at IS NULL
"""
_LIVE_HOLDS = """
    SELECT count(*) FILTER (WHERE member_id = %(member)s),
           count(*) FILTER (WHERE visitor = %(visitor)s AND visitor <> ''),
           count(*) FILTER (WHERE address = %(address)s)
    FROM holds_hold
    WHERE state = 'active' AND workspace_id = %(workspace)s AND lapses_at > clock_timestamp()
      AND id <> ALL(%(own)s::uuid[])
      AND (member_id = %(member)s OR (visitor = %(visitor)s AND visitor <> '')
           OR address = %(address)s)
"""


@dataclass(frozen=True, slots=True)
class LineRequest:
    """What is asked for: a resource, a member-facing window, how many."""

    resource_id: UUID
    start: datetime
    end: datetime
    quantity: int = 1

    @property
    def window(self) -> Window:
        return Window(self.start, self.end)


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who asks: a member if signed in, the contact given, the browser and the address.

    `limited` says whether the workspace's limits on live holds apply; they guard pages, not secret
    keys (api.md).
    """

    member: Member | None = None
    email: str = ""
    name: str = ""
    visitor: str = ""
    address: str | None = None
    limited: bool = False


@dataclass(slots=True)
class _Claim:
    """A claim on its way: the request, then what the locks and the clock add to it."""

    workspace: Workspace
    lines: Sequence[LineRequest]
    claimant: Claimant
    actor: Actor
    ttl_seconds: int | None
    own: list[Hold]
    rules: dict[UUID, Rules] = field(default_factory=dict)
    now: datetime = field(init=False)
    is_probed: bool = False


def claim(
    *,
    workspace: Workspace,
    lines: Sequence[LineRequest],
    claimant: Claimant,
    actor: Actor,
    token: str | Sequence[str] = (),
    ttl_seconds: int | None = None,
) -> Hold:
    """Hold every line, or none, for `ttl_seconds` (60 to 7200; default by resource, workspace).

    Must run inside a transaction, that of its idempotency record. With the token of an earlier
    live hold: the same lines return that hold; other lines replace it. Several tokens name several
    holds of theirs, all of which are replaced.

    Raises UnknownResource, WindowNotAllowed, OutsideOpeningHours (422), SlotTaken (409) with the
    index of the line, TooManyHolds (429), and CheckoutOpen when a hold to be replaced has an open
    Checkout, which payments closes before it tries again.
    """
    locks.require_transaction()
    check_shape(lines, ttl_seconds)
    tokens = [token] if isinstance(token, str) and token else list(token)
    request = _Claim(workspace, lines, claimant, actor, ttl_seconds, _named(workspace, tokens))
    _limit(request)
    _lock(request)
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


def check_shape(lines: Sequence[LineRequest], ttl_seconds: int | None) -> None:
    """What can be refused without looking anything up."""
    if not lines:
        raise InvalidInput("Name at least one line.", field="lines")
    if len(lines) > 20:
        raise InvalidInput("At most 20 lines can be held together.", field="lines")
    if ttl_seconds is not None and not 60 <= ttl_seconds <= 7200:
        raise InvalidInput("Give 60 to 7200 seconds.", field="ttl_seconds")
    for index, line in enumerate(lines):
        if not timedelta(0) < line.window.duration <= _LONGEST:
            raise WindowNotAllowed(
                "The end must come after the start, within a year.", line=index, rule="duration"
            )


def _limit(request: _Claim) -> None:
    """Serialise this subject's claims, then count what it holds already."""
    who = request.claimant
    if not who.limited:
        return
    subjects = [f"visitor:{who.visitor}"] if who.visitor else []
    subjects += [f"member:{who.member.pk}"] if who.member else []
    subjects += [f"address:{who.address}"] if who.address else []
    locks.advisory(subjects)
    workspace = request.workspace
    with connection.cursor() as cursor:
        cursor.execute(
            _LIVE_HOLDS,
            {
                "member": who.member.pk if who.member else None,
                "visitor": who.visitor,
                "address": who.address,
                "workspace": workspace.pk,
                "own": [hold.pk for hold in request.own],
            },
        )
        of_member, of_visitor, of_address = cursor.fetchone()
    if (
        of_member >= workspace.max_live_holds_per_member
        or of_visitor >= workspace.max_live_holds_per_visitor
        or of_address >= workspace.max_live_holds_per_address
    ):
        raise TooManyHolds


def _lock(request: _Claim) -> None:
    """Lock the resources asked for, and those of the hold to be replaced, in one order."""
    if len(request.lines) == 1 and not request.own:
        _lock_one(request)
        return
    wanted = {line.resource_id for line in request.lines}
    ids = set(wanted)
    if request.own:
        ids |= set(
            Occupancy.objects.filter(
                booking_id__in=[hold.booking_id for hold in request.own]
            ).values_list("resource_id", flat=True)
        )
    request.rules = lock_objects.lock_rules(workspace_id=request.workspace.pk, resource_ids=ids)
    for index, line in enumerate(request.lines):
        if line.resource_id not in request.rules:
            raise UnknownResource(line=index)


def _lock_one(request: _Claim) -> None:
    """The usual claim: one exclusive resource, nobody in the window, and so nothing more to ask.

    Of a crowd, those who come after the first need not wait for the lock. A pool is looked at under
    the lock, for what has lapsed there.
    """
    (line,) = request.lines
    workspace_id, resource_id = request.workspace.pk, line.resource_id
    free = lock_objects.lock_rules_if_free(
        workspace_id=workspace_id, resource_id=resource_id, window=line.window
    )
    if free is not None:
        rules, request.now = free
        request.rules, request.is_probed = {resource_id: rules}, rules.is_exclusive
        return
    known = rules_for(workspace_id=workspace_id, resource_ids=[resource_id])
    if not known:
        raise UnknownResource(line=0)
    now, taken = is_taken(resource_id, known[resource_id].occupied(line.window))
    check_window(known[resource_id], line.window, quantity=line.quantity, now=now, line=0)
    if taken:
        raise SlotTaken(line=0)
    request.rules = lock_objects.lock_rules(workspace_id=workspace_id, resource_ids=[resource_id])
    if not request.rules:
        raise UnknownResource(line=0)


def _probe(request: _Claim) -> Hold | None:
    """Under the locks: clear what lapsed, deal with the visitor's own hold, find what is taken."""
    now, lapsed, taken = _look(request)
    request.now = now
    _check(request)
    if lapsed:
        ending.expire_locked(lapsed)
    if taken is not None:
        raise SlotTaken(line=taken)
    return _same_or_replaced(request) if request.own else None


def _check(request: _Claim) -> None:
    for index, line in enumerate(request.lines):
        rules = request.rules[line.resource_id]
        check_window(rules, line.window, quantity=line.quantity, now=request.now, line=index)


def _look(request: _Claim) -> tuple[datetime, list[UUID], int | None]:
    """The time, the bookings that lapsed in our windows, and the first line that others have."""
    wanted: list[str] = []
    parameters: list[Any] = []
    pooled = ""
    for index, line in enumerate(request.lines):
        rules = request.rules[line.resource_id]
        taken = rules.occupied(line.window)
        wanted.append(f"({index}, %s::uuid, tstzrange(%s, %s))")
        parameters += [line.resource_id, taken.start, taken.end]
        pooled = pooled if rules.is_exclusive else _POOLED
    with connection.cursor() as cursor:
        cursor.execute(_PROBE.format(wanted=", ".join(wanted), pooled=pooled), parameters)
        found = cursor.fetchall()
    now: datetime = found[0][0]
    own = {hold.booking_id for hold in request.own}
    lapsed, others = set(), []
    for _, position, booking_id, exclusive, lapses_at in found:
        if lapses_at is not None and lapses_at <= now:
            lapsed.add(booking_id)
        elif exclusive and booking_id not in own:
            others.append(position)
    return now, sorted(lapsed), min(others, default=None)


def _same_or_replaced(request: _Claim) -> Hold | None:
    """The visitor's own live hold is returned when it is the same, else all are released first."""
    found = [ending.lock_own(hold.booking_id) for hold in request.own]
    live = [h for h in found if h and h.state == ACTIVE and h.lapses_at > request.now]
    wanted = {(ln.resource_id, ln.start, ln.end, ln.quantity) for ln in request.lines}
    for own in live:
        held = Line.objects.filter(booking_id=own.booking_id).values_list(
            "resource_id", "starts_at", "ends_at", "quantity"
        )
        if set(held) == wanted:
            return own
    paying = [own.pk for own in live if own.has_open_checkout]
    if paying:
        raise CheckoutOpen(*paying)
    for own in live:
        ending.release_locked(own, request.now, request.actor, "Replaced by another choice")
    return None


def _write_unseen(request: _Claim) -> Hold:
    """Write without a look under the lock: the constraint knows who came in before it was had."""
    try:
        return _write(request)
    except IntegrityError as error:
        named = translated(error)
        if isinstance(named, SlotTaken):
            raise SlotTaken(named.message, line=0) from error
        raise


def _write(request: _Claim) -> Hold:
    """Booking, lines, occupancies, hold, event and effects, in one statement."""
    quotes = [quote(request.rules[ln.resource_id], ln.window, ln.quantity) for ln in request.lines]
    booking = _booking(request, quotes)
    hold = _hold(request, booking)
    lines = [
        Line(
            booking_id=booking.pk,
            position=index,
            resource_id=line.resource_id,
            starts_at=line.start,
            ends_at=line.end,
            quantity=line.quantity,
            amount_minor=priced.total.amount_minor,
            price=priced.parts,
        )
        for index, (line, priced) in enumerate(zip(request.lines, quotes, strict=True))
    ]
    occupancies = [_occupancy(request, line, hold) for line in lines]
    move = Move("pending_payment", request.now, request.actor)
    event = event_for(booking, move, from_state="", kind="held")
    placed = Happening("hold.placed", hold, request.now, request.actor, data={"lines": lines})
    rows.insert([booking, *lines, *occupancies, hold, event, *rows_for(placed)])
    hold.lines = lines
    return hold


def _booking(request: _Claim, quotes: list[Quote]) -> Booking:
    who, workspace = request.claimant, request.workspace
    return Booking(
        workspace=workspace,
        member=who.member,
        email=who.email or (who.member.email if who.member else ""),
        name=who.name or (who.member.name if who.member else ""),
        currency=workspace.currency,
        total_minor=sum(q.total.amount_minor for q in quotes),
        price=_snapshot(quotes),
        policy=policy.snapshot([request.rules[line.resource_id].terms for line in request.lines]),
        starts_at=min(line.start for line in request.lines),
        ends_at=max(line.end for line in request.lines),
        created_at=request.now,
    )


def _snapshot(quotes: list[Quote]) -> dict[str, Any]:
    return {"lines": [{"total_minor": q.total.amount_minor, "parts": q.parts} for q in quotes]}


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
