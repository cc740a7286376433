"""Feeds of bookings by secret link: what they say, to whom, and that nothing has changed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from icalendar import Calendar, Event

from bookings import ics, ics_feeds
from bookings import services as bookings_services
from bookings.dropping import Dropped, drop
from bookings.ics_entries import Shown, entry
from bookings.ics_feed import written
from bookings.models import Booking, CalendarFeed, Location, Resource
from bookings.services import Move
from config.kernel import clock
from config.kernel.errors import InvalidInput
from holds import changing, services
from holds.claims import AddOnRequest, Claimant
from holds.lock_objects import lock_hold
from members.models import Member
from tests.core.support import SOMEBODY, hold, line
from tests.factories import MemberFactory, at, make_add_on, make_pool, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def room() -> Resource:
    return make_room(price=0, name="Court; “one”, \\ upper")


@pytest.fixture
def ana() -> Member:
    return MemberFactory(email="ana@example.test", name="Ana")


def booked(*lines: Any, member: Member | None = None, email: str = "ana@example.test") -> Booking:
    held = hold(*lines, claimant=Claimant(member=member, email=email, name="Ana Åberg"))
    with transaction.atomic():
        services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    return Booking.objects.get(pk=held.booking_id)


def link(feed: CalendarFeed) -> str:
    return f"/ical/{feed.token}.ics"


def read(feed: CalendarFeed) -> Calendar:
    answer = Client().get(link(feed))
    assert answer.status_code == 200
    calendar = Calendar.from_ical(answer.content)
    assert calendar.errors == []
    return calendar


def events(feed: CalendarFeed) -> dict[str, Event]:
    """By UID; each parses without complaint and stands once."""
    found = read(feed).walk("VEVENT")
    assert all(event.errors == [] for event in found)
    by_uid = {str(event["UID"]): event for event in found}
    assert len(by_uid) == len(found)
    return by_uid


def said(feed: CalendarFeed) -> list[tuple[str, str]]:
    return [(str(e["SUMMARY"]), str(e["STATUS"])) for e in events(feed).values()]


def cancel(booking: Booking) -> None:
    bookings_services.cancel(booking_id=booking.pk, actor=SOMEBODY)


def move(booking: Booking, hour: int) -> None:
    window = changing.NewWindow(0, at(hour), at(hour + 1))
    with transaction.atomic():
        asked = changing.ask(booking_id=booking.pk, windows=[window], actor=SOMEBODY)
        changing.make(asked, actor=SOMEBODY, free=True)


def drop_first(booking: Booking) -> None:
    with transaction.atomic():
        locked = Booking.objects.select_for_update().get(pk=booking.pk)
        first = locked.lines.get(position=0)
        drop(locked, [Dropped(first, 0)], Move("confirmed", clock.now(), SOMEBODY))


# --- What it says -------------------------------------------------------------------------------


def test_a_members_feed_has_their_bookings_wherever_they_are(room: Resource, ana: Member) -> None:
    elsewhere = make_room(price=0, name="Studio")
    booked(line(room), member=ana)
    before_signing_in = booked(line(elsewhere), email="ana@example.test")
    booked(line(elsewhere, 12, 13), email="bob@example.test")
    feed = ics_feeds.make_for_member(ana)
    calendar = read(feed)
    assert str(calendar["X-WR-CALNAME"]) == str(calendar["NAME"]) == "My bookings"
    assert calendar["REFRESH-INTERVAL"].to_ical() == b"PT1H"
    assert calendar["REFRESH-INTERVAL"].params["VALUE"] == "DURATION"
    assert "METHOD" not in calendar, "it is subscribed to, not sent"
    mine = events(feed)
    assert len(mine) == 2
    event = mine[f"{before_signing_in.lines.get().pk}@surehold"]
    assert str(event["SUMMARY"]) == f"Studio ({elsewhere.workspace.name})"
    assert "/b/" in event["URL"]
    assert before_signing_in.reference in event["DESCRIPTION"]


def test_staff_see_names_and_others_that_it_is_booked(room: Resource) -> None:
    booking = booked(line(room))
    names = ics_feeds.make_for(room, shown=Shown.NAMES, by=None)
    busy = ics_feeds.make_for(room.location, shown=Shown.BUSY, by=None)
    assert said(names) == [(f"{room.name}: Ana Åberg", "CONFIRMED")]
    assert said(busy) == [(f"{room.name}: booked", "CONFIRMED")]
    for feed, secrets in [(names, ["/b/", "ana@"]), (busy, ["/b/", "ana@", "Ana", "/admin/"])]:
        text = Client().get(link(feed)).content.decode().replace("\r\n ", "")
        assert [secret for secret in secrets if secret in text] == []
        assert (booking.reference in text) == (feed is names)


def test_add_ons_are_told_with_their_line_and_their_own_resource_lists_them(
    room: Resource,
) -> None:
    helmet = make_add_on(room, max_per_unit=2).pool
    booked(replace(line(room), add_ons=(AddOnRequest(helmet.pk, 2),)))
    (event,) = events(ics_feeds.make_for(room, shown=Shown.NAMES, by=None)).values()
    assert "With 2 × Helmet." in event["DESCRIPTION"]
    assert said(ics_feeds.make_for(helmet, shown=Shown.NAMES, by=None)) == [
        ("2 × Helmet: Ana Åberg", "CONFIRMED")
    ]
    assert len(events(ics_feeds.make_for(room.location, shown=Shown.BUSY, by=None))) == 1


def test_moved_cancelled_given_up_and_never_confirmed(room: Resource) -> None:
    feed = ics_feeds.make_for(room, shown=Shown.BUSY, by=None)
    moved, gone = booked(line(room, 9, 10)), booked(line(room, 11, 12))
    parts = booked(line(room, 13, 14), line(room, 15, 16))
    unpaid = hold(line(room, 17, 18))
    before = events(feed)
    assert len(before) == 4, "a hold of minutes is nobody's yet"
    move(moved, 20)
    cancel(gone)
    drop_first(parts)
    services.release(hold_id=unpaid.pk, actor=SOMEBODY)
    after = events(feed)
    assert after.keys() == before.keys()

    def told(booking: Booking, position: int = 0) -> tuple[str, int]:
        uid = f"{booking.lines.get(position=position).pk}@surehold"
        more = int(after[uid]["SEQUENCE"]) - int(before[uid]["SEQUENCE"])
        assert after[uid]["DTSTAMP"].dt >= before[uid]["DTSTAMP"].dt
        return str(after[uid]["STATUS"]), more

    assert told(moved) == ("CONFIRMED", 1)
    assert after[f"{moved.lines.get().pk}@surehold"]["DTSTART"].dt == at(20)
    assert told(gone) == ("CANCELLED", 1)
    assert [told(parts, 0), told(parts, 1)] == [("CANCELLED", 1), ("CONFIRMED", 1)]


def test_a_request_is_tentative_until_staff_decide(room: Resource) -> None:
    feed = ics_feeds.make_for(room, shown=Shown.NAMES, by=None)
    held = hold(line(room))
    Booking.objects.filter(pk=held.booking_id).update(requested_at=clock.now())
    assert [status for _, status in said(feed)] == ["TENTATIVE"]
    services.release(hold_id=held.pk, actor=SOMEBODY)
    assert [status for _, status in said(feed)] == ["CANCELLED"]


def test_what_ended_longer_ago_than_it_is_kept_is_gone(room: Resource) -> None:
    feed = ics_feeds.make_for(room, shown=Shown.BUSY, by=None)
    booking = booked(line(room))
    cancel(booking)
    kept, gone = clock.now() - timedelta(days=29), clock.now() - timedelta(days=32)
    Booking.objects.filter(pk=booking.pk).update(ended_at=kept)
    assert len(events(feed)) == 1
    Booking.objects.filter(pk=booking.pk).update(ended_at=gone)
    assert events(feed) == {}


def test_an_event_written_fast_is_the_librarys_event(room: Resource) -> None:
    """Property by property, whoever it is for; texts that need escaping, folding and bytes."""
    room.location.address = "1 Queen Street; 2nd floor,\nrear “é” " + "ä😀" * 60
    booking = booked(line(room))
    one = booking.lines.select_related("resource__location").get()
    for shown in Shown:
        said = entry(ics.source_of(booking, one, add_ons="2 × A, B"), shown, "https://x.test/é?a=1")
        fast, full = written(said), ics.event_of(said).to_ical()
        one_by_one = [dict(Event.from_ical(text).property_items()) for text in (fast, full)]
        assert one_by_one[0] == one_by_one[1]
        assert sorted(fast.splitlines()) == sorted(full.splitlines())
        assert max(map(len, fast.split(b"\r\n"))) <= 75


def test_the_feed_and_the_booking_say_the_same(room: Resource, ana: Member) -> None:
    """What SQL reads is what the models say."""
    helmet = make_add_on(room, max_per_unit=2).pool
    booking = booked(replace(line(room), add_ons=(AddOnRequest(helmet.pk, 2),)), member=ana)
    (one,) = events(ics_feeds.make_for_member(ana)).values()
    (main,) = booking.lines.filter(parent=None).select_related("resource__location")
    other = ics.line_event(booking, main, shown=Shown.MINE)
    assert dict(one.property_items()) == dict(Event.from_ical(other.to_ical()).property_items())


# --- To whom ------------------------------------------------------------------------------------


def test_made_up_and_revoked_links_say_nothing(room: Resource, ana: Member) -> None:
    feed = ics_feeds.make_for(room, shown=Shown.BUSY, by=None)
    assert len(feed.token) == 43
    for made_up in ["x", feed.token[:-1], str(feed.pk), feed.digest]:
        answer = Client().get(f"/ical/{made_up}.ics")
        assert (answer.status_code, answer.content) == (404, b"")
    ics_feeds.revoke(feed)
    answer = Client().get(link(feed), headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.content) == (410, b"")
    mine = ics_feeds.make_for_member(ana)
    assert Client().get(link(mine)).status_code == 200
    Member.objects.filter(pk=ana.pk).update(is_active=False)
    assert Client().get(link(mine)).status_code == 410


def test_a_new_link_of_a_member_ends_the_one_before(ana: Member) -> None:
    first, second = ics_feeds.make_for_member(ana), ics_feeds.make_for_member(ana)
    assert first.token != second.token
    assert [Client().get(link(f)).status_code for f in (first, second)] == [410, 200]
    assert ics_feeds.of_member(ana) == second
    with pytest.raises(IntegrityError, match="feed_once_per_member"), transaction.atomic():
        ics_feeds.save_new(CalendarFeed(member=ana, shown=Shown.MINE))


def test_the_answer_sets_no_cookie_and_is_kept_by_nobody_between(room: Resource) -> None:
    answer = Client().get(link(ics_feeds.make_for(room, shown=Shown.BUSY, by=None)))
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert set(answer.headers["Cache-Control"].split(", ")) == {"private", "no-cache"}
    assert not answer.cookies
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert Client().post(link(CalendarFeed.objects.get())).status_code == 405


def test_other_workspaces_are_not_in_it(room: Resource) -> None:
    """Not even where rows were made to point across."""
    other = make_room(price=0)
    booked(line(other))
    assert events(ics_feeds.make_for(room, shown=Shown.NAMES, by=None)) == {}
    assert events(ics_feeds.make_for(room.location, shown=Shown.NAMES, by=None)) == {}
    for crossed in [
        CalendarFeed(workspace=room.workspace, resource=other, shown="busy"),
        CalendarFeed(workspace=room.workspace, location=other.location, shown="busy"),
    ]:
        with pytest.raises(IntegrityError, match="its own workspace"), transaction.atomic():
            ics_feeds.save_new(crossed)


def test_the_database_keeps_a_link_what_it_is(room: Resource, ana: Member) -> None:
    of_room = CalendarFeed(workspace=room.workspace, resource=room, shown="mine")
    of_both = CalendarFeed(
        workspace=room.workspace, resource=room, location=room.location, shown="busy"
    )
    of_none = CalendarFeed(workspace=room.workspace, shown="busy")
    names_of_member = CalendarFeed(member=ana, shown="names")
    for wrong in (of_room, of_both, of_none, names_of_member):
        with pytest.raises(IntegrityError), transaction.atomic():
            ics_feeds.save_new(wrong)
    with pytest.raises(InvalidInput):
        ics_feeds.make_for(room, shown="mine", by=None)
    feed = ics_feeds.make_for(room, shown="busy", by=None)
    ics_feeds.revoke(feed)
    for change in [{"shown": "names"}, {"revoked_at": None}, {"digest": "x"}]:
        with pytest.raises(IntegrityError, match="stays"), transaction.atomic():
            CalendarFeed.objects.filter(pk=feed.pk).update(**change)


def test_the_secret_is_not_readable_in_the_database(room: Resource) -> None:
    feed = ics_feeds.make_for(room, shown="busy", by=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT bookings_calendarfeed::text FROM bookings_calendarfeed")
        (row,) = cursor.fetchone()
    assert feed.token not in row
    assert ics_feeds.address_of(CalendarFeed.objects.get()).endswith(link(feed))


def test_a_link_whose_key_is_gone_is_good_and_not_shown(ana: Member) -> None:
    feed = ics_feeds.make_for_member(ana)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bookings_calendarfeed SET token = 'gAAAA-of-another-key'")
    assert Client().get(link(feed)).status_code == 200
    assert ics_feeds.feed_words(ana)["feed"] == ""


# --- That nothing has changed -------------------------------------------------------------------


class Reader:
    """A calendar program: asks with what it was told last."""

    def __init__(self, feed: CalendarFeed) -> None:
        self.feed, self.etag, self.modified = feed, "", ""

    def by_etag(self) -> int:
        return self._get({"If-None-Match": self.etag})

    def by_date(self) -> int:
        return self._get({"If-Modified-Since": self.modified})

    def _get(self, headers: dict[str, str]) -> int:
        answer = Client().get(link(self.feed), headers=headers)
        if answer.status_code == 200:
            self.etag, self.modified = answer.headers["ETag"], answer.headers["Last-Modified"]
        else:
            assert not answer.content
            assert answer.headers["ETag"] == self.etag
        return answer.status_code


def _rename(model: type, **columns: str) -> Callable[[Booking, Resource], object]:
    return lambda _booking, _room: model.objects.update(**columns)  # type: ignore[attr-defined]


CHANGES: dict[str, Callable[[Booking, Resource], object]] = {
    "another is confirmed": lambda _b, room: booked(line(room, 20, 21)),
    "moved": lambda booking, _r: move(booking, 21),
    "a part is dropped": lambda booking, _r: drop_first(booking),
    "the resource is renamed": _rename(Resource, name="Renamed"),
    "the place is renamed": _rename(Location, name="Renamed"),
    "the place moves": _rename(Location, address="Elsewhere"),
    "the booking is in another name": _rename(Booking, name="Bo"),
    "cancelled": lambda booking, _r: cancel(booking),
}


def test_304_while_nothing_changes_and_200_after_each_change(room: Resource) -> None:
    booking = booked(line(room, 9, 10), line(room, 11, 12))
    feed = ics_feeds.make_for(room, shown=Shown.NAMES, by=None)
    by_etag, by_date = Reader(feed), Reader(feed)
    assert (by_etag.by_etag(), by_date.by_date()) == (200, 200)
    for name, change in CHANGES.items():
        assert (by_etag.by_etag(), by_date.by_date()) == (304, 304), name
        change(booking, room)
        assert (by_etag.by_etag(), by_date.by_date()) == (200, 200), name
    assert (by_etag.by_etag(), by_date.by_date()) == (304, 304)


def test_what_others_book_changes_nothing(room: Resource) -> None:
    booked(line(room))
    reader = Reader(ics_feeds.make_for(room, shown=Shown.NAMES, by=None))
    reader.by_etag()
    booked(line(make_room(price=0)))
    hold(line(room, 20, 21))
    assert reader.by_etag() == 304


def test_a_new_day_is_a_new_window(room: Resource) -> None:
    feed = ics_feeds.make_for(room, shown=Shown.NAMES, by=None)
    now = datetime(2026, 3, 29, 23, 59, tzinfo=UTC)
    found = [ics_feeds.Found(feed, now + timedelta(seconds=n)) for n in (0, 30, 90)]
    contents = [ics_feeds.state_of(each)[0] for each in found]
    assert contents[0] == contents[1] != contents[2]


def test_it_costs_the_same_queries_however_much_is_booked(
    room: Resource, django_assert_num_queries: Any
) -> None:
    feed = ics_feeds.make_for(room, shown=Shown.NAMES, by=None)
    reader = Reader(feed)
    for start in (9, 11, 13):
        booked(line(room, start, start + 1), line(room, start + 1, start + 2))
        with django_assert_num_queries(4):  # the link, the digest, that it was seen, the lines
            assert reader.by_etag() == 200
        with django_assert_num_queries(2):
            assert reader.by_etag() == 304
    with django_assert_num_queries(3):
        Client().get(link(feed))


def test_a_pool_says_how_many() -> None:
    bikes = make_pool(price=0, name="Bike")
    booked(line(bikes, quantity=3))
    assert said(ics_feeds.make_for(bikes, shown=Shown.BUSY, by=None)) == [
        ("3 × Bike: booked", "CONFIRMED")
    ]
