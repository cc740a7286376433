"""A feed's file: the calendar by the library, its events by the thousand line by line.

The library takes many times as long for an event, most of it for values that are plain or recur.
Here only texts go through it, to be escaped and folded, and those that recur once.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from icalendar import Calendar, vDuration, vText
from icalendar.parser import Contentline

from bookings.ics import calendar_of, staff_path
from bookings.ics_entries import Entry, Shown, Source, entry
from bookings.ics_zones import local_times, timezone_of
from bookings.links import absolute, manage_url_of

REFRESH = timedelta(hours=1)
# Octets of a line, without the blank before one that goes on (RFC 5545 §3.1).
_WIDTH = 74
_END = b"END:VCALENDAR\r\n"


def render(title: str, sources: Iterable[Source], shown: Shown, *, now: datetime) -> bytes:
    """The whole file. `now` says for which years the zones' clocks are told."""
    link = _links(shown)
    events: list[bytes] = []
    zones: dict[str, None] = {}
    for source in sources:
        zones.setdefault(source.zone)
        events.append(written(entry(source, shown, link(source.booking_id))))
    head = _calendar(title, zones, now).to_ical().removesuffix(_END)
    return b"".join([head, *events, _END])


def written(said: Entry) -> bytes:
    """One event, the same as `ics.event_of` writes it."""
    stamp = f"{said.changed_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    start, end = local_times(said.start, said.end, said.zone)
    lines = [
        f"BEGIN:VEVENT\r\nUID:{said.uid}\r\nSEQUENCE:{said.sequence}\r\nDTSTAMP:{stamp}\r\n"
        f"LAST-MODIFIED:{stamp}\r\n{_moment('DTSTART', start, said.zone)}"
        f"{_moment('DTEND', end, said.zone)}STATUS:{said.status}\r\n".encode(),
        _text("SUMMARY", said.summary),
    ]
    if said.place:
        lines.append(_text("LOCATION", said.place))
    if said.description:
        lines.append(_folded("DESCRIPTION", said.description))
    if said.url:
        lines.append(_line(f"URL:{said.url}"))
    lines.append(b"END:VEVENT\r\n")
    return b"".join(lines)


def _calendar(title: str, zones: Iterable[str], now: datetime) -> Calendar:
    calendar = calendar_of([])
    for name in ("name", "x-wr-calname"):
        calendar[name] = vText(title)
    every = vDuration(REFRESH)
    calendar["x-published-ttl"] = every
    calendar.add("refresh-interval", every, parameters={"VALUE": "DURATION"})
    for zone in zones:
        clock = timezone_of(zone, now.year - 2, now.year + 3)
        if clock is not None:
            calendar.add_component(clock)
    return calendar


def _links(shown: Shown) -> Callable[[UUID], str]:
    if shown is Shown.MINE:
        return manage_url_of
    if shown is Shown.NAMES:
        return lambda booking_id: absolute(staff_path(booking_id))
    return lambda _booking_id: ""


def _moment(name: str, moment: datetime, zone: str) -> str:
    if moment.tzinfo is UTC:
        return f"{name}:{moment:%Y%m%dT%H%M%SZ}\r\n"
    return f"{name};TZID={zone}:{moment:%Y%m%dT%H%M%S}\r\n"


@lru_cache(maxsize=4096)
def _text(name: str, text: str) -> bytes:
    """Places recur, and what is booked does."""
    return _folded(name, text)


def _folded(name: str, text: str) -> bytes:
    return _line(f"{name}:{vText(text).to_ical().decode()}")


def _line(line: str) -> bytes:
    """One content line, folded as the library does it, which takes every letter by itself.

    Plain ASCII is cut into slices here, unless one would end within an escape.
    """
    slices = [line[n : n + _WIDTH] for n in range(0, len(line), _WIDTH)]
    if not line.isascii() or any(each[-1] in "\\^" for each in slices):
        return Contentline(line).to_ical() + b"\r\n"
    return ("\r\n ".join(slices) + "\r\n").encode()
