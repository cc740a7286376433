"""Which stretches of a range are free, and how many units throughout each.

Buffers are part of what is taken, but nothing that a member sees: a stretch is where a window may
lie, so it keeps the distance that the window's own buffers need.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, groupby, pairwise

from bookings.days import Days
from bookings.rules import Rules
from bookings.windows import Window, without

Taken = Sequence[tuple[Window, int]]
Stretch = tuple[Window, int]


def stretches(
    rules: Rules, span: Window, opened: Sequence[Window], taken: Taken
) -> list[tuple[Window, int]]:
    """Free windows of `opened` (clipped to `span`), each with the units to be had throughout.

    `taken` are windows with their buffers and how many units each takes. Any window with so many
    units free lies within one stretch, or over several that meet. Where days count, a stretch is
    made of whole ones: what is left between a check-out and the next check-in is none.
    """
    before = timedelta(seconds=rules.buffer_before_seconds)
    after = timedelta(seconds=rules.buffer_after_seconds)
    if rules.days is not None:
        return _clipped(_in_days(rules, rules.days, span, Used(taken)), span)
    kept = [Window(w.start - after, w.end + before) for w, _ in taken]
    if rules.is_exclusive:
        return [(window, 1) for window in without(opened, kept)]
    used = Used(taken)
    edges = sorted({moment for w in kept for moment in (w.start, w.end)})
    return [
        (piece, rules.capacity - most)
        for window in opened
        for piece in _pieces(window, edges)
        if (most := used.most(rules.occupied(piece))) < rules.capacity
    ]


@dataclass
class Used:
    """How many units are in use from one moment to the next."""

    moments: list[datetime]
    levels: list[int]

    def __init__(self, taken: Taken) -> None:
        steps = sorted(step for w, many in taken for step in ((w.start, many), (w.end, -many)))
        at_once = [(at, sum(s for _, s in group)) for at, group in groupby(steps, lambda s: s[0])]
        self.moments = [at for at, _ in at_once]
        self.levels = list(accumulate(change for _, change in at_once))

    def most(self, window: Window) -> int:
        """The most units in use at once in a window."""
        first = bisect_right(self.moments, window.start) - 1
        last = bisect_left(self.moments, window.end)
        return max([0, *self.levels[max(first, 0) : last]])


def _pieces(window: Window, edges: list[datetime]) -> Iterator[Window]:
    inner = edges[bisect_right(edges, window.start) : bisect_left(edges, window.end)]
    for start, end in pairwise([window.start, *inner, window.end]):
        yield Window(start, end)


def _in_days(rules: Rules, days: Days, span: Window, used: Used) -> list[Stretch]:
    """Runs of days with as many units free: to the last check-out, or to where the next begins."""
    found: list[Stretch] = []
    opened_until = None
    for piece in rules.spans(span.start, span.end):
        day = piece.start.astimezone(rules.zone).date()
        one = days.window(rules.zone, day, 1)
        left = rules.capacity - used.most(rules.occupied(one))
        last, units = found[-1] if found else (None, 0)
        if left > 0 and last is not None and opened_until == piece.start:
            # One may stay between the two days, unless somebody comes in between.
            between = rules.capacity - used.most(Window(last.end, piece.start))
            if last.end <= piece.start and between >= min(units, left):
                found[-1] = (last := Window(last.start, piece.start), units)
        if last is not None and last.end == piece.start and units == left:
            found[-1] = (Window(last.start, one.end), left)
        elif left > 0:
            found.append((one, left))
        opened_until = piece.end
    return found


def _clipped(found: list[Stretch], span: Window) -> list[Stretch]:
    clipped = [(Window(max(w.start, span.start), min(w.end, span.end)), n) for w, n in found]
    return [(w, n) for w, n in clipped if w.start < w.end]
