"""Rows that say "to be done" and are overdue, and refunds that do not arrive."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from config.kernel import effects
from config.kernel.clock import now as database_now
from config.kernel.money import Money
from config.kernel.version import code_version
from payments import refunding
from payments.models import Refund
from payments.reconciler import failed_refunds
from payments.reconciler.base import HIGH, MEDIUM, MINUTE, Check, Cursor, Page, Seen, rows
from payments.refunding import HAS_FAILED, NEEDS_SOMEBODY

EFFECTS_OVERDUE = "effects_overdue"
REFUND_STUCK = "refund_stuck"

_LATE = timedelta(minutes=10)
_VERY_LATE = timedelta(hours=1)
_REFUND_PATIENCE = timedelta(hours=1)
_BANK_PATIENCE = timedelta(days=7)  # some banks take their days, and Stripe says `pending`
_MOST_KICKS = 100

# What waits, in which table: (what people call it, due when, only which, task that does a row).
_WAITING: dict[str, tuple[str, str, str, str]] = {
    "members_notification": ("mails", "due_at", "state = 'pending'", "members.send_notification"),
    "payments_signal": (
        "payment signals", "next_try_at", "followed_at IS NULL", "payments.follow_signal"
    ),
    "payments_payment": ("payments", "next_try_at", "next_try_at IS NOT NULL", ""),
    "payments_checkout": (
        "checkouts",
        "next_look_at",
        "next_look_at IS NOT NULL AND state IN ('creating', 'open', 'complete')",
        "",
    ),
    "payments_refund": (
        "refunds", "next_try_at", "next_try_at IS NOT NULL", "payments.carry_out_refund"
    ),
}  # fmt: skip
_OVERDUE = """
    SELECT count(*) AS many, min(due) AS oldest, (array_agg(id ORDER BY due))[1:%(most)s] AS ids
    FROM (SELECT id, {due} AS due FROM {table} WHERE {only} AND {due} <= %(late)s
          ORDER BY {due} LIMIT 10000) waiting
"""


class EffectsOverdue(Check):
    """What a transition asked for is done within minutes. One finding a table, not a row."""

    name = "effects_overdue"
    looks_for = "mails, signals, captures, checkouts and refunds whose time has passed"
    kinds = (EFFECTS_OVERDUE,)
    heals = ""
    interval = MINUTE
    recurs = True

    def look(self, cursor: Cursor) -> Page:
        now = database_now()
        seen, many = [], 0
        for table, (words, due, only, task) in _WAITING.items():
            query = _OVERDUE.format(table=table, due=due, only=only)
            (found,) = rows(query, {"late": now - _LATE, "most": _MOST_KICKS})
            if not found["many"]:
                continue
            many += found["many"]
            for row_id in found["ids"] if task else []:
                effects.kick(task, str(row_id))
            seen.append(_overdue(table, words, found, now))
        return Page(many, seen)


def _overdue(table: str, words: str, found: dict[str, Any], now: datetime) -> Seen:
    minutes = int((now - found["oldest"]).total_seconds() // 60)
    return Seen(
        kind=EFFECTS_OVERDUE,
        severity=HIGH if now - found["oldest"] >= _VERY_LATE else MEDIUM,
        subject_type="table",
        subject_id=table,
        summary=f"{found['many']} {words} are overdue, the oldest by {minutes} minutes",
        evidence={
            "many": found["many"],
            "oldest": found["oldest"].isoformat(),
            "ids": [str(row_id) for row_id in found["ids"][:20]],
            "code_version": code_version(),
        },
        done="They were kicked again; is there a worker, and does it reach the broker?",
    )


class RefundsStuck(Check):
    """A refund arrives, or somebody knows that it does not."""

    name = "refunds_stuck"
    looks_for = "refunds that hang, failed or wait for somebody"
    kinds = (REFUND_STUCK, HAS_FAILED, NEEDS_SOMEBODY)
    heals = ""
    interval = MINUTE
    batch = 200

    _STUCK = f"""
        WITH page AS (
            SELECT r.*, d.workspace_id, b.reference
            FROM payments_refund r JOIN payments_due d ON d.id = r.due_id
            JOIN bookings_booking b ON b.id = d.booking_id
            WHERE r.id > %(after)s
              AND r.state IN ('requested', 'submitted', 'needs_attention', 'failed')
              AND CASE r.state WHEN 'requested' THEN r.created_at <= %(late)s
                  WHEN 'submitted' THEN coalesce(r.submitted_at, r.created_at) <= %(very_late)s
                  WHEN 'needs_attention' THEN r."to" <> 'hand' OR r.created_at <= %(very_late)s
                  ELSE true END
            ORDER BY r.id LIMIT %(batch)s
        ),
        wanted AS (SELECT DISTINCT payment_id FROM page WHERE state = 'failed'),
        {failed_refunds.MISSING}
        SELECT page.id, page.state, page.amount_minor, page.currency, page.created_at,
               page.last_error, page.tries, page.attempt, page.stripe_refund_id, page.due_id,
               page.payment_id, page.cause, page.workspace_id, page.reference,
               missing.minor AS missing
        FROM page LEFT JOIN missing USING (id) ORDER BY page.id
    """  # noqa: S608

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        return {"after": str(UUID(int=0))}

    def look(self, cursor: Cursor) -> Page:
        now = database_now()
        where = {"late": now - _REFUND_PATIENCE, "very_late": now - _BANK_PATIENCE}
        found = rows(self._STUCK, cursor | where | {"batch": self.batch})
        for row in found:
            if row["state"] in {"requested", "submitted"}:
                effects.kick(Refund.kick_task, str(row["id"]))
        more = len(found) == self.batch
        seen = [_refund(row) for row in found if row["missing"] != 0]  # given anew, all of it
        return Page(len(found), seen, {"after": str(found[-1]["id"])} if more else None)


_KIND_OF = {"failed": HAS_FAILED, "needs_attention": NEEDS_SOMEBODY}


def _refund(row: dict[str, Any]) -> Seen:
    bad = row["state"] in {"failed", "needs_attention"}
    amount = Money(row["amount_minor"], row["currency"])
    said = row["state"].replace("_", " ") if bad else "has been under way for too long"
    if row["missing"] not in {None, row["amount_minor"]}:
        said += f", and {Money(int(row['missing']), row['currency'])} was not given back anew"
    return Seen(
        kind=_KIND_OF.get(row["state"], REFUND_STUCK),
        severity=HIGH if bad else MEDIUM,
        subject_type="refund",
        subject_id=str(row["id"]),
        workspace_id=row["workspace_id"],
        summary=f"{row['reference']}: a refund of {amount} {said}",
        evidence={
            "state": row["state"],
            "stripe_refund": row["stripe_refund_id"],
            "payment": str(row["payment_id"]),
            "due": str(row["due_id"]),
            "asked_for": row["created_at"].isoformat(),
            "cause": row["cause"],
            "tries": row["tries"],
            "last_error": row["last_error"],
            "code_version": code_version(),
        },
        fingerprint=_fingerprint(row),
    )


def _fingerprint(row: dict[str, Any]) -> str:
    """As `refunding` files it, until a part of what failed is given back anew."""
    whole = refunding.fingerprint(row["state"], row["attempt"])
    is_whole = row["missing"] in {None, row["amount_minor"]}
    return whole if is_whole else f"{whole}, {row['missing']} missing"
