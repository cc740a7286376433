"""What subscribers are told of holds: the hold as the API shows it, without its token.

Whoever has a hold's token acts on it, and a message is read by more than who placed it.
"""

from collections.abc import Sequence
from typing import Any

from bookings.models import Booking, Change
from bookings.webhooks import booking_data, lines_of, of_booking, those_wanted
from config.kernel.effects import Happening
from holds.models import Hold
from holds.shown import hold_json
from members.webhook_messages import kicked
from members.webhook_models import WebhookMessage

PLACED, RELEASED, EXPIRED = "hold.placed", "hold.released", "hold.expired"


def placed(happening: Happening) -> list[WebhookMessage]:
    """In the transaction of the claim: everything is at hand, and nothing is asked."""
    hold: Hold = happening.subject
    if not those_wanted([hold.booking], PLACED):
        return []
    if lines := happening.data.get("lines"):
        hold.lines = lines
    return kicked([of_booking(hold.booking, PLACED, _data(hold, happening), happening)])


def ended(happenings: Sequence[Happening], kind: str) -> list[WebhookMessage]:
    """Holds of bookings that were never theirs: two statements, however many."""
    wanted = those_wanted([happening.subject for happening in happenings], kind)
    if not wanted:
        return []
    bookings = {booking.pk: booking for booking in wanted}
    lines = lines_of(wanted)
    story = {happening.subject.pk: happening for happening in happenings}
    told = []
    for hold in Hold.objects.filter(booking__in=bookings, change=None).order_by("pk"):
        booking = hold.booking = bookings[hold.booking_id]
        hold.lines = lines[booking.pk]
        told.append(of_booking(booking, kind, _data(hold, story[booking.pk]), story[booking.pk]))
    return kicked(told)


def change_ended(happening: Happening, kind: str) -> list[WebhookMessage]:
    """The hold of a change that is not made: the booking stays what it was."""
    change: Change = happening.subject
    booking: Booking = change.booking
    if not those_wanted([booking], kind):
        return []
    lines = lines_of([booking])[booking.pk]
    told = []
    for hold in Hold.objects.filter(change=change):
        hold.booking, hold.change, hold.lines = booking, change, lines
        told.append(of_booking(booking, kind, _data(hold, happening), happening))
    return kicked(told)


def _data(hold: Hold, happening: Happening) -> dict[str, Any]:
    shown = hold_json(hold)
    booking, change = shown.pop("booking"), shown.pop("change")
    del shown["token"]
    return {
        "hold": shown,
        "booking": booking | booking_data(hold.booking, hold.lines),
        "change": change,
        "reason": happening.reason,
    }
