"""`python -m tests.benchmarks.availability`: what reading availability costs as the table grows.

Three databases differ only in how much has happened before: 10 thousand, 100 thousand and 1 million
occupancies. They are asked in turn, so that what else the machine does meets all of them. Then a
claim on a busy pool, and claims while lapsed holds by the hundred thousand are tidied away.
Prints tables for docs/benchmarks.md.
"""

import argparse
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.benchmarks.client import milliseconds as _share
from tests.benchmarks.lapsing import expiring
from tests.benchmarks.stage import Stage, stage

ROOMS = 40
SIZES = (10_000, 100_000, 1_000_000)
AHEAD_DAYS = 62

# What is booked ahead is the same in all; what happened before fills the table. A quarter of it was
# released, and a tenth of what is ahead is held and lapses some day.
_AHEAD = """
    INSERT INTO bookings_occupancy
        (id, resource_id, booking_id, line_id, during, quantity, exclusive, lapses_at)
    SELECT gen_random_uuid(), r.id, gen_random_uuid(), gen_random_uuid(),
           tstzrange(start, start + interval '1 hour'), 1, r.mode = 'exclusive',
           CASE WHEN (day + n) % 10 = 0 THEN now() + interval '1 day' END
    FROM bookings_resource r, generate_series(0, %(days)s::int) AS day, generate_series(1, 3) AS n,
         LATERAL (SELECT date_trunc('day', now()) + day * interval '1 day'
                         + n * interval '5 hours' AS start) AS at
"""
_BEFORE = """
    INSERT INTO bookings_occupancy
        (id, resource_id, booking_id, line_id, during, quantity, exclusive, released_at)
    SELECT gen_random_uuid(), r.id, gen_random_uuid(), gen_random_uuid(),
           tstzrange(start, start + interval '1 hour'), 1, r.mode = 'exclusive',
           CASE WHEN n %% 4 = 0 THEN start END
    FROM (SELECT id, mode FROM bookings_resource) AS r,
         generate_series(%(first)s::int, %(last)s::int) AS n,
         LATERAL (SELECT date_trunc('day', now()) - n * interval '1 hour' AS start) AS at
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=SIZES[-1])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--lapsed", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="of claims, for each half")
    parser.add_argument("--only", choices=["growing", "pool", "expiring"], help="one part of it")
    options = parser.parse_args()
    sizes = [size for size in SIZES if size < options.largest] + [options.largest]
    with stage() as on:
        logging.disable(logging.WARNING)
        parts = {
            "growing": lambda: growing(on, sizes, options.rounds),
            "pool": lambda: busy_pool(on),
            "expiring": lambda: expiring(on, options.lapsed, options.seconds),
        }
        for name, part in parts.items():
            if options.only in (None, name):
                part()


# --- The table grows ----------------------------------------------------------------------------


def growing(on: Stage, sizes: list[int], rounds: int) -> None:
    from django.db import connection

    from tests.factories import PoolFactory, ResourceFactory, WorkspaceFactory

    workspace = WorkspaceFactory()
    rooms = [ResourceFactory(workspace=workspace, max_seconds=4 * 3600) for _ in range(ROOMS // 2)]
    pools = [PoolFactory(workspace=workspace, max_seconds=4 * 3600) for _ in range(ROOMS // 2)]
    on.past_guards(_AHEAD.replace("% 10", "%% 10"), {"days": AHEAD_DAYS})
    databases, hours = [], 0
    for size in sizes:
        ((there,),) = on.sql("SELECT count(*) FROM bookings_occupancy")
        more = max(0, (size - there) // ROOMS)
        on.past_guards(_BEFORE, {"first": hours + 1, "last": hours + more})
        hours += more
        on.sql("VACUUM ANALYZE")
        connection.close()
        original = connection.settings_dict["NAME"]
        name = f"occupancies_{size}"
        on.sql(f"CREATE DATABASE {name} TEMPLATE {original}")
        databases.append((size, name))
    questions = {
        "one room's month": lambda: month(workspace.pk, rooms[0].pk),
        "one pool's month": lambda: month(workspace.pk, pools[0].pk),
        "a day of 40 resources": lambda: day(workspace.pk),
        "one room's month, remembered": lambda: month(workspace.pk, rooms[0].pk, remembered=True),
        "next free of 40 resources": lambda: soonest(workspace.pk),
    }
    took: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for size, name in databases:
            connection.close()
            connection.settings_dict["NAME"] = name
            for what, question in questions.items():
                for attempt in range(9):
                    began = time.perf_counter()
                    question()
                    if attempt >= 3:  # the first ones plan, and fill what is remembered
                        took.setdefault((what, size), []).append(time.perf_counter() - began)
    connection.close()
    connection.settings_dict["NAME"] = original
    print(
        "| p95 ms (p50) | " + " | ".join(f"{size:,}" for size in sizes) + " | largest of smallest |"
    )
    print("|---|" + "---|" * (len(sizes) + 1))
    for what in questions:
        figures = [took[what, size] for size in sizes]
        marks = " | ".join(f"{_share(f, 0.95):.1f} ({_share(f, 0.5):.1f})" for f in figures)
        ratio = _share(figures[-1], 0.95) / _share(figures[0], 0.95)
        print(f"| {what} | {marks} | **{ratio:.2f}** |")
    print()


def month(workspace_id: UUID, resource_id: UUID, *, remembered: bool = False) -> None:
    """What the API answers for 31 days: free stretches, and starts for an hour with prices."""
    from bookings import remembered as memory
    from bookings.availability import availability, slots
    from bookings.selectors import rules_for

    ask: Any = memory.remembered if remembered else availability
    rules = rules_for(workspace_id=workspace_id, resource_ids=[resource_id])[resource_id]
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    known = ask(rules=[rules], start=start, end=start + timedelta(days=31))[resource_id]
    assert slots(known, duration_seconds=3600)


def day(workspace_id: UUID) -> None:
    """Which of all resources are free from two to four, and what is free of each that day."""
    from bookings.availability import availability
    from bookings.nearest import free_throughout
    from bookings.rules import Window
    from bookings.selectors import rules_for

    rules = list(rules_for(workspace_id=workspace_id).values())
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start += timedelta(days=1)
    known = availability(rules=rules, start=start, end=start + timedelta(days=1))
    wanted = Window(start + timedelta(hours=14), start + timedelta(hours=16))
    assert len([free_throughout(known[r.resource_id], wanted) for r in rules]) == ROOMS


def soonest(workspace_id: UUID) -> None:
    """When each resource is next free, as cards say it."""
    from bookings.availability import next_free_of_many
    from bookings.selectors import rules_for

    rules = list(rules_for(workspace_id=workspace_id).values())
    assert all(next_free_of_many(rules=rules, start=datetime.now(UTC)).values())


# --- A busy pool --------------------------------------------------------------------------------


def busy_pool(on: Stage) -> None:
    from tests.factories import PoolFactory, WorkspaceFactory

    workspace = WorkspaceFactory()
    empty, busy = (PoolFactory(workspace=workspace, capacity=1000) for _ in range(2))
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=3)
    on.past_guards(
        "INSERT INTO bookings_occupancy"
        " (id, resource_id, booking_id, line_id, during, quantity, exclusive)"
        " SELECT gen_random_uuid(), %s, gen_random_uuid(), gen_random_uuid(),"
        " tstzrange(%s::timestamptz - n * interval '15 seconds',"
        "           %s::timestamptz + interval '2 hours' + n * interval '15 seconds'), 1, false"
        " FROM generate_series(1, 500) AS n",
        [busy.pk, start, start],
    )
    on.sql("VACUUM ANALYZE bookings_occupancy")
    took: dict[str, list[float]] = {"an empty pool": [], "500 overlapping occupancies": []}
    for _ in range(150):
        for name, pool in zip(took, (empty, busy), strict=True):
            took[name].append(_claimed_and_undone(workspace, pool.pk, start))
    print("| a claim on a pool of 1,000 units | p50 ms | p95 ms |")
    print("|---|---|---|")
    for name, seconds in took.items():
        print(f"| {name} | {_share(seconds, 0.5):.1f} | {_share(seconds, 0.95):.1f} |")
    print()


def _claimed_and_undone(workspace: Any, resource_id: UUID, start: datetime) -> float:
    from django.db import transaction

    from holds.claims import Claimant, LineRequest, claim
    from tests.core.support import SOMEBODY

    line = LineRequest(resource_id, start, start + timedelta(hours=2), 2)
    with transaction.atomic():
        began = time.perf_counter()
        claim(workspace=workspace, lines=[line], claimant=Claimant(), actor=SOMEBODY)
        took = time.perf_counter() - began
        transaction.set_rollback(True)
    return took


if __name__ == "__main__":
    main()
