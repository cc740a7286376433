"""Why a hold cannot be had or kept. Codes and statuses are the HTTP contract's."""

from typing import Any

from config.kernel.errors import DomainError


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
