"""The states of subscribers and of what they are sent (INV-3)."""

from config.kernel.transitions import TransitionTable

ENABLED = "enabled"
DISABLED = "disabled"
DELETED = "deleted"  # its deliveries stay to be read until they are purged

ENDPOINT_STATES = TransitionTable(
    name="webhook_endpoint",
    first=frozenset({ENABLED}),
    moves={
        ENABLED: frozenset({DISABLED, DELETED}),
        DISABLED: frozenset({ENABLED, DELETED}),
    },
)

PENDING = "pending"
DELIVERED = "delivered"
FAILED = "failed"
STOPPED = "stopped"  # its endpoint was disabled or deleted first

DELIVERY_STATES = TransitionTable(
    name="webhook_delivery",
    first=frozenset({PENDING}),
    moves={
        PENDING: frozenset({DELIVERED, FAILED, STOPPED}),
        # Replayed; or an attempt that was under way came through after all.
        DELIVERED: frozenset({PENDING}),
        FAILED: frozenset({PENDING}),
        STOPPED: frozenset({PENDING}),
    },
)
