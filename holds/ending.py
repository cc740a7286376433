"""How holds end without being confirmed: released by somebody, or expired by the clock.

The functions named `…_locked` expect the resources to be locked by the caller.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from bookings import lock_objects
from bookings import states as booking_states
from bookings.services import Move, end
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import VersionMismatch
from config.kernel.locks import locked
from holds.models import Hold
from holds.states import ACTIVE, CONFIRMED, EXPIRED, HOLD_STATES, RELEASED


def move_hold(hold: Hold, to_state: str, **columns: object) -> None:
    """Move a locked hold along its table."""
    HOLD_STATES.check(hold.state, to_state)
    changes = {"state": to_state, "version": hold.version + 1, **columns}
    if not Hold.objects.filter(pk=hold.pk, version=hold.version).update(**changes):
        raise VersionMismatch
    for name, value in changes.items():
        setattr(hold, name, value)


def lock_own(booking_id: UUID) -> Hold | None:
    """A hold and its booking, locked and read anew; its resources are locked already."""
    booking = lock_objects.lock_bookings([booking_id]).first()
    hold = locked(Hold.objects.filter(booking_id=booking_id)).first()
    if booking is not None and hold is not None:
        hold.booking = booking
    return hold


def release_locked(hold: Hold, now: datetime, actor: Actor, reason: str) -> None:
    """Give an active hold's slots back at once."""
    move_hold(hold, RELEASED, ended_at=now, ended_because=reason[:300], has_open_checkout=False)
    end(hold.booking, Move(booking_states.RELEASED, now, actor, reason))


def expire_locked(
    booking_ids: Sequence[UUID], *, reason: str = "Nobody paid before the hold ended"
) -> int:
    """Expire the holds of these bookings whose time is up, re-read under their locks.

    Returns how many. One that was paid, extended or released meanwhile is left as it is.
    """
    bookings = {b.pk: b for b in lock_objects.lock_bookings(booking_ids)}
    holds = list(locked(Hold.objects.filter(booking_id__in=bookings)))
    now = lock_objects.now_under_locks()
    lapsed = [h for h in holds if h.state == ACTIVE and h.lapses_at <= now]
    for hold in lapsed:
        hold.booking = bookings[hold.booking_id]
        move_hold(hold, EXPIRED, ended_at=now, has_open_checkout=False)
        end(
            hold.booking,
            Move(booking_states.EXPIRED, now, SYSTEM, reason),
        )
    return len(lapsed)


def fail_locked(hold: Hold, now: datetime, reason: str) -> None:
    """A payment that kept an active hold alive has failed: its slots are free at once."""
    move_hold(hold, EXPIRED, ended_at=now, ended_because=reason[:300], has_open_checkout=False)
    end(hold.booking, Move(booking_states.EXPIRED, now, SYSTEM, reason))


def confirm_locked(hold: Hold, now: datetime) -> None:
    """The hold has done its work."""
    move_hold(hold, CONFIRMED, ended_at=now, has_open_checkout=False)
