"""What of failed refunds has not been given back anew.

Of one payment, in the order of time: what fails is missing, and what is asked for after that makes
up for it, the oldest first, until it fails as well. So a smaller refund covers a part only, and one
from before the failure nothing. Nothing is missing any more of what a cardholder's bank took back
in a dispute that is lost: that money is gone, whoever was to have it.
"""

from collections.abc import Iterable
from uuid import UUID

from payments.reconciler.base import rows

# For payments in a CTE `wanted (payment_id)`: the CTE `missing (id, minor)`, by failed refund.
#
# `level` is what has failed by then less all that was asked for; at the end it is the amount that
# was given or still may be, negative. How far it ends above its lowest (or zero) is what is
# missing, and belongs to the failures that came last.
MISSING = """
    steps AS (
        SELECT r.id, r.payment_id, r.created_at AS at, 0 AS fails, -r.amount_minor AS step
        FROM wanted JOIN payments_refund r USING (payment_id)
        UNION ALL
        SELECT r.id, r.payment_id, coalesce(r.ended_at, r.created_at), 1, r.amount_minor
        FROM wanted JOIN payments_refund r USING (payment_id) WHERE r.state = 'failed'
    ),
    levels AS (
        SELECT *,
               sum(step) OVER (PARTITION BY payment_id ORDER BY at, id, fails) AS level,
               coalesce(sum(step) FILTER (WHERE fails = 1) OVER (
                   PARTITION BY payment_id ORDER BY at DESC, id DESC, fails DESC
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS later
        FROM steps
    ),
    open_ends AS (
        SELECT payment_id, least(
                   sum(step) - least(min(level), 0),
                   sum(step) + p.amount_minor
                   - coalesce((SELECT sum(x.amount_minor) FROM payments_dispute x
                               WHERE x.payment_id = p.id AND x.is_lost), 0)
               ) AS minor
        FROM levels JOIN payments_payment p ON p.id = levels.payment_id
        GROUP BY payment_id, p.id
    ),
    missing AS (
        SELECT levels.id, greatest(least(step, open_ends.minor - later), 0) AS minor
        FROM levels JOIN open_ends USING (payment_id) WHERE fails = 1
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
