"""What subscribers are told of bookings: the booking as the API shows it, rows at hand."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bookings.models import Booking, Change, Line
from bookings.shown import booking_brief, change_json
from config.kernel.effects import Happening
from config.kernel.shown import rfc3339, rfc3339_or_none
from members.webhook_messages import kicked, message, types_by_workspace, wants
from members.webhook_models import WebhookMessage


def those_wanted(bookings: Sequence[Booking], kind: str) -> list[Booking]:
    """Bookings whose workspaces have a subscriber for this type.

    Costs nothing where the bookings were locked (`lock_objects.lock_bookings`) or their workspaces
    are at hand; else one statement for all of them.
    """
    known = {booking.pk: _types_at_hand(booking) for booking in bookings}
    unknown = [b.workspace_id for b in bookings if known[b.pk] is None]
    read = types_by_workspace(unknown) if unknown else {}

    def types(booking: Booking) -> Sequence[str]:
        at_hand = known[booking.pk]
        return read.get(booking.workspace_id, ()) if at_hand is None else at_hand

    return [booking for booking in bookings if wants(types(booking), kind)]


def _types_at_hand(booking: Booking) -> Sequence[str] | None:
    if Booking._meta.get_field("workspace").is_cached(booking):
        return list(booking.workspace.webhook_types)
    annotated: Sequence[str] | None = getattr(booking, "webhook_types", None)
    return annotated


def told(happening: Happening, kind: str) -> list[WebhookMessage]:
    """The message of what happened to a booking, where somebody wants it."""
    booking: Booking = happening.subject
    if not those_wanted([booking], kind):
        return []
    lines = lines_of([booking])[booking.pk]
    data = {"booking": booking_data(booking, lines), "reason": happening.reason}
    if isinstance(change := happening.data.get("row"), Change):
        data["change"] = change_json(change, booking, lines)
    return kicked([of_booking(booking, kind, data, happening)])


def of_booking(
    booking: Booking, kind: str, data: dict[str, Any], happening: Happening
) -> WebhookMessage:
    return message(
        workspace_id=booking.workspace_id,
        kind=kind,
        booking_id=booking.pk,
        data=data,
        at=happening.at,
    )


def lines_of(bookings: Sequence[Booking]) -> dict[UUID, list[Line]]:
    """Every booking's lines in order, as they are now, in one statement."""
    found: dict[UUID, list[Line]] = {booking.pk: [] for booking in bookings}
    for line in Line.objects.filter(booking__in=found).order_by("position"):
        found[line.booking_id].append(line)
    return found


def booking_data(booking: Booking, lines: list[Line]) -> dict[str, Any]:
    """A booking and whose it is. What was paid of it is not known here: read the booking."""
    return booking_brief(booking, lines) | {
        "start": rfc3339(booking.starts_at),
        "end": rfc3339(booking.ends_at),
        "member": {
            "id": booking.member_id and str(booking.member_id),
            "email": booking.email,
            "name": booking.name,
        },
        "created_at": rfc3339(booking.created_at),
        "confirmed_at": rfc3339_or_none(booking.confirmed_at),
        "ended_at": rfc3339_or_none(booking.ended_at),
    }
