"""What a booking's money should be: arithmetic of our own over rows, in minor units.

Nothing here calls the product's sums, standings or policies; it reads tables.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.core.raw import sql

# Everything about one due that its sum is made of.
_OF_DUE = """
    SELECT d.id, d.amount_minor, d.settled_at IS NOT NULL, b.id,
      CASE WHEN c.id IS NULL OR c.state = 'committed' THEN b.state ELSE c.state END,
      coalesce((SELECT sum(p.amount_minor) FROM payments_payment p WHERE p.due_id = d.id
                AND p.state = 'captured' AND p.verdict = 'capture'), 0),
      coalesce((SELECT sum(r.amount_minor) FROM payments_refund r
                JOIN payments_payment p ON p.id = r.payment_id
                WHERE r.due_id = d.id AND p.verdict = 'capture' AND r.state <> 'failed'), 0),
      coalesce((SELECT sum(r.amount_minor) FROM payments_refund r
                JOIN payments_payment p ON p.id = r.payment_id
                WHERE r.due_id = d.id AND p.verdict = 'capture'), 0),
      coalesce((SELECT sum(r.amount_minor) FROM payments_refund r
                JOIN payments_payment p ON p.id = r.payment_id
                WHERE r.due_id = d.id AND p.verdict = 'capture' AND r.state = 'succeeded'), 0),
      coalesce((SELECT -sum(e.amount_minor) FROM payments_creditentry e WHERE e.due_id = d.id
                AND e.kind IN ('spend', 'returned')), 0),
      coalesce((SELECT sum(e.amount_minor) FROM payments_creditentry e WHERE e.due_id = d.id
                AND e.kind = 'returned' AND e.source IN ('refund', 'change')), 0),
      coalesce((SELECT sum(e.amount_minor) FROM payments_creditentry e WHERE e.due_id = d.id
                AND e.kind = 'refund'), 0),
      coalesce((SELECT sum(x.amount_minor) FROM payments_dispute x
                JOIN payments_payment p ON p.id = x.payment_id WHERE p.due_id = d.id
                AND x.status IN ('needs_response', 'under_review', 'lost')), 0),
      coalesce((SELECT sum(r.amount_minor) FROM payments_refund r WHERE r.due_id = d.id
                AND r.cause = 'change' AND r.state <> 'failed'), 0)
      + coalesce((SELECT sum(e.amount_minor) FROM payments_creditentry e WHERE e.due_id = d.id
                  AND e.kind = 'returned' AND e.source = 'change'), 0)
    FROM payments_due d JOIN bookings_booking b ON b.id = d.booking_id
    LEFT JOIN bookings_change c ON c.id = d.change_id
    WHERE b.id = ANY(%s) ORDER BY d.id
"""
_TERMS = """
    SELECT b.policy, array_agg(l.starts_at ORDER BY l.position),
           array_agg(l.amount_minor ORDER BY l.position), clock_timestamp()
    FROM bookings_booking b JOIN bookings_line l ON l.booking_id = b.id
    WHERE b.id = %s GROUP BY b.id
"""


@dataclass(frozen=True)
class Sums:
    """A due and what has come in and gone out for it, by our rows.

    `given` is what refunds of the accepted payment have given back or are about to; `asked` counts
    those that failed too, `arrived` those that succeeded only. `returned` is spent credit that a
    refund gave back, `credited` the card's money that became credit, `taken` what banks took.
    `cheaper` is what of all this went back since a change made the booking cheaper. `state` is the
    booking's, or that of the change that the due is for until it is made.
    """

    due_id: UUID
    owed: int
    is_settled: bool
    booking_id: UUID
    state: str
    captured: int
    given: int
    asked: int
    arrived: int
    credit: int
    returned: int
    credited: int
    taken: int
    cheaper: int

    @property
    def left(self) -> int:
        """What can still be given back."""
        return max(0, self.captured - self.given - self.taken) + max(0, self.credit)


@dataclass(frozen=True)
class Left:
    """What can be given back of a booking now, and what cancelling it now gives by its terms."""

    left: int
    by_policy: int

    def after(self, how: str) -> int:
        """What a cancellation gives back: by the policy, in full, or nothing."""
        return {"policy": self.by_policy, "full": self.left, "none": 0}[how]


def sums_of(booking_ids: list[UUID]) -> list[Sums]:
    """Every due of these bookings."""
    return [Sums(*row[:5], *map(int, row[5:])) for row in sql(_OF_DUE, booking_ids)]


def left_to_give_back(booking_id: UUID) -> Left:
    """By our own reading of the booking's frozen terms."""
    dues = sums_of([booking_id])
    policy, starts, amounts, now = sql(_TERMS, booking_id)[0]
    share = _share(json.loads(policy)["lines"], starts, amounts, now)
    before = sum(sums.given + sums.returned - sums.cheaper for sums in dues)
    left = sum(sums.left for sums in dues)
    return Left(left, min(left, max(0, share - before)))


def _share(
    terms: list[dict[str, Any]], starts: list[datetime], amounts: list[int], now: datetime
) -> int:
    """What the terms give back of the lines' prices, the largest fee kept once."""
    shares = []
    for each, begins, amount in zip(terms, starts, amounts, strict=True):
        hours = (begins - now).total_seconds() / 3600
        percent = 0
        if hours > 0 and hours >= each["free_hours"]:
            percent = 100
        elif hours > 0 and hours >= each["partial_hours"]:
            percent = each["partial_percent"]
        shares.append((amount * percent + 50) // 100)
    return max(0, sum(shares) - max(each["fee_minor"] for each in terms))
