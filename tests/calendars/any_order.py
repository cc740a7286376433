"""Bookings, outages, crashes and writes as they come, and what the calendar shows afterwards.

The suite runs a short sequence; `CALENDAR_STEPS=2000 uv run python -m tests.long
tests/calendars/test_breaking.py` runs long ones.
"""

import contextlib
import random
from dataclasses import dataclass, field

from bookings.calendars import writing
from bookings.models import Booking, CalendarEvent, Resource
from config.kernel.errors import DomainError
from tests.calendars.support import Connected, confirm, connect, release
from tests.core.support import hold, line
from tests.factories import make_room
from tests.support.radicale import Radicale

_DEEDS = ["hold", "hold", "confirm", "end", "write", "write", "write", "again", "crash", "lose",
          "fail", "behave", "behave"]  # fmt: skip


@dataclass
class World:
    """Two rooms, one calendar, and the bookings that have not ended."""

    radicale: Radicale
    chance: random.Random
    calendar: Connected
    rooms: list[Resource]
    alive: list[Booking] = field(default_factory=list)

    def hold(self) -> None:
        hour = self.chance.randrange(0, 23)
        with contextlib.suppress(DomainError):  # taken: that is not what this is about
            self.alive.append(hold(line(self.chance.choice(self.rooms), hour, hour + 1)).booking)

    def confirm(self) -> None:
        for booking in self.alive[:1]:
            booking.refresh_from_db()
            if booking.state == "pending_payment":
                confirm(booking)

    def end(self) -> None:
        if self.alive:
            booking = self.alive.pop(self.chance.randrange(len(self.alive)))
            booking.refresh_from_db()
            release(booking, "cancelled" if booking.state == "confirmed" else "released")

    def write(self) -> None:
        self.calendar.write()

    def again(self) -> None:
        """Tasks come twice, and in any order."""
        for row_id in CalendarEvent.objects.order_by("?").values_list("pk", flat=True)[:3]:
            writing.write(row_id)

    def crash(self) -> None:
        """A worker dies somewhere between its lease and its outcome."""
        for row_id in writing.due()[:1]:
            leased = writing.lease(row_id)
            if leased is not None and self.chance.random() < 0.7:
                with contextlib.suppress(DomainError):
                    writing._made(leased)
        CalendarEvent.objects.update(leased_until=None)

    def lose(self) -> None:
        self.radicale.front.lose_answers(self.chance.choice(["PUT", "DELETE", "GET"]))

    def fail(self) -> None:
        self.radicale.front.fail(self.chance.choice([500, 503, 429]))

    def behave(self) -> None:
        self.radicale.front.behave()


def in_any_order(radicale: Radicale, *, seed: int, steps: int) -> None:
    """At the end the calendar shows the truth, and nobody is asked about our own doings."""
    room = make_room()
    other = make_room(workspace=room.workspace, location=room.location)
    chance = random.Random(seed)
    world = World(radicale, chance, connect(radicale, room, other), [room, other])
    for _ in range(steps):
        getattr(world, chance.choice(_DEEDS))()
    radicale.heal()
    CalendarEvent.objects.update(leased_until=None)
    world.write()
    world.calendar.assert_equal()
    assert not CalendarEvent.objects.exclude(outside_kind="").exists()
