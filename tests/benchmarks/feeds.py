"""A feed of 10,000 events: how long it takes, what it keeps in memory, and what a 304 costs.

    uv run python -m tests.benchmarks.feeds [events]

Each event is a confirmed booking with three rows of history. In one process, through the whole
stack of views and middleware; ratios within one run are what counts.
"""

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from tests.benchmarks.stage import Stage, stage

_BOOKINGS = """
    INSERT INTO bookings_booking (id, workspace_id, reference, email, name, state, version,
        currency, total_minor, price, policy, starts_at, ends_at, created_at, confirmed_at)
    SELECT md5('b' || %(name)s || n)::uuid, %(workspace)s, left(md5(%(name)s || n), 12),
           'guest' || n || '@example.test', 'Guest ' || n, 'confirmed', 2, 'NZD', 0, '[]', '{}',
           starts, starts + interval '45 minutes', now(), now()
    FROM generate_series(1, %(events)s) AS n,
         LATERAL (SELECT date_trunc('hour', now()) + n * interval '1 hour' AS starts) AS at
"""
_LINES = """
    INSERT INTO bookings_line (id, booking_id, position, resource_id, starts_at, ends_at, quantity,
        amount_minor, price)
    SELECT md5('l' || b.id)::uuid, b.id, 0, %(resource)s, b.starts_at, b.ends_at, 1, 0, '[]'
    FROM bookings_booking b WHERE b.workspace_id = %(workspace)s
"""
_HISTORY = """
    INSERT INTO bookings_bookingevent (id, booking_id, at, kind, from_state, to_state, version,
        actor_kind, actor_id, actor_label, reason, request_id, data)
    SELECT md5(n || 'e' || b.id)::uuid, b.id, now(), 'noted', '', '', n, 'visitor', '', '', '', '',
           '{}'
    FROM bookings_booking b, generate_series(0, 2) AS n WHERE b.workspace_id = %(workspace)s
"""


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with stage() as place:
        print("| events | kB | whole ms | of it SQL | library ms | 304 ms | 304 / whole | MB |")
        print("|---|---|---|---|---|---|---|---|")
        for events in (most // 100, most // 10, most):
            print(_measured(place, events))


def _measured(place: Stage, events: int) -> str:
    from django.test import Client

    from bookings import ics_feeds

    feed = _feed(place, events)
    path, client = f"/ical/{feed.token}.ics", Client()
    first = client.get(path)
    assert first.content.count(b"BEGIN:VEVENT") == events
    etag = first.headers["ETag"]
    found = ics_feeds.Found(*ics_feeds.find(feed.token))  # type: ignore[misc]

    whole = _median(lambda: client.get(path))
    unchanged = _median(lambda: client.get(path, headers={"If-None-Match": etag}))
    sql = _median(lambda: list(ics_feeds.sources_of(feed, found.span)))
    library = _median(lambda: _by_library(found), times=3)
    return (
        f"| {events} | {len(first.content) // 1000} | {whole:.1f} | {sql:.1f} | {library:.1f} "
        f"| {unchanged:.1f} | {unchanged / whole:.3f} | {_peak(client, path):.1f} |"
    )


def _feed(place: Stage, events: int) -> Any:
    from bookings import ics_feeds
    from tests.factories import make_room

    room = make_room(price=0)
    given = {
        "name": room.slug, "workspace": room.workspace_id, "resource": room.pk, "events": events,
    }  # fmt: skip
    for statement in (_BOOKINGS, _LINES, _HISTORY):
        place.past_guards(statement, given)
    place.sql("ANALYZE")
    return ics_feeds.make_for(room, shown="names", by=None)


def _by_library(found: Any) -> bytes:
    """The same file, every event through the library."""
    from bookings.ics import calendar_of, event_of
    from bookings.ics_entries import Shown, entry
    from bookings.ics_feed_rows import sources_of

    sources = sources_of(found.feed, found.span)
    events = [event_of(entry(each, Shown.NAMES, "https://x.test/")) for each in sources]
    return calendar_of(events).to_ical()


def _median(work: Callable[[], object], times: int = 7) -> float:
    """Milliseconds."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def _peak(client: Any, path: str) -> float:
    """What answering allocates at its highest, in MB; the answer itself is part of it."""
    tracemalloc.start()
    client.get(path)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


if __name__ == "__main__":
    main()
