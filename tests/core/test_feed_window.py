"""Whatever is booked: a feed's events are the bookings in its window, each as it stands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from icalendar import Calendar, Event, vText

from bookings import ics_feeds
from bookings.ics_entries import Shown
from bookings.ics_feed import _folded
from bookings.models import Booking, Line, Resource
from config.kernel import clock
from tests.factories import make_room

pytestmark = pytest.mark.django_db

STATUS = {
    "confirmed": "CONFIRMED", "completed": "CONFIRMED", "no_show": "CONFIRMED",
    "awaiting_approval": "TENTATIVE", "pending_payment": "TENTATIVE",
    "cancelled": "CANCELLED", "released": "CANCELLED", "expired": "CANCELLED",
}  # fmt: skip
# How each state is come to, one move after the other.
WAYS = {
    "confirmed": ["confirmed"], "completed": ["confirmed", "completed"],
    "no_show": ["confirmed", "no_show"], "cancelled": ["confirmed", "cancelled"],
    "released": ["released"], "expired": ["expired"], "pending_payment": [],
    "awaiting_approval": [],
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A line as it was made; times in hours from today's midnight (UTC)."""

    state: str
    starts: int
    hours: int
    was_theirs: bool  # confirmed or asked for, at some time
    ended: int
    dropped: int | None

    def is_shown(self) -> bool:
        if not self.was_theirs or self.starts + self.hours <= -30 * 24 or self.starts >= 731 * 24:
            return False
        ended = self.dropped
        if ended is None and STATUS[self.state] == "CANCELLED":
            ended = self.ended
        return ended is None or ended >= -30 * 24

    def status(self) -> str:
        return "CANCELLED" if self.dropped is not None else STATUS[self.state]


_AGO = st.one_of(st.integers(-60 * 24, 0), st.sampled_from([-30 * 24 - 1, -30 * 24]))
_MADE = st.builds(
    Made,
    state=st.sampled_from(sorted(STATUS)),
    starts=st.one_of(st.integers(-60 * 24, 760 * 24), st.integers(-32 * 24, -29 * 24)),
    hours=st.one_of(st.integers(1, 5), st.integers(1, 365 * 24)),
    was_theirs=st.booleans(),
    ended=_AGO,
    dropped=st.one_of(st.none(), st.none(), _AGO),
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=st.lists(_MADE, max_size=12))
def test_a_feed_is_what_is_booked_in_its_window(made: list[Made]) -> None:
    with transaction.atomic():
        room = make_room(price=0)
        now = clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        lines = [_written(room, one, midnight) for one in made]
        expected = {
            f"{line.pk}@surehold": (
                one.status(),
                line.starts_at,
                line.ends_at,
                len(WAYS[one.state]),
            )
            for one, line in zip(made, lines, strict=True)
            if one.is_shown()
        }
        for place in (room, room.location):
            feed = ics_feeds.make_for(place, shown=Shown.BUSY, by=None)
            file = ics_feeds.file_of(ics_feeds.Found(feed, now))
            events = Calendar.from_ical(file).walk("VEVENT")
            found: dict[str, Any] = {
                str(e["UID"]): (
                    str(e["STATUS"]), e["DTSTART"].dt, e["DTEND"].dt, int(e["SEQUENCE"])
                )
                for e in events
            }  # fmt: skip
            assert len(events) == len(found)
            assert found == expected
        transaction.set_rollback(True)  # rows that hold no time: not for the rules at commit


_TEXTS = st.text(st.sampled_from('aZ \\^;,\n"é😀:'), max_size=400)


@settings(max_examples=150, deadline=None)
@given(text=_TEXTS, plain=st.text(st.sampled_from("ab\\,;^"), max_size=400))
def test_lines_are_folded_as_the_library_folds_them(text: str, plain: str) -> None:
    for said in (text, plain):
        assert (
            _folded("SUMMARY", said)
            == Event({"summary": vText(said)}).content_line("SUMMARY", vText(said)).to_ical()
            + b"\r\n"
        )


def _written(room: Resource, one: Made, midnight: datetime) -> Line:
    start = midnight + timedelta(hours=one.starts)
    end = start + timedelta(hours=one.hours)
    theirs = midnight - timedelta(days=90) if one.was_theirs else None
    booking = Booking.objects.create(
        workspace=room.workspace,
        state="awaiting_approval" if one.state == "awaiting_approval" else "pending_payment",
        currency="NZD", total_minor=0, price={}, starts_at=start, ends_at=end,
        created_at=midnight, confirmed_at=theirs,
    )  # fmt: skip
    for state in WAYS[one.state]:
        booking.state, booking.version = state, booking.version + 1
        booking.ended_at = midnight + timedelta(hours=one.ended)
        booking.save()
    dropped = None if one.dropped is None else midnight + timedelta(hours=one.dropped)
    return Line.objects.create(
        booking=booking, resource=room, starts_at=start, ends_at=end, amount_minor=0,
        cancelled_at=dropped,
    )  # fmt: skip
