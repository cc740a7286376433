"""What a feed says, read by SQL: all of it in one query, or whether it has changed in another.

Both look at the same lines: of bookings that have been confirmed or asked for (a hold of minutes is
gone before a calendar program looks again), from `BACK` days ago as far ahead as anything can be
booked; what was cancelled stays for `BACK` days as cancelled, so that programs take it out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db import connection

from bookings.ics_entries import Source
from bookings.models import CalendarFeed
from bookings.states import WITHOUT_OCCUPANCIES

BACK = timedelta(days=30)
# The longest horizon of a resource.
AHEAD = timedelta(days=731)
# No window is longer; so far back an index has to be looked through.
_LONGEST = timedelta(days=366)
# Raised when a feed is to say the same differently, so that programs read it anew.
_FORMAT = 1

_FROM = """
    bookings_line l
    JOIN bookings_booking b ON b.id = l.booking_id
    JOIN bookings_resource r ON r.id = l.resource_id
    WHERE (b.confirmed_at IS NOT NULL OR b.requested_at IS NOT NULL)
      AND l.starts_at > %(earliest)s AND l.ends_at > %(since)s AND l.starts_at < %(until)s
      AND CASE WHEN l.cancelled_at IS NOT NULL THEN l.cancelled_at >= %(since)s
               WHEN b.state = ANY (%(ended)s) THEN b.ended_at >= %(since)s
               ELSE true END
"""
_MEMBER = """
      AND l.parent_id IS NULL
      AND (b.member_id = %(member)s OR (b.member_id IS NULL AND b.email = %(email)s
           AND b.email <> '' AND upper(b.email) = upper(%(email)s)))
"""
_RESOURCE = " AND l.resource_id = %(resource)s AND b.workspace_id = %(workspace)s"
_LOCATION = """
      AND l.parent_id IS NULL
      AND r.location_id = %(location)s AND b.workspace_id = %(workspace)s
"""

# Whatever happens to a booking raises its version; names and places are looked at as they are.
_CONTENT = """
    WITH lines AS MATERIALIZED (
        SELECT l.id, b.version, b.name, b.email, b.workspace_id FROM {which}
    )
    SELECT (SELECT count(*)::text || ' ' || coalesce(sum(hashtextextended(
                concat_ws(chr(31), id, version, name, email), 0)), 0)::text FROM lines),
           (SELECT md5(string_agg(concat_ws(
                chr(31), r.id, r.name, o.name, o.address, o.timezone, w.name), chr(30)
                ORDER BY r.id))
            FROM bookings_resource r
            JOIN bookings_location o ON o.id = r.location_id
            JOIN members_workspace w ON w.id = r.workspace_id
            WHERE r.workspace_id IN (SELECT workspace_id FROM lines))
"""
_ROWS = """
    SELECT l.id, b.id, b.reference, b.version, b.state, l.cancelled_at IS NOT NULL,
           coalesce(nullif(b.name, ''), b.email), r.name, l.quantity, coalesce(extra.said, ''),
           w.name, o.name, o.address, o.timezone, l.starts_at, l.ends_at,
           coalesce(e.at, b.created_at)
    FROM (SELECT l.id FROM {which}) AS wanted
    JOIN bookings_line l ON l.id = wanted.id
    JOIN bookings_booking b ON b.id = l.booking_id
    JOIN bookings_resource r ON r.id = l.resource_id
    JOIN bookings_location o ON o.id = r.location_id
    JOIN members_workspace w ON w.id = b.workspace_id
    LEFT JOIN LATERAL (
        SELECT min(e.at) AS at FROM bookings_bookingevent e
        WHERE e.booking_id = b.id AND e.version = b.version
    ) AS e ON true
    LEFT JOIN LATERAL (
        SELECT string_agg(a.quantity || ' × ' || p.name, ', ' ORDER BY a.position) AS said
        FROM bookings_line a JOIN bookings_resource p ON p.id = a.resource_id
        WHERE a.booking_id = l.booking_id AND a.parent_id = l.id
          AND (a.cancelled_at IS NULL OR l.cancelled_at IS NOT NULL)
    ) AS extra ON true
    ORDER BY l.starts_at, l.id
"""


@dataclass(frozen=True, slots=True)
class Span:
    """What a feed looks at on one day; whole days, so that it changes once a day by itself."""

    since: datetime
    until: datetime

    @classmethod
    def at(cls, now: datetime) -> "Span":
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(midnight - BACK, midnight + AHEAD)


def content_of(feed: CalendarFeed, span: Span, title: str) -> str:
    """A digest that differs when the feed says something else. One query, nothing is rendered."""
    which, parameters = _which(feed, span)
    with connection.cursor() as cursor:
        cursor.execute(_CONTENT.format(which=which), parameters)
        lines, names = cursor.fetchone()
    said = [_FORMAT, settings.SITE_URL, feed.pk, title, span.since, lines, names]
    return sha256("\x1f".join(str(each) for each in said).encode()).hexdigest()


def sources_of(feed: CalendarFeed, span: Span) -> Iterator[Source]:
    """Every line that the feed shows, in order of time. One query, however many there are."""
    which, parameters = _which(feed, span)
    with connection.cursor() as cursor:
        cursor.execute(_ROWS.format(which=which), parameters)
        while rows := cursor.fetchmany(1000):
            for row in rows:
                yield Source(*row)


def _which(feed: CalendarFeed, span: Span) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {
        "earliest": span.since - _LONGEST,
        "since": span.since,
        "until": span.until,
        "ended": sorted(WITHOUT_OCCUPANCIES),
        "workspace": feed.workspace_id,
    }
    if feed.member is not None:
        return _FROM + _MEMBER, parameters | {"member": feed.member_id, "email": feed.member.email}
    if feed.resource_id is not None:
        return _FROM + _RESOURCE, parameters | {"resource": feed.resource_id}
    return _FROM + _LOCATION, parameters | {"location": feed.location_id}
