"""While which price rules count: a window cut where one of them begins or ends to apply.

The cuts are made on the resource's own clock, so that "before noon" is noon there, whatever the
clocks did that night; the pieces are real time.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from bookings.local_time import jump_between
from bookings.prices import Price, counting
from bookings.windows import Window

_DAY = timedelta(days=1)
_MIDNIGHT = time(0)


def stretches(
    prices: Sequence[Price], window: Window, zone: ZoneInfo
) -> list[tuple[Price, list[Window]]]:
    """Each rule that counts at some moment of the window, with the stretches in which it does."""
    if not any(price.has_clock or price.has_tier for price in prices):
        return [(price, [window]) for price in counting(prices)]
    found: dict[int, list[Window]] = {}
    for piece in _pieces(prices, window, zone):
        local = piece.start.astimezone(zone).replace(tzinfo=None)
        since = piece.start - window.start
        here = counting([price for price in prices if price.applies(local, since)])
        for index, price in enumerate(prices):
            if any(price is each for each in here):
                _grow(found.setdefault(index, []), piece)
    return [(prices[index], found[index]) for index in sorted(found)]


def _grow(stretches: list[Window], piece: Window) -> None:
    if stretches and stretches[-1].end == piece.start:
        stretches[-1] = Window(stretches[-1].start, piece.end)
    else:
        stretches.append(piece)


def _pieces(prices: Sequence[Price], window: Window, zone: ZoneInfo) -> Iterator[Window]:
    cuts = {window.start, window.end}
    for price in prices:
        cuts.add(window.start + timedelta(seconds=price.from_seconds))
        if price.until_seconds is not None:
            cuts.add(window.start + timedelta(seconds=price.until_seconds))
    clocks = [price for price in prices if price.has_clock]
    if clocks:
        times = {t for price in clocks for t in (price.from_time, price.to_time) if t}
        cuts.update(_clock_cuts(window, zone, frozenset(times | {_MIDNIGHT})))
    ordered = sorted(cut for cut in cuts if window.start <= cut <= window.end)
    for start, end in pairwise(ordered):
        yield Window(start, end)


def _clock_cuts(window: Window, zone: ZoneInfo, times: frozenset[time]) -> Iterator[datetime]:
    """Every moment at which the clock shows one of these times, and those at which it jumps."""
    day = window.start.astimezone(zone).date()
    last = window.end.astimezone(zone).date()
    while day <= last:
        yield from _cuts_of_day(zone, day, times)
        day += _DAY


@lru_cache(maxsize=4096)
def _cuts_of_day(zone: ZoneInfo, day: date, times: frozenset[time]) -> tuple[datetime, ...]:
    """Those of one day: every slot of the day asks for the same."""
    found = []
    for local in times:
        named = datetime.combine(day, local, tzinfo=zone)
        found += [named.astimezone(UTC), named.replace(fold=1).astimezone(UTC)]
    begin = datetime.combine(day, _MIDNIGHT, tzinfo=zone).astimezone(UTC)
    return (*found, *_jump(zone, begin - _DAY / 4, begin + _DAY * 5 / 4))


def _jump(zone: ZoneInfo, before: datetime, after: datetime) -> Iterator[datetime]:
    """The moment at which the zone's clocks jump between two others, if they do."""
    if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
        yield jump_between(zone, before, after)
