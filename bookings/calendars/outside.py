"""What others did to our events in a connected calendar."""

from datetime import datetime

from bookings.calendars.delta import Delta
from bookings.models import CalendarConnection


def notice(connection: CalendarConnection, delta: Delta, *, began: datetime) -> None:
    """Our events that were deleted or moved there."""
