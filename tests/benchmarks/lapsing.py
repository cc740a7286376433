"""Claims while lapsed holds by the hundred thousand are tidied away; see `availability.py`."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.benchmarks.client import milliseconds as _share
from tests.benchmarks.stage import Stage

ROOMS = 40
MOST_SECONDS = 420.0

_COPY = """
    INSERT INTO {table}
    SELECT (jsonb_populate_record(NULL::{table}, to_jsonb(t) || jsonb_build_object({own}))).*
    FROM {table} t, generate_series(1, %s::int) AS n WHERE t.{key} = %s
"""
_LAPSED_AT = "now() - interval '1 hour' - n * interval '1 second' / 100"


def expiring(on: Stage, many: int, seconds: float) -> None:
    """Claims by one client, without and with another process that expires what has lapsed.

    The claims go on until all is tidied away, in turn with none: what else the machine does meets
    both. At most `seconds` of claims go before, and as many at the end.
    """
    from tests.factories import ResourceFactory, WorkspaceFactory

    workspace = WorkspaceFactory()
    rooms = [ResourceFactory(workspace=workspace, horizon_days=3000) for _ in range(ROOMS)]
    _said(f"writing {many:,} lapsed holds")
    _lapsed(on, [room.pk for room in rooms], many)
    claims = _Claims(workspace, [room.pk for room in rooms])
    claims.placed_for(3.0)
    _said(f"claims alone for {seconds:.0f} s")
    before = claims.placed_for(seconds)
    _said("claims while another process tidies")
    with subprocess.Popen([sys.executable, "-c", _TIDY], env={**os.environ}) as tidying:
        try:
            meanwhile, took = _until_tidied(on, claims, tidying)
        finally:
            tidying.kill()
    left = _active(on)
    after = claims.placed_for(seconds)
    print(f"| claims, {many:,} lapsed holds in the tables | number | a second | p50 ms | p99 ms |")
    print("|---|---|---|---|---|")
    for name, found in (
        ("nothing is tidied", before),
        ("while they are tidied by another process", meanwhile),
        ("all is tidied", after),
    ):
        marks = f"{_share(found, 0.5):.1f} | {_share(found, 0.99):.1f}"
        print(f"| {name} | {len(found)} | {len(found) / sum(found):.0f} | {marks} |")
    alone = _share(before + after, 0.99)
    print()
    print(
        f"Tidied meanwhile: {many - left:,} in {took:.0f} s, {(many - left) / took:.0f} a second,"
        f" {left} left. p99 of claims meanwhile, of without: {_share(meanwhile, 0.99) / alone:.2f}"
    )


def _until_tidied(
    on: Stage, claims: "_Claims", tidying: "subprocess.Popen[bytes]"
) -> tuple[list[float], float]:
    """Claims from when the tidying has begun until it is over, in seconds each; and how long."""
    there = _active(on)
    while _active(on) == there and tidying.poll() is None:
        time.sleep(0.1)
    began, placed = time.perf_counter(), list[float]()
    while there and tidying.poll() is None and time.perf_counter() - began < MOST_SECONDS:
        placed += claims.placed_for(2.0)
        there = _active(on)
        _said(f"{there:,} left after {time.perf_counter() - began:.0f} s")
    return placed, time.perf_counter() - began


def _said(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


# As beat does it: a run of some seconds at a time.
_TIDY = """
import django, logging
django.setup()
logging.disable(logging.WARNING)
from holds import tasks
while tasks.tidy_lapsed():
    pass
"""


class _Claims:
    """Claims of windows that nobody has, in turn over the rooms."""

    def __init__(self, workspace: Any, rooms: list[UUID]) -> None:
        self.workspace, self.rooms, self.taken = workspace, rooms, 0
        self.first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.first += timedelta(days=1)

    def placed_for(self, seconds: float) -> list[float]:
        from django.db import transaction

        from holds.claims import Claimant, LineRequest, claim
        from tests.core.support import SOMEBODY

        took: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            room = self.rooms[self.taken % len(self.rooms)]
            start = self.first + timedelta(minutes=15 * (self.taken // len(self.rooms)))
            line = LineRequest(room, start, start + timedelta(minutes=15))
            self.taken += 1
            began = time.perf_counter()
            with transaction.atomic():
                claim(workspace=self.workspace, lines=[line], claimant=Claimant(), actor=SOMEBODY)
            took.append(time.perf_counter() - began)
        return took


def _active(on: Stage) -> int:
    ((count,),) = on.sql(
        "SELECT count(*) FROM holds_hold WHERE state = 'active' AND lapses_at < now()"
    )
    return int(count)


def _lapsed(on: Stage, rooms: list[UUID], many: int) -> None:
    """Holds that ended an hour and more ago and that nobody has tidied, copied from one."""
    from django.db import transaction

    from bookings.models import Resource
    from holds.claims import Claimant, LineRequest, claim
    from tests.core.support import SOMEBODY

    room = Resource.objects.select_related("workspace").get(pk=rooms[0])
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2500)
    with transaction.atomic():
        held = claim(
            workspace=room.workspace,
            lines=[LineRequest(room.pk, start, start + timedelta(minutes=15))],
            claimant=Claimant(),
            actor=SOMEBODY,
        )
    on.sql("CREATE TABLE bench_rooms (id uuid, place int)")
    for place, pk in enumerate(rooms):
        on.sql("INSERT INTO bench_rooms VALUES (%s, %s)", pk, place)
    ids = {kind: f"md5('{kind}' || n)::uuid" for kind in "blohd"}
    in_room = f"(SELECT id FROM bench_rooms WHERE place = mod(n, {ROOMS}))"
    at = f"(date_trunc('hour', now()) + interval '100 days' + (n / {ROOMS}) * interval '1 hour')"
    for table, key, own in (
        ("bookings_booking", "id", f"'id', {ids['b']}, 'reference', 'X' || n"),
        ("bookings_line", "booking_id",
         (f"'id', {ids['l']}, 'booking_id', {ids['b']}, 'resource_id', {in_room},"
         f" 'starts_at', {at}, 'ends_at', {at} + interval '1 hour'")),
        ("bookings_occupancy", "booking_id",
         (f"'id', {ids['o']}, 'booking_id', {ids['b']}, 'line_id', {ids['l']},"
         f" 'resource_id', {in_room}, 'during', tstzrange({at}, {at} + interval '1 hour'),"
         f" 'lapses_at', {_LAPSED_AT}")),
        ("holds_hold", "booking_id",
         (f"'id', {ids['h']}, 'booking_id', {ids['b']}, 'token', 'x' || n,"
         f" 'created_at', {_LAPSED_AT} - interval '15 minutes',"
         f" 'expires_at', {_LAPSED_AT}, 'lapses_at', {_LAPSED_AT}")),
        ("payments_due", "booking_id", f"'id', {ids['d']}, 'booking_id', {ids['b']}"),
    ):  # fmt: skip
        template = held.booking_id
        on.past_guards(_COPY.format(table=table, key=key, own=own), [many, template])
    on.sql("VACUUM ANALYZE")
