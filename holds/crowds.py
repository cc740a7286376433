"""What this process sees of crowds, so that who is alone pays nothing for the gate (ADR 7).

A claim asks Redis first only where claims of overlapping windows are under way in this process, or
where somebody lost such a window here a moment ago. Of a crowd one comes through unasked for each
process; those beside and behind it are asked.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from holds.subjects import LineRequest

# How long a window counts as fought over after somebody lost it: as long as the gate's marks stand.
FOUGHT_OVER_SECONDS = 10.0
_MOST_REMEMBERED = 2000


@dataclass(slots=True)
class Crowds:
    """Windows that claims are under way for, by resource; and those that somebody lost lately."""

    _under_way: dict[UUID, list[LineRequest]] = field(default_factory=lambda: defaultdict(list))
    _lost: dict[UUID, list[tuple[LineRequest, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, lines: Iterable[LineRequest]) -> bool:
        """Count these lines as under way; whether others want some of it, or did a moment ago."""
        now = time.monotonic()
        with self._guard:
            is_wanted = [self._is_wanted(line, now) for line in lines]
            for line in lines:
                self._under_way[line.resource_id].append(line)
        return any(is_wanted)

    def leave(self, lines: Iterable[LineRequest]) -> None:
        """They are decided."""
        with self._guard:
            for line in lines:
                there = self._under_way[line.resource_id]
                del there[next(i for i, other in enumerate(there) if other is line)]
                if not there:
                    del self._under_way[line.resource_id]

    def lost(self, lines: Iterable[LineRequest]) -> None:
        """Somebody could not have these, or had to wait."""
        now = time.monotonic()
        with self._guard:
            if len(self._lost) > _MOST_REMEMBERED:
                self._lost.clear()
            for line in lines:
                lately = [each for each in self._lost[line.resource_id] if each[1] > now]
                alike = [each for each in lately if each[0].window != line.window]
                self._lost[line.resource_id] = [*alike, (line, now + FOUGHT_OVER_SECONDS)]

    def _is_wanted(self, line: LineRequest, now: float) -> bool:
        under_way = self._under_way.get(line.resource_id, ())
        lost = self._lost.get(line.resource_id, ())
        return any(_overlap(line, other) for other in under_way) or any(
            until > now and _overlap(line, other) for other, until in lost
        )


def _overlap(one: LineRequest, other: LineRequest) -> bool:
    return one.start < other.end and other.start < one.end
