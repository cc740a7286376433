"""Handing units over and taking them back, at the counter. Availability knows nothing of it."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db import transaction

from bookings import lock_objects
from bookings.models import Booking, Line, Unit, UnitAssignment
from bookings.services import locked_booking, note
from bookings.states import COMPLETED, CONFIRMED, NO_SHOW
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.database_errors import names
from config.kernel.errors import DomainError, InvalidInput, InvalidTransition


class UnitOut(DomainError):
    code = "unit_out"
    status = 409
    detail = "One of these units is out for another booking then."


names("unit_out_once", UnitOut)


def hand_over(*, booking_id: UUID, units: Mapping[UUID, Iterable[UUID]], actor: Actor) -> None:
    """Make these units the ones that are out, by line: what is new goes out, the rest comes back.

    Lines that are not named stay as they are. A unit keeps the window that its line has now: after
    a move it is handed over again. Raises NotFound, InvalidTransition unless the booking stands
    (what is out can come back later still), InvalidInput for more units than the line has, and the
    database's `unit_out_once` (UnitOut, 409) for one that is out for another booking then.
    """
    with transaction.atomic():
        booking = locked_booking(booking_id)
        if booking.state not in {CONFIRMED, COMPLETED, NO_SHOW}:
            raise InvalidTransition("Only what is booked can be handed over.")
        lines = {line.pk: line for line in booking.lines.all()}
        for line_id, wanted in units.items():
            if line_id not in lines:
                raise InvalidInput("The booking has no such line.", field="line")
            _set_out(booking, lines[line_id], set(wanted), actor)


def _set_out(booking: Booking, line: Line, wanted: set[UUID], actor: Actor) -> None:
    now = lock_objects.now_under_locks()
    out = UnitAssignment.objects.filter(line=line, returned_at=None)
    had = set(out.values_list("unit_id", flat=True))
    going, coming = wanted - had, had - wanted
    if len(wanted) > line.quantity:
        raise InvalidInput(f"At most {line.quantity} for this line.", field="units")
    if going and (booking.state != CONFIRMED or line.cancelled_at is not None):
        raise InvalidTransition("Only what is booked and not over can be handed over.")
    out.filter(unit_id__in=coming).update(returned_at=now)
    labels = dict(Unit.objects.filter(pk__in=going | coming).values_list("pk", "label"))
    if going - labels.keys():
        raise InvalidInput("There is no such unit.", field="units")
    taken = [
        UnitAssignment(
            unit_id=unit_id, line=line, during=(line.starts_at, line.ends_at), handed_over_at=now
        )
        for unit_id in sorted(going)
    ]
    told = [("handed_over", going), ("taken_back", coming)]
    events = [
        note(booking, kind=kind, at=now, actor=actor, line=str(line.pk),
             units=sorted(labels[unit_id] for unit_id in which))
        for kind, which in told
        if which
    ]  # fmt: skip
    rows.insert([*taken, *events])
