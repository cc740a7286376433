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
        # Captured at once: a method that cannot wait, whose slot was gone; it is refunded.
        AUTHORISED: frozenset({CAPTURING, VOIDING, CAPTURED}),
        CAPTURING: frozenset({CAPTURED, CAPTURE_FAILED}),
        # Captured past us while it was to be let go: it is refunded.
        VOIDING: frozenset({VOIDED, CAPTURED}),
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
REFUND = "refund"

# A Refund's states; those to credit succeed in the transaction that asks for them.
REQUESTED = "requested"
SUBMITTED = "submitted"
SUCCEEDED = "succeeded"
NEEDS_ATTENTION = "needs_attention"

REFUND_STATES = TransitionTable(
    name="refund",
    first=frozenset({REQUESTED}),
    moves={
        REQUESTED: frozenset({SUBMITTED, SUCCEEDED, FAILED, NEEDS_ATTENTION}),
        SUBMITTED: frozenset({SUCCEEDED, FAILED, NEEDS_ATTENTION}),
        SUCCEEDED: frozenset({FAILED}),  # Stripe says so days later
        NEEDS_ATTENTION: frozenset({REQUESTED, SUBMITTED, SUCCEEDED, FAILED}),
    },
)
