"""Opening spans of one day as people write them: "09:00-12:00, 13:00-17:00"; nothing is closed.

The database keeps this notation and refuses any other (`SPANS_PATTERN`). Closing at or before
opening is on the next day; 00:00 at the end is midnight.
"""

import re
from collections.abc import Sequence
from datetime import time

Spans = tuple[tuple[time, time], ...]

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_SPAN = f"{_CLOCK}-{_CLOCK}"
SPANS_PATTERN = f"^({_SPAN}(, {_SPAN})*)?$"
_WRITTEN = re.compile(r"(\d{1,2})(?:[:.](\d\d))?\s*(?:[-–—]|to)\s*(\d{1,2})(?:[:.](\d\d))?")


class NotSpans(ValueError):
    """What was written says no times of a day."""


def spans_from(notation: str) -> Spans:
    """Spans from the notation that the database keeps, in order of opening."""
    pairs = (each.split("-") for each in notation.split(", ") if each)
    return tuple(sorted((time.fromisoformat(a), time.fromisoformat(b)) for a, b in pairs))


def notation_of(spans: Sequence[tuple[time, time]]) -> str:
    """Spans in the notation that the database keeps."""
    return ", ".join(f"{opens:%H:%M}-{closes:%H:%M}" for opens, closes in spans)


def spans_text(spans: Sequence[tuple[time, time]]) -> str:
    """ "09:00–12:00, 13:00–17:00", or "closed"."""
    return ", ".join(f"{a:%H:%M}–{b:%H:%M}" for a, b in spans) or "closed"


def read_spans(text: str) -> str:
    """What somebody wrote ("9-12 and 13–17:30", "24h", "closed"), in the notation that is kept.

    Raises NotSpans, which says what is wrong, for anything that is not times of a day.
    """
    plain = text.strip().lower()
    if plain in {"", "closed"}:
        return ""
    if plain in {"24h", "24 h", "all day"}:
        return "00:00-00:00"
    spans = []
    for part in re.split(r"\s*(?:[,;]|\band\b)\s*", plain):
        found = _WRITTEN.fullmatch(part.strip())
        if found is None:
            raise NotSpans("Write times as in “09:00-12:00, 13:00-17:00”, or nothing for closed.")
        spans.append((_clock(found[1], found[2]), _clock(found[3], found[4])))
    return notation_of(sorted(spans))


def _clock(hour: str, minute: str | None) -> time:
    if int(hour) == 24 and not int(minute or 0):
        return time(0)
    try:
        return time(int(hour), int(minute or 0))
    except ValueError as error:
        raise NotSpans(f"There is no {hour}:{minute or '00'} on the clock.") from error
