"""The events of Stripe that we ask for and take in."""

ACCOUNT_EVENTS = ("account.application.deauthorized", "account.updated")
EVENTS = (
    *ACCOUNT_EVENTS,
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
)

REFUND_EVENTS = ("charge.refunded", "refund.created", "refund.failed", "refund.updated")
DISPUTE_EVENTS = ("charge.dispute.closed", "charge.dispute.created", "charge.dispute.updated")
# What our webhook endpoints ask Stripe for.
ALL_EVENTS = (*EVENTS, *REFUND_EVENTS, *DISPUTE_EVENTS)
