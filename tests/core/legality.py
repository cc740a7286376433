"""What must be true of the database after anything at all, asked in SQL."""

from bookings.states import BOOKING_STATES
from tests.core.raw import sql

OVERLAPS = """
    SELECT a.id, b.id FROM bookings_occupancy a JOIN bookings_occupancy b
      ON a.resource_id = b.resource_id AND a.id < b.id AND a.during && b.during
    WHERE a.released_at IS NULL AND b.released_at IS NULL AND a.exclusive AND b.exclusive
"""
CONFIRMED_WITHOUT_SLOT = """
    SELECT b.reference FROM bookings_booking b
    WHERE b.state IN ('confirmed', 'completed', 'no_show') AND EXISTS (
        SELECT 1 FROM bookings_line l,
            generate_series(l.starts_at, l.ends_at - interval '1 second', '5 minutes') AS moment
        WHERE l.booking_id = b.id AND l.quantity > (
            SELECT coalesce(sum(o.quantity), 0) FROM bookings_occupancy o WHERE o.line_id = l.id
              AND o.resource_id = l.resource_id
              AND o.released_at IS NULL AND o.lapses_at IS NULL AND o.during @> moment))
"""
ENDED_WITH_SLOT = """
    SELECT b.reference FROM bookings_booking b JOIN bookings_occupancy o ON o.booking_id = b.id
    WHERE b.state IN ('expired', 'released', 'cancelled') AND o.released_at IS NULL
"""
# A hold's state beside its booking's: nothing else may be seen together.
TOGETHER = {
    ("active", "pending_payment"),
    ("released", "released"),
    ("expired", "expired"),
    *(("confirmed", state) for state in ("confirmed", "cancelled", "completed", "no_show")),
}
PAIRS_OF_STATES = """
    SELECT DISTINCT h.state, b.state FROM holds_hold h JOIN bookings_booking b
      ON b.id = h.booking_id WHERE h.change_id IS NULL
"""
# The same for a change and the hold that it waits on.
PAIRS_OF_CHANGES = """
    SELECT DISTINCT h.state, c.state FROM holds_hold h JOIN bookings_change c ON c.id = h.change_id
"""
CHANGES_TOGETHER = {
    ("active", "pending"),
    ("confirmed", "committed"),
    ("released", "released"),
    ("expired", "expired"),
}
# Nothing of a change that is not made is in anybody's way.
ENDED_CHANGE_WITH_SLOT = """
    SELECT c.id FROM bookings_change c JOIN bookings_occupancy o ON o.change_id = c.id
    WHERE c.state IN ('released', 'expired') AND o.released_at IS NULL
"""
MOVES = """
    SELECT b.version, b.state, array_agg(e.from_state || '>' || e.to_state ORDER BY e.version),
           array_agg(e.version ORDER BY e.version)
    FROM bookings_booking b JOIN bookings_bookingevent e ON e.booking_id = b.id
     AND (e.from_state <> e.to_state OR e.kind = 'rescheduled')
    GROUP BY b.id
"""
ACCEPTED_TWICE = """
    SELECT due_id FROM payments_payment WHERE verdict = 'capture' GROUP BY 1 HAVING count(*) > 1
"""
ACCEPTED_FOR_NOTHING = """
    SELECT p.payment_intent_id, b.state FROM payments_payment p
    JOIN payments_due d ON d.id = p.due_id JOIN bookings_booking b ON b.id = d.booking_id
    LEFT JOIN bookings_change c ON c.id = d.change_id
    WHERE (p.verdict = 'capture') <> (
              b.state IN ('confirmed', 'cancelled', 'completed', 'no_show')
              AND coalesce(c.state = 'committed', true))
      AND p.verdict <> ''
"""


def assert_legal() -> None:
    """Every invariant that rows alone can show."""
    assert sql(OVERLAPS) == [], "two have the same slot"
    assert sql(CONFIRMED_WITHOUT_SLOT) == [], "confirmed, and without its slot"
    assert sql(ENDED_WITH_SLOT) == [], "ended, and still in the way"
    assert set(sql(PAIRS_OF_STATES)) <= TOGETHER
    assert set(sql(PAIRS_OF_CHANGES)) <= CHANGES_TOGETHER
    assert sql(ENDED_CHANGE_WITH_SLOT) == [], "a change that was not made is in the way"
    assert sql(ACCEPTED_TWICE) == [], "paid twice for one due"
    assert sql(ACCEPTED_FOR_NOTHING) == [], "accepted without a booking, or void with one"
    for version, state, moves, versions in sql(MOVES):
        assert versions == list(range(version + 1)), (state, moves, versions)
        steps = [tuple(move.split(">")) for move in moves]
        assert steps[0][0] == "", moves
        assert steps[-1][1] == state, (state, moves)
        for came_from, went_to in steps[1:]:
            moved = (came_from, went_to) == ("confirmed", "confirmed")
            assert moved or BOOKING_STATES.allows(came_from, went_to), moves
