"""The way back for who lost a slot: its nearest equivalent, held by one press of a button."""

from dataclasses import dataclass, replace
from uuid import UUID

from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from bookings.equivalents import Equivalent, equivalents
from bookings.models import Booking, Line, Resource
from bookings.states import UNDECIDED, WITHOUT_OCCUPANCIES
from bookings.visibility import Viewer
from config.kernel import clock
from config.kernel.errors import InvalidInput
from holds.claims import LineRequest
from holds.models import Hold
from holds.parts import requests_of
from holds.selectors import is_live


@dataclass(frozen=True, slots=True)
class Offered:
    """An equivalent with the zone of its place, as a button shows it."""

    what: Equivalent
    zone: str


def lines_of(booking: Booking) -> list[Line]:
    """What was lost, first line first, with places; not what was given up before."""
    lines = booking.lines.filter(cancelled_at=None)
    return list(lines.select_related("resource__location").order_by("position"))


def is_lost(booking: Booking) -> bool:
    """Whether the member has nothing of it any more (tidied or not)."""
    if booking.state not in UNDECIDED:
        return booking.state in WITHOUT_OCCUPANCIES
    hold = Hold.objects.filter(booking=booking, change=None).first()
    return hold is None or not is_live(hold, clock.now())


def offers_for(booking: Booking, lines: list[Line], viewer: Viewer) -> list[Offered]:
    """The nearest equivalents that are free now, the nearest first."""
    found = equivalents(
        workspace_id=booking.workspace_id, lines=lines, now=clock.now(), viewer=viewer
    )
    places = Resource.objects.filter(pk__in=[e.resource_id for e in found])
    zones = dict(places.values_list("pk", "location__timezone"))
    return [Offered(e, zones[e.resource_id]) for e in found]


def lines_asked(booking: Booking, lines: list[Line], posted: QueryDict) -> list[LineRequest]:
    """The lines of the equivalent that a button named by its first resource and start.

    Raises InvalidInput where no page of ours has such a button.
    """
    start = parse_datetime(posted.get("start", ""))
    resource_id = _uuid(posted.get("resource", ""))
    if start is None or start.tzinfo is None or resource_id is None or not lines:
        raise InvalidInput("This form does not name a time. Load the page again.", field="start")
    first = lines[0]
    asked = requests_of(lines)
    if len(asked) == 1:
        end = start + (first.ends_at - first.starts_at)
        there = _alike(first, resource_id)
        return [LineRequest(there, start, end, first.quantity, asked[0].add_ons)]
    if resource_id != first.resource_id:
        raise InvalidInput("This form names something else.", field="resource")
    by = start - first.starts_at
    return [replace(line, start=line.start + by, end=line.end + by) for line in asked]


def _alike(lost: Line, resource_id: UUID) -> UUID:
    """A resource of the lost one's category and workspace."""
    kin = Resource.objects.filter(
        pk=resource_id,
        workspace_id=lost.resource.workspace_id,
        category_id=lost.resource.category_id,
    )
    if not kin.exists():
        raise InvalidInput("This form names something else.", field="resource")
    return resource_id


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
