"""What money does when something happens; see `manage.py effects`."""

from config.kernel.effects import Happening, kick, on
from payments.models import Checkout, Due


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


@on("booking.expired", "booking.released")
def close_sessions(happening: Happening) -> list[Due]:
    """Sessions still open for a hold that is gone are to be expired: the sweep does it."""
    Checkout.objects.filter(
        due__booking_id=happening.subject.pk,
        state__in=["creating", "open"],
        close_requested_at=None,
    ).update(close_requested_at=happening.at, next_look_at=happening.at)
    return []


@on("booking.confirmed")
def audit_slot(happening: Happening) -> list[Due]:
    """After the commit: look whether the slot was sold twice. The hourly audit is the guarantee."""
    kick("payments.audit_overlaps", str(happening.subject.pk))
    return []
