"""`python -m tests.benchmarks.holds`: how fast holds are placed, beside floors of the same run.

Prints a Markdown table for docs/benchmarks.md. Ratios count; the absolute figures are a machine's.
"""

import argparse
import uuid
from datetime import UTC, datetime, timedelta

from tests.benchmarks.client import Connection, Figures, Request, body, hammer
from tests.benchmarks.stage import Stage, stage

ROOMS = 40
CLIENTS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=6000, help="requests per measurement")
    parser.add_argument("--crowds", type=int, default=10, help="crowds of 100 for one slot")
    options = parser.parse_args()
    with stage() as on:
        measure(on, options.count, options.crowds)


def measure(on: Stage, count: int, crowds: int) -> None:
    from members import api_keys
    from tests.factories import ResourceFactory, WorkspaceFactory

    workspace = WorkspaceFactory()
    rooms = [ResourceFactory(workspace=workspace, horizon_days=700) for _ in range(ROOMS)]
    _, secret = api_keys.create(workspace=workspace, name="benchmark")
    on.sql("CREATE TABLE bare_floor (id uuid PRIMARY KEY, at timestamptz)")
    on.sql("GRANT ALL ON bare_floor TO PUBLIC")

    bare_url = on.web(
        settings="tests.benchmarks.bare_settings", wsgi="tests.benchmarks.bare:application"
    )
    within_url = on.web(settings="tests.benchmarks.within_settings")
    url = on.web(settings="config.settings.test")
    claims = Claims([room.pk for room in rooms], secret)
    hammer(bare_url, clients=CLIENTS, count=500, request=_bare)
    hammer(within_url, clients=CLIENTS, count=500, request=_bare)
    hammer(url, clients=CLIENTS, count=500, request=claims.spread)

    bare = hammer(bare_url, clients=CLIENTS, count=count, request=_bare)
    within = hammer(within_url, clients=CLIENTS, count=count, request=_bare)
    spread = hammer(url, clients=CLIENTS, count=count, request=claims.spread)
    single = hammer(url, clients=CLIENTS, count=min(count, 4000), request=claims.one_room)
    crowd = Figures()
    for number in range(crowds):
        found = hammer(url, clients=100, count=100, request=claims.crowd(number))
        assert found.statuses == {201: 1, 409: 99}, found.statuses
        crowd.seconds += found.seconds
        crowd.took += found.took
    sql = floor_in_sql(on)
    memory = resident(on, url, secret, rooms[0].pk)
    report(bare, within, spread, single, crowd, sql, memory)


def _bare(number: int) -> Request:
    return "/insert", b"{}", ""


class Claims:
    """Requests to claim: each on a window of its own, in all rooms or in one; or all on one."""

    def __init__(self, rooms: list[uuid.UUID], secret: str) -> None:
        self.rooms = [str(room) for room in rooms]
        self.secret = secret
        self.taken = 0
        tomorrow = datetime.now(UTC) + timedelta(days=2)
        self.first = tomorrow.replace(hour=0, minute=0, second=0, microsecond=0)

    def spread(self, number: int) -> Request:
        slot = self._next()
        return self._request(self.rooms[slot % len(self.rooms)], slot // len(self.rooms))

    def one_room(self, number: int) -> Request:
        # Beyond the windows that `spread` uses, whatever its count.
        return self._request(self.rooms[0], 20_000 + self._next())

    def crowd(self, number: int):  # type: ignore[no-untyped-def]
        return lambda _: self._request(self.rooms[1], 40_000 + number)

    def _next(self) -> int:
        self.taken += 1
        return self.taken

    def _request(self, room: str, slot: int) -> Request:
        start = self.first + timedelta(minutes=15 * slot)
        line = {
            "resource": room,
            "start": start.isoformat(),
            "end": (start + timedelta(minutes=15)).isoformat(),
        }
        headers = f"Authorization: Bearer {self.secret}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
        return "/api/v1/holds", body({"lines": [line]}), headers


def floor_in_sql(on: Stage) -> float:
    """The claim's statements by pgbench with 8 clients."""
    from bookings.lock_objects import LOCK_IF_FREE
    from tests.benchmarks.claim_sql import script

    return on.pgbench(script(LOCK_IF_FREE, ROOMS), clients=8, seconds=8)


def resident(on: Stage, url: str, secret: str, room: uuid.UUID) -> tuple[float, float]:
    """Resident megabytes of a web worker before and after 10,000 further requests."""
    before = _resident(on)
    day = datetime.now(UTC).date() + timedelta(days=3)
    path = f"/api/v1/resources/{room}/availability?from={day}T00:00:00Z&to={day}T23:00:00Z"
    connection = Connection(url)
    for _ in range(10_000):
        assert connection.get(path, f"Authorization: Bearer {secret}\r\n") == 200
    return before, _resident(on)


def _resident(on: Stage) -> float:
    """The larger of the web workers."""
    import psutil

    child = next(c for c in on.run.children if c.name == "config.settings.test")
    tree = psutil.Process(child.process.pid).children(recursive=True)
    return max(process.memory_info().rss for process in tree) / 2**20


def report(
    bare: Figures,
    within: Figures,
    spread: Figures,
    single: Figures,
    crowd: Figures,
    sql: float,
    memory: tuple[float, float],
) -> None:
    print("| what | a second | p50 ms | p95 ms | p99 ms | of the view within | of the bare one |")
    print("|---|---|---|---|---|---|---|")
    for name, found in (
        ("one INSERT, a bare Django view without apps or middleware", bare),
        ("one INSERT, the same view within the product's Django", within),
        (f"holds, distinct windows of {ROOMS} resources", spread),
        ("holds, distinct windows of one resource", single),
        ("100 claims at once for one slot (409 but one)", crowd),
    ):
        marks = " | ".join(f"{found.percentile(share):.1f}" for share in (0.5, 0.95, 0.99))
        shares = " | ".join(f"{found.rate / floor.rate:.2f}" for floor in (within, bare))
        print(f"| {name} | {found.rate:.0f} | {marks} | {shares} |")
    shares = " | ".join(f"{sql / floor.rate:.2f}" for floor in (within, bare))
    print(f"| the claim's SQL alone, pgbench, 8 clients | {sql:.0f} | | | | {shares} |")
    print()
    print(f"Statuses: {dict(bare.statuses)} {dict(spread.statuses)} {dict(single.statuses)}")
    print(f"Memory of one web worker: {memory[0]:.0f} MB, after 10,000 more: {memory[1]:.0f} MB")


if __name__ == "__main__":
    main()
