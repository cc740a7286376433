"""What the database itself refuses, each tried in raw SQL (design.md §3).

Every refusal names its rule: callers and operators read the constraint, not the sentence.
"""

from datetime import timedelta

import pytest

from config.kernel.ids import new_id
from tests.core import raw
from tests.core.raw import EXCLUSION, RESTRICT, UNIQUE, refused, sql
from tests.factories import LocationFactory, at, make_pool, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def room():
    return make_room()


@pytest.fixture
def pool():
    return make_pool(capacity=3)


# --- INV-1: exclusive resources -----------------------------------------------------------------


@pytest.mark.parametrize(("start", "end"), [(9, 10), (8.5, 9.25), (9.25, 9.5), (9.75, 12), (8, 12)])
def test_an_overlapping_occupancy_is_refused(room, start, end):
    raw.taken(room, 9, 10)
    with refused("occupancy_no_overlap", EXCLUSION):
        raw.taken(room, start, end)
    assert sql("SELECT count(*) FROM bookings_occupancy") == [(1,)]


def test_windows_that_only_meet_are_both_had(room):
    raw.taken(room, 9, 10)
    raw.taken(room, 10, 11)
    raw.taken(room, 8, 9)
    raw.settle_constraints()
    assert sql("SELECT count(*) FROM bookings_occupancy") == [(3,)]


def test_one_that_lapsed_still_stands_until_it_is_released(room):
    """Lapsing is not releasing: only who holds the locks may clear it away."""
    raw.taken(room, lapses_at=at(0, days=-1))
    with refused("occupancy_no_overlap", EXCLUSION):
        raw.taken(room)


def test_moving_an_occupancy_onto_another_is_refused(room):
    raw.taken(room, 9, 10)
    other = raw.taken(room, 11, 12)
    with refused("occupancy_no_overlap", EXCLUSION):
        sql("UPDATE bookings_occupancy SET during = %s WHERE id = %s", raw.span(9, 10), other)


def test_taking_back_a_release_over_another_is_refused(room):
    first = raw.taken(room)
    sql("UPDATE bookings_occupancy SET released_at = now() WHERE id = %s", first)
    raw.taken(room)
    with refused("occupancy_no_overlap", EXCLUSION):
        sql("UPDATE bookings_occupancy SET released_at = NULL WHERE id = %s", first)


@pytest.mark.parametrize("kind", ["room", "pool"])
def test_exclusive_cannot_be_lied_about(kind, request):
    resource = request.getfixturevalue(kind)
    with refused("occupancy_exclusive_is_the_resources"):
        raw.taken(resource, exclusive=not resource.is_exclusive)
    honest = raw.taken(resource)
    with refused("occupancy_exclusive_is_the_resources"):
        sql("UPDATE bookings_occupancy SET exclusive = NOT exclusive WHERE id = %s", honest)


@pytest.mark.parametrize("kind", ["room", "pool"])
def test_exclusive_left_out_follows_the_resource(kind, request):
    resource = request.getfixturevalue(kind)
    found = raw.taken(resource, exclusive=None)
    assert sql("SELECT exclusive FROM bookings_occupancy WHERE id = %s", found) == [
        (resource.is_exclusive,)
    ]


# An empty range has no lower bound to include, so that it breaks two rules at once; PostgreSQL
# names the first in alphabetical order.
BAD_WINDOWS = [
    ("empty", "half_open"),
    ("[2099-01-01 09:00Z,2099-01-01 09:00Z)", "half_open"),
    ("[2099-01-01 09:00Z,)", "finite"),
    ("(,2099-01-01 09:00Z)", "finite"),
    ("[2099-01-01 09:00Z,infinity)", "finite"),
    ("[-infinity,2099-01-01 09:00Z)", "finite"),
    ("[2099-01-01 09:00Z,2099-01-01 10:00Z]", "half_open"),
    ("(2099-01-01 09:00Z,2099-01-01 10:00Z)", "half_open"),
]


@pytest.mark.parametrize(("window", "rule"), BAD_WINDOWS)
@pytest.mark.parametrize("kind", ["room", "pool"])
def test_empty_infinite_and_closed_windows_are_refused(kind, request, window, rule):
    resource = request.getfixturevalue(kind)
    with refused(f"occupancy_window_{rule}"):
        raw.taken(resource, during=window)
    with refused(f"block_window_{rule}"):
        raw.block(resource, during=window)
    assert sql("SELECT count(*) FROM bookings_occupancy") == [(0,)]


@pytest.mark.parametrize("table", ["occupancy", "block"])
def test_emptiness_is_refused_by_a_rule_of_its_own(room, table):
    """Not only because an empty range happens to break another one."""
    rule = f"{table}_window_not_empty"
    found = sql("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", rule)
    assert found == [("CHECK ((NOT isempty(during)))",)]


@pytest.mark.parametrize("quantity", [0, 2])
def test_an_exclusive_resource_is_taken_once(room, quantity):
    booking_id = raw.booking(room)
    line_id = raw.line(booking_id, room)
    with refused("occupancy_quantity"):
        raw.occupancy(booking_id, line_id, room, quantity=quantity)


def test_a_quantity_is_at_least_one(pool):
    booking_id = raw.booking(pool)
    line_id = raw.line(booking_id, pool)
    with refused("occupancy_quantity"):
        raw.occupancy(booking_id, line_id, pool, quantity=0)
    with refused("block_quantity"):
        raw.block(pool, quantity=0)
    with refused("line_quantity"):
        raw.line(booking_id, pool, quantity=0, position=1)


def test_the_mode_is_fixed_once_used(room):
    raw.taken(room)
    with refused("resource_mode_is_fixed_once_used"):
        sql("UPDATE bookings_resource SET mode = 'pooled' WHERE id = %s", room.pk)
    unused = make_room(workspace=room.workspace)
    sql("UPDATE bookings_resource SET mode = 'pooled', capacity = 4 WHERE id = %s", unused.pk)


def test_an_exclusive_resource_has_a_capacity_of_one(room):
    with refused("resource_capacity_fits_mode"):
        sql("UPDATE bookings_resource SET capacity = 2 WHERE id = %s", room.pk)


# --- INV-2: pools -------------------------------------------------------------------------------


def test_a_pool_is_never_over_its_capacity(pool):
    raw.taken(pool, 9, 11, quantity=2)
    raw.taken(pool, 10, 12, quantity=1)
    for start, end, quantity in [(10, 10.25, 1), (8, 13, 1), (9, 10, 2), (11, 12, 3)]:
        with refused("occupancy_within_capacity", EXCLUSION):
            raw.taken(pool, start, end, quantity=quantity)
    raw.taken(pool, 9, 10, quantity=1)
    raw.taken(pool, 11, 12, quantity=2)
    raw.settle_constraints()


def test_the_peak_between_two_that_do_not_meet_is_not_their_sum(pool):
    """Two at 9 and two at 11 leave one unit all day, not none."""
    raw.taken(pool, 9, 10, quantity=2)
    raw.taken(pool, 11, 12, quantity=2)
    raw.taken(pool, 8, 13, quantity=1)
    raw.settle_constraints()


def test_blocks_of_units_count_against_a_pool(pool):
    raw.block(pool, 9, 10, quantity=1)
    raw.block(pool, 9.5, 11, quantity=1)
    with refused("occupancy_within_capacity", EXCLUSION):
        raw.taken(pool, 9, 10, quantity=2)
    raw.taken(pool, 9, 9.5, quantity=2)
    raw.taken(pool, 9.5, 11, quantity=1)
    raw.settle_constraints()


def test_growing_an_occupancy_beyond_the_pool_is_refused(pool):
    first = raw.taken(pool, quantity=2)
    raw.taken(pool, quantity=1)
    with refused("occupancy_within_capacity", EXCLUSION):
        sql("UPDATE bookings_occupancy SET quantity = 3 WHERE id = %s", first)
    sql("UPDATE bookings_occupancy SET quantity = 1 WHERE id = %s", first)


def test_capacity_cannot_sink_below_what_is_booked(pool):
    raw.taken(pool, 9, 11, quantity=1)
    raw.taken(pool, 10, 12, quantity=1)
    with refused("resource_capacity_covers_bookings", EXCLUSION):
        sql("UPDATE bookings_resource SET capacity = 1 WHERE id = %s", pool.pk)
    sql("UPDATE bookings_resource SET capacity = 2 WHERE id = %s", pool.pk)


def test_what_is_over_does_not_keep_the_capacity_up(pool):
    past = f"[{at(9, days=-2).isoformat()},{at(10, days=-2).isoformat()})"
    raw.taken(pool, quantity=3, during=past)
    sql("UPDATE bookings_resource SET capacity = 1 WHERE id = %s", pool.pk)


# --- INV-4: blocks ------------------------------------------------------------------------------


def test_a_block_keeps_new_claims_out(room):
    raw.block(room, 9, 10)
    with refused("occupancy_not_blocked", EXCLUSION):
        raw.taken(room, 9.5, 10.5)
    raw.taken(room, 10, 11)
    raw.settle_constraints()


def test_a_block_over_a_booking_leaves_it_and_its_confirmation_alone(room):
    found = raw.taken(room)
    raw.block(room, 8, 12)
    raw.confirm(raw.booking_of(found))
    with refused("occupancy_not_blocked", EXCLUSION):
        raw.taken(room, 11, 12)


# --- INV-3: states ------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["confirmed", "released", "cancelled", "expired", "no_show", "x"])
def test_a_booking_cannot_be_born_in_a_later_state(room, state):
    with refused("booking_first_state"):
        raw.booking(room, state=state)


@pytest.mark.parametrize("state", ["cancelled", "completed", "no_show", "nonsense"])
def test_a_state_that_the_table_forbids(room, state):
    booking_id = raw.booking(room)
    with refused("booking_transition"):
        raw.move("bookings_booking", booking_id, state)
    assert sql("SELECT state, version FROM bookings_booking") == [("pending_payment", 0)]


@pytest.mark.parametrize("version", [0, 2, 7])
def test_a_move_raises_the_version_by_one(room, version):
    booking_id = raw.booking(room)
    with refused("booking_version"):
        raw.move("bookings_booking", booking_id, "released", version=version)


@pytest.mark.parametrize("ended", ["released", "cancelled"])
def test_what_was_given_up_is_never_revived(room, ended):
    booking_id = raw.booking_of(raw.taken(room))
    if ended == "cancelled":
        raw.confirm(booking_id)
    sql("UPDATE bookings_occupancy SET released_at = now()")
    raw.move("bookings_booking", booking_id, ended)
    raw.settle_constraints()
    for state in ["confirmed", "pending_payment", "expired"]:
        with refused("booking_transition"):
            raw.move("bookings_booking", booking_id, state)


def test_holds_are_guarded_alike(room):
    booking_id = raw.booking(room)
    with refused("hold_first_state"):
        raw.hold(room, booking_id, state="confirmed")
    hold_id = raw.hold(room, booking_id)
    with refused("hold_version"):
        raw.move("holds_hold", hold_id, "released", version=0)
    raw.move("holds_hold", hold_id, "released")
    with refused("hold_transition"):
        raw.move("holds_hold", hold_id, "active")
    with refused("hold_is_history", RESTRICT):
        sql("DELETE FROM holds_hold WHERE id = %s", hold_id)


# --- INV-10: confirmed means held ---------------------------------------------------------------


def test_confirmed_without_occupancies_is_refused(room):
    booking_id = raw.booking(room)
    with refused("confirmed_booking_has_occupancies"):
        raw.move("bookings_booking", booking_id, "confirmed")
    raw.line(booking_id, room)
    with refused("confirmed_booking_has_occupancies"):
        raw.move("bookings_booking", booking_id, "confirmed")


def test_confirmed_with_an_occupancy_that_lapses_is_refused(room):
    booking_id = raw.booking_of(raw.taken(room))
    with refused("confirmed_booking_has_occupancies"):
        raw.move("bookings_booking", booking_id, "confirmed")


def test_confirmed_with_a_line_left_out_is_refused(room):
    booking_id = raw.booking_of(raw.taken(room))
    raw.line(booking_id, make_room(workspace=room.workspace), position=1)
    with refused("confirmed_booking_has_occupancies"):
        raw.confirm(booking_id)


@pytest.mark.parametrize("window", [(9.25, 10), (9, 9.75), (11, 12)])
def test_confirmed_with_an_occupancy_beside_the_line_is_refused(room, window):
    booking_id = raw.booking_of(raw.taken(room, during=raw.span(*window)))
    with refused("confirmed_booking_has_occupancies"):
        raw.confirm(booking_id)


def test_confirmed_with_fewer_units_than_the_line_is_refused(pool):
    booking_id = raw.booking(pool)
    line_id = raw.line(booking_id, pool, quantity=3)
    raw.occupancy(booking_id, line_id, pool, quantity=2)
    with refused("confirmed_booking_has_occupancies"):
        raw.confirm(booking_id)
    raw.occupancy(booking_id, line_id, pool, quantity=1)
    raw.confirm(booking_id)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE bookings_occupancy SET released_at = now()",
        "UPDATE bookings_occupancy SET lapses_at = now()",
        "UPDATE bookings_occupancy SET during = '[2099-01-01 09:00Z,2099-01-01 10:00Z)'",
    ],
)
def test_a_confirmed_bookings_occupancy_cannot_be_taken_from_it(room, change):
    booking_id = raw.booking_of(raw.taken(room))
    raw.confirm(booking_id)
    with refused("confirmed_booking_has_occupancies"):
        sql(f"{change} WHERE booking_id = %s", booking_id)
    assert sql("SELECT released_at, lapses_at FROM bookings_occupancy") == [(None, None)]


def test_an_occupancy_cannot_be_deleted(room):
    found = raw.taken(room)
    with refused("occupancy_is_history", RESTRICT):
        sql("DELETE FROM bookings_occupancy WHERE id = %s", found)
    raw.confirm(raw.booking_of(found))
    with refused("occupancy_is_history", RESTRICT):
        sql("DELETE FROM bookings_occupancy")
    assert sql("SELECT count(*) FROM bookings_occupancy") == [(1,)]


def test_a_confirmed_bookings_line_cannot_grow_past_what_it_holds(room):
    booking_id = raw.booking_of(raw.taken(room))
    raw.confirm(booking_id)
    with refused("confirmed_booking_has_occupancies"):
        sql("UPDATE bookings_line SET ends_at = %s", at(12))
    with refused("confirmed_booking_has_occupancies"):
        raw.line(booking_id, room, position=1, starts_at=at(12), ends_at=at(13))


@pytest.mark.parametrize("state", ["released", "expired"])
def test_an_ended_booking_holds_nothing(room, state):
    booking_id = raw.booking_of(raw.taken(room))
    with refused("ended_booking_has_no_occupancies"):
        raw.move("bookings_booking", booking_id, state)
    sql("UPDATE bookings_occupancy SET released_at = now()")
    raw.move("bookings_booking", booking_id, state)
    raw.settle_constraints()
    with refused("ended_booking_has_no_occupancies"):
        sql("UPDATE bookings_occupancy SET released_at = NULL")
    ((line_id,),) = sql("SELECT id FROM bookings_line")
    with refused("ended_booking_has_no_occupancies"):
        raw.occupancy(booking_id, line_id, room)


def test_a_cancelled_booking_holds_nothing(room):
    booking_id = raw.booking_of(raw.taken(room))
    raw.confirm(booking_id)
    with refused("ended_booking_has_no_occupancies"):
        raw.move("bookings_booking", booking_id, "cancelled")


# --- History ------------------------------------------------------------------------------------

KEPT = [
    ("bookings_booking", "booking_is_history"),
    ("bookings_line", "booking_is_history"),
    ("bookings_bookingevent", "booking_event_is_history"),
    ("bookings_occupancy", "occupancy_is_history"),
    ("holds_hold", "hold_is_history"),
    ("payments_due", "money_is_history"),
    ("payments_checkout", "money_is_history"),
    ("payments_payment", "money_is_history"),
]


@pytest.mark.parametrize(("table", "rule"), KEPT)
def test_history_is_not_truncated(room, table, rule):
    with refused(rule, RESTRICT):
        sql(f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize("table", [t for t, _ in KEPT if t != "bookings_occupancy"])
def test_history_is_not_deleted(room, table):
    payment = _paid(room)
    raw.settle_constraints()
    assert payment
    before = sql(f"SELECT count(*) FROM {table}")
    assert before != [(0,)]
    with refused(dict(KEPT)[table], RESTRICT):
        sql(f"DELETE FROM {table}")
    assert sql(f"SELECT count(*) FROM {table}") == before


def test_events_are_never_rewritten(room):
    _paid(room)
    with refused("booking_event_is_history", RESTRICT):
        sql("UPDATE bookings_bookingevent SET reason = 'I was never here'")


def test_a_resource_with_history_stays(room):
    raw.taken(room)
    with refused("resource_with_history", RESTRICT):
        sql("DELETE FROM bookings_resource WHERE id = %s", room.pk)


# --- INV-9: nothing crosses workspaces ----------------------------------------------------------


def test_a_line_stays_within_its_bookings_workspace(room):
    booking_id = raw.booking(room)
    with refused("line_within_workspace"):
        raw.line(booking_id, make_room())


def test_an_occupancy_stays_within_its_booking(room):
    booking_id = raw.booking(room)
    line_id = raw.line(booking_id, room)
    with refused("occupancy_within_booking"):
        raw.occupancy(booking_id, line_id, make_room())
    with refused("occupancy_within_booking"):
        raw.occupancy(raw.booking(room), line_id, room)


def test_a_block_stays_within_its_resources_workspace(room):
    with refused("block_within_workspace"):
        raw.block(room, workspace_id=make_room().workspace_id)


def test_a_resource_stays_in_its_workspace_and_near_its_own(room):
    other = make_room()
    with refused("resource_stays_in_workspace"):
        sql("UPDATE bookings_resource SET workspace_id = %s", other.workspace_id)
    for column, value in [("location_id", other.location_id), ("category_id", other.category_id)]:
        with refused("resource_within_workspace"):
            sql(f"UPDATE bookings_resource SET {column} = %s WHERE id = %s", value, room.pk)
    moved = LocationFactory(workspace=room.workspace)
    sql("UPDATE bookings_resource SET location_id = %s WHERE id = %s", moved.pk, room.pk)
    raw.settle_constraints()


def test_holds_and_dues_stay_within_their_bookings_workspace(room):
    booking_id = raw.booking(room)
    elsewhere = make_room().workspace_id
    with refused("hold_within_workspace"):
        raw.hold(room, booking_id, workspace_id=elsewhere)
    with refused("due_within_workspace"):
        raw.due(room, booking_id, workspace_id=elsewhere)


# --- Money --------------------------------------------------------------------------------------


def _checkout(due_id, attempt=1, **columns):
    values = {
        "due_id": due_id,
        "attempt": attempt,
        "state": "creating",
        "version": 0,
        "account": "",
        "destination": "",
        "livemode": False,
        "amount_minor": 4500,
        "currency": "NZD",
        "application_fee_minor": 0,
        "title": "Room",
        "email": "",
        "success_url": "http://s",
        "cancel_url": "http://c",
        "created_at": at(0, days=0),
        "expires_at": at(1, days=0),
        "url": "",
        "looks": 0,
        "last_error": "",
    }
    return raw.insert("payments_checkout", **{**values, **columns})


def _payment(due_id, checkout_id, **columns):
    values = {
        "due_id": due_id,
        "checkout_id": checkout_id,
        "payment_intent_id": f"pi_{new_id().hex}",
        "account": "",
        "livemode": False,
        "amount_minor": 4500,
        "currency": "NZD",
        "state": "created",
        "version": 0,
        "verdict": "",
        "verdict_because": "",
        "settled_by": "",
        "created_at": at(0, days=0),
        "tries": 0,
        "last_error": "",
    }
    return raw.insert("payments_payment", **{**values, **columns})


def _paid(room):
    """A pending booking with every row of money and an event; returns the payment's id."""
    booking_id = raw.booking_of(raw.taken(room))
    raw.hold(room, booking_id)
    raw.insert(
        "bookings_bookingevent",
        booking_id=booking_id,
        at=at(0, days=0),
        kind="held",
        from_state="",
        to_state="pending_payment",
        version=0,
        actor_kind="visitor",
        actor_id="",
        actor_label="",
        reason="",
        request_id="",
        data="{}",
    )
    due_id = raw.due(room, booking_id)
    return _payment(due_id, _checkout(due_id))


def test_a_payment_moves_along_its_table_only(room):
    payment_id = _paid(room)
    with refused("payment_transition"):
        raw.move("payments_payment", payment_id, "captured", verdict="capture")
    raw.move("payments_payment", payment_id, "authorised")
    with refused("payment_version"):
        raw.move("payments_payment", payment_id, "capturing", verdict="capture", version=1)
    with refused("payment_verdict_before_call"):
        raw.move("payments_payment", payment_id, "capturing")
    with refused("payment_verdict_before_call"):
        raw.move("payments_payment", payment_id, "capturing", verdict="void")
    with refused("payment_first_state"):
        _payment_like(payment_id, state="captured", verdict="capture")


def _payment_like(payment_id, **columns):
    ((due_id, checkout_id),) = sql(
        "SELECT due_id, checkout_id FROM payments_payment WHERE id = %s", payment_id
    )
    return _payment(due_id, checkout_id, **columns)


@pytest.mark.parametrize(("written", "later"), [("capture", "void"), ("void", "capture")])
def test_a_verdict_is_final(room, written, later):
    payment_id = _paid(room)
    raw.move("payments_payment", payment_id, "authorised", verdict=written)
    for verdict in (later, ""):
        with refused("payment_verdict_is_final"):
            sql("UPDATE payments_payment SET verdict = %s WHERE id = %s", verdict, payment_id)


def test_a_due_has_one_accepted_payment(room):
    first = _paid(room)
    second = _payment_like(first)
    raw.move("payments_payment", first, "authorised", verdict="capture")
    with refused("payment_one_accepted_per_due", UNIQUE):
        raw.move("payments_payment", second, "authorised", verdict="capture")
    raw.move("payments_payment", second, "authorised", verdict="void")


def test_an_intent_is_one_payment(room):
    first = _paid(room)
    ((intent,),) = sql("SELECT payment_intent_id FROM payments_payment")
    with refused("payments_payment_payment_intent_id_key", UNIQUE):
        _payment_like(first, payment_intent_id=intent)


def test_a_due_has_one_live_checkout(room):
    _paid(room)
    ((due_id,),) = sql("SELECT id FROM payments_due")
    with refused("checkout_one_live_per_due", UNIQUE):
        _checkout(due_id, attempt=2)
    sql("UPDATE payments_checkout SET close_requested_at = now()")
    _checkout(due_id, attempt=2)


def test_a_booking_owes_once(room):
    _paid(room)
    ((booking_id,),) = sql("SELECT id FROM bookings_booking")
    with refused("due_once_per_purpose", UNIQUE):
        raw.due(room, booking_id)


def _expired(room):
    """A booking that expired with a payment; its slot is free to be taken again."""
    payment_id = _paid(room)
    ((booking_id,),) = sql("SELECT id FROM bookings_booking")
    sql("UPDATE bookings_occupancy SET released_at = now()")
    raw.move("bookings_booking", booking_id, "expired")
    raw.settle_constraints()
    ((line_id,),) = sql("SELECT id FROM bookings_line")
    return booking_id, line_id, payment_id


def _revive(room, booking_id, line_id):
    raw.occupancy(booking_id, line_id, room, lapses_at=None)
    raw.move("bookings_booking", booking_id, "confirmed")


@pytest.mark.parametrize("verdict", ["", "void"])
def test_only_an_accepted_payment_revives_an_expired_booking(room, verdict):
    booking_id, line_id, payment_id = _expired(room)
    if verdict:
        raw.move("payments_payment", payment_id, "authorised", verdict=verdict)
    with refused("revived_booking_is_paid"):
        _revive(room, booking_id, line_id)


def test_an_accepted_payment_revives_only_with_its_slot(room):
    booking_id, line_id, payment_id = _expired(room)
    raw.move("payments_payment", payment_id, "authorised", verdict="capture")
    with refused("confirmed_booking_has_occupancies"):
        raw.move("bookings_booking", booking_id, "confirmed")
    _revive(room, booking_id, line_id)
    raw.settle_constraints()
    assert sql("SELECT state, version FROM bookings_booking") == [("confirmed", 2)]


# --- Times --------------------------------------------------------------------------------------


def test_times_are_in_order(room):
    with refused("booking_window_in_order"):
        raw.booking(room, starts_at=at(10), ends_at=at(9))
    booking_id = raw.booking(room)
    with refused("line_window_in_order"):
        raw.line(booking_id, room, starts_at=at(9), ends_at=at(9))
    with refused("hold_times_in_order"):
        raw.hold(room, booking_id, lapses_at=at(1, days=0) - timedelta(seconds=1))
