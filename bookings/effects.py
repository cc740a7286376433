"""What follows from a booking's transitions; see `manage.py effects`."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bookings import freshness, mails, webhooks
from bookings.models import Booking, BookingEvent
from config.kernel.effects import Happening, on, together
from config.kernel.money import Money
from members.models import Notification
from members.webhook_models import WebhookMessage

PAID_TOO_LATE = "The payment came when the time was gone"
PAYMENT_FAILED = "The bank did not pay"
APPROVED_TO_PAY = "Approved; the bank had let go of the payment"


@on("booking.confirmed")
def mail_confirmation(happening: Happening) -> list[Notification]:
    """At once when nothing is owed; otherwise payments sends it when the money is captured."""
    return mails.confirmation(happening.subject) if happening.data.get("free") else []


@on("booking.rescheduled")
def mail_rescheduled(happening: Happening) -> list[Notification]:
    """At once when nothing more is owed, with what is given back where it became cheaper."""
    data = happening.data
    if not data.get("free"):
        return []
    money = data.get("money")
    return mails.rescheduled(
        happening.subject,
        data["row"],
        money=money and _in_words(money),
        reason=happening.reason,
    )


@on("change.expired")
def mail_change_expired(happening: Happening) -> list[Notification]:
    """Nobody paid for it: the booking is where it was. A payment that came too late tells more."""
    if happening.reason == PAID_TOO_LATE:
        return []
    return mails.change_lapsed(happening.subject.booking, happening.subject)


@on("booking.cancelled")
def mail_cancellation(happening: Happening) -> list[Notification]:
    """With what is given back, where whoever cancelled it said so."""
    money = happening.data.get("money")
    return mails.cancellation(happening.subject, happening.reason, money and _in_words(money))


@on("booking.lines_cancelled")
def mail_lines_cancelled(happening: Happening) -> list[Notification]:
    """A part of it was given up: which, what is given back, and what still stands."""
    data = happening.data
    money = data.get("money")
    return mails.lines_cancelled(
        happening.subject, data["lines"], happening.reason, money and _in_words(money)
    )


@on("booking.expired")
def mail_expiry(happening: Happening) -> list[Notification]:
    """Unless a payment is part of it: then a mail says what became of that.

    What was offered from a waitlist has a mail of its own.
    """
    return _mails_expiry([happening])


@together(mail_expiry)
def _mails_expiry(happenings: Sequence[Happening]) -> list[Notification]:
    told = [h.subject for h in happenings if h.reason not in {PAID_TOO_LATE, PAYMENT_FAILED}]
    told = [booking for booking in told if booking.email]
    if not told:
        return []
    kinds: dict[UUID, set[str]] = defaultdict(set)
    special = BookingEvent.objects.filter(kind__in=["payment_processing", "offered"])
    for booking_id, kind in special.filter(booking__in=told).values_list("booking_id", "kind"):
        kinds[booking_id].add(kind)
    if len(told) > 1:
        mails.read_ahead(told)
    return [mail for booking in told for mail in _mail_expiry(booking, kinds[booking.pk])]


def _mail_expiry(booking: Booking, kinds: set[str]) -> list[Notification]:
    if booking.requested_at is not None and booking.needs_approval:
        return mails.not_approved(booking, reason="")
    if "payment_processing" in kinds:
        return mails.processing_too_long(booking)
    return [] if kinds else mails.expiry(booking)


@on("booking.released")
def mail_release(happening: Happening) -> list[Notification]:
    """Only when it was not the member's own doing."""
    booking = happening.subject
    if happening.actor.kind != "staff":
        return []
    if booking.requested_at is not None and booking.needs_approval:
        return mails.not_approved(booking, reason=happening.reason)
    return mails.released_by_staff(happening.subject, happening.reason)


# --- Subscribers (docs/webhooks.md) ---------------------------------------------------------------


@on("booking.confirmed", "booking.rescheduled", "booking.lines_cancelled", "booking.cancelled",
    "booking.completed", "booking.no_show",
)  # fmt: skip
def tell_subscribers(happening: Happening) -> list[WebhookMessage]:
    return webhooks.told(happening, happening.name)


# --- What is remembered of availability is forgotten (nothing is written) ------------------------


@on("hold.placed")
def forget_lines(happening: Happening) -> list[Notification]:
    freshness.changed(line.resource_id for line in happening.data["lines"])
    return []


@on("booking.confirmed", "booking.released", "booking.expired", "booking.cancelled",
    "booking.rescheduled",
    "booking.lines_cancelled",
)  # fmt: skip
def forget_booking(happening: Happening) -> list[Notification]:
    return forget_bookings([happening])


@together(forget_booking)
def forget_bookings(happenings: Sequence[Happening]) -> list[Notification]:
    freshness.booking_changed(*[happening.subject.pk for happening in happenings])
    return []


@on("change.held", "change.expired", "change.released")
def forget_change(happening: Happening) -> list[Notification]:
    freshness.booking_changed(happening.subject.booking_id)
    return []


def _in_words(money: dict[str, Any]) -> dict[str, str]:
    """Amounts of `{"currency", "to_card_minor", …}` as words; nothing for nothing."""
    return {
        name.removesuffix("_minor"): str(Money(amount, money["currency"])) if amount else ""
        for name, amount in money.items()
        if name.endswith("_minor")
    }
