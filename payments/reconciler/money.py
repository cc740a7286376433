"""Money that is stuck on its way: payments without an end, checkouts open past their hold."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from config.kernel.clock import now as database_now
from config.kernel.money import Money
from config.kernel.version import code_version
from payments import carrying, checkouts, settlement
from payments.models import Checkout, Payment, Signal
from payments.reconciler import evidence
from payments.reconciler.base import HIGH, MEDIUM, MINUTE, Check, Cursor, Page, Seen, rows
from payments.states import ABANDONED, CAPTURED, CREATING, EXPIRED, FAILED, OPEN, VOIDED

AUTHORISED_NOT_DECIDED = "authorised_not_decided"
CAPTURE_STUCK = "capture_stuck"
VOID_STUCK = "void_stuck"
CAPTURE_FAILED = "capture_failed"
CHECKOUT_STUCK = "checkout_stuck"

_PATIENCE = timedelta(minutes=5)


class PaymentsStuck(Check):
    """An authorised payment is decided, captured or voided; one that failed is paid again."""

    name = "payments_stuck"
    looks_for = "authorised and not captured or voided, and captures that failed"
    kinds = (AUTHORISED_NOT_DECIDED, CAPTURE_STUCK, VOID_STUCK, CAPTURE_FAILED)
    heals = "settles what has no verdict, and carries out the verdict"
    interval = MINUTE
    batch = 100

    _STUCK = """
        SELECT p.id, p.state, p.checkout_id, p.due_id, p.amount_minor, p.currency, p.last_error,
               d.workspace_id, b.reference, b.state AS booking_state
        FROM payments_payment p JOIN payments_due d ON d.id = p.due_id
        JOIN bookings_booking b ON b.id = d.booking_id
        WHERE p.id > %(after)s
          AND p.state IN ('authorised', 'capturing', 'voiding', 'capture_failed')
          AND NOT (p.state = 'authorised' AND b.state = 'awaiting_approval'
                   AND b.requested_at IS NOT NULL)  -- staff decide
          AND CASE WHEN p.state = 'capture_failed' THEN
                b.state IN ('confirmed', 'completed', 'no_show')
                AND (d.pay_again_until IS NULL OR d.pay_again_until <= %(now)s)
                AND NOT EXISTS (SELECT 1 FROM payments_payment other WHERE other.due_id = p.due_id
                                AND other.state IN ('capturing', 'captured'))
              ELSE coalesce(p.decided_at, p.created_at) <= %(late)s END
        ORDER BY p.id LIMIT %(batch)s
    """

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        return {"after": str(UUID(int=0))}

    def look(self, cursor: Cursor) -> Page:
        now = database_now()
        found = rows(
            self._STUCK,
            {"after": cursor["after"], "now": now, "late": now - _PATIENCE, "batch": self.batch},
        )
        more = len(found) == self.batch
        return Page(
            len(found),
            [_stuck(row) for row in found],
            {"after": str(found[-1]["id"])} if more else None,
        )

    def heal(self, seen: Seen) -> str:
        if seen.kind == CAPTURE_FAILED:
            return ""
        payment = Payment.objects.get(pk=seen.evidence["payment"]["id"])
        if payment.verdict:
            carrying.carry_out(payment.pk)
        elif payment.checkout_id is not None:
            _settle(payment.checkout_id)
        payment.refresh_from_db()
        return f"It is {payment.state} now." if payment.state in {CAPTURED, VOIDED, FAILED} else ""


def _settle(checkout_id: UUID) -> None:
    outcome = settlement.settle(checkout_id=checkout_id, source=Signal.Source.SELF_HEAL)
    settlement.record(checkout_id, Signal.Source.SELF_HEAL, outcome.name)


_SAID = {
    "authorised": (AUTHORISED_NOT_DECIDED, MEDIUM, "is authorised and nobody decided about it"),
    "capturing": (CAPTURE_STUCK, MEDIUM, "is to be captured and is not"),
    "voiding": (VOID_STUCK, MEDIUM, "is to be given up and is not"),
    "capture_failed": (CAPTURE_FAILED, HIGH, "could not be captured, and the booking stands"),
}


def _stuck(row: dict[str, Any]) -> Seen:
    kind, severity, said = _SAID[row["state"]]
    payment = Payment.objects.get(pk=row["id"])
    return Seen(
        kind=kind,
        severity=severity,
        subject_type="payment",
        subject_id=str(row["id"]),
        workspace_id=row["workspace_id"],
        summary=f"{row['reference']}: {Money(row['amount_minor'], row['currency'])} {said}",
        evidence={
            "due": str(row["due_id"]),
            "booking_state": row["booking_state"],
            "payment": evidence.payment_said(payment),
            "code_version": code_version(),
        },
        fingerprint=row["state"],
    )


class CheckoutsStuck(Check):
    """A Checkout ends with its hold, and one that was paid is settled."""

    name = "checkouts_stuck"
    looks_for = "checkouts open past their hold, or paid and never settled"
    kinds = (CHECKOUT_STUCK,)
    heals = "settles what was paid and closes the rest at Stripe"
    interval = MINUTE
    batch = 100

    # Open ones are few and have an index; a paid one is looked at until it has a verdict.
    _STUCK = """
        SELECT c.id, c.state, c.session_id, c.account, c.looks, c.last_error, c.due_id,
               c.next_look_at, c.close_requested_at, d.workspace_id, b.reference,
               h.state AS hold_state, h.lapses_at
        FROM payments_checkout c JOIN payments_due d ON d.id = c.due_id
        JOIN bookings_booking b ON b.id = d.booking_id
        JOIN holds_hold h ON h.booking_id = b.id AND h.change_id IS NOT DISTINCT FROM d.change_id
        WHERE c.id > %(after)s AND (
            (c.state IN ('creating', 'open') AND (h.state <> 'active' OR h.lapses_at <= %(late)s)
             AND coalesce(h.ended_at, h.lapses_at) <= %(late)s
             AND coalesce(d.pay_again_until <= %(late)s, true))
            OR (c.state = 'complete' AND c.ended_at <= %(late)s AND NOT EXISTS (
                SELECT 1 FROM payments_payment p WHERE p.checkout_id = c.id
                AND (p.verdict <> '' OR p.state IN ('processing', 'failed')))
                AND NOT (b.state = 'awaiting_approval' AND b.requested_at IS NOT NULL)
                AND c.ended_at > %(recent)s)
        ) ORDER BY c.id LIMIT %(batch)s
    """

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        return {"after": str(UUID(int=0))}

    def look(self, cursor: Cursor) -> Page:
        now = database_now()
        where = {"late": now - _PATIENCE, "recent": now - timedelta(days=14), "batch": self.batch}
        found = rows(self._STUCK, cursor | where)
        more = len(found) == self.batch
        seen = [_checkout(row) for row in found]
        return Page(len(found), seen, {"after": str(found[-1]["id"])} if more else None)

    def heal(self, seen: Seen) -> str:
        checkout = Checkout.objects.get(pk=seen.subject_id)
        if checkout.state in {CREATING, OPEN}:
            checkouts.close(checkout.pk)
        else:
            _settle(checkout.pk)
        checkout.refresh_from_db()
        if checkout.state in {EXPIRED, ABANDONED}:
            return "Its session is closed at Stripe."
        decided = checkout.payments.exclude(verdict="").exists()
        return "It had been paid and is settled now." if decided else ""


def _checkout(row: dict[str, Any]) -> Seen:
    paid = row["state"] == "complete"
    said = "was paid and not settled" if paid else "is open though its hold is over"
    return Seen(
        kind=CHECKOUT_STUCK,
        severity=HIGH if paid else MEDIUM,
        subject_type="checkout",
        subject_id=str(row["id"]),
        workspace_id=row["workspace_id"],
        summary=f"{row['reference']}: a checkout {said}",
        evidence={
            "session": row["session_id"],
            "account": row["account"],
            "state": row["state"],
            "looks": row["looks"],
            "last_error": row["last_error"],
            "hold": row["hold_state"],
            "hold_lapsed": row["lapses_at"].isoformat(),
            "due": str(row["due_id"]),
            "code_version": code_version(),
        },
        fingerprint=row["state"],
    )
