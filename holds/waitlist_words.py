"""What somebody waits for, as people say it."""

from datetime import datetime
from zoneinfo import ZoneInfo

from bookings.models import Resource
from bookings.templatetags.surehold import duration
from bookings.words import window_text
from holds.models import WaitlistEntry


def wish_text(
    start: datetime, end: datetime, entry: WaitlistEntry | None, resource: Resource
) -> str:
    """ "Tue 8 Dec, 14:00–15:00, Auckland", or "1 h within Tue 8 Dec, 14:00–18:00, Auckland"."""
    when = window_text(start, end, ZoneInfo(resource.location.timezone))
    if entry is None or entry.is_exact:
        return when
    return f"{duration(entry.duration)} within {when}"
