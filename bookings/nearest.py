"""For who lost a slot: which line it was, and the nearest window of the same length."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db import IntegrityError

from bookings.availability import Availability, availability, next_free, slots
from bookings.errors import SlotTaken
from bookings.rules import Rules, Window
from bookings.selectors import rules_for
from config.kernel.database_errors import translated

_LOOK_AHEAD = timedelta(days=14)


class Asked(Protocol):
    """A line of a claim."""

    @property
    def resource_id(self) -> UUID: ...
    @property
    def start(self) -> datetime: ...
    @property
    def end(self) -> datetime: ...
    @property
    def quantity(self) -> int: ...


class SlotTakenNearby(SlotTaken):
    """`slot_taken` that looks for the nearest free window only when it is written down.

    By then the claim's transaction is over: nobody waits for the look under its locks.
    """

    def __init__(
        self,
        detail: str,
        workspace_id: UUID,
        lines: Sequence[Asked],
        line: int | None,
        own: UUID | None = None,
    ) -> None:
        super().__init__(detail, line=line or 0)
        self._workspace_id, self._lines, self._line = workspace_id, lines, line
        self._own = own

    def as_problem(self) -> dict[str, Any]:
        wanted = {line.resource_id for line in self._lines}
        rules = rules_for(workspace_id=self._workspace_id, resource_ids=wanted)
        index = _first_taken(self._lines, rules, self._own) if self._line is None else self._line
        line = self._lines[index]
        known = rules.get(line.resource_id)
        self.data["line"] = index
        near = known and _nearest(known, line, self._own)
        self.data["next_free"] = (
            {"start": _said(near.start), "end": _said(near.end)} if near else None
        )
        return super().as_problem()


def with_next_free(
    error: SlotTaken | IntegrityError,
    workspace_id: UUID,
    lines: Sequence[Asked],
    *,
    own: UUID | None = None,
) -> Exception:
    """The error to raise instead: one that names the line and where there is room.

    A constraint does not say which line it refused; that is found out afterwards. What the booking
    `own` has is not in its own way. Whatever is not about a taken slot comes back as it is.
    """
    if isinstance(error, SlotTaken):
        return SlotTakenNearby(error.message, workspace_id, lines, error.data["line"], own)
    named = translated(error)
    if isinstance(named, SlotTaken):
        only = 0 if len(lines) == 1 else None
        return SlotTakenNearby(named.message, workspace_id, lines, only, own)
    return error


def free_throughout(known: Availability, window: Window) -> int:
    """How many units are free during the whole window, its buffers included; else 0."""
    if not any(opened.contains(window) for opened in known.open):
        return 0
    if known.rules.is_exclusive:
        with_buffers = known.rules.occupied(window)
        return 0 if any(use.overlaps(with_buffers) for use in known.taken) else 1
    if any(use.overlaps(window) for use in known.taken):
        return 0
    stretches = [f for f in known.free if Window(f.start, f.end).overlaps(window)]
    return min((stretch.remaining for stretch in stretches), default=0)


def _first_taken(lines: Sequence[Asked], rules: dict[UUID, Rules], own: UUID | None = None) -> int:
    """The first line that is not free any more; the first of all when that has passed already."""
    start, end = min(line.start for line in lines), max(line.end for line in lines)
    known = availability(rules=list(rules.values()), start=start, end=end, ignore_booking_id=own)
    for index, line in enumerate(lines):
        found = known.get(line.resource_id)
        if found and free_throughout(found, Window(line.start, line.end)) < line.quantity:
            return index
    return 0


def _nearest(rules: Rules, line: Asked, own: UUID | None = None) -> Window | None:
    """The next window of the same length, at the same time or later, with enough units."""
    seconds = int((line.end - line.start).total_seconds())
    if line.quantity == 1:
        return next_free(
            rules=rules, start=line.start, duration_seconds=seconds, ignore_booking_id=own
        )
    end = line.start + _LOOK_AHEAD
    known = availability(rules=[rules], start=line.start, end=end, ignore_booking_id=own)
    found = slots(known[rules.resource_id], duration_seconds=seconds, quantity=line.quantity)
    return Window(found[0].start, found[0].end) if found else None


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
