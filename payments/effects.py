"""What money does when something happens; see `manage.py effects`."""

from collections.abc import Sequence

from django.db.models import Model, QuerySet

from bookings import mails
from config.kernel.effects import Happening, kick, on, together
from config.kernel.money import Money
from members.webhook_models import WebhookMessage
from payments import approval, receipts, webhooks
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


@on("change.held")
def owe_difference(happening: Happening) -> list[Due]:
    """A change that costs more owes the difference, and is made when that is paid."""
    hold = happening.subject
    return [
        Due(
            workspace_id=hold.workspace_id,
            booking_id=hold.booking_id,
            change_id=hold.change_id,
            purpose=Due.Purpose.CHANGE,
            amount_minor=hold.change.difference_minor,
            currency=hold.booking.currency,
            created_at=happening.at,
        )
    ]


@on("booking.expired", "booking.released")
def end_request(happening: Happening) -> list[Due]:
    """A request that staff did not approve, in time or at all: nothing is charged."""
    booking = happening.subject
    if booking.requested_at is not None and booking.needs_approval:
        said = {"staff": "declined", "system": "not_answered"}
        approval.end_with(booking, said.get(happening.actor.kind, "withdrawn"))
    return []


@on("change.expired", "change.released")
def close_sessions_of_change(happening: Happening) -> list[Due]:
    """The same for a change that is not made."""
    _close(Checkout.objects.filter(due__change=happening.subject), happening)
    return []


@on("booking.expired", "booking.released", "booking.cancelled")
def close_sessions(happening: Happening) -> list[Due]:
    """Sessions still open for what is gone are to be expired: the sweep does it."""
    return close_sessions_of_all([happening])


@together(close_sessions)
def close_sessions_of_all(happenings: Sequence[Happening]) -> list[Due]:
    bookings = [happening.subject.pk for happening in happenings]
    _close(Checkout.objects.filter(due__booking__in=bookings), happenings[0])
    return []


def _close(checkouts: "QuerySet[Checkout]", happening: Happening) -> None:
    checkouts.filter(state__in=["creating", "open"], close_requested_at=None).update(
        close_requested_at=happening.at, next_look_at=happening.at
    )


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


@on("refund.requested", "refund.submitted", "refund.succeeded", "refund.failed",
    "refund.needs_attention",
)  # fmt: skip
def tell_subscribers(happening: Happening) -> list[WebhookMessage]:
    """Subscribers hear of every state of a refund (docs/webhooks.md)."""
    return webhooks.refund_updated(happening)


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


@on("booking.confirmed", "booking.rescheduled")
def audit_slot(happening: Happening) -> list[Due]:
    """After the commit: look whether the slot was sold twice. The hourly audit is the guarantee."""
    kick("payments.audit_overlaps", str(happening.subject.pk))
    return []
