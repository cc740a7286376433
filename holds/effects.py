"""What this app writes when something happens; see `manage.py effects`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Model, Q

from bookings.models import Booking, Change, Occupancy
from config.kernel.effects import Happening, on, together
from holds import waitlist_mails as mails
from holds import webhooks
from holds.changing import REPLACED
from holds.models import FreedTime, Hold, WaitlistEntry
from holds.states import EXPIRED
from holds.waitlist import moved_all
from holds.waitlist_states import OFFERED, PASSED, TAKEN, WAITING
from members.models import Notification
from members.webhook_models import WebhookMessage

# How long freed time is kept from passers-by at most, should nobody look along its line.
_KEPT = timedelta(seconds=30)


@on("booking.confirmed")
def take_place(happening: Happening) -> list[Model]:
    """Who waited has it: by the offer, or because they found it themselves."""
    booking: Booking = happening.subject
    mine = Q(hold__booking=booking, state__in=[OFFERED, PASSED])
    if booking.email:
        mine |= Q(workspace=booking.workspace_id, email=booking.email, state=WAITING)
    found = list(WaitlistEntry.objects.filter(mine).select_related("workspace").order_by("pk"))
    if not found:
        return []
    lines = list(booking.lines.all())
    has_it = [
        entry
        for entry in found
        if entry.state != WAITING
        or any(
            line.resource_id == entry.resource_id
            and line.starts_at >= entry.starts_at
            and line.ends_at <= entry.ends_at
            and line.quantity >= entry.quantity
            for line in lines
        )
    ]
    return moved_all(has_it, TAKEN, happening.at, happening.actor)


@on("booking.expired", "booking.released")
def pass_on(happening: Happening) -> list[Model]:
    """An offer that lapsed or was declined: the next in line gets it."""
    found = WaitlistEntry.objects.filter(hold__booking=happening.subject, state=OFFERED)
    entries = found.select_related("workspace")
    return moved_all(entries, PASSED, happening.at, happening.actor, happening.reason)


@together(pass_on)
def _pass_on_all(happenings: Sequence[Happening]) -> list[Model]:
    offered = WaitlistEntry.objects.filter(hold__booking__in=_ids(happenings), state=OFFERED)
    concerned = set(offered.values_list("hold__booking_id", flat=True))
    return [row for h in happenings if h.subject.pk in concerned for row in pass_on(h)]


@on(
    "booking.expired", "booking.released", "booking.cancelled", "booking.lines_cancelled",
    "booking.rescheduled", "change.expired", "change.released",
)  # fmt: skip
def free_for_the_line(happening: Happening) -> list[FreedTime]:
    """Where somebody waits: have the line looked along, and keep it for them meanwhile.

    What is given back for another choice of the same person is kept for nobody: that choice may
    want some of it.
    """
    booking_id = _id(happening)
    taken = Occupancy.objects.filter(booking_id=booking_id).values("resource_id")
    line = WaitlistEntry.objects.filter(state=WAITING, resource_id__in=taken)
    ids = sorted(line.order_by().values_list("resource_id", flat=True).distinct())
    if not ids:
        return []
    is_replaced = happening.reason == REPLACED
    until = happening.at if is_replaced else _freed_at(happening, booking_id) + _KEPT
    return [FreedTime(resource_id=resource_id, kept_until=until) for resource_id in ids]


@together(free_for_the_line)
def _free_all_for_the_line(happenings: Sequence[Happening]) -> list[Model]:
    """Whom nobody waits behind costs nothing more than the look."""
    line = WaitlistEntry.objects.filter(state=WAITING).values("resource_id")
    waited_for = Occupancy.objects.filter(booking__in=_ids(happenings), resource_id__in=line)
    concerned = set(waited_for.values_list("booking_id", flat=True))
    return [row for h in happenings if _id(h) in concerned for row in free_for_the_line(h)]


def _ids(happenings: Sequence[Happening]) -> list[UUID]:
    return [_id(happening) for happening in happenings]


def _id(happening: Happening) -> UUID:
    subject = happening.subject
    found: UUID = subject.booking_id if isinstance(subject, Change) else subject.pk
    return found


def _freed_at(happening: Happening, booking_id: UUID) -> datetime:
    """When it became free: a hold that lapsed has been free since then, whoever tidied it."""
    if not happening.name.endswith(".expired"):
        return happening.at
    change = happening.subject if isinstance(happening.subject, Change) else None
    lapsed = Hold.objects.filter(booking_id=booking_id, change=change, state=EXPIRED)
    moments = [*lapsed.values_list("lapses_at", flat=True), happening.at]
    return min(moments)


@on("waitlist.joined")
def mail_joined(happening: Happening) -> list[Notification]:
    return mails.joined(happening.subject)


@on("waitlist.offered")
def mail_offered(happening: Happening) -> list[Notification]:
    """In the transaction of the hold: nobody holds something for them that they do not know of."""
    return mails.offered(happening.subject)


@on("waitlist.passed")
def mail_passed(happening: Happening) -> list[Notification]:
    """When it lapsed. Who declined it knows, and whom staff took it from is told by its release."""
    return mails.passed(happening.subject) if happening.actor.kind == "system" else []


@on("waitlist.over")
def mail_over(happening: Happening) -> list[Notification]:
    return mails.over(happening.subject)


@on("waitlist.removed")
def mail_removed(happening: Happening) -> list[Notification]:
    return mails.removed(happening.subject, happening.reason)


# --- Subscribers (docs/webhooks.md) ---------------------------------------------------------------


@on("hold.placed", "change.held")
def tell_placed(happening: Happening) -> list[WebhookMessage]:
    return webhooks.placed(happening)


@on("booking.released", "booking.expired")
def tell_ended(happening: Happening) -> list[WebhookMessage]:
    return _tell_all_ended([happening])


@together(tell_ended)
def _tell_all_ended(happenings: Sequence[Happening]) -> list[WebhookMessage]:
    is_release = happenings[0].name == "booking.released"
    return webhooks.ended(happenings, webhooks.RELEASED if is_release else webhooks.EXPIRED)


@on("change.released", "change.expired")
def tell_change_ended(happening: Happening) -> list[WebhookMessage]:
    is_release = happening.name == "change.released"
    return webhooks.change_ended(happening, webhooks.RELEASED if is_release else webhooks.EXPIRED)
