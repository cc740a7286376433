"""A hold in JSON, as the API shows it and, without its token, subscribers are told of it."""

from datetime import datetime
from typing import Any

from bookings.shown import booking_brief, change_json
from config.kernel.shown import rfc3339
from holds import states
from holds.models import Hold


def hold_json(hold: Hold, *, now: datetime | None = None) -> dict[str, Any]:
    """A hold from the rows at hand; with `now`, an active one that lapsed reads expired."""
    lapsed = now is not None and hold.state == states.ACTIVE and hold.lapses_at <= now
    ended = {"state": states.EXPIRED} if lapsed else {}
    return {
        "id": str(hold.id),
        "token": hold.token,
        "state": states.EXPIRED if lapsed else hold.state,
        "expires_at": rfc3339(hold.expires_at),
        "booking": booking_brief(hold.booking, hold.lines),
        "change": hold.change and change_json(hold.change, hold.booking, hold.lines) | ended,
    }
