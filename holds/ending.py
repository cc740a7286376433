"""How holds end: released by somebody, expired by the clock, or having done their work.

What stands behind a hold ends with it: its booking, or the change of a booking that it is for. The
functions named `…_locked` expect the resources to be locked by the caller.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from bookings import changes, lock_objects
from bookings import states as booking_states
from bookings.services import Move, confirm, end, end_all
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import VersionMismatch
from config.kernel.locks import locked
from holds.models import Hold
from holds.states import ACTIVE, CONFIRMED, EXPIRED, HOLD_STATES, RELEASED

UNPAID = "Nobody paid before the hold ended"


def move_hold(hold: Hold, to_state: str, **columns: object) -> None:
    """Move a locked hold along its table."""
    HOLD_STATES.check(hold.state, to_state)
    changes = {"state": to_state, "version": hold.version + 1, **columns}
    if not Hold.objects.filter(pk=hold.pk, version=hold.version).update(**changes):
        raise VersionMismatch
    for name, value in changes.items():
        setattr(hold, name, value)


def lock_own(hold: Hold) -> Hold | None:
    """A hold, read anew with its booking and change, all locked; its resources are already."""
    booking = lock_objects.lock_bookings([hold.booking_id]).first()
    found = locked(Hold.objects.filter(pk=hold.pk)).first()
    if booking is None or found is None:
        return None
    found.booking = booking
    if found.change_id is not None:
        found.change = lock_objects.lock_change(found.change_id, booking)
    return found


def release_locked(hold: Hold, now: datetime, actor: Actor, reason: str) -> None:
    """Give an active hold's slots back at once."""
    _end(hold, RELEASED, Move(booking_states.RELEASED, now, actor, reason), reason)


def expire_locked(booking_ids: Sequence[UUID], *, reason: str = UNPAID) -> int:
    """Expire the holds of these bookings whose time is up, re-read under their locks.

    Returns how many. One that was paid, extended or released meanwhile is left as it is.
    """
    bookings = {b.pk: b for b in lock_objects.lock_bookings(booking_ids)}
    holds = list(locked(Hold.objects.filter(booking_id__in=bookings)))
    now = lock_objects.now_under_locks()
    lapsed = [h for h in holds if h.state == ACTIVE and h.lapses_at <= now]
    for hold in lapsed:
        hold.booking = bookings[hold.booking_id]
        _end(hold, EXPIRED, Move(booking_states.EXPIRED, now, SYSTEM, reason))
    return len(lapsed)


def expire_together_locked(booking_ids: Sequence[UUID]) -> int:
    """The same with as many statements for a hundred as for one; returns how many.

    Changes and requests, whose end moves more than their own rows, are not looked at.
    """
    found = lock_objects.lock_bookings(booking_ids).filter(requested_at=None)
    bookings = {b.pk: b for b in found}
    holds = list(locked(Hold.objects.filter(booking_id__in=bookings, change=None)))
    now = lock_objects.now_under_locks()
    lapsed = [h for h in holds if h.state == ACTIVE and h.lapses_at <= now]
    if lapsed:
        _expire_together(lapsed, now)
        ended = [bookings[hold.booking_id] for hold in lapsed]
        end_all(ended, Move(booking_states.EXPIRED, now, SYSTEM, UNPAID))
    return len(lapsed)


def _expire_together(holds: Sequence[Hold], now: datetime) -> None:
    """Their rows only; what stands behind them is the caller's."""
    moved = Hold.objects.filter(pk__in=[hold.pk for hold in holds], state=ACTIVE).update(
        state=EXPIRED,
        version=F("version") + 1,
        ended_at=now,
        has_open_checkout=False,
        ended_because="",
    )
    if moved != len(holds):
        raise VersionMismatch


def fail_locked(hold: Hold, now: datetime, reason: str) -> None:
    """A payment that kept an active hold alive has failed: its slots are free at once."""
    _end(hold, EXPIRED, Move(booking_states.EXPIRED, now, SYSTEM, reason), reason)


def win_locked(hold: Hold, now: datetime, actor: Actor, **data: Any) -> None:
    """The hold has done its work: its booking is the member's, or its change is made."""
    move_hold(hold, CONFIRMED, ended_at=now, has_open_checkout=False)
    if hold.change is None:
        confirm(hold.booking, at=now, actor=actor, **data)
    else:
        changes.commit(hold.booking, hold.change, at=now, actor=actor, **data)


def _end(hold: Hold, to_state: str, move: Move, because: str = "") -> None:
    columns = {"ended_at": move.at, "has_open_checkout": False, "ended_because": because[:300]}
    move_hold(hold, to_state, **columns)
    if hold.change_id is None:
        end(hold.booking, move)
    else:
        changes.end(lock_objects.lock_change(hold.change_id, hold.booking), move)
