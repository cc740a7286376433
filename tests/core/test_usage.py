"""The sorted look at uses says what asking every use about every window says."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bookings.rules import Window, without
from bookings.usage import Usage, Use, containing

NOON = datetime(2030, 6, 3, 12, tzinfo=UTC)


def span(start: int, length: int) -> Window:
    return Window(NOON + timedelta(hours=start), NOON + timedelta(hours=start + length))


windows = st.builds(span, st.integers(0, 40), st.integers(1, 12))
uses = st.lists(st.builds(Use, windows, st.integers(1, 5)), max_size=30)


def at_each_hour(found: list[Use], window: Window) -> dict[datetime, int]:
    """Asked the long way: hour by hour, every use."""
    hours = int(window.duration.total_seconds()) // 3600
    moments = [window.start + timedelta(hours=n) for n in range(hours)]
    return {
        at: sum(u.quantity for u in found if u.window.start <= at < u.window.end) for at in moments
    }


@given(uses, windows)
def test_the_peak_is_the_most_that_any_hour_has(found, window):
    assert Usage(found).peak(window) == max(at_each_hour(found, window).values())


@given(uses, windows)
def test_stretches_cover_the_window_and_say_the_use_of_each_hour(found, window):
    stretches = Usage(found).stretches(window)
    assert stretches[0][0] == window.start
    assert stretches[-1][1] == window.end
    assert all(a[1] == b[0] for a, b in pairwise(stretches))
    for at, used in at_each_hour(found, window).items():
        assert [level for start, end, level in stretches if start <= at < end] == [used]


@given(st.lists(windows, max_size=8), windows)
def test_only_a_span_that_reaches_over_all_of_a_window_contains_it(found, window):
    apart = without([span(0, 60)], found)
    assert containing(apart, window) == any(each.contains(window) for each in apart)


def test_a_busy_pools_slots_ask_each_use_once_and_not_each_start():
    """Fifty thousand uses and a thousand windows: by asking all of all, fifty million steps."""

    class Counting(Use):
        asked = 0

        @property
        def window(self) -> Window:  # type: ignore[override]
            Counting.asked += 1
            return span(self.quantity % 40, 2)

    many = [Counting.__new__(Counting) for _ in range(2000)]
    for number, use in enumerate(many):
        object.__setattr__(use, "quantity", number % 3 + 1)
    usage = Usage(many)
    for start in range(1000):
        usage.peak(span(start % 50, 3))
    assert Counting.asked == 2 * len(many)
