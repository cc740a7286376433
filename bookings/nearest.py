"""For who lost a slot: which line it was, what is left of it, and where everything would fit."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError

from bookings.availability import Availability, availability, units_free
from bookings.errors import SlotTaken
from bookings.parts import Asked, Known, Part, first_taken, fitting, parts_of
from bookings.rules import Window
from bookings.selectors import rules_for
from config.kernel.database_errors import translated

_LOOK_AHEAD = timedelta(days=14)

# The booking that is not in its own way: its id, or how to find it once somebody asks.
Own = UUID | Callable[[], UUID | None] | None


class SlotTakenNearby(SlotTaken):
    """`slot_taken` that looks for what is left and free only when it is written down.

    By then the claim's transaction is over: nobody waits for the look under its locks. A `refused`
    without a line does not know which one it was about.
    """

    def __init__(
        self,
        refused: SlotTaken,
        workspace_id: UUID,
        lines: Sequence[Asked],
        *,
        knows_line: bool,
        own: Own = None,
    ) -> None:
        data = refused.data
        super().__init__(
            refused.message,
            line=data["line"],
            add_on=data["add_on"],
            remaining=data["remaining"],
        )
        self._workspace_id, self._parts = workspace_id, parts_of(lines)
        self._knows_line, self._own = knows_line, own

    def as_problem(self) -> dict[str, Any]:
        known = self._look()
        self._name(known)
        near = _nearest(known, self._parts, self.data["line"])
        self.data["next_free"] = (
            {"start": _said(near.start), "end": _said(near.end)} if near else None
        )
        return super().as_problem()

    def _look(self) -> Known:
        """What is free from when the first line begins to two weeks after the last one ends."""
        own = self._own() if callable(self._own) else self._own
        wanted = {part.resource_id for part in self._parts}
        rules = rules_for(workspace_id=self._workspace_id, resource_ids=wanted)
        return availability(
            rules=list(rules.values()),
            start=min(part.window.start for part in self._parts),
            end=max(part.window.end for part in self._parts) + _LOOK_AHEAD,
            ignore_booking_id=own,
        )

    def _name(self, known: Known) -> None:
        """The line and how many are left, where the claim itself could not say."""
        if not self._knows_line:
            part, left = first_taken(known, self._parts) or (self._parts[0], None)
            self.data |= {"line": part.line, "add_on": part.add_on, "remaining": left}
        if self.data["remaining"] is None:
            self.data["remaining"] = _left(known, self._parts, self.data)


def with_next_free(
    error: SlotTaken | IntegrityError,
    workspace_id: UUID,
    lines: Sequence[Asked],
    *,
    own: Own = None,
) -> Exception:
    """The error to raise instead: one that names the line, what is left, and where there is room.

    A constraint does not say which line it refused; that is found out afterwards. What the booking
    `own` has is not in its own way. Whatever is not about a taken slot comes back as it is.
    """
    if isinstance(error, SlotTaken):
        return SlotTakenNearby(error, workspace_id, lines, knows_line=True, own=own)
    named = translated(error)
    if isinstance(named, SlotTaken):
        is_one = len(parts_of(lines)) == 1
        return SlotTakenNearby(named, workspace_id, lines, knows_line=is_one, own=own)
    return error


def free_throughout(known: Availability, window: Window) -> int:
    """How many units are free during the whole window, its buffers included; else 0."""
    if not any(opened.contains(window) for opened in known.open):
        return 0
    return units_free(known, known.rules.occupied(window))


def _left(known: Known, parts: Sequence[Part], data: dict[str, Any]) -> int:
    """The units of one part that nobody has now."""
    for part in parts:
        if (part.line, part.add_on) == (data["line"], data["add_on"]) and part.resource_id in known:
            available = known[part.resource_id]
            return units_free(available, available.rules.occupied(part.window))
    return 0


def _nearest(known: Known, parts: Sequence[Part], index: int) -> Window | None:
    """Where the line of that index would be, the next time at which every line fits.

    All keep their distance from each other; at the time asked for or later, within two weeks.
    """
    main = next(part for part in parts if part.line == index and part.add_on is None)
    until = main.window.start + _LOOK_AHEAD
    for moved in fitting(known, parts, index):
        window = next(p.window for p in moved if p.line == index and p.add_on is None)
        if window.start >= until:
            return None
        if window.start >= main.window.start:
            return window
    return None


def _said(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
