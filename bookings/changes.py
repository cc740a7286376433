"""Changes of confirmed bookings: what they take anew, and how they end (design.md §4).

A line that moves keeps what it has until the change is committed, and takes only what it does not
have yet. So committing never has to win anything: it lets go of what is not needed any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models

from bookings.discount_rules import frozen_reduction, snapshot
from bookings.models import Booking, Change, Line, Occupancy
from bookings.pricing import Quote, frozen
from bookings.rules import Window, without
from bookings.services import Move, event_for
from bookings.states import CHANGE_STATES, COMMITTED, CONFIRMED
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.effects import Happening, rows_for
from config.kernel.errors import VersionMismatch
from config.kernel.locks import require_transaction


@dataclass(frozen=True, slots=True)
class MovedLine:
    """A line as it is to be: on which resource, for which window (and with buffers), its price."""

    line: Line
    resource_id: UUID
    window: Window
    occupied: Window
    quote: Quote

    @property
    def difference_minor(self) -> int:
        return self.quote.total.amount_minor - self.line.amount_minor

    @property
    def is_longer(self) -> bool:
        """Whether it only adds time to what the member has."""
        had = Window(self.line.starts_at, self.line.ends_at)
        return self.resource_id == self.line.resource_id and self.window.contains(had)

    def taken_anew(self, had: Sequence[Occupancy]) -> list[Window]:
        """What of its time the line does not have; `had` is what backs it now."""
        mine = [_window(o) for o in had if o.resource_id == self.resource_id]
        return without([self.occupied], mine)

    def as_json(self) -> dict[str, Any]:
        line = self.line
        return {
            "line": str(line.pk),
            "resource": str(self.resource_id),
            "start": self.window.start.isoformat(),
            "end": self.window.end.isoformat(),
            "occupied": [self.occupied.start.isoformat(), self.occupied.end.isoformat()],
            "quantity": line.quantity,
            "amount_minor": self.quote.total.amount_minor,
            "price": self.quote.parts,
            "before": {
                "resource": str(line.resource_id),
                "start": line.starts_at.isoformat(),
                "end": line.ends_at.isoformat(),
                "amount_minor": line.amount_minor,
            },
        }


def backing(booking_id: UUID) -> dict[UUID, list[Occupancy]]:
    """By line: the occupancies on which a confirmed booking stands, without those of a change."""
    found: dict[UUID, list[Occupancy]] = {}
    for each in Occupancy.objects.filter(
        booking_id=booking_id, released_at=None, lapses_at=None
    ).order_by("pk"):
        found.setdefault(each.line_id, []).append(each)
    return found


def new_change(booking: Booking, moved: Sequence[MovedLine], now: datetime) -> Change:
    """The unsaved change of a locked booking: what it is to become, and what that costs."""
    moving = {each.line.pk: each.window for each in moved}
    windows = [
        moving.get(line.pk) or Window(line.starts_at, line.ends_at)
        for line in booking.lines.all()
        if line.cancelled_at is None
    ]
    return Change(
        booking=booking,
        base_version=booking.version,
        lines=[each.as_json() for each in moved],
        starts_at=min(window.start for window in windows),
        ends_at=max(window.end for window in windows),
        difference_minor=sum(each.difference_minor for each in moved),
        created_at=now,
    )


def commit(
    booking: Booking, change: Change, *, at: datetime, actor: Actor, reason: str = "", **data: Any
) -> None:
    """The booking becomes what the change says; both are locked, and the change has its time.

    What the booking had and does not need is released in the same transaction. Raises
    InvalidTransition, and VersionMismatch when the booking is not the one it was made for.
    """
    require_transaction()
    if booking.state != CONFIRMED or booking.version != change.base_version:
        raise VersionMismatch
    _move(change, COMMITTED, at)
    had = backing(booking.pk)
    for wanted in change.lines:
        _keep_only(had.get(UUID(wanted["line"]), []), wanted, at)
        _rewrite(wanted)
    Occupancy.objects.filter(change=change, released_at=None).update(lapses_at=None)
    total = booking.total_minor + change.difference_minor
    kept = {**data, "change": str(change.pk), "lines": change.lines}
    _write(
        booking,
        change,
        Move(CONFIRMED, at, actor, reason, kept),
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        total_minor=total,
        price=_snapshot(booking),
    )


def end(change: Change, move: Move) -> None:
    """A locked change is released or expires: it gives back its own time, and nothing else."""
    _move(change, move.to_state, move.at)
    Occupancy.objects.filter(change=change, released_at=None).update(released_at=move.at)
    booking = change.booking
    told = Move(booking.state, move.at, move.actor, move.reason, {"change": str(change.pk)})
    event = event_for(booking, told, from_state=booking.state, kind=f"change_{move.to_state}")
    happening = Happening(f"change.{move.to_state}", change, move.at, move.actor, move.reason)
    rows.insert([event, *rows_for(happening)])


def _move(change: Change, to_state: str, at: datetime) -> None:
    CHANGE_STATES.check(change.state, to_state)
    changes = {"state": to_state, "version": change.version + 1, "ended_at": at}
    if not Change.objects.filter(pk=change.pk, version=change.version).update(**changes):
        raise VersionMismatch
    for name, value in changes.items():
        setattr(change, name, value)


def _keep_only(had: Sequence[Occupancy], wanted: dict[str, Any], at: datetime) -> None:
    """Of what a line had, keep what it still needs: cut to its new time, or released."""
    start, end = (datetime.fromisoformat(moment) for moment in wanted["occupied"])
    for each in had:
        mine = _window(each)
        if str(each.resource_id) != wanted["resource"] or not mine.overlaps(Window(start, end)):
            Occupancy.objects.filter(pk=each.pk).update(released_at=at)
            continue
        kept = Window(max(mine.start, start), min(mine.end, end))
        if kept != mine:
            Occupancy.objects.filter(pk=each.pk).update(during=(kept.start, kept.end))


def _rewrite(wanted: dict[str, Any]) -> None:
    Line.objects.filter(pk=wanted["line"]).update(
        resource_id=wanted["resource"],
        starts_at=datetime.fromisoformat(wanted["start"]),
        ends_at=datetime.fromisoformat(wanted["end"]),
        amount_minor=wanted["amount_minor"],
        price=wanted["price"],
    )


def _write(booking: Booking, change: Change, move: Move, **columns: Any) -> None:
    """The booking's row, its history and what follows. Its state stays."""
    changes = {"version": booking.version + 1, **columns}
    if not Booking.objects.filter(pk=booking.pk, version=booking.version).update(**changes):
        raise VersionMismatch
    for name, value in changes.items():
        setattr(booking, name, value)
    event = event_for(booking, move, from_state=booking.state, kind="rescheduled")
    data = {**move.data, "row": change}
    happening = Happening("booking.rescheduled", booking, move.at, move.actor, move.reason, data)
    rows.insert([event, *rows_for(happening)])


def _snapshot(booking: Booking) -> dict[str, Any]:
    lines: models.QuerySet[Line] = Line.objects.filter(booking=booking).order_by("position")
    quotes = [frozen(line.price, booking.currency) for line in lines]
    return snapshot(quotes, frozen_reduction(booking.price))


def _window(occupancy: Occupancy) -> Window:
    return Window(occupancy.during.lower, occupancy.during.upper)
