"""Giving up some lines of a confirmed booking while the rest of it stands.

What becomes of the money is decided in payments (`payments/dropping.py`) under the same locks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bookings.discount_rules import frozen_reduction, snapshot
from bookings.models import Booking, Line, Occupancy
from bookings.pricing import frozen
from bookings.services import Move, event_for
from bookings.states import CONFIRMED
from bookings.taxes import gross_parts, tax_of
from config.kernel import rows
from config.kernel.effects import Happening, rows_for
from config.kernel.errors import InvalidTransition, VersionMismatch
from config.kernel.locks import require_transaction

LINES_CANCELLED = "lines_cancelled"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A line that is given up, and what of its price is kept (minor units)."""

    line: Line
    kept_minor: int

    @property
    def less_minor(self) -> int:
        """How much less the booking costs without it."""
        return self.line.amount_minor - self.kept_minor

    def as_json(self) -> dict[str, Any]:
        line = self.line
        return {
            "line": str(line.pk),
            "resource": str(line.resource_id),
            "start": line.starts_at.isoformat(),
            "end": line.ends_at.isoformat(),
            "quantity": line.quantity,
            "amount_minor": line.amount_minor,
            "kept_minor": self.kept_minor,
        }


def drop(booking: Booking, dropped: Sequence[Dropped], move: Move) -> None:
    """Release the lines' time and take them out of what a locked booking is and costs.

    At least one line stays: who gives up all of them cancels the booking. `move` says who, when and
    why, and in its data what is given back. Raises InvalidTransition unless the booking is
    confirmed, VersionMismatch when it is not the row that was read.
    """
    require_transaction()
    if booking.state != CONFIRMED:
        raise InvalidTransition("Only parts of a confirmed booking can be given up.")
    ids = [each.line.pk for each in dropped]
    Occupancy.objects.filter(line_id__in=ids, released_at=None).update(released_at=move.at)
    for each in dropped:
        _keep_only(each, move)
    _rewrite(booking, sum(each.less_minor for each in dropped))
    told = Move(
        CONFIRMED,
        move.at,
        move.actor,
        move.reason,
        {**move.data, "lines": [each.as_json() for each in dropped]},
    )
    event = event_for(booking, told, from_state=CONFIRMED, kind=LINES_CANCELLED)
    name = f"booking.{LINES_CANCELLED}"
    happening = Happening(name, booking, move.at, move.actor, move.reason, told.data)
    rows.insert([event, *rows_for(happening)])


def _keep_only(each: Dropped, move: Move) -> None:
    """The line stays as history; its price is what is kept of it."""
    price = gross_parts("Kept", "kept", each.kept_minor, tax_of(each.line.price))
    Line.objects.filter(pk=each.line.pk).update(
        cancelled_at=move.at, amount_minor=each.kept_minor, price=price if each.kept_minor else []
    )


def _rewrite(booking: Booking, less_minor: int) -> None:
    """What the booking is and costs without them."""
    lines = list(Line.objects.filter(booking=booking).order_by("position"))
    staying = [line for line in lines if line.cancelled_at is None]
    changes: dict[str, Any] = {
        "version": booking.version + 1,
        "starts_at": min(line.starts_at for line in staying),
        "ends_at": max(line.ends_at for line in staying),
        "total_minor": booking.total_minor - less_minor,
        "price": snapshot(
            [frozen(line.price, booking.currency) for line in lines],
            frozen_reduction(booking.price),
        ),
    }
    if not Booking.objects.filter(pk=booking.pk, version=booking.version).update(**changes):
        raise VersionMismatch
    for name, value in changes.items():
        setattr(booking, name, value)
