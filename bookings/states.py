"""The state machines of bookings and of changes to them (design.md §4).

The triggers and the docs come from these tables.
"""

from config.kernel.transitions import TransitionTable

PENDING_PAYMENT = "pending_payment"
AWAITING_APPROVAL = "awaiting_approval"
CONFIRMED = "confirmed"
RELEASED = "released"
EXPIRED = "expired"
CANCELLED = "cancelled"
COMPLETED = "completed"
NO_SHOW = "no_show"

BOOKING_STATES = TransitionTable(
    name="booking",
    first=frozenset({PENDING_PAYMENT, AWAITING_APPROVAL}),
    moves={
        # Staff decide: confirmed where it is paid or free, else it is still to be paid.
        AWAITING_APPROVAL: frozenset({PENDING_PAYMENT, CONFIRMED, RELEASED, EXPIRED}),
        PENDING_PAYMENT: frozenset({CONFIRMED, RELEASED, EXPIRED}),
        CONFIRMED: frozenset({CANCELLED, COMPLETED, NO_SHOW}),
        COMPLETED: frozenset({NO_SHOW}),
        NO_SHOW: frozenset({COMPLETED}),
        # Only with an accepted payment (payments guards it) and every occupancy won again.
        EXPIRED: frozenset({CONFIRMED}),
    },
)

# Held, and nobody's yet.
UNDECIDED = frozenset({PENDING_PAYMENT, AWAITING_APPROVAL})

# Whose occupancies are all released (INV-10).
WITHOUT_OCCUPANCIES = frozenset({RELEASED, EXPIRED, CANCELLED})

# A Change's own states: what the booking is to become, won or not.
PENDING = "pending"
COMMITTED = "committed"

CHANGE_STATES = TransitionTable(
    name="change",
    first=frozenset({PENDING}),
    moves={
        PENDING: frozenset({COMMITTED, RELEASED, EXPIRED}),
        # A payment came late and every occupancy was won again.
        EXPIRED: frozenset({COMMITTED}),
    },
)
