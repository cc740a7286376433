"""Connected calendars for tests, and what they must show."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection as database
from django.db import transaction
from icalendar import Calendar

from bookings import lock_objects, services
from bookings.calendars import writing
from bookings.models import Booking, CalendarConnection, CalendarEvent, ConnectedResource, Resource
from config.kernel.context import Actor
from tests.support.radicale import Found, Radicale, User

STAFF = Actor("staff", "1", "Somebody")

# The truth, found out without the product: which lines stand on a resource, and how.
_TRUTH = """
    SELECT l.id::text || '@surehold', l.starts_at, l.ends_at,
           CASE WHEN b.state IN ('pending_payment', 'awaiting_approval') THEN 'TENTATIVE'
                ELSE 'CONFIRMED' END
    FROM bookings_line l JOIN bookings_booking b ON b.id = l.booking_id
    WHERE l.resource_id = ANY(%s) AND l.cancelled_at IS NULL AND EXISTS (
        SELECT 1 FROM bookings_occupancy o WHERE o.line_id = l.id AND o.released_at IS NULL
          AND (o.lapses_at IS NULL OR o.lapses_at > clock_timestamp()))
"""


@dataclass
class Connected:
    """A resource's calendar on the test's server."""

    connection: CalendarConnection
    user: User
    url: str

    def events(self) -> list[Found]:
        return self.user.events(self.url)

    def shown(self) -> list[tuple[str, datetime, datetime, str]]:
        """What stands there: UID, start, end, status."""
        return sorted(
            (one.uid, one.event["DTSTART"].dt.astimezone(UTC),
             one.event["DTEND"].dt.astimezone(UTC), one.status)
            for one in self.events()
        )  # fmt: skip

    def wanted(self) -> list[tuple[str, datetime, datetime, str]]:
        """What must stand there."""
        resources = self.connection.resources.filter(writes=True)
        with database.cursor() as cursor:
            cursor.execute(_TRUTH, [list(resources.values_list("resource_id", flat=True))])
            return sorted(cursor.fetchall())

    def assert_equal(self) -> None:
        assert self.shown() == self.wanted()

    def write(self) -> int:
        """Have everything due written, as beat's sweep would; what was away is tried at once."""
        CalendarEvent.objects.filter(connection=self.connection).update(due_at=datetime.now(UTC))
        CalendarConnection.objects.filter(pk=self.connection.pk).update(write_retry_at=None)
        return writing.sweep(seconds=20)

    def move_outside(self, hours: int) -> None:
        """Somebody drags our only event to a later time in their own calendar."""
        (found,) = self.events()
        file = Calendar.from_ical(self.user.asked("GET", found.href).content)
        for event in file.walk("VEVENT"):
            for name in ("DTSTART", "DTEND"):
                moment = event.pop(name).dt + timedelta(hours=hours)
                event.add(name, moment)
        self.user.put(found.href, file.to_ical())

    def row(self) -> CalendarEvent:
        return CalendarEvent.objects.select_related("connection").get(connection=self.connection)


def connect(radicale: Radicale, *resources: Resource, name: str = "events") -> Connected:
    """A CalDAV calendar that is written with what is booked of these."""
    user = radicale.user()
    url = user.calendar(name)
    connection = CalendarConnection.objects.create(
        workspace=resources[0].workspace, kind="caldav", name=name, url=url,
        username=user.name, password=user.password,
    )  # fmt: skip
    for resource in resources:
        ConnectedResource.objects.create(connection=connection, resource=resource, reads=False)
    return Connected(connection, user, url)


def confirm(booking: Booking) -> None:
    """As settlement does, without money: the hold ends and the booking is theirs."""
    with transaction.atomic():
        locked = services.locked_booking(booking.pk)
        services.confirm(locked, at=lock_objects.now_under_locks(), actor=STAFF)


def release(booking: Booking, to_state: str = "released") -> None:
    with transaction.atomic():
        locked = services.locked_booking(booking.pk)
        at = lock_objects.now_under_locks()
        services.end(locked, services.Move(to_state, at, STAFF))
