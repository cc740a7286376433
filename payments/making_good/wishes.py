"""What somebody had wanted, as lines that can be claimed."""

from datetime import datetime
from uuid import UUID

from holds.claims import LineRequest
from payments.models import Apology


def wished(apology: Apology) -> list[LineRequest]:
    """The lines of an apology, in order."""
    return [
        LineRequest(
            UUID(line["resource"]),
            datetime.fromisoformat(line["start"]),
            datetime.fromisoformat(line["end"]),
            line["quantity"],
        )
        for line in apology.lines
    ]
