"""Times as people say them, for pages and mails alike."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import formats, timezone


def window_text(start: datetime, end: datetime, zone: ZoneInfo, *, named: bool = True) -> str:
    """ "Tue 8 Dec, 14:00–15:30, Auckland": in the location's zone, which is named unless told."""
    first, last = timezone.localtime(start, zone), timezone.localtime(end, zone)
    text = f"{day_text(first)}, {first:%H:%M}–"
    same_day = first.date() == last.date()
    text += f"{last:%H:%M}" if same_day else f"{day_text(last)}, {last:%H:%M}"
    return f"{text}, {zone_text(zone)}" if named else text


def day_text(moment: datetime) -> str:
    """ "Tue 8 Dec", in the reader's language."""
    return formats.date_format(moment, "D j M")


def zone_text(zone: ZoneInfo) -> str:
    """The city of a zone: "Auckland" for Pacific/Auckland."""
    return zone.key.rsplit("/", 1)[-1].replace("_", " ")


def moment_text(moment: datetime, zone: ZoneInfo) -> str:
    """ "Tue 8 Dec, 14:00, Auckland"."""
    local = timezone.localtime(moment, zone)
    return f"{day_text(local)}, {local:%H:%M}, {zone_text(zone)}"
