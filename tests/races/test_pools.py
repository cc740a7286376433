"""The last units of a pool, add-ons and bundles, with everybody at once.

Threads with connections of their own here; `python -m tests.races.soak` sends the full 200 visitors
to two web processes. The controls show what the same race sells with the guard switched off.
"""

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import httpx
import psycopg
import pytest

from bookings import lock_objects
from bookings.errors import SlotTaken
from bookings.pool_use import PEAK_LIVE
from bookings.selectors import rules_for
from config.api import rfc3339
from config.kernel import clock
from config.kernel.database_errors import constraint_of
from holds import probe
from holds.claims import AddOnRequest, LineRequest
from holds.models import Hold
from tests.core import raw
from tests.core.legality import assert_legal
from tests.core.raw import connect, sql
from tests.core.support import hold, line, tomorrow
from tests.core.threads import together
from tests.factories import at, make_add_on, make_api_key, make_pool, make_room
from tests.races.crowd import Crowd, deadlocks

pytestmark = pytest.mark.django_db(transaction=True)

VISITORS = 40
MANY_VISITORS = int(os.environ.get("SUREHOLD_VISITORS", "0"))
LEFT = 3

_OUT = "SELECT coalesce(sum(quantity), 0) FROM bookings_occupancy WHERE resource_id = %s"
_PEAK = PEAK_LIVE.format(resource="%(pool)s::uuid", window="%(during)s::tstzrange")
_TAKE = """
    INSERT INTO bookings_occupancy
        (id, resource_id, booking_id, line_id, during, quantity, exclusive, lapses_at)
    SELECT gen_random_uuid(), resource_id, booking_id, line_id, %(during)s, %(many)s, exclusive,
           lapses_at
    FROM bookings_occupancy WHERE id = %(like)s
"""


def out(pool: Any) -> int:
    """The units of a pool that are out, by the rows."""
    ((units,),) = sql(f"{_OUT} AND released_at IS NULL", pool.pk)
    return units


def told(found: list[Any]) -> tuple[list[Hold], list[SlotTaken]]:
    """Who got it and who did not; nothing else may have happened to anybody."""
    held = [each for each in found if isinstance(each, Hold)]
    lost = [each for each in found if isinstance(each, SlotTaken)]
    assert len(held) + len(lost) == len(found), found
    return held, lost


# --- The last units -----------------------------------------------------------------------------


def test_the_last_three_units_and_forty_visitors():
    pool = make_pool(capacity=LEFT)
    wishes = [1 + n % 2 for n in range(VISITORS)]
    before = deadlocks()

    found = together([lambda q=q: hold(line(pool, quantity=q)) for q in wishes])  # type: ignore[misc]

    held, lost = told(found)
    assert out(pool) == LEFT == sum(each.lines[0].quantity for each in held)
    for wish, each in zip(wishes, found, strict=True):
        if isinstance(each, SlotTaken):
            assert 0 <= each.data["remaining"] < wish, "a wish that fits is not refused"
    assert sql("SELECT count(*) FROM bookings_booking") == [(len(held),)]
    assert len(lost) == VISITORS - len(held)
    assert deadlocks() == before
    assert_legal()


@pytest.mark.skipif(not MANY_VISITORS, reason="python -m tests.races.soak")
def test_two_hundred_visitors_over_http(web):
    pool = make_pool(capacity=LEFT)
    _, secret = make_api_key(workspace=pool.workspace)
    people, before = Crowd(web(2), secret), deadlocks()
    answers: list[tuple[int, httpx.Response]] = []

    async def script(crowd: Crowd, client: httpx.AsyncClient) -> None:
        async def one(many: int) -> None:
            answers.append((many, await crowd.claim(client, pool.pk, at(9), at(10), many)))

        wishes = cycle([1, 2])
        await asyncio.gather(*(one(next(wishes)) for _ in range(MANY_VISITORS)))

    figures = people.run(script).figures()
    print(f"\n{figures}; deadlocks: {people.deadlocks() - before}")
    kinds = Counter(answer.status_code for _, answer in answers)
    assert set(kinds) == {201, 409}
    assert out(pool) == LEFT
    assert kinds[201] == len(sql("SELECT id FROM bookings_booking"))
    for many, answer in answers:
        if answer.status_code == 409:
            body = answer.json()
            assert body["code"] == "slot_taken"
            assert body["remaining"] < many
            assert body["next_free"]["start"] == rfc3339(at(10))
    assert deadlocks() == before


def test_the_guard_arbitrates_when_the_claim_neither_locks_nor_looks(monkeypatch):
    """The product's own claim with its locks and its look switched off: never more than three."""
    pool = make_pool(capacity=LEFT)
    looked = threading.Barrier(VISITORS)

    def look_together(*, workspace_id, resource_id, window, quantity):
        rules = rules_for(workspace_id=workspace_id, resource_ids=[resource_id])[resource_id]
        looked.wait(60)
        return rules, clock.now()

    monkeypatch.setattr(lock_objects, "lock_rules_if_free", look_together)
    monkeypatch.setattr(probe, "first_taken", lambda *_: None)
    wishes = [1 + n % 2 for n in range(VISITORS)]
    found = together([lambda q=q: hold(line(pool, quantity=q)) for q in wishes])  # type: ignore[misc]

    held = [each for each in found if isinstance(each, Hold)]
    assert out(pool) == LEFT == sum(each.lines[0].quantity for each in held)
    names = {constraint_of(each) for each in found if isinstance(each, Exception)}
    assert names == {"occupancy_within_capacity"}


# --- Controls -----------------------------------------------------------------------------------


@contextmanager
def _session(guarded: bool) -> Iterator[psycopg.Connection]:
    """A session in which the triggers fire, or do not."""
    with connect() as conn:
        if not guarded:
            conn.execute("SET session_replication_role = replica")
            conn.commit()
        yield conn


def _naive_race(pool: Any, *, guarded: bool, visitors: int = 16) -> int:
    """The guard's own sweep without its lock, by everybody before anybody inserts; units sold."""
    like = raw.taken(pool, 6, 7)
    looked = threading.Barrier(visitors)
    capacity, during = pool.capacity, raw.span(9, 10)

    def one(many: int) -> int:
        with _session(guarded) as conn:
            said = {"pool": pool.pk, "during": during, "many": many, "like": like}
            (peak,) = conn.execute(_PEAK, said).fetchone()  # type: ignore[misc]
            looked.wait(30)
            if peak + many > capacity:
                return 0
            try:
                conn.execute(_TAKE, said)
                conn.commit()
            except psycopg.errors.ExclusionViolation:
                return 0
            return many

    sold = together([lambda q=1 + n % 2: one(q) for n in range(visitors)])  # type: ignore[misc]
    assert all(isinstance(each, int) for each in sold), sold
    assert out(pool) - 1 == sum(sold)  # type: ignore[arg-type]
    return sum(sold)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["pool", "add-on"])
def test_the_sweep_without_lock_and_guard_oversells(kind):
    """Twenty-four units of three; with the guard, which locks first and looks second, three."""
    pools = [make_pool(capacity=LEFT) for _ in range(2)]
    if kind == "add-on":
        for pool in pools:
            make_add_on(make_room(workspace=pool.workspace), pool)
    assert _naive_race(pools[0], guarded=False) == 24
    assert _naive_race(pools[1], guarded=True) == LEFT


# --- Add-ons and bundles ------------------------------------------------------------------------


def test_the_last_add_ons_take_no_unit_from_who_does_not_get_them():
    bikes = make_pool(capacity=20)
    helmets = make_add_on(bikes, max_per_unit=2).pool
    sql("UPDATE bookings_resource SET capacity = 5 WHERE id = %s", helmets.pk)
    wish = LineRequest(bikes.pk, tomorrow(9), tomorrow(10), 1, (AddOnRequest(helmets.pk, 2),))

    held, lost = told(together([lambda: hold(wish)] * 16))

    assert (len(held), out(bikes), out(helmets)) == (2, 2, 4)
    for each in lost:
        assert each.data.items() >= {"line": 0, "add_on": 0, "remaining": 1}.items()
    assert_legal()


def test_bundles_that_want_each_others_resources_have_one_winner_and_no_deadlock():
    room = make_room()
    bikes = make_pool(workspace=room.workspace, capacity=3)
    helmets = make_add_on(bikes, max_per_unit=2).pool
    before = deadlocks()
    for hour in range(6, 12):
        bike = LineRequest(
            bikes.pk, tomorrow(hour), tomorrow(hour + 1), 2, (AddOnRequest(helmets.pk, 3),)
        )
        one, other = [line(room, hour, hour + 1), bike], [bike, line(room, hour, hour + 1)]
        bundles = [one, other] * 4
        held, lost = told(together([lambda b=b: hold(*b) for b in bundles]))  # type: ignore[misc]
        assert (len(held), len(lost)) == (1, 7)
        assert out(helmets) == 3 * (hour - 5)
        assert {each.data["line"] for each in lost} == {0}, "the first that does not fit"
    assert deadlocks() == before
    assert_legal()


def test_taken_line_by_line_in_the_order_asked_for_they_would_deadlock():
    """The control: what each bundle would do if it took its lines one after the other."""
    room = make_room()
    bikes = make_pool(workspace=room.workspace, capacity=3)
    likes = [raw.taken(room, 6, 7), raw.taken(bikes, 6, 7)]
    crossed = threading.Barrier(2)

    def take(order: list[Any]) -> str:
        with connect() as conn:
            conn.execute("SET deadlock_timeout = '20ms'")
            said = {"during": raw.span(9, 10), "many": 1}
            conn.execute(_TAKE, said | {"like": order[0]})
            crossed.wait(30)
            try:
                conn.execute(_TAKE, said | {"like": order[1]})
            except psycopg.errors.DeadlockDetected:
                conn.rollback()
                return "victim"
            conn.commit()
            return "survivor"

    found = together([lambda: take(likes), lambda: take(likes[::-1])])
    assert sorted(map(str, found)) == ["survivor", "victim"]
