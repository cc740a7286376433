"""Why a window cannot be had. Codes and statuses are the HTTP contract's."""

from typing import Any

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


class OnlyWithOthers(LineError):
    code = "only_with_others"
    detail = "This can only be booked together with something else."


class AddOnNotAllowed(LineError):
    """`add_on` is its index in the line's add-ons, null where it is missing; `resource` its id.

    `rule` is not_offered, twice, quantity (with `most`) or required (with `least`).
    """

    code = "add_on_not_allowed"
    detail = "That add-on cannot be had with this."


class SlotTaken(LineError):
    """409. `next_free` is the nearest window of the line in which all lines fit, or null.

    `add_on` is the index of the line's add-on that is taken, null for the line itself; `remaining`
    is how many units are left throughout the window asked for, null where nobody has looked.
    """

    code = "slot_taken"
    status = 409
    detail = "Someone else has that time."

    def __init__(
        self,
        detail: str = "",
        *,
        line: int = 0,
        add_on: int | None = None,
        remaining: int | None = None,
        next_free: dict[str, str] | None = None,
    ) -> None:
        if remaining and not detail:
            detail = f"Only {remaining} {'is' if remaining == 1 else 'are'} left for that time."
        super().__init__(detail, line=line, add_on=add_on, remaining=remaining, next_free=next_free)


# What a line may be refused for, whoever asks for it.
NOT_ALLOWED: list[type[DomainError]] = [
    UnknownResource,
    OutsideOpeningHours,
    WindowNotAllowed,
    OnlyWithOthers,
    AddOnNotAllowed,
]

names("occupancy_no_overlap", SlotTaken)
names("occupancy_within_capacity", SlotTaken)
names("occupancy_not_blocked", lambda: SlotTaken("That time is closed for bookings."))
