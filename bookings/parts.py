"""Several lines with their add-ons as one whole: what each takes, and when all of them fit.

A whole is moved by one stretch of time, so that what belonged together stays together. Lines that
take of the same resource count together.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from bookings.availability import Availability, Use, also_used, bookable, units_free
from bookings.checks import broken_rules
from bookings.models import Line
from bookings.rules import Window

Known = Mapping[UUID, Availability]


class AskedAddOn(Protocol):
    """An add-on of a line of a claim."""

    @property
    def resource_id(self) -> UUID: ...
    @property
    def quantity(self) -> int: ...


class Asked(Protocol):
    """A line of a claim."""

    @property
    def resource_id(self) -> UUID: ...
    @property
    def window(self) -> Window: ...
    @property
    def quantity(self) -> int: ...
    @property
    def add_ons(self) -> Sequence[AskedAddOn]: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A line of a whole, or an add-on of one. `line` is the index of its line, `add_on` its own
    among that line's add-ons; None for the line itself.
    """

    line: int
    add_on: int | None
    resource_id: UUID
    window: Window
    quantity: int

    def moved(self, by: timedelta) -> "Part":
        """The same at another time."""
        return replace(self, window=Window(self.window.start + by, self.window.end + by))


def parts_of(lines: Sequence[Asked]) -> list[Part]:
    """What a claim takes: every line, then every add-on, in the order in which they are written.

    So the position of a line in its booking is its index in the request.
    """
    mains = [
        Part(index, None, line.resource_id, line.window, line.quantity)
        for index, line in enumerate(lines)
    ]
    return [*mains, *_add_ons(lines)]


def _add_ons(lines: Sequence[Asked]) -> Iterator[Part]:
    for index, line in enumerate(lines):
        for number, add_on in enumerate(line.add_ons):
            yield Part(index, number, add_on.resource_id, line.window, add_on.quantity)


def parts_of_booking(lines: Sequence[Line]) -> list[Part]:
    """The same of a booking's lines; the index is that among the lines that are no add-ons."""
    mains = {line.pk: n for n, line in enumerate(ln for ln in lines if ln.parent_id is None)}
    numbers: dict[UUID, int] = defaultdict(int)
    found = []
    for line in sorted(lines, key=lambda line: (line.parent_id is not None, line.position)):
        number = None
        if line.parent_id is not None:
            number = numbers[line.parent_id]
            numbers[line.parent_id] += 1
        window = Window(line.starts_at, line.ends_at)
        owner = mains[line.parent_id or line.pk]
        found.append(Part(owner, number, line.resource_id, window, line.quantity))
    return found


def first_taken(known: Known, parts: Sequence[Part]) -> tuple[Part, int] | None:
    """The first part for which too few units are free, and how many are; None when all fit."""
    before: dict[UUID, list[Use]] = defaultdict(list)
    for part in parts:
        available = known.get(part.resource_id)
        if available is None:
            return part, 0
        occupied = available.rules.occupied(part.window)
        left = units_free(also_used(available, before[part.resource_id]), occupied)
        if left < part.quantity:
            return part, left
        before[part.resource_id].append(Use(occupied, part.quantity))
    return None


def can_be_had(known: Known, parts: Sequence[Part]) -> bool:
    """Whether a claim of all of them would be let through, as far as can be seen."""
    return all(_keeps_rules(known, part) for part in parts) and first_taken(known, parts) is None


def fitting(known: Known, parts: Sequence[Part], index: int = 0) -> Iterator[list[Part]]:
    """The whole at every time at which it fits, by the bookable starts of line `index`, in order.

    `known` is of every resource, over a range in which to look.
    """
    main = next(part for part in parts if part.line == index and part.add_on is None)
    if any(part.resource_id not in known for part in parts):
        return
    seconds = int(main.window.duration.total_seconds())
    for window in bookable(known[main.resource_id], seconds, main.quantity):
        by = window.start - main.window.start
        moved = [part.moved(by) for part in parts]
        if len(moved) == 1 or can_be_had(known, moved):
            yield moved


def _keeps_rules(known: Known, part: Part) -> bool:
    """An add-on goes by its line's times: its own hours and steps do not apply."""
    available = known.get(part.resource_id)
    if available is None:
        return False
    if part.add_on is not None:
        return True
    rules, now = available.rules, available.as_of
    return not broken_rules(rules, part.window, quantity=part.quantity, now=now)
