"""Why a hold cannot be had or kept. Codes and statuses are the HTTP contract's."""

from typing import Any

from bookings.errors import SlotTaken
from config.kernel.database_errors import names
from config.kernel.errors import DomainError, InvalidInput


class HoldExpired(DomainError):
    code = "hold_expired"
    status = 410
    detail = "The hold has ended. Your card was not charged."


class HoldNotExtendable(DomainError):
    code = "hold_not_extendable"
    status = 409
    detail = "This hold cannot be extended."


class TooManyHolds(DomainError):
    code = "too_many_holds"
    status = 429
    detail = "You hold several slots already. Pay for one or let one go."
    retry_after_seconds = 60


class CheckoutOpen(DomainError):
    """Its Checkout must be closed at Stripe before it may be released (design.md §5)."""

    code = "checkout_open"
    status = 409
    detail = "A payment is open for this hold."

    def __init__(self, *hold_ids: Any) -> None:
        super().__init__(hold_id=str(hold_ids[0]))
        self.hold_ids = hold_ids

    @property
    def is_final(self) -> bool:
        """Never kept for replays: payments closes the Checkouts and tries again."""
        return False


class AlreadyFree(DomainError):
    """Nobody needs to wait: `start` and `end` are the window that can be held now."""

    code = "slot_free"
    status = 409
    detail = "That time is free. Hold it instead of waiting."


class TooManyWaiting(DomainError):
    code = "too_many_waiting"
    status = 429
    detail = "You wait in several lines already. Leave one of them first."
    retry_after_seconds = 60


class StillOffered(DomainError):
    """It is held for them: the hold is to be let go first, which may have to ask Stripe."""

    code = "still_offered"
    status = 409
    detail = "It is held for you just now. Let the hold go first."


names(
    "hold_gives_way_to_the_line",
    lambda: SlotTaken("Others have waited for that time: it is offered to them first."),
)
names("waitlist_once_per_person", lambda: InvalidInput("You wait for that time already."))
