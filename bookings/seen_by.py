"""Whom a resource is for, as plain data, and how it is read. `visibility.py` asks it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

# What `seen_by_from` reads: a column of the statement that reads a resource's rules, where `r` is
# the resource. Null is everybody: it costs nothing.
SEEN_BY_SQL = """
           CASE r.visibility WHEN 'public' THEN NULL WHEN 'members' THEN '"members"'::json ELSE
               (SELECT coalesce(json_agg(g.group_id), '[]'::json)
                FROM bookings_resourcegroup g WHERE g.resource_id = r.id) END"""


@dataclass(frozen=True, slots=True)
class SeenBy:
    """Everybody; else all members (`groups` is None), or only those of certain groups."""

    everybody: bool = True
    groups: frozenset[UUID] | None = None


EVERYBODY = SeenBy()


def seen_by_from(said: Any) -> SeenBy:
    """From SEEN_BY_SQL's column."""
    if said is None:
        return EVERYBODY
    if said == "members":
        return SeenBy(everybody=False)
    return SeenBy(False, frozenset(UUID(group) for group in said))
