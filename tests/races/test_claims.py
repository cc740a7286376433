"""Races over HTTP, against two web processes on ports of their own, with Redis flushed midway.

The long versions are `python -m tests.races.soak`; their figures stand in docs/soak.md. What each
race would do without the protection is shown in test_controls.py.
"""

import os

import pytest
from django.core.cache import cache

from tests.core.legality import assert_legal
from tests.core.raw import sql
from tests.factories import make_api_key, make_room
from tests.races import crowd
from tests.races.crowd import Crowd

pytestmark = pytest.mark.django_db(transaction=True)

SUSTAINED_SECONDS = float(os.environ.get("SUREHOLD_SUSTAINED_SECONDS", "8"))
WINDOWS_SECONDS = float(os.environ.get("SUREHOLD_WINDOWS_SECONDS", "6"))


@pytest.fixture
def room(transactional_db):
    return make_room()


@pytest.fixture
def people(web, room):
    _, secret = make_api_key(workspace=room.workspace)
    return Crowd(web(2), secret)


def _flush() -> None:
    """Redis forgets everything: gates, limits, queues."""
    cache.clear()


def _one_winner(people: Crowd, asked: int, before: int) -> None:
    answers = people.answers
    print(f"\n{answers.figures()}")
    assert answers.kinds == {"201": 1, "409 slot_taken": asked - 1}
    assert people.deadlocks() == before
    assert sql("SELECT count(*) FROM bookings_occupancy") == [(1,)]
    assert sql("SELECT count(*) FROM bookings_booking") == [(1,)]
    assert crowd.held_rows(answers.holds) == 1
    assert_legal()


def test_a_hundred_claims_at_once_on_one_slot(people, room):
    before = crowd.deadlocks()
    people.run(crowd.at_once(room, 100, _flush))
    _one_winner(people, 100, before)


@pytest.mark.long
def test_twenty_five_claims_a_second_on_one_slot(people, room):
    before = crowd.deadlocks()
    people.run(crowd.sustained(room, SUSTAINED_SECONDS, 25, _flush))
    _one_winner(people, int(SUSTAINED_SECONDS * 25), before)


@pytest.mark.long
def test_overlapping_windows_of_any_length_by_sixteen_clients(people, room):
    rooms = [room, make_room(workspace=room.workspace, location=room.location)]
    before = crowd.deadlocks()

    answers = people.run(crowd.arbitrary_windows(rooms, WINDOWS_SECONDS, 16, _flush))

    print(f"\n{answers.figures()}")
    assert set(answers.kinds) <= {"201", "204", "409 slot_taken"}
    assert answers.kinds["201"] > 16
    assert answers.kinds["409 slot_taken"] > 16
    assert crowd.overlapping_lines() == 0
    assert crowd.held_rows(answers.holds) == answers.kinds["201"]
    assert sql("SELECT count(*) FROM bookings_booking") == [(answers.kinds["201"],)]
    assert people.deadlocks() == before
    assert_legal()
