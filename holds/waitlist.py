"""Waiting for a time that is taken: joining a line, leaving it, and what ends a wait (ADR 8).

Lock order: the resource, then bookings and holds, and an entry's own row last of all. Joining and
offering both hold the resource's lock, so that a line is in the order in which people came.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import models, transaction
from django.db.models import Q

from bookings import lock_objects
from bookings.availability import availability
from bookings.checks import check_window
from bookings.errors import OnlyWithOthers, UnknownResource, WindowNotAllowed
from bookings.rules import Rules, Window
from bookings.visibility import visible
from config.kernel import locks, rows
from config.kernel.context import SYSTEM, Actor
from config.kernel.effects import Happening, rows_for
from config.kernel.errors import NotFound, VersionMismatch
from config.kernel.locks import retried_on_deadlock
from holds import ending
from holds.errors import AlreadyFree, StillOffered, TooManyWaiting
from holds.models import WaitlistEntry
from holds.subjects import Claimant
from holds.waitlist_line import first_fit, possible_windows, waiting_for
from holds.waitlist_states import (
    LEFT,
    LIVE,
    OFFERED,
    OVER,
    PASSED,
    REMOVED,
    WAITING,
    WAITLIST_STATES,
)
from members.models import Workspace

LONGEST_RANGE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody waits for: so long, so many, anywhere within a window.

    Without `duration_seconds` it is the whole window.
    """

    resource_id: UUID
    start: datetime
    end: datetime
    duration_seconds: int | None = None
    quantity: int = 1

    @property
    def window(self) -> Window:
        return Window(self.start, self.end)

    @property
    def seconds(self) -> int:
        return self.duration_seconds or int(self.window.duration.total_seconds())

    @property
    def last_start(self) -> datetime:
        return self.end - timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Joined:
    """A place in line, and whether it is a new one."""

    entry: WaitlistEntry
    is_new: bool


def join(*, workspace: Workspace, wish: Wish, who: Claimant, actor: Actor) -> Joined:
    """Join the line for a time that is taken.

    The same person stays where they are with the same time.

    Must run inside a transaction, that of its idempotency record. `who` has an e-mail address.
    Raises UnknownResource, OnlyWithOthers, WindowNotAllowed, OutsideOpeningHours (422) where the
    rules never give it, AlreadyFree (409) with the window that can be held now, TooManyWaiting
    (429).
    """
    locks.require_transaction()
    if wish.last_start < wish.start or (
        wish.window.duration > LONGEST_RANGE and wish.duration_seconds
    ):
        raise WindowNotAllowed("Look for it within at most a week.", rule="duration")
    locks.advisory(_subjects(workspace, who))
    rules = _lock(workspace, wish.resource_id, who)
    entry = _entry(workspace, wish, who)
    if known := _live_alike(entry):
        return Joined(known, is_new=False)
    _refuse_what_rules_forbid(rules, entry)
    _refuse_what_is_free(rules, entry)
    _refuse_too_many(workspace, who)
    rows.insert([entry, *_follows(entry, "joined", entry.queued_at, actor)])
    return Joined(entry, is_new=True)


def _subjects(workspace: Workspace, who: Claimant) -> list[str]:
    by_visitor = [f"waiting:{workspace.pk}:{who.visitor}"] if who.visitor else []
    return [f"waiting:{workspace.pk}:{who.email}", *by_visitor]


def _lock(workspace: Workspace, resource_id: UUID, who: Claimant) -> Rules:
    locked = lock_objects.lock_rules(workspace_id=workspace.pk, resource_ids=[resource_id])
    found = visible(locked, who.viewer)
    if resource_id not in found:
        raise UnknownResource
    if found[resource_id].only_with_others:
        raise OnlyWithOthers(line=0)
    return found[resource_id]


def _entry(workspace: Workspace, wish: Wish, who: Claimant) -> WaitlistEntry:
    """Their place, queued at the time under the lock: nobody who came later has an earlier one."""
    return WaitlistEntry(
        workspace=workspace,
        resource_id=wish.resource_id,
        starts_at=wish.start,
        ends_at=wish.end,
        duration_seconds=wish.seconds,
        last_start_at=wish.last_start,
        quantity=wish.quantity,
        member=who.member,
        email=who.email,
        name=who.name or (who.member.name if who.member else ""),
        visitor=who.visitor,
        queued_at=lock_objects.now_under_locks(),
    )


def _live_alike(entry: WaitlistEntry) -> WaitlistEntry | None:
    """Their live place for the same time. An offer that has lapsed is none: it is passed on now."""
    known = _alike(entry)
    if known is None or known.hold is None or known.hold.lapses_at > entry.queued_at:
        return known
    ending.expire_locked([known.hold.booking_id])
    return _alike(entry)


def _alike(entry: WaitlistEntry) -> WaitlistEntry | None:
    same = WaitlistEntry.objects.select_related("hold").filter(
        resource=entry.resource_id,
        email=entry.email,
        starts_at=entry.starts_at,
        ends_at=entry.ends_at,
        duration_seconds=entry.duration_seconds,
        state__in=LIVE,
    )
    return same.first()


def _refuse_what_rules_forbid(rules: Rules, entry: WaitlistEntry) -> None:
    """An exact window keeps every rule; a longer one leaves a start that does."""
    window = Window(entry.starts_at, entry.ends_at)
    if entry.is_exact:
        check_window(rules, window, quantity=entry.quantity, now=entry.queued_at, line=0)
        return
    first = Window(window.start, window.start + entry.duration)
    known = availability(rules=[rules], start=window.start, end=window.end)[rules.resource_id]
    if next(possible_windows(known, entry), None) is None:
        check_window(rules, first, quantity=entry.quantity, now=entry.queued_at, line=0)
        raise WindowNotAllowed("No start within that time can be booked.", rule="hours")


def _refuse_what_is_free(rules: Rules, entry: WaitlistEntry) -> None:
    """Unless somebody is in line for it: then it is being offered to them."""
    line = waiting_for(rules.resource_id)
    if any(other.last_start_at > entry.queued_at for other in line) and first_fit(rules, line):
        return
    if found := first_fit(rules, [entry]):
        start, end = (_said(moment) for moment in (found.window.start, found.window.end))
        raise AlreadyFree(start=start, end=end)


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _refuse_too_many(workspace: Workspace, who: Claimant) -> None:
    mine = Q(email=who.email)
    if who.visitor:
        mine |= Q(visitor=who.visitor)
    live = WaitlistEntry.objects.filter(mine, workspace=workspace, state__in=LIVE)
    if live.count() >= workspace.max_waiting_per_member:
        raise TooManyWaiting


# --- Moving -------------------------------------------------------------------------------------


def move(
    entry: WaitlistEntry,
    to_state: str,
    at: datetime,
    actor: Actor = SYSTEM,
    reason: str = "",
    **columns: object,
) -> list[models.Model]:
    """Move an entry along its table; the rows that follow, for the caller to write.

    Raises InvalidTransition, and VersionMismatch when it is not the row that was read.
    """
    locks.require_transaction()
    WAITLIST_STATES.check(entry.state, to_state)
    changes = {"state": to_state, "version": entry.version + 1, **columns}
    if to_state not in LIVE:
        changes |= {"ended_at": at, "ended_because": reason[:300]}
    found = WaitlistEntry.objects.filter(pk=entry.pk, version=entry.version).update(**changes)
    if not found:
        raise VersionMismatch
    for name, value in changes.items():
        setattr(entry, name, value)
    return _follows(entry, to_state, at, actor, reason)


def _follows(
    entry: WaitlistEntry, name: str, at: datetime, actor: Actor, reason: str = ""
) -> list[models.Model]:
    return rows_for(Happening(f"waitlist.{name}", entry, at, actor, reason))


def leave(*, entry_id: UUID, actor: Actor) -> WaitlistEntry:
    """Leave a line, at any time. A wait that has ended otherwise stays as it ended.

    Raises NotFound, and StillOffered (409) while something is held for them:
    `payments.waiting.leave` lets that go first.
    """
    return _ended(entry_id, LEFT, actor, "")


def remove(*, entry_id: UUID, actor: Actor, reason: str) -> WaitlistEntry:
    """The same by staff, with a reason that is kept and told."""
    return _ended(entry_id, REMOVED, actor, reason)


@retried_on_deadlock
def _ended(entry_id: UUID, to_state: str, actor: Actor, reason: str) -> WaitlistEntry:
    with transaction.atomic():
        entry = locks.locked(WaitlistEntry.objects.filter(pk=entry_id)).first()
        if entry is None:
            raise NotFound("There is no such place in line.")
        if entry.state == OFFERED:
            raise StillOffered
        if entry.state in {WAITING, PASSED}:
            at = lock_objects.now_under_locks()
            rows.insert(move(entry, to_state, at, actor, reason))
        return entry


def end_those_too_late(*, limit: int = 200) -> int:
    """End the waits for which it is too late by now; returns how many."""
    waiting = WaitlistEntry.objects.filter(state=WAITING, last_start_at__lte=_now())
    ids = list(waiting.order_by("last_start_at").values_list("pk", flat=True)[:limit])
    return sum(_over(entry_id) for entry_id in ids)


def _over(entry_id: UUID) -> int:
    with transaction.atomic():
        entry = locks.locked(WaitlistEntry.objects.filter(pk=entry_id, state=WAITING)).first()
        if entry is None:
            return 0
        rows.insert(move(entry, OVER, lock_objects.now_under_locks()))
        return 1


def moved_all(
    entries: Iterable[WaitlistEntry], to_state: str, at: datetime, actor: Actor, reason: str = ""
) -> list[models.Model]:
    """The rows that follow from moving several, for an effect to return."""
    return [row for entry in entries for row in move(entry, to_state, at, actor, reason)]


def _now() -> models.Func:
    return models.Func(function="clock_timestamp", output_field=models.DateTimeField())
