"""What a place's or a resource's rules come to, day by day."""

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, connection

from bookings.holiday_calendars import holidays_of
from bookings.hours import HOURS_SQL, DayHours, Hours, hours_from

_SQL = f"SELECT {HOURS_SQL} FROM (SELECT %s::uuid AS id, %s::uuid AS location_id) AS r"  # noqa: S608

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ShownDay:
    """One date and its hours."""

    date: date
    hours: DayHours

    @property
    def why(self) -> str:
        """Where they come from: "usual hours", "holiday: Christmas Day"."""
        if self.hours.source == "weekly":
            return "usual hours"
        return f"{self.hours.source}: {self.hours.label}".removesuffix(": ")


def hours_of(*, location_id: UUID, resource_id: UUID | None = None) -> Hours:
    """The hours of a location, or of a resource there, whether it can be booked or not."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [resource_id, location_id])
        return hours_from(cursor.fetchone()[0])


def days_from(hours: Hours, first: date, count: int) -> list[ShownDay]:
    """So many days from the first; a year is cheap."""
    dates = (first + timedelta(days=n) for n in range(count))
    return [ShownDay(day, hours.on(day)) for day in dates]


def warm_calendars() -> None:
    """Read the holiday calendars in use, so that no claim is the first to ask under its lock.

    The library takes half a second and 20 MB: a web process whose workspaces use none has neither.
    """
    this_year = datetime.now(UTC).year
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT country, subdivision FROM bookings_holidaycalendar")
            for country, subdivision in cursor.fetchall():
                for year in range(this_year, this_year + 3):
                    holidays_of(country, subdivision, year)
    except DatabaseError:
        _log.warning("holiday calendars will be read when they are asked for", exc_info=True)
