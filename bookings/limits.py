"""How much of a limit is used, and by how much a wish goes beyond it: pure, in local time.

A booking counts once for each local day on which one of its lines begins: a bundle is one booking,
an occurrence of a series is one of its own. Hours are those of its distinct windows, in the month
in which each begins: two things at the same time, or several units, are not twice the time. Day,
week (from Monday) and month are those of the place of each line's resource.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

PER_DAY = "bookings_per_day"
PER_WEEK = "bookings_per_week"
HOURS = "hours_per_month"


@dataclass(frozen=True, slots=True)
class Limit:
    """One row of limits; `name` is what it is for, empty for the whole workspace."""

    category_id: UUID | None
    resource_id: UUID | None
    bookings_per_day: int | None
    bookings_per_week: int | None
    hours_per_month: int | None
    name: str = ""

    def counts(self, line: "Booked") -> bool:
        return self.resource_id in {None, line.resource_id} and (
            self.category_id in {None, line.category_id}
        )


@dataclass(frozen=True, slots=True)
class Booked:
    """A line of a booking that stands, or (with no booking) of the one that is asked for, be it
    new or moved.
    """

    booking_id: UUID | None
    resource_id: UUID
    category_id: UUID
    start: datetime
    end: datetime
    timezone: str

    @property
    def day(self) -> date:
        return self.start.astimezone(ZoneInfo(self.timezone)).date()


@dataclass(frozen=True, slots=True)
class Period:
    """A local day, week or month: the first day, and the first one after it."""

    first: date
    after: date

    def holds(self, day: date) -> bool:
        return self.first <= day < self.after


@dataclass(frozen=True, slots=True)
class Beyond:
    """Which limit a wish breaks, with what is used and asked for (bookings, or hours), in which
    local period, and by which line of the wish.
    """

    rule: str
    limit: int
    used: float
    asked: float
    period: Period
    line: int
    timezone: str
    name: str

    @property
    def frees_at(self) -> datetime:
        """The first moment that counts for the next period."""
        return datetime.combine(self.period.after, time(), tzinfo=ZoneInfo(self.timezone))


def first_beyond(
    limits: Iterable[Limit], had: Sequence[Booked], wanted: Sequence[Booked]
) -> Beyond | None:
    """The first limit that `wanted` would break beside what the member has; None when none."""
    return next((b for limit in limits for b in _beyond(limit, had, wanted)), None)


def _beyond(limit: Limit, had: Sequence[Booked], wanted: Sequence[Booked]) -> Iterator[Beyond]:
    mine = [each for each in had if limit.counts(each)]
    for index, line in enumerate(wanted):
        if not limit.counts(line):
            continue
        ours = [each for each in wanted if limit.counts(each)]
        for rule, most, period, sum_of in _rules(limit, line.day):
            used = sum_of(_within(mine, period))
            asked = sum_of(_within([*mine, *ours], period)) - used
            if most is not None and used + asked > most:
                yield Beyond(rule, most, used, asked, period, index, line.timezone, limit.name)


def _rules(limit: Limit, day: date):  # type: ignore[no-untyped-def]
    monday = day - timedelta(days=day.weekday())
    first = day.replace(day=1)
    next_first = (first + timedelta(days=32)).replace(day=1)
    yield PER_DAY, limit.bookings_per_day, Period(day, day + timedelta(days=1)), _bookings
    yield PER_WEEK, limit.bookings_per_week, Period(monday, monday + timedelta(days=7)), _bookings
    yield HOURS, limit.hours_per_month, Period(first, next_first), _hours


def _within(lines: Iterable[Booked], period: Period) -> list[Booked]:
    return [line for line in lines if period.holds(line.day)]


def _bookings(lines: Iterable[Booked]) -> int:
    return len({(line.booking_id, line.day) for line in lines})


def _hours(lines: Iterable[Booked]) -> float:
    windows = {(line.booking_id, line.start, line.end) for line in lines}
    seconds = sum((end - start).total_seconds() for _, start, end in windows)
    return round(seconds / 3600, 2)
