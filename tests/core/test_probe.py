"""The look under the locks: what the database sums up is what its rows would have said."""

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.rules import Window
from holds import probe
from holds.probe import Wanted
from tests.core import raw
from tests.core.support import hold, line
from tests.factories import at, make_pool, make_room


@pytest.mark.django_db
def test_the_sum_says_what_the_rows_say():
    chance = random.Random(7)
    pool, own = make_pool(capacity=12), set()
    for _ in range(30):
        start = chance.randrange(0, 20)
        end = start + chance.randrange(1, 5)
        lapses_at = at(0, days=chance.choice([-1, 1]))
        taken = raw.taken(pool, start, end, quantity=chance.choice([1, 1, 2]), lapses_at=lapses_at)
        if chance.random() < 0.2:
            own.add(raw.booking_of(taken))
    raw.block(pool, 6, 9, quantity=2)
    seen = set()
    for start in range(-1, 24):
        during = Window(at(start), at(start) + timedelta(hours=chance.randrange(1, 6)))
        wanted = [Wanted(0, pool.pk, during, is_exclusive=False, quantity=12, capacity=12)]
        rows = probe._rows_there(wanted, own, pooled=probe._POOLED)
        summed = probe._summed(wanted, own)
        assert (summed.lapsed, summed.taken) == (rows.lapsed, rows.taken)
        seen.add((bool(rows.lapsed), rows.taken and rows.taken.remaining))
    assert len(seen) > 5


@pytest.mark.django_db
def test_a_room_beside_a_pool_is_summed_too():
    room, pool = make_room(), make_pool(capacity=3)
    raw.taken(room, 9, 11)
    during = Window(at(10), at(12))
    wanted = [
        Wanted(0, pool.pk, during, is_exclusive=False, quantity=2, capacity=3),
        Wanted(1, room.pk, during, is_exclusive=True),
    ]
    taken = probe.look(wanted, own=set()).taken
    assert taken == probe.Taken(wanted[1], 0)


@pytest.mark.django_db
def test_a_busy_pool_answers_a_look_with_one_row():
    pool = make_pool(capacity=9)
    for _ in range(6):
        hold(line(pool))
    with CaptureQueriesContext(connection) as captured:
        hold(line(pool))
    (look,) = [each["sql"] for each in captured if "AS peak" in each["sql"]]
    assert len(raw.sql(look.replace("%", "%%"))) == 1
