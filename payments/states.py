"""The state machines of money (design.md §4)."""

from config.kernel.transitions import TransitionTable

CREATED = "created"
PROCESSING = "processing"
AUTHORISED = "authorised"
CAPTURING = "capturing"
CAPTURED = "captured"
CAPTURE_FAILED = "capture_failed"
VOIDING = "voiding"
VOIDED = "voided"
FAILED = "failed"

PAYMENT_STATES = TransitionTable(
    name="payment",
    first=frozenset({CREATED}),
    moves={
        CREATED: frozenset({PROCESSING, AUTHORISED, FAILED}),
        PROCESSING: frozenset({AUTHORISED, FAILED}),
        AUTHORISED: frozenset({CAPTURING, VOIDING}),
        CAPTURING: frozenset({CAPTURED, CAPTURE_FAILED}),
        VOIDING: frozenset({VOIDED}),
    },
)

# A Checkout's own states; Stripe's `open`, `complete` and `expired`, and before and beside them.
CREATING = "creating"
OPEN = "open"
COMPLETE = "complete"
EXPIRED = "expired"
ABANDONED = "abandoned"  # Stripe refused to create the session

CHECKOUT_STATES = TransitionTable(
    name="checkout",
    first=frozenset({CREATING}),
    moves={
        CREATING: frozenset({OPEN, ABANDONED}),
        ABANDONED: frozenset({OPEN}),  # a session had come of it after all
        OPEN: frozenset({COMPLETE, EXPIRED}),
    },
)

CAPTURE = "capture"
VOID = "void"
