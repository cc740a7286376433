"""INV-1, 2, 3, 4, 9 and 10 of one run's rows, by SQL of our own (design.md §3)."""

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from tests.core.raw import sql
from tests.properties.after_each_step import MOVES
from tests.properties.deeds import Deeds
from tests.properties.world import World

# By occupancies and, what the database does not constrain, by the lines of bookings that stand.
_OVERLAPS = """
    SELECT a.id, b.id FROM bookings_occupancy a JOIN bookings_occupancy b
      ON a.resource_id = b.resource_id AND a.id < b.id AND a.during && b.during
    JOIN bookings_resource r ON r.id = a.resource_id AND r.mode = 'exclusive'
    WHERE a.released_at IS NULL AND b.released_at IS NULL AND r.workspace_id = ANY(%s)
    UNION ALL
    SELECT a.id, b.id FROM bookings_line a JOIN bookings_line b
      ON a.resource_id = b.resource_id AND a.id < b.id
     AND a.starts_at < b.ends_at AND b.starts_at < a.ends_at
    JOIN bookings_resource r ON r.id = a.resource_id AND r.mode = 'exclusive'
    JOIN bookings_booking one ON one.id = a.booking_id
    JOIN bookings_booking two ON two.id = b.booking_id
    WHERE one.state IN ('confirmed', 'completed', 'no_show')
      AND two.state IN ('confirmed', 'completed', 'no_show') AND r.workspace_id = ANY(%s)
"""
_IN_POOLS = """
    SELECT o.resource_id, r.capacity, lower(o.during), upper(o.during), o.quantity
    FROM bookings_occupancy o JOIN bookings_resource r ON r.id = o.resource_id
    WHERE r.mode = 'pooled' AND o.released_at IS NULL AND r.workspace_id = ANY(%s)
"""
# The same by the lines of bookings that stand, add-ons among them.
_LINES_IN_POOLS = """
    SELECT l.resource_id, r.capacity, l.starts_at, l.ends_at, l.quantity
    FROM bookings_line l JOIN bookings_resource r ON r.id = l.resource_id
    JOIN bookings_booking b ON b.id = l.booking_id
    WHERE r.mode = 'pooled' AND b.state IN ('confirmed', 'completed', 'no_show')
      AND r.workspace_id = ANY(%s)
"""
_APART = """
    SELECT a.id FROM bookings_line a LEFT JOIN bookings_line l
      ON l.id = a.parent_id AND l.booking_id = a.booking_id AND l.parent_id IS NULL
     AND l.starts_at = a.starts_at AND l.ends_at = a.ends_at
    JOIN bookings_booking b ON b.id = a.booking_id
    WHERE a.parent_id IS NOT NULL AND l.id IS NULL AND b.workspace_id = ANY(%s)
"""
_UNDER_BLOCK = """
    SELECT o.booking_id FROM bookings_occupancy o JOIN bookings_block k
      ON k.resource_id = o.resource_id AND k.during && o.during
    WHERE k.id = %s AND o.released_at IS NULL AND o.exclusive
"""
_WITHOUT_SLOT = """
    SELECT b.reference FROM bookings_booking b JOIN bookings_line l ON l.booking_id = b.id
    CROSS JOIN LATERAL generate_series(
        l.starts_at - interval '1 hour', l.ends_at, interval '15 minutes') AS moment
    WHERE b.state IN ('confirmed', 'completed', 'no_show') AND b.workspace_id = ANY(%s)
      AND CASE WHEN moment >= l.starts_at AND moment < l.ends_at THEN l.quantity ELSE 0 END
       <> coalesce((
        SELECT sum(o.quantity) FROM bookings_occupancy o WHERE o.line_id = l.id
          AND o.released_at IS NULL AND o.lapses_at IS NULL AND o.during @> moment), 0)
"""
_ENDED_WITH_SLOT = """
    SELECT b.reference FROM bookings_booking b JOIN bookings_occupancy o ON o.booking_id = b.id
    WHERE b.state IN ('expired', 'released', 'cancelled') AND o.released_at IS NULL
      AND b.workspace_id = ANY(%s)
"""
_TOGETHER = """
    SELECT DISTINCT h.state, coalesce(c.state, b.state) FROM holds_hold h JOIN bookings_booking b
      ON b.id = h.booking_id LEFT JOIN bookings_change c ON c.id = h.change_id
    WHERE b.workspace_id = ANY(%s)
"""
_MAY_BE_TOGETHER = {
    ("active", "pending_payment"),
    ("released", "released"),
    ("expired", "expired"),
    # A hold of a change, and that change.
    ("active", "pending"),
    ("confirmed", "committed"),
    *(("confirmed", state) for state in ("confirmed", "cancelled", "completed", "no_show")),
}
_HISTORY = """
    SELECT b.reference, b.version, b.state, array_agg(e.from_state ORDER BY e.version),
           array_agg(e.to_state ORDER BY e.version), array_agg(e.version ORDER BY e.version)
    FROM bookings_booking b JOIN bookings_bookingevent e ON e.booking_id = b.id
     AND (e.from_state <> e.to_state OR e.kind = 'rescheduled')
    WHERE b.workspace_id = ANY(%s) GROUP BY b.id
"""
_CROSSES = """
    SELECT 'hold', h.id FROM holds_hold h JOIN bookings_booking b ON b.id = h.booking_id
    WHERE b.workspace_id = ANY(%(w)s) AND h.workspace_id <> b.workspace_id
    UNION ALL SELECT 'line', l.id FROM bookings_line l JOIN bookings_booking b
      ON b.id = l.booking_id JOIN bookings_resource r ON r.id = l.resource_id
    WHERE b.workspace_id = ANY(%(w)s) AND r.workspace_id <> b.workspace_id
    UNION ALL SELECT 'occupancy', o.id FROM bookings_occupancy o JOIN bookings_line l
      ON l.id = o.line_id JOIN bookings_booking b ON b.id = o.booking_id
    WHERE b.workspace_id = ANY(%(w)s)
      AND (l.booking_id <> o.booking_id OR o.resource_id NOT IN (
          SELECT id FROM bookings_resource WHERE workspace_id = b.workspace_id))
    UNION ALL SELECT 'change', h.id FROM holds_hold h JOIN bookings_change c ON c.id = h.change_id
    WHERE h.workspace_id = ANY(%(w)s) AND c.booking_id <> h.booking_id
    UNION ALL SELECT 'change', d.id FROM payments_due d JOIN bookings_change c ON c.id = d.change_id
    WHERE d.workspace_id = ANY(%(w)s) AND c.booking_id <> d.booking_id
    UNION ALL SELECT 'due', d.id FROM payments_due d JOIN bookings_booking b ON b.id = d.booking_id
    WHERE b.workspace_id = ANY(%(w)s) AND d.workspace_id <> b.workspace_id
    UNION ALL SELECT 'payment', p.id FROM payments_payment p JOIN payments_checkout c
      ON c.id = p.checkout_id JOIN payments_due d ON d.id = p.due_id
    JOIN members_workspace w ON w.id = d.workspace_id
    WHERE d.workspace_id = ANY(%(w)s) AND (c.due_id <> p.due_id
      OR p.account <> CASE w.charges WHEN 'direct' THEN w.stripe_account_id ELSE '' END)
    UNION ALL SELECT 'refund', r.id FROM payments_refund r JOIN payments_payment p
      ON p.id = r.payment_id JOIN payments_due d ON d.id = r.due_id
    WHERE d.workspace_id = ANY(%(w)s) AND p.due_id <> r.due_id
    UNION ALL SELECT 'entry', e.id FROM payments_creditentry e JOIN payments_creditaccount a
      ON a.id = e.account_id JOIN payments_due d ON d.id = e.due_id
    WHERE d.workspace_id = ANY(%(w)s) AND a.workspace_id <> d.workspace_id
"""


def check(here: World, deeds: Deeds) -> None:
    """Every invariant that is about slots, states and workspaces."""
    mine = here.workspace_ids
    assert sql(_OVERLAPS, mine, mine) == [], "two have the same slot"
    _pools(_IN_POOLS, mine)
    _pools(_LINES_IN_POOLS, mine)
    assert sql(_APART, mine) == [], "an add-on without its line"
    for block in deeds.blocked:
        under = {booking_id for (booking_id,) in sql(_UNDER_BLOCK, block.block_id)}
        assert under <= block.before, f"claimed under a block: {under - block.before}"
    assert set(sql(_TOGETHER, mine)) <= _MAY_BE_TOGETHER
    _histories(mine)
    assert sql(_WITHOUT_SLOT, mine) == [], "confirmed, and without its slot"
    assert sql(_ENDED_WITH_SLOT, mine) == [], "ended, and still in the way"
    assert sql(_CROSSES.replace("%(w)s", "%s"), *[mine] * _CROSSES.count("%(w)s")) == []


def _pools(taken_by: str, mine: list[UUID]) -> None:
    """Nowhere are more units taken than there are: summed at every start."""
    taken: dict[tuple[UUID, int], list[tuple[datetime, datetime, int]]] = defaultdict(list)
    for resource, capacity, start, end, quantity in sql(taken_by, mine):
        taken[resource, capacity].append((start, end, quantity))
    for (resource, capacity), spans in taken.items():
        for moment, _, _ in spans:
            units = sum(q for start, end, q in spans if start <= moment < end)
            assert units <= capacity, f"{units} of {capacity} at {moment} on {resource}"


def _histories(mine: list[UUID]) -> None:
    """Every booking's moves follow one another from its first state to the one it is in."""
    for reference, version, state, came_from, went_to, versions in sql(_HISTORY, mine):
        story = f"{reference}: {list(zip(came_from, went_to, versions, strict=True))}"
        assert versions == list(range(version + 1)), story
        assert [came_from[0], *went_to] == [*came_from, state], story
        for before, after in zip(came_from, went_to, strict=True):
            is_moved = before == after == "confirmed"
            assert is_moved or after in MOVES["booking"][before], story
