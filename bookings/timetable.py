"""What a place's or a resource's rules come to, day by day."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.db import connection

from bookings.hours import HOURS_SQL, DayHours, Hours, hours_from

_SQL = f"SELECT {HOURS_SQL} FROM (SELECT %s::uuid AS id, %s::uuid AS location_id) AS r"  # noqa: S608


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
