"""What is true after every single step, asked of the tables in one statement each.

The transitions are written down here a second time, from design.md §4: the product's own tables are
what is being checked.
"""

from dataclasses import dataclass, field
from uuid import UUID

from tests.core.raw import sql
from tests.properties.world import World

MOVES = {
    "booking": {
        "": {"pending_payment"},
        "pending_payment": {"confirmed", "released", "expired"},
        "confirmed": {"cancelled", "completed", "no_show"},
        "completed": {"no_show"},
        "no_show": {"completed"},
        "expired": {"confirmed"},
    },
    "hold": {
        "": {"active"},
        "active": {"confirmed", "released", "expired"},
        "expired": {"confirmed"},
    },
    "change": {
        "": {"pending"},
        "pending": {"committed", "released", "expired"},
        "expired": {"committed"},
    },
    "payment": {
        "": {"created"},
        "created": {"processing", "authorised", "failed"},
        "processing": {"authorised", "failed"},
        "authorised": {"capturing", "voiding", "captured"},
        "capturing": {"captured", "capture_failed"},
        "voiding": {"voided"},
    },
    "refund": {
        "": {"requested"},
        "requested": {"submitted", "succeeded", "failed", "needs_attention"},
        "submitted": {"succeeded", "failed", "needs_attention"},
        "succeeded": {"failed"},
        "needs_attention": {"requested", "submitted", "succeeded", "failed"},
    },
}
_ROWS = """
    SELECT 'booking', id, state, version, '' FROM bookings_booking WHERE workspace_id = ANY(%(w)s)
    UNION ALL SELECT 'hold', id, state, version, '' FROM holds_hold WHERE workspace_id = ANY(%(w)s)
    UNION ALL SELECT 'change', c.id, c.state, c.version, '' FROM bookings_change c
      JOIN bookings_booking b ON b.id = c.booking_id WHERE b.workspace_id = ANY(%(w)s)
    UNION ALL SELECT 'payment', p.id, p.state, p.version, p.verdict FROM payments_payment p
      JOIN payments_due d ON d.id = p.due_id WHERE d.workspace_id = ANY(%(w)s)
    UNION ALL SELECT 'refund', r.id, r.state, r.version, '' FROM payments_refund r
      JOIN payments_due d ON d.id = r.due_id WHERE d.workspace_id = ANY(%(w)s)
    UNION ALL SELECT 'entry', e.id, '', 0, md5(e::text) FROM payments_creditentry e
      JOIN payments_creditaccount a ON a.id = e.account_id WHERE a.workspace_id = ANY(%(w)s)
"""
_STANDING = """
    SELECT h.id, b.id, b.state, h.state,
      (SELECT count(*) FROM payments_checkout c JOIN payments_due d ON d.id = c.due_id
       WHERE d.booking_id = b.id AND c.session_id IS NOT NULL),
      EXISTS (SELECT 1 FROM payments_checkout c JOIN payments_due d ON d.id = c.due_id
              WHERE d.booking_id = b.id AND c.state = 'open'),
      EXISTS (SELECT 1 FROM payments_due d WHERE d.booking_id = b.id
              AND d.pay_again_until IS NOT NULL),
      EXISTS (SELECT 1 FROM payments_refund r JOIN payments_due d ON d.id = r.due_id
              WHERE d.booking_id = b.id AND r.state = 'needs_attention'),
      EXISTS (SELECT 1 FROM payments_refund r JOIN payments_due d ON d.id = r.due_id
              WHERE d.booking_id = b.id AND r."to" = 'card'),
      h.change_id IS NOT NULL
    FROM holds_hold h JOIN bookings_booking b ON b.id = h.booking_id
    WHERE h.workspace_id = ANY(%s) ORDER BY b.id
"""


@dataclass(frozen=True)
class Standing:
    """How a hold and its money stand, for the rules to choose by."""

    hold_id: UUID
    booking_id: UUID
    booking: str
    hold: str
    checkouts: int
    open_page: bool
    owes_again: bool
    refunds_wait: bool
    refunds: bool
    is_change: bool


@dataclass
class Seen:
    """(state, version, what never changes once it is there) of every row, as of the last look."""

    rows: dict[tuple[str, UUID], tuple[str, int, str]] = field(default_factory=dict)


def look(world: World, seen: Seen) -> list[Standing]:
    """Every row moved along its table (INV-3), no verdict changed, no ledger entry either (INV-7).

    A step may have made several moves; each that was skipped must have been possible.
    """
    found = {
        (kind, pk): (state, version, fixed)
        for kind, pk, state, version, fixed in sql(_ROWS.replace("%(w)s", "%s"), *[_ids(world)] * 6)
    }
    assert not set(seen.rows) - set(found), "history is gone"
    for key, now in found.items():
        _may_have_become(key[0], seen.rows.get(key), now)
    seen.rows = found
    return [Standing(*row) for row in sql(_STANDING, _ids(world))]


def _ids(world: World) -> list[UUID]:
    return world.workspace_ids


def _may_have_become(
    kind: str, before: tuple[str, int, str] | None, now: tuple[str, int, str]
) -> None:
    was, version, fixed = before or ("", 0, "")
    state, new_version, new_fixed = now
    assert not fixed or fixed == new_fixed, f"a {kind} was changed: {before} to {now}"
    if kind in MOVES and before is None:
        assert state in reachable(kind, ""), f"a {kind} began as {now}"
    elif kind in MOVES and before != now:
        assert new_version >= version, f"a {kind} went back: {before} to {now}"
        moved = new_version - version
        possible = reachable(kind, was) | {was}
        assert state in possible, f"a {kind} moved from {before} to {now}"
        assert moved or state == was, f"a {kind} moved unnoticed: {before} to {now}"


def reachable(kind: str, state: str) -> set[str]:
    """The states that a row in `state` can come to."""
    found: set[str] = set()
    waiting = [state]
    while waiting:
        for following in MOVES[kind].get(waiting.pop(), ()):
            if following not in found:
                found.add(following)
                waiting.append(following)
    return found
