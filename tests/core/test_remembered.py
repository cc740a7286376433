"""What is remembered of availability: the same as what is read, forgotten with every change."""

import itertools
import json
from datetime import timedelta

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.availability import availability
from bookings.models import Block
from bookings.remembered import remembered
from config.kernel.redis import asked_again
from holds import services
from holds.models import Hold
from tests.core.raw import sql
from tests.core.support import SOMEBODY, hold, lapse, line, tomorrow
from tests.core.test_availability import rules_of
from tests.factories import BlockFactory, make_pool, make_room
from tests.support.redis import own_redis


@pytest.fixture(autouse=True)
def _redis_is_asked():
    asked_again()
    yield
    asked_again()


def seen(*resources, days=1):
    """Free stretches as pages see them, and how many queries that took."""
    rules = rules_of(*resources)
    end = tomorrow(0) + timedelta(days=days)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        found = remembered(rules=rules, start=tomorrow(0), end=end)
    direct = availability(rules=rules, start=tomorrow(0), end=end)
    same = all(found[r.pk].free == direct[r.pk].free for r in resources)
    return len(asked), same, found[resources[0].pk]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_asked_again_until_something_changes_and_then_once():
    room = make_room()
    other = make_pool(capacity=5, workspace=room.workspace, location=room.location)
    for days in (1, 30):
        assert seen(room, days=days)[:2] == (1, True)
        assert seen(room, days=days)[:2] == (0, True)
    first, second = hold(line(room, 9, 10)), hold(line(other, 9, 10, 2))
    assert seen(room)[:2] == (1, True)
    assert seen(other)[:2] == (1, True)
    assert seen(room, other)[:2] == (0, True)
    changes = {
        "release": lambda: services.release(hold_id=first.pk, actor=SOMEBODY),
        "another hold": lambda: hold(line(room, 13, 15)),
        "a block": lambda: BlockFactory(resource=room, during=(tomorrow(16), tomorrow(17))),
        "a block moved": lambda: _move(Block.objects.get()),
        "a block gone": lambda: Block.objects.all().delete(),
    }
    for name, change in changes.items():
        change()
        assert seen(room)[:2] == (1, True), name
        assert seen(room)[:2] == (0, True), name
        assert seen(other)[:2] == (0, True), name
    lapse(second)
    services.expire_lapsed()
    assert seen(other)[:2] == (1, True)


def _move(block: Block) -> None:
    block.during = (tomorrow(18), tomorrow(19))
    block.save()


@pytest.mark.django_db(transaction=True)
def test_it_lives_no_longer_than_the_next_hold_in_it(settings):
    settings.AVAILABILITY_CACHE_SECONDS = 3600
    room = make_room()
    held = hold(line(room, 9, 10), ttl_seconds=60)
    seen(room)
    client = redis.Redis.from_url(django_settings.REDIS_URL)
    keys = [k for k in client.keys(f"taken:{room.pk}:*") if b"version" not in k]
    pieces = [json.loads(client.get(key)) for key in keys]
    until = [piece[1] for piece in pieces if piece[3]]
    now = float("{}.{:06d}".format(*client.time()))
    assert until
    assert all(now + 50 < moment <= now + 60 for moment in until)
    # Its time comes, and nobody tells: who looks afterwards reads anew.
    sql(
        "UPDATE bookings_occupancy SET lapses_at = clock_timestamp() + interval '0.3 seconds'"
        " WHERE booking_id = %s",
        held.booking_id,
    )
    client.delete(*keys)
    assert seen(room)[0] == 1
    sql("SELECT pg_sleep(0.4)")
    asked, same, known = seen(room)
    assert (asked, same) == (1, True)
    assert any(f.start <= tomorrow(9) and f.end >= tomorrow(10) for f in known.free)
    assert Hold.objects.get().state == "active"


@pytest.mark.django_db(transaction=True)
def test_who_read_before_a_commit_cannot_make_the_old_state_last():
    """The reader has the version before it reads: what it keeps counts as old afterwards."""
    from bookings import remembered as module

    room = make_room()
    read = module.taken

    def overtaken(*asked):
        found = read(*asked)
        hold(line(room, 9, 10))
        return found

    module.taken = overtaken
    try:
        remembered(rules=rules_of(room), start=tomorrow(0), end=tomorrow(23))
    finally:
        module.taken = read
    assert seen(room)[:2] == (1, True)


@pytest.mark.django_db(transaction=True)
def test_uses_over_the_edge_of_a_week_count_once():
    pool = make_pool(capacity=9)
    for day, days in itertools.product(range(0, 21, 5), (1, 9)):
        start = tomorrow(0) + timedelta(days=day)
        BlockFactory(resource=pool, during=(start, start + timedelta(days=days)), quantity=1)
    for days in (30, 3, 30):
        assert seen(pool, days=days)[1]
    assert seen(pool, days=30)[:2] == (0, True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trouble", ["pause", "stop"])
def test_without_redis_it_is_read_and_writes_go_on(settings, trouble):
    room = make_room()
    with own_redis() as own:
        settings.REDIS_URL = own.url
        assert seen(room)[:2] == (1, True)
        assert seen(room)[:2] == (0, True)
        getattr(own, trouble)()
        for hour in (9, 10):
            hold(line(room, hour, hour + 1))
            assert seen(room)[:2] == (1, True)


@pytest.mark.django_db
def test_inside_a_transaction_the_truth_is_read():
    room = make_room()
    with transaction.atomic():
        for _ in range(2):
            assert seen(room)[:2] == (1, True)
