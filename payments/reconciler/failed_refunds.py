"""What of failed refunds has not been given back anew.

Of one payment, in the order of time: what fails is missing, and what is asked for after that makes
up for it, the oldest first. So a smaller refund covers a part only, and one from before the failure
nothing. Nothing is missing any more of what a cardholder's bank took back in a dispute that is
lost: that money is gone, whoever was to have it.
"""

from collections.abc import Iterable
from uuid import UUID

from payments.reconciler.base import rows

# For payments in a CTE `wanted (payment_id)`: the CTE `missing (id, minor)`, by failed refund.
#
# `level` is what has failed less what was given by then. Its last value above its lowest (or zero)
# is what is missing at the end, and belongs to the failures that came last.
MISSING = """
    steps AS (
        SELECT r.id, r.payment_id, r.state, r.amount_minor, CASE
                   WHEN r.state = 'failed' THEN coalesce(r.ended_at, r.created_at)
                   ELSE r.created_at END AS at
        FROM wanted JOIN payments_refund r USING (payment_id)
    ),
    levels AS (
        SELECT *,
               sum(CASE WHEN state = 'failed' THEN amount_minor ELSE -amount_minor END) OVER (
                   PARTITION BY payment_id ORDER BY at, id) AS level,
               coalesce(sum(amount_minor) FILTER (WHERE state = 'failed') OVER (
                   PARTITION BY payment_id ORDER BY at DESC, id DESC
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS later
        FROM steps
    ),
    open_ends AS (
        SELECT payment_id, least(
                   (array_agg(level ORDER BY at DESC, levels.id DESC))[1] - least(min(level), 0),
                   p.amount_minor
                   - coalesce(sum(levels.amount_minor) FILTER (WHERE levels.state <> 'failed'), 0)
                   - coalesce((SELECT sum(x.amount_minor) FROM payments_dispute x
                               WHERE x.payment_id = p.id AND x.is_lost), 0)
               ) AS minor
        FROM levels JOIN payments_payment p ON p.id = levels.payment_id
        GROUP BY payment_id, p.id
    ),
    missing AS (
        SELECT levels.id,
               greatest(least(levels.amount_minor, open_ends.minor - levels.later), 0) AS minor
        FROM levels JOIN open_ends USING (payment_id) WHERE levels.state = 'failed'
    )
"""

_OF_REFUNDS = f"""
    WITH wanted AS (
        SELECT DISTINCT payment_id FROM payments_refund
        WHERE id = ANY(%(ids)s) AND state = 'failed'
    ), {MISSING}
    SELECT id, minor FROM missing WHERE id = ANY(%(ids)s)
"""  # noqa: S608


def missing(refund_ids: Iterable[UUID]) -> dict[UUID, int]:
    """In minor units, what is missing of each of these that failed, in one query."""
    wanted = list(refund_ids)
    found = rows(_OF_REFUNDS, {"ids": wanted}) if wanted else []
    return {row["id"]: int(row["minor"]) for row in found}
