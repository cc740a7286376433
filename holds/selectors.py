"""Reads of holds."""

from datetime import datetime

from django.db.models import DateTimeField, Func, QuerySet

from bookings.models import Booking
from holds.models import Hold
from holds.states import ACTIVE
from members.models import Member, Workspace


def by_token(token: str) -> Hold | None:
    """The hold that a visitor's token names, with booking and workspace."""
    return Hold.objects.select_related("booking", "workspace").filter(token=token).first()


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
