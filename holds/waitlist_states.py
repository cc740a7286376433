"""The state machine of somebody's place in a line; its states are part of the HTTP contract."""

from config.kernel.transitions import TransitionTable

WAITING = "waiting"
OFFERED = "offered"
TAKEN = "taken"
PASSED = "passed"
LEFT = "left"
REMOVED = "removed"
OVER = "over"

LIVE = (WAITING, OFFERED)

# A hold that lapsed can still be won by a payment that was under way: passed, then taken.
WAITLIST_STATES = TransitionTable(
    name="waitlist",
    first=frozenset({WAITING}),
    moves={
        WAITING: frozenset({OFFERED, TAKEN, LEFT, REMOVED, OVER}),
        OFFERED: frozenset({TAKEN, PASSED}),
        PASSED: frozenset({TAKEN, LEFT, REMOVED}),
    },
)
