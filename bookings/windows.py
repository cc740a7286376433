"""Stretches of time, `[start, end)`, and what can be done with lists of them."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """`[start, end)`, half open, both with a time zone."""

    start: datetime
    end: datetime

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    def overlaps(self, other: "Window") -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, other: "Window") -> bool:
        return self.start <= other.start and other.end <= self.end


def merged(windows: Sequence[Window]) -> list[Window]:
    """Windows that meet or overlap become one; the result is in order."""
    result: list[Window] = []
    for window in sorted(windows):
        if result and window.start <= result[-1].end:
            result[-1] = Window(result[-1].start, max(result[-1].end, window.end))
        else:
            result.append(window)
    return result


def without(windows: Sequence[Window], taken: Sequence[Window]) -> list[Window]:
    """What is left of ordered, disjoint windows once the taken ones are cut out."""
    left: list[Window] = []
    cuts = merged(taken)
    begins = [cut.start for cut in cuts]
    for window in windows:
        start = window.start
        first, last = bisect_right(begins, start) - 1, bisect_left(begins, window.end)
        for cut in cuts[max(first, 0) : last]:
            if cut.end <= start:
                continue
            if start < cut.start:
                left.append(Window(start, cut.start))
            start = cut.end
        if start < window.end:
            left.append(Window(start, window.end))
    return left
