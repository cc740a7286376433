"""Changing a confirmed booking: its new time is claimed beside the old (design.md §4, §5).

What costs nothing more is committed in the same transaction; what does is held until it is paid.
Until then, and should the hold lapse, the booking stays where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from bookings import changes, lock_objects
from bookings.availability import availability, units_free
from bookings.changes import MovedLine
from bookings.checks import broken_rules
from bookings.discount_rules import frozen_reduction, repriced
from bookings.errors import OutsideOpeningHours, UnknownResource, WindowNotAllowed
from bookings.group_prices import groups_for
from bookings.limits import Booked
from bookings.models import Booking, Change, Line, Occupancy
from bookings.pricing import quote
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from bookings.services import note, refuse_another_version
from bookings.states import CONFIRMED
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.effects import Happening, rows_for
from config.kernel.errors import InvalidInput, InvalidTransition, NotFound
from config.kernel.locks import locked, require_transaction
from holds import booking_limits, ending, limits, moving
from holds.errors import CheckoutOpen
from holds.models import Hold
from holds.probe import Wanted, look
from holds.states import ACTIVE
from holds.subjects import Claimant
from members.models import Workspace

# Why a pending change ended, where its booker chose another one (or none) instead.
REPLACED = "Replaced by another choice"


@dataclass(frozen=True, slots=True)
class NewWindow:
    """Where a line of a booking is to go: the line's position, a window, and a resource.

    Without a resource it stays on its own.
    """

    position: int
    start: datetime
    end: datetime
    resource_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A change that has been looked at under the locks, and written down by `place`.

    What is `moved` is a line for each of its `windows`, in order, and then the add-ons that go with
    them.
    """

    booking: Booking
    moved: list[MovedLine]
    rules: dict[UUID, Rules]
    now: datetime
    windows: int
    claimant: Claimant = field(default_factory=Claimant)

    def window_of(self, index: int) -> int:
        """The index of the window by which one of the `moved` moves."""
        if index < self.windows:
            return index
        parent = self.moved[index].line.parent_id
        return next(n for n, each in enumerate(self.moved) if each.line.pk == parent)

    def add_on_of(self, index: int) -> int | None:
        """Which add-on of its line one of the `moved` is; None for the line itself."""
        if index < self.windows:
            return None
        parent = self.moved[index].line.parent_id
        return sum(each.line.parent_id == parent for each in self.moved[self.windows : index])

    @property
    def difference_minor(self) -> int:
        """What the booking costs more than before; below zero: less."""
        return sum(each.difference_minor for each in self.moved)


def ask(
    *,
    booking_id: UUID,
    windows: Sequence[NewWindow],
    actor: Actor,
    claimant: Claimant | None = None,
    version: int | None = None,
) -> Asked:
    """Lock what a change touches, and see whether every new window keeps the rules.

    A pending change of the booking is given up. `version` is the booking's as the caller read it.
    Raises InvalidInput, UnknownResource, WindowNotAllowed and OutsideOpeningHours (422) with the
    index of the window, NotFound, InvalidTransition unless the booking is confirmed,
    VersionMismatch (412), BookingLimitReached (422), TooManyHolds (429), and CheckoutOpen when the
    pending change is being paid for: payments closes its Checkout before it tries again.
    """
    require_transaction()
    if not windows:
        raise InvalidInput("Name at least one line.", field="lines")
    who = claimant or Claimant()
    workspace = Workspace.objects.filter(bookings=booking_id).first()
    if workspace is None:
        raise NotFound("There is no such booking.")
    subject = _subject(workspace, booking_id, claimant)
    limits.refuse_too_many(workspace, subject, own=_pending_ids(booking_id))
    booking = _locked(workspace, booking_id, windows)
    refuse_another_version(booking, version)
    refuse_unless_confirmed(booking)
    give_up_pending(booking, actor)
    asked = looked_up(booking, windows, now=lock_objects.now_under_locks())
    if workspace.limits_bookings:
        _refuse_beyond(workspace, subject, asked)
    return replace(asked, claimant=who)


def _subject(workspace: Workspace, booking_id: UUID, claimant: Claimant | None) -> Claimant:
    """Who moves it, and by whose limits: the booking's member's, unless it is the operator's deed.

    The booking's e-mail address is read before its lock: it is set once, before it is paid.
    """
    who = claimant or Claimant()
    if claimant is None or not workspace.limits_bookings:
        return replace(who, may_exceed=claimant is None)
    booking = Booking.objects.select_related("member").get(pk=booking_id)
    return replace(who, email=booking.email or (booking.member.email if booking.member else ""))


def _refuse_beyond(workspace: Workspace, who: Claimant, asked: Asked) -> None:
    """A move goes no further than a new booking: it is counted where it would be."""
    wanted = [
        Booked(None, r.resource_id, r.category_id, each.window.start, each.window.end, r.timezone)
        for each in asked.moved
        for r in [asked.rules[each.resource_id]]
    ]
    gone = {(each.line.resource_id, each.line.starts_at, each.line.ends_at) for each in asked.moved}
    lines = booking_limits.lines_of(asked.booking.pk)
    staying = [line for line in lines if (line.resource_id, line.start, line.end) not in gone]
    booking_limits.refuse_beyond(workspace, who, wanted, moving=asked.booking.pk, staying=staying)


def refuse_unless_confirmed(booking: Booking) -> None:
    """Raises InvalidTransition (409)."""
    if booking.state != CONFIRMED:
        raise InvalidTransition("Only a confirmed booking can be changed.")


def looked_up(booking: Booking, windows: Sequence[NewWindow], *, now: datetime) -> Asked:
    """What each line would be and cost; without locks it is as stale as every look.

    The add-ons of a line go where it goes. Raises InvalidInput, UnknownResource, WindowNotAllowed,
    OutsideOpeningHours and, where a line goes to another resource, AddOnNotAllowed (422).
    """
    every = list(booking.lines.filter(cancelled_at=None).order_by("position"))
    lines = {line.position: line for line in every if line.parent_id is None}
    wanted = [_line_of(lines, window, index) for index, window in enumerate(windows)]
    add_ons = moving.add_ons_of(every)
    ids = {w.resource_id or line.resource_id for w, line in zip(windows, wanted, strict=True)}
    ids |= {each.resource_id for line in wanted for each in add_ons[line.pk]}
    rules = rules_for(workspace_id=booking.workspace_id, resource_ids=ids)
    groups = groups_for(booking.member, booking.workspace_id, rules.values())
    moved = [
        _moved(booking, line, window, rules, now, index, groups)
        for index, (window, line) in enumerate(zip(windows, wanted, strict=True))
    ]
    discount = frozen_reduction(booking.price)
    with_them = moving.with_their_lines(moved, add_ons, rules, discount)
    return Asked(booking, [*moved, *with_them], rules, now, len(moved))


def first_taken(asked: Asked) -> int | None:
    """The first window of which others seem to have some; as stale as every look."""
    had = changes.backing(asked.booking.pk)
    windows = [moved.window for moved in asked.moved]
    known = availability(
        rules=list(asked.rules.values()),
        start=min(window.start for window in windows),
        end=max(window.end for window in windows),
        ignore_booking_id=asked.booking.pk,
    )
    for index, moved in enumerate(asked.moved):
        for anew in moved.taken_anew(had.get(moved.line.pk, [])):
            if units_free(known[moved.resource_id], anew) < moved.line.quantity:
                return asked.window_of(index)
    return None


def place(
    asked: Asked,
    *,
    actor: Actor,
    ttl_seconds: int | None = None,
    reason: str = "",
) -> Hold:
    """Hold what the booking does not have yet until the difference is paid. All windows or none.

    Raises SlotTaken (409) with the index of the window.
    """
    change = changes.new_change(asked.booking, asked.moved, asked.now)
    hold = _hold(asked, change, ttl_seconds)
    taken = _take(asked, change, lapses_at=hold.lapses_at)
    data = {"change": str(change.pk), "difference_minor": change.difference_minor}
    event = note(
        asked.booking, kind="change_held", at=asked.now, actor=actor, reason=reason, **data
    )
    happening = Happening("change.held", hold, asked.now, actor, reason)
    rows.insert([change, *taken, hold, event, *rows_for(happening)])
    return hold


def make(asked: Asked, *, actor: Actor, **data: Any) -> Change:
    """Take it and commit at once: nothing is to be paid for. `data` (and a `reason` in it) goes
    into the history.

    Raises SlotTaken (409) with the index of the window.
    """
    change = changes.new_change(asked.booking, asked.moved, asked.now)
    rows.insert([change, *_take(asked, change, lapses_at=None)])
    changes.commit(asked.booking, change, at=asked.now, actor=actor, **data)
    return change


def give_up_pending(booking: Booking, actor: Actor) -> None:
    """End a locked booking's pending change. Raises CheckoutOpen while it can be paid for."""
    for hold in locked(_pending(booking.pk)):
        now = lock_objects.now_under_locks()
        hold.booking = booking
        if hold.lapses_at <= now:
            ending.expire_locked([booking.pk])
        elif hold.has_open_checkout:
            raise CheckoutOpen(hold.pk)
        else:
            ending.release_locked(hold, now, actor, REPLACED)


def _pending(booking_id: UUID) -> QuerySet[Hold]:
    return Hold.objects.filter(booking_id=booking_id, state=ACTIVE, change__isnull=False)


def _pending_ids(booking_id: UUID) -> list[UUID]:
    return list(_pending(booking_id).values_list("pk", flat=True))


def _locked(workspace: Workspace, booking_id: UUID, windows: Sequence[NewWindow]) -> Booking:
    """The booking under its lock, after every resource that it has or is to have.

    Another workspace's resource is not even locked: it is refused as unknown later.
    """
    named = {window.resource_id for window in windows if window.resource_id}
    others = workspace.resources.filter(pk__in=named).values_list("pk", flat=True) if named else []
    lock_objects.lock_resources_of([booking_id], also=others)
    booking = lock_objects.lock_bookings([booking_id]).first()
    if booking is None:
        raise NotFound("There is no such booking.")
    return booking


def _line_of(lines: dict[int, Line], window: NewWindow, index: int) -> Line:
    line = lines.pop(window.position, None)
    if line is None:
        raise InvalidInput("The booking has no such line, or it is named twice.", field="lines")
    if window.end <= window.start:
        raise WindowNotAllowed("The end must come after the start.", line=index, rule="duration")
    return line


def _moved(
    booking: Booking,
    line: Line,
    window: NewWindow,
    rules: dict[UUID, Rules],
    now: datetime,
    index: int,
    groups: frozenset[UUID],
) -> MovedLine:
    found = rules.get(window.resource_id or line.resource_id)
    if found is None:
        raise UnknownResource(line=index)
    span = Window(window.start, window.end)
    for code, detail in broken_rules(found, span, quantity=line.quantity, now=now):
        if code == "notice" and span.start == line.starts_at and span.end > now:
            continue  # it has begun, or soon will, and only its end moves
        kind = OutsideOpeningHours if code == "hours" else WindowNotAllowed
        raise kind(detail, line=index, rule=code)
    priced = quote(found, span, line.quantity, groups=groups)
    if discount := frozen_reduction(booking.price):
        priced = repriced(priced, found.resource_id, line.price, discount)
    return MovedLine(line, found.resource_id, span, found.occupied(span), priced)


def _take(asked: Asked, change: Change, *, lapses_at: datetime | None) -> list[Occupancy]:
    """The rows for what is taken anew; others' lapsed holds there are cleared away."""
    had = changes.backing(asked.booking.pk)
    wanted = [
        _wanted(asked, index, window)
        for index, moved in enumerate(asked.moved)
        for window in moved.taken_anew(had.get(moved.line.pk, []))
    ]
    if wanted:
        look([each for _, each in wanted], own=set()).clear(ending.expire_locked)
    return [
        Occupancy(
            resource_id=each.resource_id,
            booking_id=change.booking_id,
            line_id=moved.line.pk,
            change_id=change.pk,
            during=(each.during.start, each.during.end),
            quantity=each.quantity,
            exclusive=each.is_exclusive,
            lapses_at=lapses_at,
        )
        for moved, each in wanted
    ]


def _wanted(asked: Asked, index: int, anew: Window) -> tuple[MovedLine, Wanted]:
    moved = asked.moved[index]
    rules = asked.rules[moved.resource_id]
    wanted = Wanted(
        line=asked.window_of(index),
        resource_id=moved.resource_id,
        during=anew,
        is_exclusive=rules.is_exclusive,
        quantity=moved.line.quantity,
        capacity=rules.capacity,
        add_on=asked.add_on_of(index),
    )
    return moved, wanted


def _hold(asked: Asked, change: Change, ttl_seconds: int | None) -> Hold:
    who = asked.claimant
    by_rules = min(asked.rules[moved.resource_id].hold_ttl_seconds for moved in asked.moved)
    expires_at = asked.now + timedelta(seconds=ttl_seconds or by_rules)
    return Hold(
        workspace_id=asked.booking.workspace_id,
        booking=asked.booking,
        change=change,
        created_at=asked.now,
        expires_at=expires_at,
        lapses_at=expires_at,
        member=who.member,
        visitor=who.visitor,
        address=who.address,
    )
