"""What a calendar says of one line of a booking, whoever it is for and however it is written.

`ics.py` makes it an event of a file, a mail or a CalDAV calendar, `ics_feed.py` writes it by the
thousand. Both say the same, since both are made of this.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from bookings.states import UNDECIDED, WITHOUT_OCCUPANCIES


class Shown(StrEnum):
    """Whose eyes a calendar is for, and so what of a booking stands in it."""

    MINE = "mine"  # whoever booked: with the link that manages the booking
    NAMES = "names"  # staff: who booked, and never the link that stands in for them
    BUSY = "busy"  # anybody: that it is booked


@dataclass(frozen=True, slots=True)
class Source:
    """What an entry is made of: of a line, its booking, its place and what goes with it.

    `zone` is the place's. `changed_at` is when the booking's version came about.
    """

    line_id: UUID
    booking_id: UUID
    reference: str
    version: int
    state: str
    is_dropped: bool
    who: str
    resource: str
    quantity: int
    add_ons: str
    workspace: str
    location: str
    address: str
    zone: str
    start: datetime
    end: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, ready to be written; empty texts are left out."""

    uid: str
    sequence: int
    status: str
    zone: str
    start: datetime
    end: datetime
    changed_at: datetime
    summary: str
    place: str
    description: str
    url: str


def entry(source: Source, shown: Shown, url: str = "") -> Entry:
    """What `shown` may see of a line. `url` leads to its booking, and is part of what is seen."""
    return Entry(
        uid=f"{source.line_id}@surehold",
        sequence=source.version,
        status=status_of(source.state, is_dropped=source.is_dropped),
        zone=source.zone,
        start=source.start,
        end=source.end,
        changed_at=source.changed_at,
        summary=_summary(source, shown),
        place=_place(source),
        description="" if shown is Shown.BUSY else _description(source, url),
        url="" if shown is Shown.BUSY else url,
    )


def status_of(state: str, *, is_dropped: bool) -> str:
    """TENTATIVE until it is theirs, CANCELLED once it is not: the booking, or this line of it."""
    if is_dropped or state in WITHOUT_OCCUPANCIES:
        return "CANCELLED"
    return "TENTATIVE" if state in UNDECIDED else "CONFIRMED"


def _summary(source: Source, shown: Shown) -> str:
    what = source.resource if source.quantity == 1 else f"{source.quantity} × {source.resource}"
    if shown is Shown.MINE:
        return f"{what} ({source.workspace})"
    return f"{what}: {source.who or 'Guest'}" if shown is Shown.NAMES else f"{what}: booked"


def _place(source: Source) -> str:
    return ", ".join(part for part in [source.location, *source.address.splitlines()] if part)


def _description(source: Source, url: str) -> str:
    said = [
        f"Booking {source.reference}.",
        f"With {source.add_ons}." if source.add_ons else "",
        url,
    ]
    return "\n".join(part for part in said if part)
