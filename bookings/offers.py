"""What is offered together with a resource, as plain data, and how it is read.

Whether a line may have what it asks for, and what that costs, is in `add_ons.py`.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

# What `offers_from` reads: a column of the statement that reads a resource's rules, where `r` is
# the resource. A pool that cannot be booked now is not offered, unless nothing goes without it.
OFFERS_SQL = """
           r.only_with_others, coalesce(
               (SELECT json_agg(json_build_array(a.pool_id, p.name, a.is_required, a.max_per_unit,
                                                 a.price_kind, a.amount_minor)
                                ORDER BY a.position, p.name, a.id)
                FROM bookings_addon a JOIN bookings_resource p ON p.id = a.pool_id
                WHERE a.resource_id = r.id AND (p.is_active OR a.is_required)),
               '[]')"""


@dataclass(frozen=True, slots=True)
class Offer:
    """An add-on as a resource offers it; `kind` is per_booking, per_unit or per_hour."""

    pool_id: UUID
    name: str
    is_required: bool
    max_per_unit: int
    kind: str
    amount_minor: int


def offers_from(said: list[Any]) -> tuple[Offer, ...]:
    """Offers from OFFERS_SQL's second column."""
    return tuple(Offer(UUID(pool_id), *rest) for pool_id, *rest in said)
