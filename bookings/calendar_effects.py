"""What happens in bookings is written into connected calendars soon (nothing is written here).

The rows are marked by triggers (`calendar_marks.py`). This only kicks, where the workspace writes
calendars; where that is not known it is not asked for.
"""

from collections.abc import Sequence

from django.db.models import Model

from bookings.models import Booking
from config.kernel import effects
from config.kernel.effects import Happening, on, together

_WORKSPACE = Booking._meta.get_field("workspace")


@on("hold.placed")
def write_hold_soon(happening: Happening) -> list[Model]:
    _kick([happening.subject.booking])
    return []


@on("booking.confirmed", "booking.released", "booking.expired", "booking.cancelled",
    "booking.rescheduled", "booking.lines_cancelled", "booking.pending_payment",
)  # fmt: skip
def write_calendars_soon(happening: Happening) -> list[Model]:
    return _write_all_soon([happening])


@together(write_calendars_soon)
def _write_all_soon(happenings: Sequence[Happening]) -> list[Model]:
    _kick([happening.subject for happening in happenings])
    return []


def _kick(bookings: Sequence[Booking]) -> None:
    concerned = [booking for booking in bookings if _may_write(booking)]
    if len(concerned) == 1:
        effects.kick("bookings.write_calendars_of", str(concerned[0].pk))
    elif concerned:
        effects.kick("bookings.sweep_calendar_events")


def _may_write(booking: Booking) -> bool:
    """By the workspace, if it has been read: a needless kick costs less than a statement."""
    is_known = _WORKSPACE.is_cached(booking)
    return booking.workspace.writes_calendars if is_known else True
