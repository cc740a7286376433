"""A calendar is read again before something is decided by it; it hangs, and nobody waits long."""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection as database
from django.db import transaction
from django.test.utils import CaptureQueriesContext

from bookings.calendars import freshening, reading
from bookings.errors import SlotTaken
from bookings.models import Block, CalendarConnection, Occupancy, Resource
from bookings.remembered import remembered
from bookings.selectors import rules_for
from holds.claims import LineRequest
from holds.models import Hold
from payments import holding
from tests.api.client import Api, claim
from tests.calendars.served import Feed, aged, at, blocks, connected, read, serving
from tests.core.support import hold, line, tomorrow
from tests.core.threads import Aside, together
from tests.factories import at as later
from tests.factories import make_api_key, make_room
from tests.money.support import (
    assert_never_charged,
    pay,
    settle,
    start,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
NINE, TEN = tomorrow(9), tomorrow(10)


@pytest.fixture(scope="module")
def server() -> Iterator[Feed]:
    with serving() as feed:
        yield feed


@pytest.fixture
def feed(server: Feed) -> Iterator[Feed]:
    server.holds()
    server.asked.clear()
    server.answering.set()
    yield server
    server.answering.set()


def claimed(*lines: LineRequest) -> Hold:
    """As every page and endpoint does it."""
    return holding.placed(lambda: hold(*lines))


def test_a_claim_reads_what_is_too_old_first_and_only_then(feed: Feed) -> None:
    room = make_room()
    calendar = connected(room, feed.url)
    read(calendar)
    feed.busy((NINE, TEN))
    claimed(line(room, 12, 13))  # what is known is good: nothing is asked
    assert (len(feed.asked), blocks(room)) == (1, [])
    aged(calendar)
    with pytest.raises(SlotTaken):
        claimed(line(room, 9, 10))
    assert (len(feed.asked), blocks(room)) == (2, [(NINE, TEN)])
    claimed(line(room, 10, 11))
    assert len(feed.asked) == 2


def test_over_http_it_is_taken_and_what_is_remembered_of_it_forgotten(feed: Feed) -> None:
    room = make_room()
    calendar = connected(room, feed.url)
    read(calendar)
    _, secret = make_api_key(workspace=room.workspace)
    rules = list(rules_for(workspace_id=room.workspace_id, resource_ids=[room.pk]).values())
    assert len(remembered(rules=rules, start=later(8), end=later(12))[room.pk].free) == 1
    feed.busy((later(10), later(11)))
    aged(calendar)
    answer = Api(secret).post("/holds", claim(room, 10))
    assert (answer.status_code, answer.json()["code"]) == (409, "slot_taken")
    assert len(remembered(rules=rules, start=later(8), end=later(12))[room.pk].free) == 2
    assert not Hold.objects.exists()


@pytest.mark.long
def test_several_calendars_are_read_side_by_side(feed: Feed) -> None:
    room = make_room()
    other = make_room(workspace=room.workspace, location=room.location, category=room.category)
    calendars = [connected(room, feed.url), connected(room, feed.url), connected(other, feed.url)]
    feed.busy((NINE, TEN))
    claimed(line(room, 12, 13), line(other, 12, 13))
    assert len(feed.asked) == 3
    assert all(CalendarConnection.objects.get(pk=c.pk).read_at for c in calendars)


def test_of_a_crowd_one_reads_and_nobody_gets_what_is_busy(feed: Feed) -> None:
    room = make_room()
    connected(room, feed.url)
    feed.busy((NINE, TEN))
    outcomes = together([partial(claimed, line(room, 9, 10)) for _ in range(6)])
    assert [type(each) for each in outcomes] == [SlotTaken] * 6
    assert len(feed.asked) == 1
    assert not Occupancy.objects.exists()


def test_one_that_hangs_costs_a_short_while_once_and_what_is_known_counts(
    feed: Feed, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CALENDAR_REFRESH_SECONDS = 0.2
    monkeypatch.setattr(freshening, "READING_SECONDS", 0.5)
    room = make_room()
    calendar = connected(room, feed.url)
    feed.busy((NINE, TEN))
    read(calendar)
    aged(calendar)
    feed.hang()
    claimed(line(room, 12, 13))
    with pytest.raises(SlotTaken):
        claimed(line(room, 9, 10))
    assert not feed.answering.is_set()  # it hangs still
    Aside(lambda: _failed(calendar)).result()
    claimed(line(room, 14, 15))
    assert len(feed.asked) == 2
    assert blocks(room) == [(NINE, TEN)]


@pytest.mark.parametrize(
    ("seconds", "is_failing", "is_waited_for"),
    [(None, False, True), (0, False, True), (5, False, False), (0, True, False), (70, True, True)],
)
def test_a_claim_waits_for_no_reading_that_others_waited_for_in_vain(
    feed: Feed, seconds: int | None, is_failing: bool, is_waited_for: bool
) -> None:
    """Somebody began to read it so many seconds ago; every visitor who waits holds a thread."""
    calendar = connected(room := make_room(), feed.url)
    now = datetime.now(UTC)
    began = None if seconds is None else now - timedelta(seconds=seconds)
    CalendarConnection.objects.filter(pk=calendar.pk).update(
        reading_until=began and began + reading.LEASE,
        read_failing_since=now if is_failing else None,
        next_read_at=now,
    )
    rules = rules_for(workspace_id=room.workspace_id, resource_ids=[room.pk]).values()
    standing_by = freshening._tried.set(set())
    try:
        with pytest.raises(freshening.CalendarsStale) if is_waited_for else nullcontext():
            freshening.refuse_stale(rules)
    finally:
        freshening._tried.reset(standing_by)


def _failed(calendar: CalendarConnection) -> None:
    while not CalendarConnection.objects.filter(
        pk=calendar.pk, read_failing_since__isnull=False
    ).exists():
        pass


@pytest.mark.long
def test_nobody_reads_within_a_transaction_or_without_somebody_standing_by(feed: Feed) -> None:
    room = make_room()
    connected(room, feed.url)
    feed.busy((NINE, TEN))
    with transaction.atomic():
        claimed(line(room, 9, 10))
    hold(line(room, 10, 11))
    assert feed.asked == []


def test_a_claim_without_calendars_asks_nothing_more(django_assert_num_queries) -> None:
    room = make_room()
    claimed(line(room, 8, 9))
    with CaptureQueriesContext(database) as plain:
        hold(line(room, 9, 10))
    with django_assert_num_queries(len(plain)):
        claimed(line(room, 10, 11))


# --- The busy time comes while somebody claims: the constraint decides ---------------------------


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "control"])
def test_a_busy_time_and_a_claim_at_once(feed: Feed, guarded: bool) -> None:
    """Whichever is first holds the resource; unguarded, the claim does not see what came in."""
    room = make_room()
    calendar = connected(room, feed.url)
    read(calendar)
    feed.busy((NINE, TEN))
    if not guarded:
        with database.cursor() as cursor:
            cursor.execute("ALTER TABLE bookings_occupancy DISABLE TRIGGER USER")
    try:
        with transaction.atomic():
            list(Resource.objects.select_for_update().filter(pk=room.pk))
            reader = Aside(lambda: reading.read(calendar.pk))
            _waits(reader)
            claimant = Aside(lambda: hold(line(room, 9, 10)))
            _waits(claimant)
        assert reader.result()
        if guarded:
            with pytest.raises(SlotTaken):
                claimant.result()
        else:
            claimant.result()
    finally:
        with database.cursor() as cursor:
            cursor.execute("ALTER TABLE bookings_occupancy ENABLE TRIGGER USER")
    both = Occupancy.objects.filter(released_at=None).count() + Block.objects.count()
    assert both == (1 if guarded else 2)


def _waits(who: Aside) -> None:
    """Until that session waits for a lock."""
    while True:
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [who.backend()]
            )
            if cursor.fetchone() == ("Lock",):
                return
            assert not who.done.is_set()


# --- Settlement reads again between authorise and confirm ----------------------------------------


def test_paid_for_and_busy_since_it_is_voided_and_never_charged(
    feed: Feed, sandbox: SandboxClient
) -> None:
    room = make_room(name="Nook")
    connected(room, feed.url)
    held = claimed(line(room, 9, 10))
    checkout = start(held)
    pay(sandbox, checkout)
    feed.busy((tomorrow(9, 30), tomorrow(9, 45)))
    assert settle(checkout) == "voided"
    assert_never_charged(sandbox, held)
    held.refresh_from_db()
    held.booking.refresh_from_db()
    assert (held.state, held.booking.state) == ("expired", "expired")
    assert not Occupancy.objects.filter(booking=held.booking, released_at=None).exists()
    assert settle(checkout) == "repeated"


@pytest.mark.long
def test_paid_for_with_its_own_event_in_the_calendar_it_is_confirmed(
    feed: Feed, sandbox: SandboxClient
) -> None:
    room = make_room()
    connected(room, feed.url)
    held = claimed(line(room, 9, 10))
    uid = f"{held.booking.lines.get().pk}@surehold"
    feed.holds(at(NINE, TEN, uid, "STATUS:TENTATIVE"))
    checkout = start(held)
    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"
    assert len(feed.asked) == 2
    assert settle(checkout) == "repeated"
    assert len(feed.asked) == 2


@pytest.mark.long
def test_a_calendar_that_is_away_does_not_keep_anybody_from_paying(
    feed: Feed, sandbox: SandboxClient, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CALENDAR_REFRESH_SECONDS = 0.2
    monkeypatch.setattr(freshening, "READING_SECONDS", 0.5)
    room = make_room()
    connected(room, feed.url)
    held = claimed(line(room, 9, 10))
    checkout = start(held)
    pay(sandbox, checkout)
    feed.busy((NINE, TEN))
    feed.hang()
    assert settle(checkout) == "confirmed"
    assert CalendarConnection.objects.get().read_at < held.created_at
