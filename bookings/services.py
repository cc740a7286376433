"""Moving bookings: by the table, with a version, an event and the effects, in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models, transaction

from bookings import lock_objects
from bookings.capacity import in_the_way
from bookings.models import Block, Booking, BookingEvent, Occupancy, Resource
from bookings.rules import Window
from bookings.states import (
    BOOKING_STATES,
    CANCELLED,
    COMPLETED,
    CONFIRMED,
    NO_SHOW,
    WITHOUT_OCCUPANCIES,
)
from config.kernel import rows
from config.kernel.context import SYSTEM, Actor, request_id
from config.kernel.effects import Happening, rows_for, rows_for_all
from config.kernel.errors import InvalidInput, NotFound, VersionMismatch
from config.kernel.locks import require_transaction, retried_on_deadlock
from members.models import Member, Workspace


@dataclass(frozen=True, slots=True)
class Move:
    """One transition that somebody makes: to which state, who, when and why."""

    to_state: str
    at: datetime
    actor: Actor
    reason: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def event_for(booking: Booking, move: Move, *, from_state: str, kind: str = "") -> BookingEvent:
    """The history row of a move; `kind` defaults to the state it led to."""
    return BookingEvent(
        booking_id=booking.pk,
        at=move.at,
        kind=kind or move.to_state,
        from_state=from_state,
        to_state=move.to_state,
        version=booking.version,
        actor_kind=move.actor.kind,
        actor_id=move.actor.id,
        actor_label=move.actor.label[:200],
        reason=move.reason[:500],
        request_id=request_id.get(),
        data=move.data,
    )


def note(
    booking: Booking, *, kind: str, at: datetime, actor: Actor, reason: str = "", **data: Any
) -> BookingEvent:
    """A history row for something that happened without a change of state. Not yet written."""
    move = Move(booking.state, at, actor, reason, data)
    return event_for(booking, move, from_state=booking.state, kind=kind)


def apply(
    booking: Booking, move: Move, *, more: Iterable[models.Model] = (), **columns: Any
) -> None:
    """Make a move on a locked booking and write its event, its effects and `more` rows at once.

    `columns` are set along with the state. Raises InvalidTransition when the table has no such
    move and VersionMismatch when the row is not the one that was read.
    """
    require_transaction()
    BOOKING_STATES.check(booking.state, move.to_state)
    changes = {"state": move.to_state, "version": booking.version + 1, **columns}
    found = Booking.objects.filter(pk=booking.pk, version=booking.version).update(**changes)
    if not found:
        raise VersionMismatch()
    from_state = booking.state
    for name, value in changes.items():
        setattr(booking, name, value)
    happening = Happening(
        f"booking.{move.to_state}", booking, move.at, move.actor, move.reason, move.data
    )
    rows.insert([*more, event_for(booking, move, from_state=from_state), *rows_for(happening)])


def confirm(booking: Booking, *, at: datetime, actor: Actor, **data: Any) -> None:
    """A locked booking becomes the member's. Its occupancies stop lapsing in the same transaction.

    Called by what owns its hold; the database refuses it without the occupancies (INV-10).
    """
    Occupancy.objects.filter(booking_id=booking.pk, released_at=None).update(lapses_at=None)
    apply(booking, Move(CONFIRMED, at, actor, data=data), confirmed_at=at, ended_at=None)


def end(booking: Booking, move: Move) -> None:
    """A locked booking is released, expired or cancelled, and gives its time back."""
    if move.to_state not in WITHOUT_OCCUPANCIES:
        raise ValueError(move.to_state)
    BOOKING_STATES.check(booking.state, move.to_state)
    Occupancy.objects.filter(booking_id=booking.pk, released_at=None).update(released_at=move.at)
    apply(booking, move, ended_at=move.at)


def end_all(bookings: Sequence[Booking], move: Move) -> None:
    """The same for many locked bookings at once: a statement for each table, whatever their number.

    Raises VersionMismatch, and makes none of the moves, when a row is not the one that was read.
    """
    require_transaction()
    if move.to_state not in WITHOUT_OCCUPANCIES:
        raise ValueError(move.to_state)
    for booking in bookings:
        BOOKING_STATES.check(booking.state, move.to_state)
    ids = [booking.pk for booking in bookings]
    Occupancy.objects.filter(booking_id__in=ids, released_at=None).update(released_at=move.at)
    moved = Booking.objects.filter(pk__in=ids).update(
        state=move.to_state, version=models.F("version") + 1, ended_at=move.at
    )
    if moved != len(ids):
        raise VersionMismatch
    events = [_moved_on(booking, move) for booking in bookings]
    name = f"booking.{move.to_state}"
    happenings = [
        Happening(name, booking, move.at, move.actor, move.reason, move.data)
        for booking in bookings
    ]
    rows.insert([*events, *rows_for_all(happenings)])


def _moved_on(booking: Booking, move: Move) -> BookingEvent:
    """The instance as its row is by now, and the event of that."""
    from_state = booking.state
    booking.state, booking.ended_at = move.to_state, move.at
    booking.version += 1
    return event_for(booking, move, from_state=from_state)


def cancel(
    *,
    booking_id: UUID,
    actor: Actor,
    reason: str = "",
    data: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> Booking:
    """Cancel a confirmed booking and free its slots. A booking cancelled before stays as it is.

    `at` is the moment for which a caller, under these locks already, has decided what is given
    back; else it is read after the locks. Raises NotFound, and InvalidTransition for a booking that
    is not confirmed. Money is not moved here: a use case that refunds lives in payments, and says
    in `data` (kept in the history) what is given back.
    """
    return _moved(booking_id, CANCELLED, actor, reason, data, at)


def complete(*, booking_id: UUID, actor: Actor = SYSTEM) -> Booking:
    """Mark a confirmed booking (or one marked as a no-show) as having taken place."""
    return _moved(booking_id, COMPLETED, actor, "")


def no_show(*, booking_id: UUID, actor: Actor, reason: str = "") -> Booking:
    """Mark that nobody came."""
    return _moved(booking_id, NO_SHOW, actor, reason)


@retried_on_deadlock
def _moved(
    booking_id: UUID,
    to_state: str,
    actor: Actor,
    reason: str,
    data: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> Booking:
    with transaction.atomic():
        booking = locked_booking(booking_id)
        if booking.state == to_state:
            return booking
        move = Move(to_state, at or lock_objects.now_under_locks(), actor, reason, data or {})
        if to_state in WITHOUT_OCCUPANCIES:
            end(booking, move)
        else:
            apply(booking, move)
        return booking


def locked_booking(booking_id: UUID) -> Booking:
    """A booking, locked after all of its resources. Raises NotFound."""
    lock_objects.lock_resources_of([booking_id])
    booking = lock_objects.lock_bookings([booking_id]).first()
    if booking is None:
        raise NotFound("There is no such booking.")
    return booking


def refuse_another_version(booking: Booking, version: int | None) -> None:
    """Raise VersionMismatch (412) where a locked booking is not as its caller read it; None: any.

    It comes before anything that the booking's state refuses: who has read an old version is told
    so, and not what their request means for a booking that they have not seen.
    """
    if version is not None and version != booking.version:
        raise VersionMismatch


def place_block(
    *,
    workspace: Workspace,
    resource: Resource,
    window: Window,
    reason: str,
    quantity: int = 1,
    created_by: Member | None = None,
) -> tuple[Block, list[Booking]]:
    """Close a resource (or units of a pool) for a window; bookings that are there stay there.

    Returns the block and the live bookings it lies over, for the operator to deal with; of a pool,
    those that have units while more are taken than are left.
    """
    if window.end <= window.start:
        raise InvalidInput("The end must come after the start.", field="end")
    with transaction.atomic():
        lock_objects.lock_resources([resource.pk]).get()
        block = Block.objects.create(
            workspace=workspace,
            resource=resource,
            during=(window.start, window.end),
            quantity=quantity,
            reason=reason,
            created_by=created_by,
        )
        now = lock_objects.now_under_locks()
        under = Booking.objects.filter(
            models.Q(occupancies__lapses_at=None) | models.Q(occupancies__lapses_at__gt=now),
            occupancies__resource=resource,
            occupancies__released_at=None,
            occupancies__during__overlap=(window.start, window.end),
        )
        if not resource.is_exclusive:
            over = in_the_way(resource, resource.capacity, within=window)
            under = under.filter(pk__in=[each.booking_id for each in over])
        return block, list(under.distinct().order_by("starts_at"))
