"""Why is it not free? Each reason by its code, and nothing for what is free."""

from datetime import time, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.errors import SlotTaken
from bookings.explain import explain
from bookings.selectors import rules_for
from holds import services
from holds.claims import LineRequest
from holds.lock_objects import lock_hold
from tests.core.support import SOMEBODY, hold, lapse, line, tomorrow
from tests.factories import BlockFactory, make_pool, make_room

pytestmark = pytest.mark.django_db


def reasons(resource, start=9, end=10, quantity=1, shift=timedelta(0)):
    rules = rules_for(workspace_id=resource.workspace_id)[resource.pk]
    return explain(
        rules=rules, start=tomorrow(start) + shift, end=tomorrow(end) + shift, quantity=quantity
    )


def codes(*args, **kwargs):
    return [reason.code for reason in reasons(*args, **kwargs)]


def test_nothing_is_in_the_way_of_what_is_free():
    room = make_room()
    hold(line(room, 10, 11))
    lapse(hold(line(room, 8, 9)))
    with CaptureQueriesContext(connection) as captured:
        assert codes(room) == []
    assert len(captured.captured_queries) == 3, "the rules, the clock and one look"


@pytest.mark.parametrize(
    ("rules", "asked", "code"),
    [
        ({}, {"end": 9}, "duration"),
        ({"min_seconds": 7200}, {}, "duration"),
        ({"max_seconds": 1800}, {}, "duration"),
        ({"step_seconds": 5400}, {}, "step"),
        ({}, {"shift": timedelta(minutes=5)}, "step"),
        ({"notice_seconds": 5 * 86400}, {}, "notice"),
        ({}, {"shift": timedelta(days=-3)}, "notice"),
        ({"horizon_days": 1}, {"shift": timedelta(days=5)}, "horizon"),
        ({}, {"quantity": 2}, "quantity"),
        ({}, {"quantity": 0}, "quantity"),
    ],
)
def test_a_rule_that_is_broken(rules, asked, code):
    # A step may be missed twice: by the start and by the length.
    assert set(codes(make_room(**rules), **asked)) == {code}


def test_opening_hours():
    room = make_room(hours=[(weekday, time(8), time(17)) for weekday in range(7)])
    room.location.timezone = "UTC"
    room.location.save()
    assert codes(room, 16, 18) == ["hours"]
    assert codes(room, 16, 17) == []


def test_a_block_says_why():
    room = make_room()
    BlockFactory(resource=room, during=(tomorrow(9), tomorrow(12)), reason="New carpet")
    (reason,) = reasons(room)
    assert (reason.code, reason.detail) == ("block", "Blocked: New carpet.")
    assert (reason.start, reason.end) == (tomorrow(9), tomorrow(12))
    assert reason.until is None


def test_a_hold_says_when_it_ends_and_a_booking_whose_it_is():
    room = make_room(price=0)
    held = hold(line(room))
    (reason,) = reasons(room)
    assert (reason.code, reason.until) == ("hold", held.expires_at)
    assert (reason.booking_id, reason.reference) == (held.booking_id, held.booking.reference)
    with transaction.atomic():
        services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    (reason,) = reasons(room)
    assert (reason.code, reason.until, reason.reference) == (
        "booking", None, held.booking.reference,
    )  # fmt: skip


def test_a_buffer_of_a_neighbour():
    room = make_room(buffer_after_seconds=1800)
    hold(line(room, 8, 9))
    (reason,) = reasons(room)
    assert (reason.code, reason.start, reason.end) == ("buffer", tomorrow(8), tomorrow(9))


def test_every_reason_at_once_is_told():
    room = make_room(notice_seconds=5 * 86400, min_seconds=7200)
    hold_room = make_room(workspace=room.workspace)
    hold(line(hold_room))
    BlockFactory(resource=room, during=(tomorrow(9), tomorrow(10)))
    assert codes(room) == ["duration", "notice", "block"]


def test_a_pool_is_full_only_at_its_peak():
    pool = make_pool(capacity=3)
    hold(line(pool, 9, 10, quantity=2))
    hold(line(pool, 10, 11, quantity=2))
    assert codes(pool, 9, 11) == [], "the two never meet: one unit is free throughout"
    assert codes(pool, 9, 11, quantity=2) == ["hold", "hold"]
    BlockFactory(resource=pool, during=(tomorrow(9), tomorrow(10)), quantity=1)
    assert set(codes(pool, 9, 11)) == {"hold", "block"}
    assert codes(pool, 10, 11) == []


def test_a_pools_buffers_count_where_they_meet():
    """Two that do not overlap as their members see it, but whose buffers do."""
    pool = make_pool(capacity=2, buffer_after_seconds=1800)
    hold(line(pool, 8, 9))
    start = tomorrow(9, 15)
    hold(LineRequest(pool.pk, start, start + timedelta(minutes=45)))
    with pytest.raises(SlotTaken) as caught:
        hold(line(pool, 9, 10))
    assert caught.value.data["remaining"] == 0
    assert codes(pool) == ["buffer", "hold"]
