"""A booking's lines as people think of them: each with its add-ons, not beside them."""

from collections.abc import Iterable
from dataclasses import dataclass

from bookings.models import Line


@dataclass(frozen=True, slots=True)
class Together:
    """A line and what goes with it, at the same time and for as long.

    `is_last_there`: what comes after it is elsewhere, so that a place is told once.
    """

    line: Line
    add_ons: list[Line]
    is_last_there: bool

    @property
    def said(self) -> str:
        """ "2 × Helmet, 1 × Lock"; empty without add-ons."""
        return ", ".join(f"{each.quantity} × {each.resource.name}" for each in self.add_ons)


def together(lines: Iterable[Line]) -> list[Together]:
    """In order. An add-on whose line is not among them stands by itself."""
    every = list(lines)
    ids = {line.pk for line in every}
    mains = [line for line in every if line.parent_id not in ids]
    places = [line.resource.location_id for line in mains]
    return [
        Together(
            line,
            [each for each in every if each.parent_id == line.pk],
            places[n : n + 2] != [places[n]] * 2,
        )
        for n, line in enumerate(mains)
    ]
