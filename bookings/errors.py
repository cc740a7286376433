"""Why a window cannot be had. Codes and statuses are the HTTP contract's."""

from typing import Any

from bookings.rules import Window
from config.kernel.database_errors import names
from config.kernel.errors import DomainError


class LineError(DomainError):
    """An error of one line of a claim; `line` is its index in the request."""

    status = 422

    def __init__(self, detail: str = "", *, line: int = 0, **data: Any) -> None:
        super().__init__(detail, line=line, **data)


class UnknownResource(LineError):
    code = "unknown_resource"
    detail = "There is no such resource here."


class WindowNotAllowed(LineError):
    code = "window_not_allowed"
    detail = "That time cannot be booked."


class OutsideOpeningHours(LineError):
    code = "outside_opening_hours"
    detail = "It is closed for some of that time."


class SlotTaken(LineError):
    """409. `next_free` is the nearest free window of the same length, or null."""

    code = "slot_taken"
    status = 409
    detail = "Someone else has that time."

    def __init__(
        self, detail: str = "", *, line: int = 0, next_free: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail, line=line, next_free=next_free)

    def with_next_free(self, window: Window | None) -> "SlotTaken":
        """The same error, saying where there is room."""
        found = window and {"start": window.start.isoformat(), "end": window.end.isoformat()}
        return SlotTaken(self.message, line=self.data["line"], next_free=found or None)


names("occupancy_no_overlap", SlotTaken)
names("occupancy_within_capacity", SlotTaken)
names("occupancy_not_blocked", lambda: SlotTaken("That time is closed for bookings."))
