"""What a change moves, as pages tell it: from where to where.

A change keeps its lines as JSON (`changes.py` has the shape), and so does the history of one that
was made; both are read here, with one query for the resources however many there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from bookings.models import Line, Resource
from bookings.words import unbroken, window_text

Story = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Spot:
    """A window on a resource."""

    resource: Resource
    start: datetime
    end: datetime

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.resource.location.timezone)


@dataclass(frozen=True, slots=True)
class Moved:
    """One line that moves, or has moved, and the add-ons that go with it."""

    line_id: UUID
    before: Spot
    after: Spot
    amount_minor: int
    with_it: tuple["Moved", ...] = ()

    @property
    def stays(self) -> bool:
        """Whether it stays on its resource."""
        return self.before.resource.pk == self.after.resource.pk

    @property
    def minutes(self) -> int:
        """How long it is to be."""
        return int((self.after.end - self.after.start).total_seconds() // 60)

    def __str__(self) -> str:
        """ "from Tue 8 Dec, 14:00–15:00 to Tue 8 Dec, 15:00–16:00, Auckland"."""
        if self.stays:
            return f"from {_when(self.before, named=False)} to {_when(self.after)}"
        return f"from {_where(self.before)} to {_where(self.after)}"


def moved(stories: Iterable[Story]) -> list[list[Moved]]:
    """For each story (the lines of a change) what it moves; none for none.

    One query for all, and one more where a story is of several lines, to tell add-ons.
    """
    stories = list(stories)
    ids = {spot["resource"] for story in stories for wanted in story for spot in _both_ends(wanted)}
    places = Resource.objects.select_related("location").in_bulk(ids) if ids else {}
    parents = _parents(stories)
    return [_together([_moved(wanted, places) for wanted in story], parents) for story in stories]


def without_add_ons(story: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of a change that are no add-ons of others in it."""
    parents, ids = _parents([story]), {UUID(wanted["line"]) for wanted in story}
    return [wanted for wanted in story if parents.get(UUID(wanted["line"])) not in ids]


def given_up(stories: Iterable[Story]) -> list[list[str]]:
    """For each story (the lines that were cancelled of a booking) what they were, as words."""
    stories = list(stories)
    ids = {line["resource"] for story in stories for line in story}
    places = Resource.objects.select_related("location").in_bulk(ids) if ids else {}
    return [[_where(_spot(line, places)) for line in story] for story in stories]


def as_changed(lines: Iterable[Line], moves: Sequence[Moved]) -> list[Line]:
    """Copies of a booking's lines as they are to be: for showing, never saved."""
    after = {each.line_id: each for move in moves for each in (move, *move.with_it)}
    return [_changed(line, after.get(line.pk)) for line in lines]


def _changed(line: Line, move: Moved | None) -> Line:
    if move is None:
        return line
    found = copy(line)
    found.resource = move.after.resource
    found.starts_at, found.ends_at = move.after.start, move.after.end
    found.amount_minor = move.amount_minor
    return found


def _parents(stories: Iterable[Story]) -> dict[UUID, UUID]:
    """Whose add-on a line is, of lines in stories of several."""
    ids = {UUID(wanted["line"]) for story in stories if len(story) > 1 for wanted in story}
    add_ons = Line.objects.filter(pk__in=ids, parent__isnull=False) if ids else Line.objects.none()
    return {pk: parent for pk, parent in add_ons.values_list("pk", "parent_id") if parent}


def _together(moves: list[Moved], parents: Mapping[UUID, UUID]) -> list[Moved]:
    ids = {each.line_id for each in moves}
    return [
        replace(
            move,
            with_it=tuple(e for e in moves if parents.get(e.line_id) == move.line_id),
        )
        for move in moves
        if parents.get(move.line_id) not in ids
    ]


def _both_ends(wanted: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [wanted, wanted["before"]]


def _moved(wanted: Mapping[str, Any], places: Mapping[UUID, Resource]) -> Moved:
    before, after = (_spot(each, places) for each in (wanted["before"], wanted))
    return Moved(UUID(wanted["line"]), before, after, wanted["amount_minor"])


def _spot(said: Mapping[str, Any], places: Mapping[UUID, Resource]) -> Spot:
    start, end = (datetime.fromisoformat(said[name]) for name in ("start", "end"))
    return Spot(places[UUID(said["resource"])], start, end)


def _when(spot: Spot, *, named: bool = True) -> str:
    return unbroken(window_text(spot.start, spot.end, spot.zone, named=named))


def _where(spot: Spot) -> str:
    return f"{spot.resource.name}, {_when(spot)}"
