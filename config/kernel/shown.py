"""Times and money in JSON, as the contract has them: for the API and for subscribers."""

from datetime import UTC, datetime
from typing import Any


def rfc3339(moment: datetime) -> str:
    """A time as the contract has it; UTC is written Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def rfc3339_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def money(amount_minor: int, currency: str) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": currency}
