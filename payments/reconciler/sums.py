"""Sums that must come out even: every due (INV-6) and every credit account (INV-7)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from config.kernel.money import Money
from config.kernel.version import code_version
from payments.models import Payment
from payments.reconciler import evidence
from payments.reconciler.base import COUNTED, HIGH, HOUR, Check, Cursor, Page, Seen, rows

CAPTURED_WITHOUT_BOOKING = "captured_without_booking"
CONFIRMED_WITHOUT_MONEY = "confirmed_without_money"
SUM_DIFFERS = "sum_differs"
LEDGER_DIFFERS = "ledger_differs"

_NIL = UUID(int=0)

_BOUNDS = """
    SELECT count(*) AS many, (array_agg(id ORDER BY id DESC))[1] AS upto
    FROM (SELECT id FROM {table} WHERE id > %(after)s ORDER BY id LIMIT %(batch)s) page
"""

# INV-6, per due: what came in less what went out equals what is owed, kept, or on its way.
#
#   captured + external + credit spent − refunded − disputes lost = owed + retained + in flight
#
# captured, refunded, lost   by their rows' states; external payments have no rows yet
# credit spent               spent less given back; a refund that becomes credit is a refund
# allowed                    what was given back by decision of staff, the spent credit that a
#                            refund gave back, and what disputes took
# owed                       the due less what was allowed, while the booking stands
# retained                   of a cancelled booking, what was paid less what was given back; that
#                            must be the policy's share at least, unless staff decided otherwise,
#                            and refunds by the policy must not be more than its share
# in flight                  + refunds asked for, + credit put aside for a payment under way;
#                            − captures under way, − a failed capture that waits to be paid again
#
# What a bank has taken needs not be given back any more: of refunds that have not arrived, what is
# beyond the money still there is moot.
#
# A change's due stands when the change is made; before, it is like a booking that is not paid yet.
# What was given back since a change made its booking cheaper is no longer part of what was paid.
# Once a booking is cancelled its dues are one sum: what is given back is taken from all of them.
#
# A refund that failed and a capture that failed are findings of their own; here they count as on
# their way, so that one cause is told once.
_SUMS = f"""
    WITH page AS (
        SELECT d.id, d.workspace_id, d.booking_id, d.amount_minor AS due, d.currency,
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
               sum(amount_minor) FILTER (WHERE state = 'captured') AS captured,
               sum(amount_minor) FILTER (
                   WHERE state = 'captured' AND verdict = 'capture'
               ) AS accepted,
               sum(amount_minor) FILTER (WHERE state = 'capturing') AS capturing,
               max(amount_minor) FILTER (WHERE state = 'capture_failed') AS failed
        FROM parts JOIN payments_payment USING (due_id) GROUP BY subject
    ),
    back AS (
        SELECT subject,
               sum(amount_minor) FILTER (WHERE state = 'succeeded') AS refunded,
               sum(amount_minor) FILTER (WHERE state <> 'succeeded') AS giving_back,
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
        FROM (
            SELECT parts.subject, {COUNTED} AS amount_minor, r.state, r.cause, p.verdict
            FROM parts JOIN payments_refund r USING (due_id)
            JOIN payments_payment p ON p.id = r.payment_id
        ) refunds GROUP BY subject
    ),
    lost AS (
        SELECT parts.subject, sum(x.amount_minor) AS lost
        FROM payments_dispute x JOIN payments_payment p ON p.id = x.payment_id
        JOIN parts ON parts.due_id = p.due_id
        WHERE x.is_lost GROUP BY parts.subject
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
                   coalesce(sum((l.amount_minor * CASE
                       WHEN l.starts_at <= page.ended_at THEN 0
                       WHEN l.terms IS NULL THEN 100
                       WHEN l.starts_at - page.ended_at
                            >= make_interval(hours => (l.terms ->> 'free_hours')::int) THEN 100
                       WHEN l.starts_at - page.ended_at
                            >= make_interval(hours => (l.terms ->> 'partial_hours')::int)
                            THEN (l.terms ->> 'partial_percent')::int
                       ELSE 0 END + 50) / 100), 0) AS share
            FROM (
                SELECT amount_minor, starts_at, page.policy -> 'lines' -> (
                    row_number() OVER (ORDER BY position) - 1)::int AS terms
                FROM bookings_line WHERE booking_id = page.booking_id
            ) l
        ) lines
        WHERE page.state = 'cancelled'
    ),
    sums AS (
        SELECT page.*, coalesce(paid.captured, 0) AS captured,
               coalesce(credit.spent, 0) AS credit_spent, coalesce(back.refunded, 0) AS refunded,
               coalesce(lost.lost, 0) AS lost, coalesce(back.giving_back, 0) AS giving_back,
               coalesce(paid.capturing, 0) AS capturing, coalesce(paid.failed, 0) AS failed,
               coalesce(back.decided, 0) + coalesce(credit.returned, 0)
               + coalesce(credit.cheaper, 0) + coalesce(lost.lost, 0) AS allowed,
               coalesce(paid.accepted, 0) - coalesce(back.cheaper, 0)
               + coalesce(credit.spent, 0) + coalesce(credit.returned, 0) AS was_paid,
               coalesce(back.given, 0) + coalesce(credit.returned, 0) AS given,
               coalesce(back.by_policy, 0) AS by_policy,
               coalesce(policy.share, 0) AS share, coalesce(policy.applies, false) AS applies,
               page.state IN ('confirmed', 'completed', 'no_show') AS stands
        FROM page LEFT JOIN paid ON paid.subject = page.id LEFT JOIN back ON back.subject = page.id
        LEFT JOIN lost ON lost.subject = page.id LEFT JOIN credit ON credit.subject = page.id
        LEFT JOIN policy ON policy.id = page.id
    ),
    still AS (
        SELECT *, greatest(giving_back - greatest(captured - refunded - lost, 0), 0) AS moot
        FROM sums
    ),
    sides AS (
        SELECT *,
               captured + credit_spent - refunded - lost AS has,
               CASE WHEN stands THEN greatest(due - greatest(allowed - moot, 0), 0) ELSE 0
               END AS owed,
               CASE WHEN state = 'cancelled' THEN greatest(was_paid - lost - greatest(
                       CASE WHEN applies THEN least(share, was_paid) - lost ELSE 0 END,
                       given - moot - CASE WHEN applies
                           THEN greatest(by_policy - moot - share, 0) ELSE 0 END,
                       0), 0) ELSE 0
               END AS retained,
               giving_back - moot
               + CASE WHEN state = 'pending_payment' OR (NOT stands AND state <> 'cancelled'
                    AND EXISTS (SELECT 1 FROM payments_checkout c WHERE c.due_id = still.id
                                AND c.state IN ('creating', 'open')))
                 THEN credit_spent ELSE 0 END
               - CASE WHEN stands THEN capturing ELSE 0 END
               - CASE WHEN stands AND captured = 0 AND capturing = 0 THEN failed ELSE 0 END
               AS in_flight
        FROM still
    )
    SELECT id, workspace_id, booking_id, reference, state, stands, currency, due, captured,
           credit_spent, refunded, lost, allowed, owed, retained, in_flight, has,
           has - owed - retained - in_flight AS difference
    FROM sides WHERE has <> owed + retained + in_flight ORDER BY id
"""  # noqa: S608

_PARTS = (
    "due", "captured", "credit_spent", "refunded", "lost", "allowed", "has", "owed", "retained",
    "in_flight", "difference",
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
        return {"after": str(_NIL)}

    def look(self, cursor: Cursor) -> Page:
        after = cursor["after"]
        (bounds,) = rows(
            _BOUNDS.format(table="payments_due"), {"after": after, "batch": self.batch}
        )
        if not bounds["many"]:
            return Page(0, [])
        found = rows(_SUMS, {"after": after, "upto": bounds["upto"]})
        paid = _payments([row["id"] for row in found])
        seen = [_due(row, paid.get(row["id"], [])) for row in found]
        more = bounds["many"] == self.batch
        return Page(bounds["many"], seen, {"after": str(bounds["upto"])} if more else None)


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


class CreditLedger(Check):
    """Every account's balance is the sum of its entries, and none is below zero."""

    name = "credit_ledger"
    looks_for = "credit balances that are not the sum of their entries (INV-7)"
    kinds = (LEDGER_DIFFERS,)
    interval = HOUR
    batch = 5000

    _WRONG = """
        SELECT a.id, a.workspace_id, a.currency, a.balance_minor AS balance,
               coalesce(sum(e.amount_minor), 0) AS entries
        FROM payments_creditaccount a LEFT JOIN payments_creditentry e ON e.account_id = a.id
        WHERE a.id > %(after)s AND a.id <= %(upto)s
        GROUP BY a.id
        HAVING a.balance_minor <> coalesce(sum(e.amount_minor), 0) OR a.balance_minor < 0
        ORDER BY a.id
    """

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        return {"after": str(_NIL)}

    def look(self, cursor: Cursor) -> Page:
        after = cursor["after"]
        (bounds,) = rows(
            _BOUNDS.format(table="payments_creditaccount"), {"after": after, "batch": self.batch}
        )
        if not bounds["many"]:
            return Page(0, [])
        wrong = rows(self._WRONG, {"after": after, "upto": bounds["upto"]})
        more = bounds["many"] == self.batch
        cursor_after = {"after": str(bounds["upto"])} if more else None
        return Page(bounds["many"], [_account(row) for row in wrong], cursor_after)


def _account(row: dict[str, Any]) -> Seen:
    balance = Money(int(row["balance"]), row["currency"])
    entries = Money(int(row["entries"]), row["currency"])
    return Seen(
        kind=LEDGER_DIFFERS,
        severity=HIGH,
        subject_type="credit_account",
        subject_id=str(row["id"]),
        workspace_id=row["workspace_id"],
        summary=f"A credit account says {balance}; its entries add up to {entries}",
        evidence={
            "balance_minor": int(row["balance"]),
            "entries_minor": int(row["entries"]),
            "code_version": code_version(),
        },
        fingerprint=f"{row['balance']}/{row['entries']}",
    )
