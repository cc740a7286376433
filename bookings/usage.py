"""How much of a resource is in use at each moment: built once, asked many times.

A range's uses are sorted once; then every window is answered by two bisections and one look into a
table of maxima, however many uses there are. Asking each use about each window instead is what
makes a busy pool's page slow.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate

from bookings.windows import Window


@dataclass(frozen=True, slots=True)
class Use:
    """A window in which some units are taken, also beyond the range as far as a booking reaches."""

    window: Window
    quantity: int


class Usage:
    """The units in use from each moment at which that changes until the next."""

    def __init__(self, uses: Iterable[Use]) -> None:
        changes: dict[datetime, int] = defaultdict(int)
        for use in uses:
            changes[use.window.start] += use.quantity
            changes[use.window.end] -= use.quantity
        self.moments: list[datetime] = sorted(at for at, by in changes.items() if by)
        self.levels: list[int] = list(accumulate(changes[at] for at in self.moments))

    def peak(self, window: Window) -> int:
        """The most units in use at once at any moment of a window."""
        first = bisect_right(self.moments, window.start) - 1
        last = bisect_left(self.moments, window.end)
        return self._maximum(max(first, 0), last) if last else 0

    def stretches(self, window: Window) -> list[tuple[datetime, datetime, int]]:
        """A window cut where the use changes: start, end and the units in use between them."""
        first = bisect_right(self.moments, window.start)
        last = bisect_left(self.moments, window.end)
        edges = [window.start, *self.moments[first:last], window.end]
        before = [0, *self.levels]
        return [(edges[i], edges[i + 1], before[first + i]) for i in range(len(edges) - 1)]

    def _maximum(self, first: int, last: int) -> int:
        """Of `levels[first:last]`, from two overlapping powers of two."""
        if first >= last:
            return 0
        size = (last - first).bit_length() - 1
        row = self._maxima[size]
        return max(row[first], row[last - (1 << size)])

    @cached_property
    def _maxima(self) -> list[list[int]]:
        """Row k has the maximum of each 2**k levels in a row."""
        rows, width = [self.levels], 1
        while 2 * width <= len(self.levels):
            above = rows[-1]
            rows.append([max(above[i], above[i + width]) for i in range(len(above) - width)])
            width *= 2
        return rows


def containing(spans: Sequence[Window], window: Window) -> bool:
    """Whether one of the spans, in order and apart, contains the window."""
    at = bisect_right(spans, window.start, key=lambda span: span.start) - 1
    return at >= 0 and spans[at].contains(window)
