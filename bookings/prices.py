"""Price rules as plain data, and how they are read. What they come to is in `pricing.py`."""

from dataclasses import dataclass
from typing import Any

# What `prices_from` reads: a column of the statement that reads a resource's rules, where `r` is
# the resource.
PRICES_SQL = """
           coalesce(
               (SELECT json_agg(json_build_array(p.kind, p.amount_minor, p.label)
                                ORDER BY p.kind, p.amount_minor, p.id)
                FROM bookings_pricerule p WHERE p.resource_id = r.id),
               '[]')"""


@dataclass(frozen=True, slots=True)
class Price:
    """One price rule: `kind` is per_hour or per_booking."""

    kind: str
    amount_minor: int
    label: str


def prices_from(said: list[Any]) -> tuple[Price, ...]:
    """Price rules from PRICES_SQL's column."""
    return tuple(Price(*each) for each in said)
