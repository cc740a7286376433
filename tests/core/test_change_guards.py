"""What the database refuses of changes to confirmed bookings, each tried in raw SQL (design.md §4).

A line may stand on several occupancies; a change's own end with it, and stay with its booking.
"""

import pytest

from tests.core import raw
from tests.core.raw import EXCLUSION, RESTRICT, UNIQUE, refused, sql
from tests.factories import at, make_pool, make_room

pytestmark = pytest.mark.django_db


@pytest.fixture
def room():
    return make_room()


@pytest.fixture
def booking(room):
    """Confirmed, from nine to ten."""
    booking_id = raw.booking_of(raw.taken(room, 9, 10))
    raw.confirm(booking_id)
    return booking_id


@pytest.fixture
def line(booking):
    ((found,),) = sql("SELECT id FROM bookings_line WHERE booking_id = %s", booking)
    return found


def lines_end(hour):
    """The booking's line ends at another time."""
    sql("UPDATE bookings_line SET ends_at = %s", at(hour))


def piece(booking, line, room, start, end, **columns):
    """One more occupancy of the line, not lapsing unless told."""
    values = {"during": raw.span(start, end), "lapses_at": None, **columns}
    return raw.occupancy(booking, line, room, **values)


def taken():
    """What is taken, in hours."""
    return [
        ((lower - at(0)).seconds / 3600, (upper - at(0)).seconds / 3600)
        for lower, upper in sql(
            "SELECT lower(during), upper(during) FROM bookings_occupancy"
            " WHERE released_at IS NULL ORDER BY during"
        )
    ]


# --- A change that ended --------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["released", "expired"])
def test_an_ended_change_holds_nothing(room, booking, line, state):
    change = raw.change(booking)
    new = piece(booking, line, room, 10, 11, change_id=change, lapses_at=at(0))
    with refused("ended_change_has_no_occupancies"):
        raw.move("bookings_change", change, state)
    sql("UPDATE bookings_occupancy SET released_at = now() WHERE id = %s", new)
    raw.move("bookings_change", change, state)
    raw.settle_constraints()
    with refused("ended_change_has_no_occupancies"):
        sql("UPDATE bookings_occupancy SET released_at = NULL WHERE id = %s", new)
    with refused("ended_change_has_no_occupancies"):
        piece(booking, line, room, 10, 11, change_id=change, lapses_at=at(0))
    assert taken() == [(9, 10)]


@pytest.mark.parametrize("columns", [{}, {"change_id": None}])
def test_letting_go_of_a_change_cannot_take_what_the_booking_had(room, booking, line, columns):
    change = raw.change(booking)
    piece(booking, line, room, 10, 11, change_id=change, lapses_at=at(0))
    sql("UPDATE bookings_occupancy SET released_at = now() WHERE change_id = %s", change)
    with refused("confirmed_booking_has_occupancies"):
        sql("UPDATE bookings_occupancy SET released_at = now() WHERE change_id IS NULL")
    assert taken() == [(9, 10)]


def test_a_committed_change_is_not_undone(booking):
    change = raw.change(booking)
    raw.move("bookings_change", change, "committed")
    for state in ("pending", "released", "expired"):
        with refused("change_transition"):
            raw.move("bookings_change", change, state)
    with refused("change_first_state"):
        raw.change(booking, state="committed")
    with refused("change_version"):
        raw.move("bookings_change", raw.change(booking), "released", version=3)


# --- INV-10 over several occupancies --------------------------------------------------------------


def test_a_line_on_two_occupancies_that_cover_it_is_confirmed(room, booking, line):
    piece(booking, line, room, 10, 11)
    lines_end(11)
    raw.settle_constraints()
    piece(booking, line, room, 11, 12)
    lines_end(12)
    raw.settle_constraints()
    assert sql("SELECT state FROM bookings_booking") == [("confirmed",)]


@pytest.mark.parametrize(
    ("start", "end", "until"),
    [
        (10.25, 11, 11),  # a gap between the two
        (10, 10.75, 11),  # short at the end
        (11, 12, 12),  # beside it
    ],
)
def test_two_that_do_not_cover_it_are_refused(room, booking, line, start, end, until):
    with refused("confirmed_booking_has_occupancies"):
        piece(booking, line, room, start, end)
        lines_end(until)
    assert taken() == [(9, 10)]


def test_short_at_the_beginning_is_refused(room, booking, line):
    with refused("confirmed_booking_has_occupancies"):
        sql("UPDATE bookings_line SET starts_at = %s", at(8.5))
        piece(booking, line, room, 8.75, 9)


@pytest.mark.parametrize("column", ["lapses_at", "released_at"])
def test_a_second_that_does_not_last_does_not_count(room, booking, line, column):
    with refused("confirmed_booking_has_occupancies"):
        piece(booking, line, room, 10, 11, **{column: at(0)})
        lines_end(11)


def test_time_on_another_resource_does_not_count(room, booking, line):
    other = make_room(workspace=room.workspace)
    with refused("confirmed_booking_has_occupancies"):
        piece(booking, line, other, 10, 11)
        lines_end(11)
    with refused("confirmed_booking_has_occupancies"):
        sql("UPDATE bookings_line SET resource_id = %s", other.pk)


def test_units_of_a_pool_are_counted_at_every_moment():
    """Two units all along: two and one, or one and one where the second ends too soon."""
    pool = make_pool(capacity=4)
    booking = raw.booking(pool, ends_at=at(11))
    line = raw.line(booking, pool, quantity=2, ends_at=at(11))
    piece(booking, line, pool, 9, 10, quantity=2)
    short = piece(booking, line, pool, 10, 11, quantity=1)
    with refused("confirmed_booking_has_occupancies"):
        raw.confirm(booking)
    piece(booking, line, pool, 10, 11, quantity=1)
    raw.confirm(booking)
    with refused("confirmed_booking_has_occupancies"):
        sql("UPDATE bookings_occupancy SET released_at = now() WHERE id = %s", short)


# --- Giving a part back -------------------------------------------------------------------------


def test_shrinking_is_a_release_and_no_later_block_stops_it(room, booking):
    raw.block(room, 8, 12)
    sql("UPDATE bookings_line SET starts_at = %s", at(9.5))
    sql("UPDATE bookings_occupancy SET during = %s", raw.span(9.5, 10))
    raw.settle_constraints()
    assert taken() == [(9.5, 10)]


@pytest.mark.parametrize("window", [(9, 10.25), (8.75, 10), (9.5, 10.5)])
def test_growing_under_a_block_is_refused(room, booking, window):
    raw.block(room, 8, 12)
    with refused("occupancy_not_blocked", EXCLUSION):
        sql("UPDATE bookings_occupancy SET during = %s", raw.span(*window))
    assert taken() == [(9, 10)]


def test_growing_over_somebody_else_is_refused(room, booking):
    raw.taken(room, 10, 11)
    with refused("occupancy_no_overlap", EXCLUSION):
        sql(
            "UPDATE bookings_occupancy SET during = %s WHERE booking_id = %s",
            raw.span(9, 10.25),
            booking,
        )


def test_growing_beyond_a_pool_is_refused_and_shrinking_is_not():
    pool = make_pool(capacity=3)
    own = raw.taken(pool, 9, 11, quantity=2)
    raw.taken(pool, 11, 12, quantity=2)
    with refused("occupancy_within_capacity", EXCLUSION):
        sql("UPDATE bookings_occupancy SET during = %s WHERE id = %s", raw.span(9, 11.5), own)
    raw.block(pool, 9, 11, quantity=3)
    sql("UPDATE bookings_occupancy SET during = %s WHERE id = %s", raw.span(9.5, 10), own)
    raw.settle_constraints()


def test_time_that_was_given_back_is_not_taken_back_by_shrinking(room):
    """Un-releasing is a claim, also of a part."""
    own = raw.taken(room, 9, 11)
    sql("UPDATE bookings_occupancy SET released_at = now() WHERE id = %s", own)
    raw.block(room, 9, 10)
    with refused("occupancy_not_blocked", EXCLUSION):
        sql(
            "UPDATE bookings_occupancy SET during = %s, released_at = NULL WHERE id = %s",
            raw.span(9, 10),
            own,
        )


# --- INV-9: a change stays with its booking -------------------------------------------------------


def test_hold_due_and_occupancy_of_another_bookings_change_are_refused(room, booking, line):
    foreign = raw.change(raw.booking_of(raw.taken(room, 12, 13)))
    with refused("hold_within_booking"):
        raw.hold(room, booking, change_id=foreign)
    with refused("due_within_booking"):
        raw.due(room, booking, change_id=foreign, purpose="change")
    with refused("occupancy_within_booking"):
        piece(booking, line, room, 10, 11, change_id=foreign)
    own = raw.change(booking)
    hold = raw.hold(room, booking, change_id=own)
    due = raw.due(room, booking, change_id=own, purpose="change")
    raw.settle_constraints()
    with refused("hold_within_booking"):
        sql("UPDATE holds_hold SET change_id = %s WHERE id = %s", foreign, hold)
    with refused("due_within_booking"):
        sql("UPDATE payments_due SET change_id = %s WHERE id = %s", foreign, due)


@pytest.mark.parametrize("column", ["booking_id", "line_id", "change_id"])
def test_an_occupancy_is_not_handed_to_another_booking(room, booking, column):
    """Or a confirmed booking would be left without its slot."""
    other = raw.booking_of(raw.taken(room, 12, 13))
    values = {
        "booking_id": other,
        "line_id": sql("SELECT id FROM bookings_line WHERE booking_id = %s", other)[0][0],
        "change_id": raw.change(other),
    }
    with refused("occupancy_within_booking"):
        sql(
            f"UPDATE bookings_occupancy SET {column} = %s WHERE booking_id = %s",
            values[column],
            booking,
        )
    with refused("occupancy_within_booking"):
        sql(
            "UPDATE bookings_occupancy SET booking_id = %s, line_id = %s WHERE booking_id = %s",
            other,
            values["line_id"],
            booking,
        )


@pytest.mark.parametrize("write", ["hold", "due", "occupancy"])
def test_nor_is_a_change_that_is_none(room, booking, line, write):
    nowhere = raw.new_id()
    with pytest.raises(raw.IntegrityError), raw.transaction.atomic():  # noqa: PT012
        if write == "hold":
            raw.hold(room, booking, change_id=nowhere)
        elif write == "due":
            raw.due(room, booking, change_id=nowhere, purpose="change")
        else:
            piece(booking, line, room, 10, 11, change_id=nowhere)
        raw.settle_constraints()


# --- One of each ----------------------------------------------------------------------------------


def test_a_booking_has_one_pending_change(booking):
    first = raw.change(booking)
    with refused("change_one_pending_per_booking", UNIQUE):
        raw.change(booking)
    raw.move("bookings_change", first, "released")
    raw.change(booking)
    raw.settle_constraints()


def test_a_booking_has_one_hold_and_one_due_of_its_own(room, booking):
    """Nulls are not distinct: without a change there is one of each, as before."""
    raw.hold(room, booking)
    raw.due(room, booking)
    with refused("hold_once_per_purpose", UNIQUE):
        raw.hold(room, booking)
    with refused("due_once_per_purpose", UNIQUE):
        raw.due(room, booking)


def test_a_change_has_one_hold_and_one_due(room, booking):
    change = raw.change(booking)
    raw.hold(room, booking, change_id=change)
    raw.due(room, booking, change_id=change, purpose="change")
    with refused("hold_once_per_purpose", UNIQUE):
        raw.hold(room, booking, change_id=change)
    with refused("due_once_per_purpose", UNIQUE):
        raw.due(room, booking, change_id=change, purpose="change")
    raw.move("bookings_change", change, "released")
    second = raw.change(booking)
    raw.hold(room, booking, change_id=second)
    raw.due(room, booking, change_id=second, purpose="change")
    raw.settle_constraints()


def test_a_due_is_for_what_it_says(room, booking):
    change = raw.change(booking)
    for columns in (
        {"purpose": "change"},
        {"purpose": "booking", "change_id": change},
        {"purpose": "gift"},
    ):
        with refused("due_of_its_purpose"):
            raw.due(room, booking, **columns)


# --- History --------------------------------------------------------------------------------------


def test_changes_are_history(booking):
    raw.change(booking)
    raw.settle_constraints()
    with refused("booking_is_history", RESTRICT):
        sql("DELETE FROM bookings_change")
    with refused("booking_is_history", RESTRICT):
        sql("TRUNCATE bookings_change CASCADE")


def test_a_change_ends_after_it_begins(booking):
    with refused("change_window_in_order"):
        raw.change(booking, ends_at=at(9))
