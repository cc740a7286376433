"""An ICS address becomes busy times: fetched as seldom as may be, and never for worse."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db import connection as database

from bookings import explain
from bookings.calendars import reading, recurring
from bookings.models import Block, CalendarConnection, CalendarTask, ConnectedResource, Resource
from bookings.selectors import rules_for
from holds.errors import SlotTaken
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.services import confirm_unpaid
from tests.calendars.served import Feed, at, blocks, connected, read, serving
from tests.core.support import SOMEBODY, hold, line, tomorrow
from tests.factories import make_pool, make_room

pytestmark = pytest.mark.django_db
NINE, TEN, ELEVEN = tomorrow(9), tomorrow(10), tomorrow(11)


@pytest.fixture(scope="module")
def server() -> Iterator[Feed]:
    with serving() as feed:
        yield feed


@pytest.fixture
def feed(server: Feed) -> Feed:
    server.holds()
    server.asked.clear()
    server.status, server.location = 200, ""
    server.answering.set()
    return server


def test_busy_times_block_and_say_whose_they_are(feed: Feed) -> None:
    room = make_room()
    feed.busy((NINE, TEN))
    calendar = connected(room, feed.url)
    assert read(calendar)
    assert blocks(room) == [(NINE, TEN)]
    with pytest.raises(SlotTaken):
        hold(line(room, 9, 10))
    assert not Hold.objects.exists()
    hold(line(room, 10, 11))
    rules = rules_for(workspace_id=room.workspace_id, resource_ids=[room.pk])[room.pk]
    assert rules.reads_calendars
    (reason,) = explain.explain(rules=rules, start=NINE, end=TEN)
    assert (reason.code, reason.detail) == ("block", "Busy in Ana's calendar.")


def test_what_is_the_same_is_asked_for_but_neither_sent_nor_written(feed: Feed) -> None:
    room = make_room()
    feed.busy((NINE, TEN))
    calendar = connected(room, feed.url)
    assert read(calendar)
    before = Block.objects.get()
    first = calendar.read_at
    assert read(calendar)
    assert feed.asked[1]["If-None-Match"] == feed.etag
    assert Block.objects.get().pk == before.pk
    assert calendar.read_at > first
    assert calendar.next_read_at - calendar.read_at > timedelta(seconds=200)


def test_a_difference_is_written_and_what_stays_is_the_same_row(feed: Feed) -> None:
    room = make_room()
    calendar = connected(room, feed.url)
    feed.busy((NINE, TEN), (tomorrow(12), tomorrow(13)))
    read(calendar)
    stays = Block.objects.get(during__startswith=NINE).pk
    feed.busy((NINE, TEN), (tomorrow(15), tomorrow(16)))
    read(calendar)
    assert blocks(room) == [(NINE, TEN), (tomorrow(15), tomorrow(16))]
    assert Block.objects.get(during__startswith=NINE).pk == stays
    feed.holds()
    read(calendar)
    assert blocks(room) == []


@pytest.mark.parametrize("trouble", ["404", "500", "garbage", "huge", "slow", "gone", "loop"])
def test_what_was_known_stays_when_it_cannot_be_read(
    feed: Feed, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make_room()
    feed.busy((NINE, TEN))
    calendar = connected(room, feed.url)
    read(calendar)
    known = calendar.read_at
    if trouble.isdigit():
        feed.status = int(trouble)
    elif trouble == "garbage":
        feed.body, feed.etag = b"<html>Please sign in</html>", ""
    elif trouble == "huge":
        monkeypatch.setattr("bookings.calendars.feeds.MAX_BYTES", 1000)
        feed.body, feed.etag = b"x" * 1001, ""
    elif trouble == "slow":
        feed.hang()
    elif trouble == "gone":
        calendar.url, known = "http://127.0.0.1:9/", None  # of that address nothing is known
        calendar.save()
    else:
        feed.status, feed.location = 302, "/calendar.ics"
    assert not read(calendar, timeout_seconds=0.3)
    assert blocks(room) == [(NINE, TEN)]
    assert calendar.read_at == known
    assert calendar.read_failing_since is not None
    assert calendar.read_error
    assert calendar.state == "connected"
    assert calendar.next_read_at > calendar.read_failing_since
    since = calendar.read_failing_since
    feed.status, feed.location, calendar.url = 200, "", feed.url
    calendar.save(update_fields=["url"])
    feed.answering.set()
    feed.holds()
    assert not read(calendar, timeout_seconds=0.0)
    assert calendar.read_failing_since == since  # it goes on, and began when it began
    assert read(calendar)
    assert (calendar.read_failing_since, calendar.read_error) == (None, "")
    assert blocks(room) == []


def test_private_addresses_are_refused_also_behind_a_redirect(feed: Feed, settings) -> None:
    settings.OUTBOUND_PRIVATE_ADDRESSES = False
    calendar = connected(make_room(), feed.url)
    assert not read(calendar)
    assert calendar.read_error == "This address is private or cannot be used."
    assert feed.asked == []


def test_malformed_entries_are_counted_for_the_operator(feed: Feed) -> None:
    room = make_room()
    feed.holds(at(NINE, TEN), "UID:b\r\nDTSTART:soon")
    calendar = connected(room, feed.url)
    assert read(calendar)
    assert blocks(room) == [(NINE, TEN)]
    assert calendar.read_note == "Of its entries 1 could not be read and are left out."


def test_what_recurs_goes_on_as_days_go_by_though_nothing_changed_there(feed: Feed) -> None:
    room = make_room(horizon_days=2)
    feed.holds(at(NINE - timedelta(days=100), TEN - timedelta(days=100), more="RRULE:FREQ=DAILY"))
    calendar = connected(room, feed.url)
    read(calendar)
    many = len(blocks(room))
    assert 5 <= many <= 10
    Resource.objects.filter(pk=room.pk).update(horizon_days=30)
    assert read(calendar)
    assert len(feed.asked) == 2
    assert len(blocks(room)) == many + 28


def test_our_own_events_are_not_busy_but_another_workspaces_are(feed: Feed) -> None:
    room, elsewhere = make_room(), make_room()
    mine, other = hold(line(room, 9, 10)), hold(line(elsewhere, 12, 13))
    uids = [f"{held.booking.lines.get().pk}@surehold" for held in (mine, other)]
    feed.holds(at(NINE, TEN, uids[0]), at(tomorrow(12), tomorrow(13), uids[1]))
    read(connected(room, feed.url))
    assert blocks(room) == [(tomorrow(12), tomorrow(13))]


def test_bookings_that_it_lies_over_are_told_once_and_until_it_is_over(feed: Feed) -> None:
    room = make_room()
    held = hold(line(room, 9, 10))
    with transaction.atomic():
        confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    feed.busy((tomorrow(9, 30), ELEVEN))
    calendar = connected(room, feed.url)
    read(calendar)
    task = CalendarTask.objects.get()
    assert (task.kind, task.booking_id, task.closed_at) == ("lies_over", held.booking_id, None)
    read(calendar)
    assert CalendarTask.objects.get().pk == task.pk
    held.booking.refresh_from_db()
    assert held.booking.state == "confirmed"
    feed.holds()
    read(calendar)
    task.refresh_from_db()
    assert task.closed_as == "gone"


def test_disconnected_it_blocks_nothing_and_marks_nothing(feed: Feed) -> None:
    room = make_room()
    feed.busy((NINE, TEN))
    calendar = connected(room, feed.url)
    read(calendar)
    room.refresh_from_db()
    assert room.reads_calendars
    CalendarConnection.objects.filter(pk=calendar.pk).update(state="disconnected")
    assert reading.tidy() == 1
    room.refresh_from_db()
    assert (blocks(room), room.reads_calendars) == ([], False)
    assert not read(calendar)


def test_one_that_is_written_only_marks_nothing(feed: Feed) -> None:
    room = make_room()
    calendar = connected(room, feed.url)
    room.refresh_from_db()
    assert room.reads_calendars
    calendar.resources.all().delete()
    room.refresh_from_db()
    assert not room.reads_calendars
    room.reads_calendars = True
    room.save()  # from whatever reading: the database knows
    room.refresh_from_db()
    assert not room.reads_calendars


def test_the_database_keeps_calendars_to_what_is_exclusive_and_theirs(feed: Feed) -> None:
    room, other, pool = make_room(), make_room(), make_pool(capacity=3)
    link = connected(room, feed.url).resources.get()

    def block(resource: Resource) -> None:
        Block.objects.create(
            workspace=resource.workspace, resource=resource, during=(NINE, TEN),
            kind="calendar", connected=link, reason="x",
        )  # fmt: skip

    for wrong in (other, pool):
        with pytest.raises(IntegrityError, match="calendar is read for"), transaction.atomic():
            block(wrong)
    with pytest.raises(IntegrityError, match="blocks what is exclusive"), transaction.atomic():
        Resource.objects.filter(pk=room.pk).update(mode="pooled", capacity=2)
    calendar = connected(make_room(workspace=pool.workspace), feed.url)
    with database.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError, match="blocks what is exclusive"), transaction.atomic():
        ConnectedResource.objects.create(connection=calendar, resource=pool, writes=False)


@pytest.mark.parametrize(("name", "most"), [("MOST_SECONDS", -1), ("MOST_WINDOWS", 1)])
def test_more_than_can_be_followed_is_said_and_what_is_known_counts(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, name: str, most: float
) -> None:
    room = make_room()
    calendar = connected(room, feed.url)
    feed.busy((tomorrow(9), tomorrow(10)))
    assert read(calendar)
    monkeypatch.setattr(recurring, name, most)
    feed.busy((tomorrow(11), tomorrow(12)), (tomorrow(13), tomorrow(14)))
    assert not read(calendar)
    assert calendar.read_error == "There is too much in it that repeats."
    assert blocks(room) == [(tomorrow(9), tomorrow(10))]
