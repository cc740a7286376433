"""Reads of the catalogue and of bookings."""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from bookings.rules import Rules
from bookings.rules_query import RULES_SQL, rules_from


def rules_for(
    *, workspace_id: UUID, resource_ids: Iterable[UUID] | None = None
) -> dict[UUID, Rules]:
    """The rules of a workspace's active resources (or of those named), in one query."""
    sql, parameters = RULES_SQL, [workspace_id]
    if resource_ids is not None:
        sql += " AND r.id = ANY(%s)"
        parameters.append(list(resource_ids))  # type: ignore[arg-type]
    with connection.cursor() as cursor:
        cursor.execute(sql + " ORDER BY r.position, r.name", parameters)
        return rules_from(cursor.fetchall())
