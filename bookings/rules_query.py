"""One statement reads everything a claim needs to know of its resources.

Written by hand since it runs on every claim: hours and prices come as JSON beside the row that is
locked, so that no further round trip is needed (design.md §9 shows what those cost).
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from bookings.days import DAYS_SQL, days_from
from bookings.hours import HOURS_SQL, hours_from
from bookings.offers import OFFERS_SQL, offers_from
from bookings.policy import Terms
from bookings.prices import PRICES_SQL, prices_from, tax_from
from bookings.rules import Rules
from bookings.seen_by import SEEN_BY_SQL, seen_by_from

RULES_SQL = f"""
    SELECT r.id, r.workspace_id, r.location_id, r.category_id, r.name, r.slug, r.mode, r.capacity,
           l.timezone, w.currency, r.step_seconds, r.min_seconds, r.max_seconds,
           r.buffer_before_seconds, r.buffer_after_seconds, r.notice_seconds, r.horizon_days,
           coalesce(r.hold_ttl_seconds, w.hold_ttl_seconds),
           coalesce(r.cancel_free_hours, w.cancel_free_hours),
           coalesce(r.cancel_partial_hours, w.cancel_partial_hours),
           coalesce(r.cancel_partial_percent, w.cancel_partial_percent),
           coalesce(r.cancel_fee_minor, w.cancel_fee_minor),{HOURS_SQL},{PRICES_SQL},{DAYS_SQL},
           r.horizon_opens_at,{OFFERS_SQL},{SEEN_BY_SQL},
           CASE WHEN r.needs_approval THEN r.approval_ttl_seconds END,
           r.reads_calendars
    FROM bookings_resource r
    JOIN bookings_location l ON l.id = r.location_id
    JOIN members_workspace w ON w.id = r.workspace_id
"""  # noqa: S608
OF_WORKSPACE = " WHERE r.workspace_id = %(workspace)s AND r.is_active"
# `IS TRUE` keeps the planner from walking through all of a workspace's resources to find these.
BY_ID = " WHERE r.id = ANY(%(ids)s) AND (r.workspace_id = %(workspace)s) IS TRUE AND r.is_active"
ONE_BY_ID = BY_ID.replace("ANY(%(ids)s)", "%(id)s")


def rules_from(rows: Iterable[tuple[Any, ...]]) -> dict[UUID, Rules]:
    """Rules by resource id, from the rows of RULES_SQL."""
    found = {row[0]: _rules(row) for row in rows}
    if len(_modes) > _MOST_MODES:
        _modes.clear()
    _modes.update((rules.resource_id, rules.mode) for rules in found.values())
    return found


# What this process has met. A mode is fixed once booked, and is learned anew at each reading.
_modes: dict[UUID, str] = {}
_MOST_MODES = 100_000


def mode_of(resource_id: UUID) -> str:
    """A resource's mode as far as this process knows without asking, else an empty string."""
    return _modes.get(resource_id, "")


def _rules(row: tuple[Any, ...]) -> Rules:
    *start, alone, offers, seen_by, approval, reads = row
    *plain, free, partial, percent, fee, hours, prices, days, released_at = start
    terms = Terms(free, partial, percent, fee)
    known = [terms, hours_from(hours), prices_from(prices), days_from(days), released_at]
    known += [tax_from(prices), alone, offers_from(offers), seen_by_from(seen_by), approval, reads]
    return Rules(*[*plain, *known])
