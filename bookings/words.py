"""Times and policies as people say them, for pages and mails alike."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import formats, timezone

from bookings.local_time import clock_text
from bookings.models import Booking, Line, Resource
from bookings.policy import Terms, terms_of
from config.kernel.money import Money

# Where a booking has more deadlines than this, they are told as hours before each.
_MOST_DEADLINES = 2


def window_text(start: datetime, end: datetime, zone: ZoneInfo, *, named: bool = True) -> str:
    """ "Tue 8 Dec, 14:00–15:30, Auckland": in the location's zone, which is named unless told."""
    first, last = timezone.localtime(start, zone), timezone.localtime(end, zone)
    text = f"{day_text(first)}, {clock_text(first, zone)}–"
    same_day = first.date() == last.date()
    until = clock_text(last, zone)
    text += until if same_day else f"{day_text(last)}, {until}"
    return f"{text}, {zone_text(zone)}" if named else text


def unbroken(text: str) -> str:
    """The same with a window's two times kept on one line, for pages."""
    return text.replace("–", "\N{WORD JOINER}–\N{WORD JOINER}")


def change_text(window: dict[str, Any], resource: Resource) -> str:
    """ "Court 1, Tue 8 Dec, 14:00–15:30, Auckland" for a window as a change keeps it."""
    start, end = (datetime.fromisoformat(window[name]) for name in ("start", "end"))
    return f"{resource.name}, {window_text(start, end, ZoneInfo(resource.location.timezone))}"


def day_text(moment: datetime) -> str:
    """ "Tue 8 Dec", in the reader's language."""
    return formats.date_format(moment, "D j M")


def zone_text(zone: ZoneInfo) -> str:
    """The city of a zone: "Auckland" for Pacific/Auckland."""
    return zone.key.rsplit("/", 1)[-1].replace("_", " ")


def moment_text(moment: datetime, zone: ZoneInfo) -> str:
    """ "Tue 8 Dec, 14:00, Auckland"."""
    local = timezone.localtime(moment, zone)
    return f"{day_text(local)}, {clock_text(local, zone)}, {zone_text(zone)}"


def policy_text(
    terms: Terms,
    currency: str,
    *,
    starts_at: datetime | None = None,
    zone: ZoneInfo | None = None,
    now: datetime | None = None,
) -> str:
    """A cancellation policy in plain words.

    For a start, with its times ("Free to cancel until Tue 8 Dec, 14:00, Auckland."), as far as they
    are still ahead at `now`; without one, in hours before it.
    """
    fee = f" less a fee of {Money(terms.fee_minor, currency)}" if terms.fee_minor else ""
    stages = [(terms.free_hours, f"Everything{fee} is given back" if fee else "Free to cancel")]
    if terms.partial_percent > 0 and terms.partial_hours < terms.free_hours:
        stages.append((terms.partial_hours, f"{terms.partial_percent}%{fee} is given back"))
    ahead = [
        (hours, what)
        for hours, what in stages
        if not (starts_at and now) or now <= starts_at - timedelta(hours=hours)
    ]
    if not ahead:
        return "Nothing is given back when you cancel."
    sentences = [f"{what} until {_deadline(hours, starts_at, zone)}." for hours, what in ahead]
    if ahead[-1][0] > 0:
        sentences.append("Nothing is given back.")
    first, *rest = sentences
    return " ".join([first, *(f"After that, {s[0].lower()}{s[1:]}" for s in rest)])


def _deadline(hours: int, starts_at: datetime | None, zone: ZoneInfo | None) -> str:
    """The moment so many hours before the start, or how long before it that is."""
    if hours == 0:
        return "it starts"
    if starts_at is not None and zone is not None:
        return moment_text(starts_at - timedelta(hours=hours), zone)
    return f"{_hours_text(hours)} before it starts"


def _hours_text(hours: int) -> str:
    if hours >= 48 and hours % 24 == 0:
        return f"{hours // 24} days"
    return f"{hours} hour{'' if hours == 1 else 's'}"


def _lower(text: str) -> str:
    return f"{text[0].lower()}{text[1:]}"


def booking_policy_texts(booking: Booking, lines: Sequence[Line], now: datetime) -> list[str]:
    """The frozen policy of a booking, a sentence for each different one; none for a free booking.

    Many times under the same terms have one, in hours before each.

    `lines` are in order, with their resources and places.
    """
    terms = terms_of(booking.policy)
    if not booking.total_minor or not terms:
        return []
    found: dict[str, str] = {}
    shown = [line for line in lines if line.position < len(terms)]
    for line in shown:
        text = policy_text(
            terms[line.position],
            booking.currency,
            starts_at=line.starts_at,
            zone=ZoneInfo(line.resource.location.timezone),
            now=now,
        )
        found.setdefault(text, line.resource.name)
    if len(found) == 1:
        return list(found)
    if len(found) > _MOST_DEADLINES and len({terms[ln.position] for ln in shown}) == 1:
        return [f"For each: {_lower(policy_text(terms[shown[0].position], booking.currency))}"]
    return [f"{name}: {text}" for text, name in found.items()]
