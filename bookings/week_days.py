"""The week of a resource that is booked by days or nights: one cell a day."""

from datetime import date

from bookings.availability import Availability
from bookings.days import Days

_MONTH = 31


def day_lengths(days: Days, chosen: int) -> list[int]:
    """Minutes to choose from: each number of days to a month, then each week, and the chosen."""
    counts = {n for n in range(days.least, days.most + 1) if n <= _MONTH or n % 7 == 0}
    return sorted({days.seconds(n) // 60 for n in counts | {days.most}} | {chosen})


def is_open(available: Availability, day: date) -> bool:
    return bool(available.rules.hours.on(day).spans)


def is_past(available: Availability, days: Days, day: date) -> bool:
    rules = available.rules
    return days.window(rules.zone, day, 1).start < rules.earliest_start(available.as_of)


def is_free(available: Availability, days: Days, day: date, quantity: int) -> bool:
    """Whether the day is free, though perhaps not for as long as it has to be taken."""
    start = days.window(available.rules.zone, day, 1).start
    return any(f.remaining >= quantity and f.start <= start < f.end for f in available.free)
