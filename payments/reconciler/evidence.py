"""What is kept with a finding: who did what, when, in which request, by which code."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from bookings.models import Booking, BookingEvent, Line, Occupancy
from config.kernel.version import code_version
from payments.models import Payment, Signal
from payments.reconciler.base import rows

_MOST = 50
_PROTECTION = """
    SELECT
        (SELECT count(*) FROM pg_constraint WHERE conname = 'occupancy_no_overlap') AS constraints,
        (SELECT count(*) FROM pg_trigger
         WHERE tgrelid = 'bookings_occupancy'::regclass AND NOT tgisinternal AND tgenabled <> 'D'
        ) AS triggers
"""


def timelines(booking_ids: Iterable[UUID]) -> dict[str, Any]:
    """Each booking with its history, occupancies, signals and payments; and what runs here."""
    wanted = set(booking_ids)
    bookings = Booking.objects.filter(pk__in=wanted).order_by("created_at")
    return {
        "code_version": code_version(),
        "bookings": [_booking(booking) for booking in bookings],
    }


def protection() -> dict[str, Any]:
    """Whether the database's own guards of slots stand, as it says itself."""
    (found,) = rows(_PROTECTION, {})
    return {"exclusion_constraint": bool(found["constraints"]), "triggers": found["triggers"]}


def _booking(booking: Booking) -> dict[str, Any]:
    signals = Signal.objects.filter(checkout__due__booking_id=booking.pk).order_by("received_at")
    payments = Payment.objects.filter(due__booking_id=booking.pk).order_by("created_at")
    return {
        "id": str(booking.pk),
        "reference": booking.reference,
        "state": booking.state,
        "lines": [_line(line) for line in booking.lines.all()],
        "events": [_event(event) for event in booking.events.order_by("at", "id")[:_MOST]],
        "occupancies": [_occupancy(each) for each in booking.occupancies.order_by("pk")[:_MOST]],
        "signals": [
            {"source": signal.source, "event": signal.event_id, "outcome": signal.outcome,
             "received": _at(signal.received_at), "followed": _at(signal.followed_at)}
            for signal in signals[:_MOST]
        ],
        "payments": [payment_said(payment) for payment in payments[:_MOST]],
    }  # fmt: skip


def _line(line: Line) -> dict[str, Any]:
    return {
        "resource": str(line.resource_id),
        "from": _at(line.starts_at),
        "to": _at(line.ends_at),
        "quantity": line.quantity,
    }


def payment_said(payment: Payment) -> dict[str, Any]:
    """A payment as it stands."""
    return {
        "id": str(payment.pk),
        "intent": payment.payment_intent_id,
        "account": payment.account,
        "state": payment.state,
        "verdict": payment.verdict,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "settled_by": payment.settled_by,
        "decided": _at(payment.decided_at),
        "captured": _at(payment.captured_at),
        "tries": payment.tries,
        "last_error": payment.last_error,
    }


def _event(event: BookingEvent) -> dict[str, Any]:
    return {
        "at": _at(event.at),
        "kind": event.kind,
        "from": event.from_state,
        "to": event.to_state,
        "by": event.actor_label or event.actor_kind,
        "reason": event.reason,
        "request_id": event.request_id,
        "data": event.data,
    }


def _occupancy(occupancy: Occupancy) -> dict[str, Any]:
    return {
        "from": _at(occupancy.during.lower),
        "to": _at(occupancy.during.upper),
        "lapses": _at(occupancy.lapses_at),
        "released": _at(occupancy.released_at),
    }


def _at(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
