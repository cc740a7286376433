"""A claim's lines with their add-ons: what they take, and what a booking's lines were asked as."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bookings.add_ons import required
from bookings.models import Line
from bookings.parts import Part, parts_of
from bookings.rules import Rules
from holds.probe import Wanted
from holds.subjects import AddOnRequest, LineRequest

__all__ = ["Part", "add_ons_of", "likeness", "parts_of", "requests_of", "wanted", "with_required"]


def wanted(part: Part, rules: Rules) -> Wanted:
    """What a part takes of its own resource, buffers included."""
    return Wanted(
        line=part.line,
        resource_id=part.resource_id,
        during=rules.occupied(part.window),
        is_exclusive=rules.is_exclusive,
        quantity=part.quantity,
        capacity=rules.capacity,
        add_on=part.add_on,
    )


def requests_of(lines: Sequence[Line]) -> list[LineRequest]:
    """The claim that would make a booking's lines; add-ons go with their line.

    What was given up of it is not wanted any more.
    """
    return [
        LineRequest(
            line.resource_id, line.starts_at, line.ends_at, line.quantity, add_ons_of(lines, line)
        )
        for line in lines
        if line.parent_id is None and line.cancelled_at is None
    ]


def with_required(line: LineRequest, rules: Rules) -> LineRequest:
    """The line with the fewest add-ons that it must have, where nobody chooses any."""
    needed = required(rules, line.quantity)
    return replace(line, add_ons=tuple(AddOnRequest(pool, many) for pool, many in needed))


def add_ons_of(lines: Sequence[Line], parent: Line) -> tuple[AddOnRequest, ...]:
    """The add-ons of one of a booking's lines, as they would be asked for."""
    return tuple(
        AddOnRequest(line.resource_id, line.quantity)
        for line in lines
        if line.parent_id == parent.pk
    )


def likeness(lines: Sequence[LineRequest]) -> list[Any]:
    """Equal for claims of the same lines, in whatever order they are named."""
    return sorted(
        (ln.resource_id, ln.start, ln.end, ln.quantity,
         sorted((a.resource_id, a.quantity) for a in ln.add_ons))
        for ln in lines
    )  # fmt: skip
