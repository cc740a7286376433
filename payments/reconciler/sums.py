"""Every due's sum must come out even, whatever has become of its booking (INV-6)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from config.kernel.money import KNOWN_CURRENCIES, Money, coin
from config.kernel.version import code_version
from payments.models import Payment
from payments.reconciler import evidence
from payments.reconciler.base import HIGH, HOUR, Check, Cursor, Page, Seen, bounds_of, rows
from payments.reconciler.failed_refunds import MISSING

CAPTURED_WITHOUT_BOOKING = "captured_without_booking"
CONFIRMED_WITHOUT_MONEY = "confirmed_without_money"
SUM_DIFFERS = "sum_differs"

# INV-6, per due: what came in less what went out equals what is owed, kept, or on its way.
#
#   captured + external + credit spent − refunded − disputes lost = owed + retained + in flight
#
# captured, external          payments by their rows' states, by Stripe and in other ways
# refunded, lost              by their rows' states
# credit spent               spent less given back; a refund that becomes credit is a refund
# allowed                    what staff waived; what was given back by their decision and the spent
#                            credit that a refund gave back, both beyond what had been paid too
#                            much; and what disputes took
# owed                       the due less what was allowed, while the booking stands
# retained                   of a cancelled booking, what was paid less what was given back; that
#                            must be the policy's share at least, unless staff decided otherwise
#                            or a bank has the money while a dispute is open, and refunds by the
#                            policy must not be more than its share
# in flight                  + refunds asked for, as far as a bank has not taken the money back;
#                            + credit put aside for a payment under way; − captures under way,
#                            − what a failed capture left to be paid again,
#                            or what is to be paid by a deadline
#
# A change's due stands when the change is made; before, it is like a booking that is not paid yet.
# What was given back since a change made its booking cheaper is no longer part of what was paid.
# Once a booking is cancelled its dues are one sum: what is given back is taken from all of them.
#
# A refund that failed and a capture that failed are findings of their own; here what is missing of
# them counts as on its way, so that one cause is told once.
_IN_TENS = ", ".join(f"'{code}'" for code in sorted(KNOWN_CURRENCIES) if coin(code) > 1)
_SUMS = f"""
    WITH page AS (
        SELECT d.id, d.workspace_id, d.booking_id, d.amount_minor AS due, d.currency,
               d.waived_minor AS waived,
               d.pay_again_until IS NOT NULL AS is_awaited,
               CASE WHEN c.id IS NULL OR c.state = 'committed' THEN b.state
                    WHEN c.state = 'pending' THEN 'pending_payment' ELSE c.state END AS state,
               b.reference, b.policy, b.ended_at
        FROM payments_due d JOIN bookings_booking b ON b.id = d.booking_id
        LEFT JOIN bookings_change c ON c.id = d.change_id
        WHERE d.id > %(after)s AND d.id <= %(upto)s
          AND (c.id IS NULL OR b.state <> 'cancelled')
    ),
    parts AS (
        SELECT id AS subject, id AS due_id FROM page
        UNION ALL
        SELECT page.id, d.id FROM page JOIN payments_due d
          ON d.booking_id = page.booking_id AND d.change_id IS NOT NULL
        WHERE page.state = 'cancelled'
    ),
    paid AS (
        SELECT subject,
               sum(amount_minor) FILTER (WHERE state = 'captured' AND provider = '') AS captured,
               sum(amount_minor) FILTER (WHERE state = 'captured' AND provider <> '') AS external,
               sum(amount_minor) FILTER (
                   WHERE state = 'captured' AND verdict = 'capture'
               ) AS accepted,
               sum(amount_minor) FILTER (WHERE state = 'capturing') AS capturing,
               bool_or(state = 'capture_failed') AS has_failed
        FROM parts JOIN payments_payment USING (due_id) GROUP BY subject
    ),
    wanted AS (
        SELECT DISTINCT r.payment_id FROM parts JOIN payments_refund r USING (due_id)
        WHERE r.state = 'failed'
    ),
    {MISSING},
    refunds AS (
        SELECT parts.subject, r.payment_id, r.state, r.cause, p.verdict, p.amount_minor AS paid,
               coalesce(missing.minor, r.amount_minor) AS amount_minor
        FROM parts JOIN payments_refund r USING (due_id)
        JOIN payments_payment p ON p.id = r.payment_id
        LEFT JOIN missing ON missing.id = r.id
    ),
    back AS (
        SELECT subject,
               sum(amount_minor) FILTER (WHERE state = 'succeeded') AS refunded,
               sum(amount_minor) FILTER (
                   WHERE verdict = 'capture' AND cause <> 'change'
               ) AS given,
               sum(amount_minor) FILTER (
                   WHERE verdict = 'capture' AND cause = 'change'
               ) AS cheaper,
               sum(amount_minor) FILTER (WHERE cause = 'policy') AS by_policy,
               sum(amount_minor) FILTER (
                   WHERE cause IN ('staff', 'reconciler', 'change') AND verdict = 'capture'
               ) AS decided
        FROM refunds GROUP BY subject
    ),
    under_way AS (
        SELECT subject, sum(greatest(least(asked, paid - done - lost), 0)) AS giving_back
        FROM (
            SELECT subject, paid,
                   coalesce(sum(amount_minor) FILTER (WHERE state <> 'succeeded'), 0) AS asked,
                   coalesce(sum(amount_minor) FILTER (WHERE state = 'succeeded'), 0) AS done,
                   coalesce((SELECT sum(x.amount_minor) FROM payments_dispute x
                             WHERE x.payment_id = refunds.payment_id AND x.is_lost), 0) AS lost
            FROM refunds GROUP BY subject, payment_id, paid
        ) payments GROUP BY subject
    ),
    disputed AS (
        SELECT parts.subject, sum(x.amount_minor) FILTER (WHERE x.is_lost) AS lost,
               sum(x.amount_minor) FILTER (
                   WHERE x.is_lost AND p.verdict = 'capture'
               ) AS lost_of_accepted,
               sum(x.amount_minor) FILTER (
                   WHERE NOT x.is_lost AND x.status IN ('needs_response', 'under_review')
                     AND p.verdict = 'capture'
               ) AS held
        FROM payments_dispute x JOIN payments_payment p ON p.id = x.payment_id
        JOIN parts ON parts.due_id = p.due_id
        GROUP BY parts.subject
    ),
    credit AS (
        SELECT subject, -sum(amount_minor) AS spent,
               sum(amount_minor) FILTER (
                   WHERE kind = 'returned' AND source = 'refund'
               ) AS returned,
               sum(amount_minor) FILTER (
                   WHERE kind = 'returned' AND source = 'change'
               ) AS cheaper
        FROM parts JOIN payments_creditentry USING (due_id)
        WHERE kind IN ('spend', 'returned') GROUP BY subject
    ),
    policy AS (
        SELECT page.id, greatest(lines.share - lines.fee, 0) AS share, NOT EXISTS (
                   SELECT 1 FROM bookings_bookingevent e
                   WHERE e.booking_id = page.booking_id AND e.kind = 'cancelled'
                     AND e.data ->> 'refund' IN ('none', 'full', 'amount')
               ) AS applies
        FROM page CROSS JOIN LATERAL (
            SELECT coalesce(max((l.terms ->> 'fee_minor')::bigint), 0) AS fee,
                   coalesce(sum(step.coin * ((l.amount_minor * CASE
                       WHEN l.starts_at <= page.ended_at THEN 0
                       WHEN l.terms IS NULL THEN 100
                       WHEN l.starts_at - page.ended_at
                            >= make_interval(hours => (l.terms ->> 'free_hours')::int) THEN 100
                       WHEN l.starts_at - page.ended_at
                            >= make_interval(hours => (l.terms ->> 'partial_hours')::int)
                            THEN (l.terms ->> 'partial_percent')::int
                       ELSE 0 END + 50 * step.coin) / (100 * step.coin))), 0) AS share
            FROM (
                SELECT CASE WHEN cancelled_at IS NULL THEN amount_minor ELSE 0 END AS amount_minor,
                       starts_at, page.policy -> 'lines' -> (
                    row_number() OVER (ORDER BY position) - 1)::int AS terms
                FROM bookings_line WHERE booking_id = page.booking_id
            ) l CROSS JOIN (
                SELECT CASE WHEN page.currency IN ({_IN_TENS}) THEN 10 ELSE 1 END
            ) step (coin)
        ) lines
        WHERE page.state = 'cancelled'
    ),
    sums AS (
        SELECT page.*, coalesce(paid.captured, 0) AS captured,
               coalesce(paid.external, 0) AS external,
               coalesce(paid.accepted, 0) AS accepted,
               coalesce(credit.spent, 0) AS credit_spent, coalesce(back.refunded, 0) AS refunded,
               coalesce(disputed.lost, 0) AS lost, coalesce(disputed.held, 0) AS held,
               coalesce(disputed.lost_of_accepted, 0) AS lost_of_accepted,
               coalesce(under_way.giving_back, 0) AS giving_back,
               coalesce(paid.capturing, 0) AS capturing,
               coalesce(paid.has_failed, false) AS has_failed,
               coalesce(back.decided, 0) + coalesce(credit.returned, 0)
               + coalesce(credit.cheaper, 0) AS decided,
               coalesce(paid.accepted, 0) + coalesce(credit.spent, 0)
               + coalesce(credit.returned, 0) + coalesce(credit.cheaper, 0) AS came_in,
               coalesce(paid.accepted, 0) - coalesce(back.cheaper, 0)
               + coalesce(credit.spent, 0) + coalesce(credit.returned, 0) AS was_paid,
               coalesce(back.given, 0) + coalesce(credit.returned, 0) AS given,
               coalesce(back.by_policy, 0) AS by_policy,
               coalesce(policy.share, 0) AS share, coalesce(policy.applies, false) AS applies,
               page.state IN ('confirmed', 'completed', 'no_show') AS stands
        FROM page LEFT JOIN paid ON paid.subject = page.id LEFT JOIN back ON back.subject = page.id
        LEFT JOIN disputed ON disputed.subject = page.id
        LEFT JOIN under_way ON under_way.subject = page.id
        LEFT JOIN credit ON credit.subject = page.id LEFT JOIN policy ON policy.id = page.id
    ),
    allowances AS (
        SELECT *, captured + external + credit_spent - refunded - lost AS has,
               greatest(decided - greatest(came_in - due, 0), 0) + lost_of_accepted + waived
               AS allowed,
               CASE WHEN applies THEN least(share, greatest(was_paid - held, 0)) ELSE 0 END
               AS to_give,
               CASE WHEN applies THEN greatest(by_policy - share, 0) ELSE 0 END AS beyond_share
        FROM sums
    ),
    owing AS (
        SELECT *, CASE WHEN stands THEN greatest(due - allowed, 0) ELSE 0 END AS owed
        FROM allowances
    ),
    sides AS (
        SELECT *,
               CASE WHEN state = 'cancelled' THEN greatest(
                   was_paid - lost_of_accepted - greatest(to_give, given - beyond_share), 0
               ) ELSE 0 END AS retained,
               giving_back
               + CASE WHEN state IN ('pending_payment', 'awaiting_approval')
                   OR (NOT stands AND state <> 'cancelled' AND (
                    EXISTS (SELECT 1 FROM payments_checkout c WHERE c.due_id = owing.id
                            AND c.state IN ('creating', 'open'))
                    OR EXISTS (SELECT 1 FROM payments_payment p WHERE p.due_id = owing.id
                               AND p.state IN ('created', 'processing', 'authorised'))))
                 THEN credit_spent ELSE 0 END
               - CASE WHEN NOT stands THEN 0 WHEN capturing > 0 THEN capturing
                 WHEN (has_failed OR is_awaited) AND accepted = 0
                 THEN greatest(owed + giving_back - has, 0)
                 ELSE 0 END
               AS in_flight
        FROM owing
    )
    SELECT id, workspace_id, booking_id, reference, state, stands, currency, due, captured,
           external, waived, credit_spent, refunded, lost, allowed, owed, retained, in_flight, has,
           has - owed - retained - in_flight AS difference
    FROM sides WHERE has <> owed + retained + in_flight ORDER BY id
"""  # noqa: S608

_PARTS = (
    "due", "captured", "external", "credit_spent", "refunded", "lost", "waived", "allowed", "has",
    "owed", "retained", "in_flight", "difference",
)  # fmt: skip


class Dues(Check):
    """What came in for every due is what it should be, whatever has become of its booking."""

    name = "dues"
    looks_for = (
        "captured without a confirmed booking, confirmed without money, and every due's sum (INV-6)"
    )
    kinds = (CAPTURED_WITHOUT_BOOKING, CONFIRMED_WITHOUT_MONEY, SUM_DIFFERS)
    interval = HOUR
    batch = 5000

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        return {"after": str(UUID(int=0))}

    def look(self, cursor: Cursor) -> Page:
        after = cursor["after"]
        bounds = bounds_of("payments_due", after=after, batch=self.batch)
        if not bounds["many"]:
            return Page(0, [])
        seen = _seen(after, bounds["upto"])
        more = bounds["many"] == self.batch
        return Page(bounds["many"], seen, {"after": str(bounds["upto"])} if more else None)


def seen_of(due_id: UUID) -> Seen | None:
    """How one due's sum stands now; None when it comes out even. Exact under money's locks.

    Of a cancelled booking it is asked by the booking's own due.
    """
    return next(iter(_seen(UUID(int=due_id.int - 1), due_id)), None)


def _seen(after: Any, upto: Any) -> list[Seen]:
    found = rows(_SUMS, {"after": after, "upto": upto})
    paid = _payments([row["id"] for row in found])
    return [_due(row, paid.get(row["id"], [])) for row in found]


def _payments(due_ids: list[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = {}
    for payment in Payment.objects.filter(due_id__in=due_ids).order_by("created_at"):
        found.setdefault(payment.due_id, []).append(evidence.payment_said(payment))
    return found


def _due(row: dict[str, Any], payments: list[dict[str, Any]]) -> Seen:
    parts = {name: int(row[name]) for name in _PARTS}
    kind, said = _kind(row, parts)
    return Seen(
        kind=kind,
        severity=HIGH,
        subject_type="due",
        subject_id=str(row["id"]),
        workspace_id=row["workspace_id"],
        summary=f"{row['reference']}: {said}",
        evidence={
            "booking": str(row["booking_id"]),
            "state": row["state"],
            "currency": row["currency"],
            "sum": parts,
            "payments": payments,
            "code_version": code_version(),
        },
        fingerprint=f"{row['state']} {parts['difference']}",
    )


def _kind(row: dict[str, Any], parts: dict[str, int]) -> tuple[str, str]:
    """Which of the three it is, and in words."""
    state = row["state"].replace("_", " ")
    money = Money(abs(parts["difference"]), row["currency"])
    if parts["difference"] > 0 and not row["stands"] and row["state"] != "cancelled":
        return CAPTURED_WITHOUT_BOOKING, f"{money} taken, and the booking is {state}"
    if parts["difference"] < 0 and row["stands"] and parts["has"] == 0:
        return CONFIRMED_WITHOUT_MONEY, f"{state}, and {money} of it never came in"
    more_or_less = "more" if parts["difference"] > 0 else "less"
    return SUM_DIFFERS, f"{money} {more_or_less} than the {state} booking explains"
