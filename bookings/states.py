"""The booking's state machine (design.md §4); the trigger and the docs come from this table."""

from config.kernel.transitions import TransitionTable

PENDING_PAYMENT = "pending_payment"
CONFIRMED = "confirmed"
RELEASED = "released"
EXPIRED = "expired"
CANCELLED = "cancelled"
COMPLETED = "completed"
NO_SHOW = "no_show"

BOOKING_STATES = TransitionTable(
    name="booking",
    first=frozenset({PENDING_PAYMENT}),
    moves={
        PENDING_PAYMENT: frozenset({CONFIRMED, RELEASED, EXPIRED}),
        CONFIRMED: frozenset({CANCELLED, COMPLETED, NO_SHOW}),
        COMPLETED: frozenset({NO_SHOW}),
        NO_SHOW: frozenset({COMPLETED}),
        # Only with an accepted payment (payments guards it) and every occupancy won again.
        EXPIRED: frozenset({CONFIRMED}),
    },
)

# Whose occupancies are all released (INV-10).
WITHOUT_OCCUPANCIES = frozenset({RELEASED, EXPIRED, CANCELLED})
