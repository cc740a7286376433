"""What pages say about a booking: its lines, its money, its history, what can be done next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q

from bookings.availability import Alternative
from bookings.links import manage_token, rebook_token
from bookings.models import Booking, BookingEvent, Line, Resource
from bookings.nearby import nearby
from bookings.picking import field_of
from bookings.states import AWAITING_APPROVAL, CONFIRMED, UNDECIDED
from bookings.visibility import Viewer
from config.kernel import clock
from holds.claims import LineRequest
from holds.models import Hold
from holds.parts import requests_of
from holds.selectors import Held, is_live, live_change, own_hold, with_moves
from members.models import Member
from payments import goodwill
from payments.receipts import of_booking
from payments.selectors import Summary, money_of_many

_RECENT_PAST = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """One booking as pages show it. `state` is what is true now, tidied or not; `waiting` is the
    hold of a change that is still to be paid for.
    """

    booking: Booking
    lines: list[Line]
    hold: Hold | None
    waiting: Held | None
    money: Summary
    state: str
    token: str
    zone: str
    events: list[BookingEvent] = field(default_factory=list)

    @property
    def is_held(self) -> bool:
        return self.state in UNDECIDED and not self.is_requested

    @property
    def is_requested(self) -> bool:
        """Whether staff are to answer a request that was sent."""
        return self.state == AWAITING_APPROVAL and self.booking.requested_at is not None


@dataclass(frozen=True, slots=True)
class Offer:
    """Another time or place, for someone who lost a slot: a button that holds it.

    `add_ons` are the fields of its form that ask for them.
    """

    what: Alternative
    zone: str
    quantity: int = 1
    add_ons: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mine:
    """A member's bookings: what is next, what is further on, what is over."""

    next: Shown | None
    later: list[Shown]
    past: list[Shown]

    @property
    def is_empty(self) -> bool:
        return self.next is None and not self.past


def shown(bookings: Sequence[Booking], now: datetime) -> list[Shown]:
    """Everything pages show of these bookings; a constant number of queries."""
    money = money_of_many(list(bookings))
    waiting = _waiting(bookings, now)
    return [
        Shown(
            booking=booking,
            lines=(lines := [line for line in booking.lines.all() if not line.cancelled_at]),
            hold=(hold := own_hold(booking)),
            waiting=waiting.get(booking.pk),
            money=money[booking.pk],
            state=state_now(booking, hold, now),
            token=manage_token(booking),
            zone=lines[0].resource.location.timezone if lines else booking.workspace.timezone,
            events=list(booking.events.all()),
        )
        for booking in bookings
    ]


def _waiting(bookings: Sequence[Booking], now: datetime) -> dict[UUID, Held]:
    found = [live_change(b, now) for b in bookings if b.state == CONFIRMED]
    held = with_moves([hold for hold in found if hold is not None])
    return {each.hold.booking_id: each for each in held}


def with_everything(bookings: Any) -> Any:
    """The relations that `shown` reads, prefetched."""
    return bookings.select_related("workspace").prefetch_related(
        Prefetch("lines", Line.objects.select_related("resource__location")),
        Prefetch("holds", Hold.objects.select_related("change")),
        "events",
    )


def state_now(booking: Booking, hold: Hold | None, now: datetime) -> str:
    """A hold whose time is up is expired, even before anybody has tidied it."""
    lapsed = hold is not None and booking.state in UNDECIDED and not is_live(hold, now)
    return "expired" if lapsed else booking.state


def mine(member: Member) -> Mine:
    """The bookings of a member, and those made with their address before they signed in.

    The address counts since only the mail to it signs somebody in.
    """
    now = clock.now()
    own = Booking.objects.filter(Q(member=member) | Q(member=None, email=member.email))
    coming = with_everything(
        own.filter(state__in=[CONFIRMED, *UNDECIDED], ends_at__gt=now)
    ).order_by("starts_at")
    over = with_everything(
        own.exclude(state__in=[CONFIRMED, *UNDECIDED], ends_at__gt=now)
    ).order_by("-starts_at")[:_RECENT_PAST]
    ahead = shown(list(coming[:_RECENT_PAST]), now)
    live = [s for s in ahead if s.state != "expired"]
    past = [*[s for s in ahead if s.state == "expired"], *shown(list(over), now)]
    return Mine(live[0] if live else None, live[1:], past)


def one(booking: Booking) -> tuple[Shown, datetime]:
    """One booking, and the time at which this was true."""
    now = clock.now()
    found = with_everything(Booking.objects.filter(pk=booking.pk)).get()
    return shown([found], now)[0], now


def after(
    booking: Booking, hold: Hold, verdict: str, token: str, *, viewer: Viewer
) -> dict[str, Any]:
    """The page after paying."""
    truth, now = one(booking)
    is_lost = verdict == "lost"
    return {
        "workspace": booking.workspace,
        "shown": truth,
        "verdict": verdict,
        "hold": hold,
        "token": token,
        "refused": truth.money.refused if is_lost else None,
        "goodwill": goodwill.given_for(booking) if is_lost else None,
        "rebook": rebook_token(booking) if verdict in {"lost", "failed"} else "",
        "is_one": len(requests_of(truth.lines)) == 1,
        "offers": nearest(truth.lines, booking, viewer) if is_lost else [],
        "is_live": is_live(hold, now),
        "receipts": of_booking(booking) if verdict == "confirmed" else [],
        "slim": True,
    }


def nearest(lines: Iterable[Line], booking: Booking, viewer: Viewer) -> list[Offer]:
    """Free equivalents for the first line of a booking that was lost."""
    asked = requests_of(list(lines))
    return offers(booking.workspace_id, asked[0], viewer=viewer) if asked else []


def offers(workspace_id: UUID, line: LineRequest, *, viewer: Viewer) -> list[Offer]:
    """The nearest equivalents of a line with its add-ons; each in the zone of its place."""
    found = nearby(
        workspace_id=workspace_id,
        resource_id=line.resource_id,
        window=line.window,
        quantity=line.quantity,
        add_ons=[(each.resource_id, each.quantity) for each in line.add_ons],
        viewer=viewer,
        count=4,
    )
    places = Resource.objects.filter(pk__in=[a.resource_id for a in found])
    zones = dict(places.values_list("pk", "location__timezone"))
    fields = [(field_of(each.resource_id), each.quantity) for each in line.add_ons]
    return [
        Offer(a, zones[a.resource_id], line.quantity, fields)
        for a in found
        if a.resource_id in zones
    ]
