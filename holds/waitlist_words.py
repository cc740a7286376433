"""What somebody waits for, as people say it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bookings.models import Resource
from bookings.words import window_text
from holds.models import WaitlistEntry


def wish_text(
    start: datetime, end: datetime, entry: WaitlistEntry | None, resource: Resource
) -> str:
    """ "Tue 8 Dec, 14:00–15:00, Auckland", or "1 h within Tue 8 Dec, 14:00–18:00, Auckland"."""
    when = window_text(start, end, ZoneInfo(resource.location.timezone))
    if entry is None or entry.is_exact:
        return when
    return f"{length_text(entry.duration)} within {when}"


def length_text(length: timedelta) -> str:
    """ "45 min", "1 h", "1 h 30 min", "2 days"."""
    minutes = int(length.total_seconds()) // 60
    if minutes >= 2 * 1440 and minutes % 1440 == 0:
        return f"{minutes // 1440} days"
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes or not hours else []
    return " ".join(parts)
