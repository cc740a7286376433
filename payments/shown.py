"""A refund in JSON: for the API and for subscribers."""

from typing import Any

from config.kernel.shown import money, rfc3339, rfc3339_or_none
from payments.models import Refund


def refund_json(refund: Refund) -> dict[str, Any]:
    """One refund."""
    return {
        "id": str(refund.id),
        "payment": str(refund.payment_id),
        "state": refund.state,
        "amount": money(refund.amount_minor, refund.currency),
        "to": str(refund.to),
        "cause": str(refund.cause),
        "reason": refund.reason,
        "created_at": rfc3339(refund.created_at),
        "ended_at": rfc3339_or_none(refund.ended_at),
    }
