"""What a workspace's subscribers can be told of (docs/webhooks.md)."""

# The contract: none may change meaning; more may come.
MEANINGS = {
    "hold.placed": "Time is held for somebody: for a new booking, or for a change of one.",
    "hold.released": "A hold was given up, replaced or declined; its time is free.",
    "hold.expired": "A hold's time was up before it was paid; its time is free.",
    "booking.confirmed": "The booking is the member's.",
    "booking.rescheduled": "A confirmed booking has other times or resources.",
    "booking.lines_cancelled": "A part of a confirmed booking was given up; the rest stands.",
    "booking.cancelled": "A confirmed booking was cancelled.",
    "booking.completed": "A booking has taken place.",
    "booking.no_show": "Nobody came.",
    "refund.updated": "A refund was asked for, or has come to another state.",
}
# Sent to one subscriber, whatever it wants, when somebody asks for it.
TEST = "test.ping"
TYPES = tuple(MEANINGS)
# On the workspace's row: a subscriber wants every type.
EVERY = "*"
