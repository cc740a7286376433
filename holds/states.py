"""The hold's state machine; its states are part of the HTTP contract."""

from config.kernel.transitions import TransitionTable

ACTIVE = "active"
CONFIRMED = "confirmed"
RELEASED = "released"
EXPIRED = "expired"

HOLD_STATES = TransitionTable(
    name="hold",
    first=frozenset({ACTIVE}),
    moves={
        ACTIVE: frozenset({CONFIRMED, RELEASED, EXPIRED}),
        EXPIRED: frozenset({CONFIRMED}),
    },
)
