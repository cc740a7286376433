"""What staff decide about an event of ours that somebody deleted or moved in their calendar.

The booking does nothing by itself. Restoring writes the event again; cancelling cancels the
booking, with what its policy gives back; accepting moves it to where the event is, as any change by
staff, or leaves it without that event.
"""

from django.db import transaction

from bookings.calendars import outside
from bookings.models import CalendarTask
from config.kernel.context import Actor
from config.kernel.errors import InvalidTransition
from holds.changing import NewWindow
from members.models import Member
from payments import cancelling, rescheduling
from payments.cancelling import Preview
from payments.holding import placed
from payments.rescheduling import Settling, Wish

_TTL_SECONDS = 60 * 60


def restore(task: CalendarTask, *, by: Member) -> None:
    """Write the event as the booking is."""
    refuse_closed(task)
    outside.restore(task, by=by)


def cancel(task: CalendarTask, *, by: Member, actor: Actor, reason: str) -> Preview:
    """Cancel the booking by its policy; what is given back. Raises as `cancelling.cancel` does."""
    refuse_closed(task)
    told = cancelling.preview(task.booking)
    placed(
        lambda: cancelling.cancel(
            booking_id=task.booking_id,
            actor=actor,
            reason=reason,
            expects_minor=told.given_back.amount_minor,
        )
    )
    outside.followed(task, CalendarTask.Closed.CANCELLED, by=by)
    return told


def accept(task: CalendarTask, *, by: Member, actor: Actor, reason: str) -> bool:
    """Moved: move the booking there, if it can be had; whether it has moved by now.

    What costs more is held until its member has paid: the task stays open till then. Deleted: the
    booking stays, and that event is written no more. Raises what a change by staff raises.
    """
    refuse_closed(task)
    if task.kind == CalendarTask.Kind.DELETED:
        outside.leave(task, by=by)
        return True
    outcome = placed(lambda: _moved(task, actor, reason))
    if outcome.hold is not None:
        return False
    outside.followed(task, CalendarTask.Closed.ACCEPTED, by=by)
    return True


def leave(task: CalendarTask, *, by: Member) -> None:
    """A busy time lies over a booking, and both may stay: seen, and not told again."""
    refuse_closed(task)
    outside.leave(task, by=by)


def wish(task: CalendarTask, reason: str) -> Wish:
    """The change by which the booking goes to where its event is."""
    assert task.outside_start is not None
    assert task.outside_end is not None
    return Wish(
        booking_id=task.booking_id,
        windows=[NewWindow(task.line.position, task.outside_start, task.outside_end)],
        settling=Settling(),
        reason=reason,
        ttl_seconds=_TTL_SECONDS,
    )


def _moved(task: CalendarTask, actor: Actor, reason: str) -> rescheduling.Outcome:
    with transaction.atomic():
        return rescheduling.offer(wish(task, reason), actor=actor)


def refuse_closed(task: CalendarTask) -> None:
    """Raises InvalidTransition (409) for what was decided or went away meanwhile."""
    current = CalendarTask.objects.filter(pk=task.pk).values_list("closed_at", flat=True).first()
    if current is not None:
        raise InvalidTransition("This has been decided already, or it is over.")
