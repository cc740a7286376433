"""The rules that only two connections can put to the test (INV-1, INV-2, INV-4, INV-10)."""

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import errors

from tests.core import raw
from tests.core.raw import connect, sql
from tests.core.threads import Aside
from tests.factories import make_pool, make_room

pytestmark = pytest.mark.django_db(transaction=True)

COPY = """
    INSERT INTO bookings_occupancy
        (id, resource_id, booking_id, line_id, during, quantity, exclusive, lapses_at)
    SELECT gen_random_uuid(), resource_id, booking_id, line_id, %s, quantity, exclusive, lapses_at
    FROM bookings_occupancy WHERE id = %s
"""
BLOCK = """
    INSERT INTO bookings_block (id, workspace_id, resource_id, during, quantity, reason)
    VALUES (gen_random_uuid(), %s, %s, %s, %s, '')
"""
CONFIRM = "UPDATE bookings_booking SET state = 'confirmed', version = version + 1"
RELEASE = "UPDATE bookings_occupancy SET released_at = now()"


@pytest.fixture
def two() -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    first, second = connect(), connect()
    yield first, second
    first.close()
    second.close()


def held_up(work: Callable[[], object], conn: psycopg.Connection) -> Aside:
    """Start work on a connection and return once another session makes it wait."""
    aside = Aside(work)
    deadline = time.monotonic() + 20
    while not sql("SELECT pg_blocking_pids(%s) <> '{}'", conn.info.backend_pid)[0][0]:
        assert not aside.done.is_set(), f"it did not wait: {aside.error}"
        assert time.monotonic() < deadline, "it neither waited nor ended"
        time.sleep(0.005)
    return aside


def refused_with(rule: str, work: Callable[[], object]) -> None:
    with pytest.raises(psycopg.IntegrityError) as caught:
        work()
    assert caught.value.diag.constraint_name == rule


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("make", [make_room, make_pool])
def test_other_isolation_levels_are_refused(two, level, make):
    """A snapshot does not see what was committed while its claim waited for the lock."""
    resource = make()
    occupancy_id = raw.taken(resource)
    block = [resource.workspace_id, resource.pk, raw.span(), 1]
    for statement, values in [(COPY, [raw.span(11, 12), occupancy_id]), (BLOCK, block)]:
        two[0].execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        with pytest.raises(errors.CheckViolation) as caught:
            two[0].execute(statement, values)
        assert caught.value.diag.constraint_name == "occupancy_read_committed"
        two[0].rollback()


@pytest.mark.parametrize("commits_first", ["confirmation", "release"])
def test_a_raw_confirmation_and_a_raw_release_at_once(two, commits_first):
    """INV-10: both have written, neither saw the other; the release is refused at its commit."""
    raw.taken(make_room(), lapses_at=None)
    confirming, releasing = two
    confirming.execute(CONFIRM)
    releasing.execute(RELEASE)

    if commits_first == "confirmation":
        confirming.commit()
        refused_with("confirmed_booking_has_occupancies", releasing.commit)
    else:
        # The release has to look at the booking, whose row the confirmation holds.
        later = held_up(releasing.commit, releasing)
        confirming.commit()
        refused_with("confirmed_booking_has_occupancies", later.result)

    assert sql("SELECT state FROM bookings_booking") == [("confirmed",)]
    assert sql("SELECT released_at FROM bookings_occupancy") == [(None,)]


def test_a_raw_release_that_has_looked_keeps_the_confirmation_out(two):
    """The other order: the release's look holds the booking until it commits."""
    raw.taken(make_room(), lapses_at=None)
    confirming, releasing = two
    releasing.execute(RELEASE)
    releasing.execute("SET CONSTRAINTS ALL IMMEDIATE")

    later = held_up(lambda: confirming.execute(CONFIRM), confirming)
    releasing.commit()
    later.result()

    refused_with("confirmed_booking_has_occupancies", confirming.commit)
    assert sql("SELECT state FROM bookings_booking") == [("pending_payment",)]
    assert sql("SELECT released_at IS NULL FROM bookings_occupancy") == [(False,)]


@pytest.mark.parametrize("commits_first", ["confirmation", "line"])
def test_a_raw_confirmation_and_a_line_more_at_once(two, commits_first):
    """INV-10 for inserts: a booking that others may move is locked before it is looked at."""
    room = make_room()
    booking_id = raw.booking_of(raw.taken(room, lapses_at=None))
    confirming, adding = two
    confirming.execute(CONFIRM)
    adding.execute(
        "INSERT INTO bookings_line (id, booking_id, position, resource_id, starts_at, ends_at,"
        " quantity, amount_minor, price) SELECT gen_random_uuid(), booking_id, 1, resource_id,"
        " starts_at, ends_at + interval '1 hour', 1, 0, '[]' FROM bookings_line"
        " WHERE booking_id = %s",
        [booking_id],
    )
    if commits_first == "confirmation":
        confirming.commit()
        refused_with("confirmed_booking_has_occupancies", adding.commit)
    else:
        later = held_up(adding.commit, adding)
        confirming.commit()
        refused_with("confirmed_booking_has_occupancies", later.result)
    assert sql("SELECT state FROM bookings_booking") == [("confirmed",)]
    assert sql("SELECT count(*) FROM bookings_line") == [(1,)]


def test_a_claim_in_flight_waits_for_the_other_and_loses(two):
    occupancy_id = raw.taken(make_room(), 9, 10)
    winner, loser = two
    winner.execute(COPY, [raw.span(12, 13), occupancy_id])
    later = held_up(lambda: loser.execute(COPY, [raw.span(12.5, 14), occupancy_id]), loser)
    winner.commit()
    refused_with("occupancy_no_overlap", later.result)


def test_the_last_unit_of_a_pool_goes_to_one(two):
    """The second looks only once it has the lock, and then sees what the first committed."""
    pool = make_pool(capacity=2)
    occupancy_id = raw.taken(pool, 9, 10)
    winner, loser = two
    winner.execute(COPY, [raw.span(9.5, 10.5), occupancy_id])
    later = held_up(lambda: loser.execute(COPY, [raw.span(9, 10), occupancy_id]), loser)
    winner.commit()
    refused_with("occupancy_within_capacity", later.result)


def test_a_block_waits_for_a_claim_in_flight(two):
    room = make_room()
    occupancy_id = raw.taken(room)
    claiming, blocking = two
    claiming.execute(COPY, [raw.span(12, 13), occupancy_id])
    values = [room.workspace_id, room.pk, raw.span(12, 13), 1]
    later = held_up(lambda: blocking.execute(BLOCK, values), blocking)
    claiming.commit()
    later.result()
    # The claim came first and stands; whoever blocks sees it and deals with it.
    under = blocking.execute(
        "SELECT count(*) FROM bookings_occupancy WHERE during && %s", [raw.span(12, 13)]
    )
    assert under.fetchone() == (1,)
    blocking.commit()


def test_a_claim_waits_for_a_block_in_flight_and_loses(two):
    room = make_room()
    occupancy_id = raw.taken(room)
    claiming, blocking = two
    blocking.execute(BLOCK, [room.workspace_id, room.pk, raw.span(12, 13), 1])
    later = held_up(lambda: claiming.execute(COPY, [raw.span(12.5, 13.5), occupancy_id]), claiming)
    blocking.commit()
    refused_with("occupancy_not_blocked", later.result)


def test_lowering_a_capacity_waits_for_a_claim_in_flight(two):
    pool = make_pool(capacity=2)
    occupancy_id = raw.taken(pool, 9, 10)
    claiming, lowering = two
    claiming.execute(COPY, [raw.span(9, 10), occupancy_id])
    statement = "UPDATE bookings_resource SET capacity = 1 WHERE id = %s"
    later = held_up(lambda: lowering.execute(statement, [pool.pk]), lowering)
    claiming.commit()
    refused_with("resource_capacity_covers_bookings", later.result)


def test_a_release_never_waits_for_a_claim_on_the_same_resource(two):
    """The guard is silent on release and on lapses_at: otherwise the two would deadlock."""
    first = raw.taken(make_room(), 9, 10)
    claiming, releasing = two
    claiming.execute(COPY, [raw.span(12, 13), first])
    releasing.execute("SET lock_timeout = '3s'")
    releasing.execute(f"{RELEASE} WHERE id = %s", [first])
    releasing.commit()
    claiming.commit()
    assert sql("SELECT count(*) FROM bookings_occupancy WHERE released_at IS NULL") == [(1,)]
