"""The controls: the same race sells twice when the protection is off (style.md, habit 1).

The claim here is the one that everybody writes first: look, then insert. It runs in two places: in
a scratch schema whose table of occupancies has neither constraint nor guard, and in the product's
own. Nothing of the product's schema is altered, so nothing has to be put back.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.core import raw
from tests.core.raw import connect, sql
from tests.core.threads import together
from tests.factories import make_pool, make_room
from tests.races.crowd import deadlocks

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 16
SCHEMA = "control_without_guards"
TAKEN = """
    SELECT coalesce(sum(quantity), 0) FROM bookings_occupancy
    WHERE resource_id = %s AND during && %s AND released_at IS NULL
"""
TAKE = """
    INSERT INTO bookings_occupancy
        (id, resource_id, booking_id, line_id, during, quantity, exclusive, lapses_at)
    SELECT gen_random_uuid(), resource_id, booking_id, line_id, %s, 1, exclusive, lapses_at
    FROM public.bookings_occupancy WHERE id = %s
"""
OVERLAPS = """
    SELECT count(*) FROM bookings_occupancy a JOIN bookings_occupancy b
      ON a.resource_id = b.resource_id AND a.id < b.id AND a.during && b.during
"""


@pytest.fixture
def unprotected() -> Iterator[str]:
    """A schema with a copy of the table that has its columns and nothing else."""
    with connect() as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        admin.execute(f"CREATE SCHEMA {SCHEMA}")
        admin.execute(f"CREATE TABLE {SCHEMA}.bookings_occupancy (LIKE public.bookings_occupancy)")
    yield f"{SCHEMA}, public"
    with connect() as admin:
        admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@contextmanager
def _inside(path: str) -> Iterator[psycopg.Connection]:
    with connect() as conn:
        conn.execute(f"SET search_path TO {path}")
        conn.commit()
        yield conn


def _naive_race(
    path: str, pattern: raw.UUID, resource: raw.UUID, windows: list[str], capacity: int
) -> list[bool]:
    """All look before any inserts, which is what a flash crowd does; who was told "yours"?"""
    looked = threading.Barrier(len(windows))

    def one(window: str) -> bool:
        with _inside(path) as conn:
            (taken,) = conn.execute(TAKEN, [resource, window]).fetchone()
            looked.wait(30)
            if taken >= capacity:
                return False
            try:
                conn.execute(TAKE, [window, pattern])
                conn.commit()
            except psycopg.errors.ExclusionViolation:
                return False
            return True

    works: list[Callable[[], bool]] = [lambda w=w: one(w) for w in windows]  # type: ignore[misc]
    found = together(works)
    assert all(isinstance(won, bool) for won in found), found
    return found  # type: ignore[return-value]


def _count(path: str, statement: str, *values: object) -> int:
    with _inside(path) as conn:
        return conn.execute(statement, values).fetchone()[0]


def test_one_slot_is_sold_sixteen_times_without_the_protection(unprotected):
    room = make_room()
    pattern = raw.taken(room, 6, 7)
    slot = [raw.span(9, 10)] * CLIENTS

    assert sum(_naive_race(unprotected, pattern, room.pk, slot, 1)) == CLIENTS
    assert _count(unprotected, OVERLAPS) == CLIENTS * (CLIENTS - 1) // 2

    assert sum(_naive_race("public", pattern, room.pk, slot, 1)) == 1
    assert _count("public", OVERLAPS) == 0


def test_arbitrary_windows_overlap_without_the_protection(unprotected):
    room = make_room()
    pattern = raw.taken(room, 6, 7)
    chance = random.Random(7)
    starts = [chance.randrange(9 * 4, 12 * 4) / 4 for _ in range(CLIENTS)]
    windows = [raw.span(start, start + chance.randint(2, 12) / 4) for start in starts]

    won = _naive_race(unprotected, pattern, room.pk, windows, 1)
    assert all(won)
    assert _count(unprotected, OVERLAPS) > 0

    won = _naive_race("public", pattern, room.pk, windows, 1)
    assert 1 <= sum(won) < CLIENTS
    assert _count("public", OVERLAPS) == 0
    assert sql("SELECT count(*) FROM bookings_occupancy") == [(sum(won) + 1,)]


def test_a_pool_is_oversold_without_the_protection(unprotected):
    pool = make_pool(capacity=5)
    pattern = raw.taken(pool, 6, 7)
    slot = [raw.span(9, 10)] * CLIENTS

    assert sum(_naive_race(unprotected, pattern, pool.pk, slot, 5)) == CLIENTS
    assert _count(unprotected, TAKEN, pool.pk, slot[0]) == CLIENTS

    assert sum(_naive_race("public", pattern, pool.pk, slot, 5)) == 5
    assert _count("public", TAKEN, pool.pk, slot[0]) == 5


def test_a_deadlock_would_be_seen():
    """The count that the races compare moves when two sessions do lock in opposite orders."""
    rooms = sorted([make_room().pk, make_room().pk])
    before = deadlocks()
    crossed = threading.Barrier(2)

    def lock(order: list) -> str:
        with connect() as conn:
            conn.execute("SET deadlock_timeout = '20ms'")
            statement = "SELECT 1 FROM bookings_resource WHERE id = %s FOR NO KEY UPDATE"
            conn.execute(statement, order[:1])
            crossed.wait(30)
            try:
                conn.execute(statement, order[1:])
            except psycopg.errors.DeadlockDetected:
                conn.rollback()
                return "victim"
            return "survivor"

    found = together([lambda: lock(rooms), lambda: lock(rooms[::-1])])
    assert sorted(map(str, found)) == ["survivor", "victim"]
    assert deadlocks() == before + 1


def test_the_constraint_arbitrates_even_when_the_claim_takes_no_lock(monkeypatch):
    """The product's own claim, its look and its locks switched off: still one winner."""
    from bookings import lock_objects
    from bookings.errors import SlotTaken
    from bookings.nearest import with_next_free
    from bookings.selectors import rules_for
    from config.kernel import clock
    from tests.core.support import hold, line

    room = make_room()
    looked = threading.Barrier(CLIENTS)

    def look_together(*, workspace_id, resource_id, window, quantity):
        assert (window, quantity) == (line(room).window, 1)
        rules = rules_for(workspace_id=workspace_id, resource_ids=[resource_id])[resource_id]
        looked.wait(30)
        return rules, clock.now()

    monkeypatch.setattr(lock_objects, "lock_rules_if_free", look_together)
    found = together([lambda: hold(line(room))] * CLIENTS)

    losers = [error for error in found if isinstance(error, Exception)]
    assert len(losers) == CLIENTS - 1
    for error in losers:
        assert isinstance(with_next_free(error, room.workspace_id, [line(room)]), SlotTaken)
    assert sql("SELECT count(*) FROM bookings_occupancy") == [(1,)]
    assert sql("SELECT count(*) FROM bookings_booking") == [(1,)]
