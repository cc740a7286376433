"""Cardholders' objections: recorded and flagged; a booking's state does not follow them (§4)."""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from bookings.services import note as event_of
from config.kernel import rows
from config.kernel.clock import now as database_now
from config.kernel.context import SYSTEM
from config.kernel.locks import locked
from config.kernel.money import Money
from payments import findings
from payments.models import Dispute, Finding, Payment

KIND = "dispute"
LOST = "lost"
_OVER = frozenset({"won", LOST, "warning_closed", "prevented"})


def note(payment: Payment, found: dict[str, Any]) -> Dispute:
    """Write down what Stripe says of a dispute: the row, the booking's history, and a finding.

    `found` is Stripe's object. A hint that comes late, after the dispute is over, changes nothing;
    one that says the same again neither. Won (or an inquiry closed) closes the finding; lost leaves
    it to staff.
    """
    with transaction.atomic():
        dispute, was = _written(payment, found)
        if was == dispute.status:
            return dispute
        _tell(payment, dispute, was)
        if dispute.closed_at is None or dispute.is_lost:
            _file(payment, dispute)
        else:
            _close(dispute)
        return dispute


def _written(payment: Payment, found: dict[str, Any]) -> tuple[Dispute, str]:
    """The row as it is now, and the status that it had before (empty for a new one)."""
    made = Dispute(
        payment=payment,
        stripe_dispute_id=found["id"],
        amount_minor=int(found["amount"]),
        currency=str(found["currency"]).upper(),
        reason=(found.get("reason") or "")[:60],
        status=found["status"],
        opened_at=datetime.fromtimestamp(found["created"], UTC),
    )
    made.closed_at, made.is_lost = _end(made.status)
    Dispute.objects.bulk_create([made], ignore_conflicts=True)
    known = locked(Dispute.objects.filter(stripe_dispute_id=made.stripe_dispute_id)).get()
    if known.pk == made.pk:
        return known, ""
    was = known.status
    if known.closed_at is None:
        known.status, known.amount_minor = made.status, made.amount_minor
        known.closed_at, known.is_lost = made.closed_at, made.is_lost
        known.save(update_fields=["status", "amount_minor", "closed_at", "is_lost"])
    return known, was


def _end(status: str) -> tuple[datetime | None, bool]:
    return (database_now() if status in _OVER else None), status == LOST


def _tell(payment: Payment, dispute: Dispute, was: str) -> None:
    kind = "disputed" if not was else "dispute_closed" if dispute.closed_at else "dispute_moved"
    event = event_of(
        payment.due.booking,
        kind=kind,
        at=database_now(),
        actor=SYSTEM,
        payment=str(payment.pk),
        dispute=dispute.stripe_dispute_id,
        status=dispute.status,
        amount_minor=dispute.amount_minor,
        currency=dispute.currency,
    )
    rows.insert([event])


def _file(payment: Payment, dispute: Dispute) -> None:
    booking = payment.due.booking
    amount = Money(dispute.amount_minor, dispute.currency)
    said = f"The payer of {booking.reference} disputes {amount} ({dispute.reason})"
    if dispute.is_lost:
        said = f"The dispute of {amount} for {booking.reference} is lost ({dispute.reason})"
    findings.file(
        kind=KIND,
        severity=Finding.Severity.HIGH,
        subject_type="dispute",
        subject_id=dispute.stripe_dispute_id,
        summary=said,
        workspace=booking.workspace,
        evidence={
            "booking": booking.reference,
            "payment_intent": payment.payment_intent_id,
            "status": dispute.status,
            "amount_minor": dispute.amount_minor,
            "currency": dispute.currency,
        },
        fingerprint=dispute.status,
    )


def _close(dispute: Dispute) -> None:
    open_ones = Finding.objects.filter(
        kind=KIND, subject_id=dispute.stripe_dispute_id, closed_at=None
    )
    for finding in open_ones:
        findings.resolve(
            finding,
            resolution=Finding.Resolution.CAUSE_GONE,
            actor=SYSTEM,
            note=f"Stripe says: {dispute.status}",
        )
