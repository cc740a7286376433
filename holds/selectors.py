"""Reads of holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import DateTimeField, Func, QuerySet

from bookings.models import Booking
from bookings.moved import Moved, moved
from holds.models import Hold
from holds.states import ACTIVE
from members.models import Member, Workspace


@dataclass(frozen=True, slots=True)
class Held:
    """A hold as pages name it; `moves` is empty unless it is for a change of a booking."""

    hold: Hold
    moves: list[Moved]


def by_token(token: str) -> Hold | None:
    """The hold that a visitor's token names, with booking and workspace."""
    return Hold.objects.select_related("booking", "workspace").filter(token=token).first()


def booking_of_token(workspace: Workspace, token: str) -> UUID | None:
    """The booking behind the active hold that a token names, if there is one."""
    if not token:
        return None
    mine = Hold.objects.filter(token=token, workspace=workspace, state=ACTIVE)
    return mine.values_list("booking_id", flat=True).first()


def own_hold(booking: Booking) -> Hold | None:
    """The hold with which a booking began, of those prefetched; changes have others."""
    return next((hold for hold in booking.holds.all() if hold.change_id is None), None)


def pending_change_hold(booking: Booking) -> Hold | None:
    """The hold of the change that a booking waits for, of those prefetched `with_now`."""
    holds = (hold for hold in booking.holds.all() if hold.change_id and hold.state == ACTIVE)
    return next((hold for hold in holds if hold.lapses_at > hold.now), None)  # type: ignore[attr-defined]


def with_now() -> QuerySet[Hold]:
    """Holds with their changes and `now`, by the database's clock."""
    now = Func(function="clock_timestamp", output_field=DateTimeField())
    return Hold.objects.select_related("change").annotate(now=now)


def live_change(booking: Booking, now: datetime) -> Hold | None:
    """The hold of a change that its member can still pay for, of those prefetched with changes."""
    mine = (hold for hold in booking.holds.all() if hold.change_id is not None)
    return next((hold for hold in mine if is_live(hold, now)), None)


def with_moves(holds: Sequence[Hold]) -> list[Held]:
    """Holds, read with their changes, and what those move: one query for all, or none."""
    for hold in holds:
        if hold.change is not None:
            hold.change.booking = hold.booking
    moves = moved(hold.change.lines if hold.change else [] for hold in holds)
    return [Held(*each) for each in zip(holds, moves, strict=True)]


def is_live(hold: Hold, now: datetime) -> bool:
    """Whether the member may still count on it."""
    return hold.state == ACTIVE and hold.expires_at > now


def live_of_visitor(
    *, workspace: Workspace | None = None, visitor: str = "", member: Member | None = None
) -> QuerySet[Hold]:
    """Active holds of one browser or member, soonest to end first (lapsed ones not yet tidied too).

    Empty when neither is known.
    """
    holds = Hold.objects.select_related("booking", "workspace").filter(state=ACTIVE)
    if workspace is not None:
        holds = holds.filter(workspace=workspace)
    mine = Hold.objects.none().values("pk")
    if visitor:
        mine = Hold.objects.filter(visitor=visitor).values("pk")
    if member is not None:
        of_member = Hold.objects.filter(member=member).values("pk")
        mine = mine.union(of_member) if visitor else of_member
    return holds.filter(pk__in=mine).order_by("expires_at")
