"""What money does when something happens; see `manage.py effects`."""

from django.db.models import Model

from bookings import mails
from config.kernel.effects import Happening, kick, on
from config.kernel.money import Money
from payments import receipts
from payments.models import Checkout, Due, Refund
from payments.states import CAPTURE


@on("hold.placed")
def owe(happening: Happening) -> list[Due]:
    """A hold owes its booking's total. Nothing owed is a due of nothing: it settles at once."""
    booking = happening.subject.booking
    return [
        Due(
            workspace_id=booking.workspace_id,
            booking_id=booking.pk,
            amount_minor=booking.total_minor,
            currency=booking.currency,
            created_at=happening.at,
        )
    ]


@on("booking.expired", "booking.released", "booking.cancelled")
def close_sessions(happening: Happening) -> list[Due]:
    """Sessions still open for what is gone are to be expired: the sweep does it."""
    Checkout.objects.filter(
        due__booking_id=happening.subject.pk,
        state__in=["creating", "open"],
        close_requested_at=None,
    ).update(close_requested_at=happening.at, next_look_at=happening.at)
    return []


@on("refund.succeeded")
def tell_refunded(happening: Happening) -> list[Model]:
    """The note for it, and a mail with it. A payment that was never accepted had no receipt.

    For one that came too late the mail went out with the verdict.
    """
    refund, booking = happening.subject, happening.data["booking"]
    if refund.cause == Refund.Cause.LATE:
        return []
    note = None
    if refund.payment.verdict == CAPTURE:
        note = receipts.for_refund(booking, refund, happening.at)
    told = mails.refunded(
        booking,
        amount=refund.amount,
        to=refund.to,
        cause=refund.cause,
        once=str(refund.pk),
        reason=refund.reason,
        receipt=receipts.as_shown(note, booking) if note else None,
    )
    return [*([note] if note else []), *told]


@on("credit.returned")
def tell_returned(happening: Happening) -> list[Model]:
    """The same for credit that was spent and is the member's again."""
    entry, booking = happening.subject, happening.data["booking"]
    note = receipts.for_returned_credit(
        booking, entry.due, entry.amount_minor, happening.at, reason=entry.reason
    )
    told = mails.refunded(
        booking,
        amount=Money(entry.amount_minor, entry.account.currency),
        to=receipts.BY_CREDIT,
        cause="returned",
        once=str(entry.pk),
        reason=entry.reason,
        receipt=receipts.as_shown(note, booking),
    )
    return [note, *told]


@on("booking.confirmed")
def audit_slot(happening: Happening) -> list[Due]:
    """After the commit: look whether the slot was sold twice. The hourly audit is the guarantee."""
    kick("payments.audit_overlaps", str(happening.subject.pk))
    return []
