"""`python -m tests.benchmarks.gate`: a crowd for one slot, with the contention gate and without.

Two web servers stand beside each other on one database, one with `CONTENTION_GATE=false`; they are
asked in turn, so that what else the machine does meets both. Prints tables for docs/benchmarks.md.
"""

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from config.embedded import postgres
from tests.benchmarks.client import Figures, hammer
from tests.benchmarks.holds import CLIENTS, ROOMS, Claims
from tests.benchmarks.stage import Stage, stage

_SAMPLE = """
    SELECT count(*) FILTER (WHERE state <> 'idle'), count(*) FILTER (WHERE wait_event_type = 'Lock')
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


TURNS = 10


@dataclass
class Side:
    """One of the two servers and what it gave."""

    name: str
    url: str
    crowd: Figures = field(default_factory=Figures)
    alone: Figures = field(default_factory=Figures)
    single: Figures = field(default_factory=Figures)
    busy: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)

    @property
    def errors(self) -> int:
        return sum(n for status, n in self.crowd.statuses.items() if status >= 500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=500)
    parser.add_argument("--crowds", type=int, default=4)
    parser.add_argument("--count", type=int, default=2000, help="uncontended claims for each")
    parser.add_argument("--seconds", type=float, default=240.0, help="begin no more after these")
    options = parser.parse_args()
    with stage() as on:
        until = time.monotonic() + options.seconds
        report(measure(on, options, until), options.visitors)


def measure(on: Stage, options: argparse.Namespace, until: float) -> list[Side]:
    """Crowds first, for half of the time at most, then claims that nobody disputes."""
    from members import api_keys
    from tests.factories import ResourceFactory, WorkspaceFactory

    workspace = WorkspaceFactory()
    rooms = [ResourceFactory(workspace=workspace, horizon_days=700) for _ in range(ROOMS)]
    _, secret = api_keys.create(workspace=workspace, name="benchmark")
    claims = Claims([room.pk for room in rooms], secret)
    sides = [
        Side(
            name,
            on.web(settings="config.settings.test", more={"CONTENTION_GATE": value}),
        )
        for name, value in (("with the gate", "true"), ("without", "false"))
    ]
    for side in sides:
        _said(f"warming up {side.name}")
        hammer(side.url, clients=CLIENTS, count=200, request=claims.spread)
    half = (time.monotonic() + until) / 2
    for number, side in _turns(sides, options.crowds, half):
        with sampled(on, side):
            found = hammer(
                side.url,
                clients=options.visitors,
                count=options.visitors,
                request=claims.crowd(number),
            )
        _said(f"crowd {number} {side.name}: {found.took:.1f} s, {dict(found.statuses)}")
        assert found.statuses[201] == 1, found.statuses
        _add(side.crowd, found)
    count = options.count // TURNS
    for number, side in _turns(sides, TURNS, until):
        found = hammer(side.url, clients=CLIENTS, count=count, request=claims.spread)
        _add(side.alone, found)
        _add(side.single, hammer(side.url, clients=1, count=count // 2, request=claims.spread))
        _said(f"uncontended {number} {side.name}: {found.took:.1f} s")
    return sides


def _turns(sides: list[Side], turns: int, until: float) -> Iterator[tuple[int, Side]]:
    """Both sides in each turn, in changing order, numbered; no turn begins after `until`."""
    for turn in range(turns):
        if turn and time.monotonic() > until:
            _said(f"the time is over after {turn} of {turns} turns")
            return
        for place, side in enumerate(sides if turn % 2 else reversed(sides)):
            yield 2 * turn + place, side


def _said(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def _add(to: Figures, found: Figures) -> None:
    to.seconds += found.seconds
    to.took += found.took
    to.statuses.update(found.statuses)


@contextmanager
def sampled(on: Stage, side: Side) -> Iterator[None]:
    """Meanwhile, every ten milliseconds: sessions at work, and sessions that wait for a lock."""
    over = threading.Event()

    def look() -> None:
        with psycopg.connect(on.server.url(postgres.ADMIN), autocommit=True) as connection:
            while not over.wait(0.01):
                row = connection.execute(_SAMPLE).fetchone()
                assert row is not None
                side.busy.append(row[0])
                side.waiting.append(row[1])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def report(sides: list[Side], visitors: int) -> None:
    print(
        f"| {visitors} at once for one slot | p50 ms | p99 ms | answers a second |"
        " sessions at work, mean / most | waiting for a lock, mean / most | answers | 5xx |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for side in sides:
        crowd = side.crowd
        said = ", ".join(f"{status}: {n}" for status, n in sorted(Counter(crowd.statuses).items()))
        print(
            f"| {side.name} | {crowd.percentile(0.5):.0f} | {crowd.percentile(0.99):.0f}"
            f" | {crowd.rate:.0f} | {_mean(side.busy)} / {max(side.busy)}"
            f" | {_mean(side.waiting)} / {max(side.waiting)} | {said} | {side.errors} |"
        )
    print()
    print("| uncontended claims | a second, 16 clients | p50 ms | p99 ms | p50 ms, one client |")
    print("|---|---|---|---|---|")
    for side in sides:
        alone, single = side.alone, side.single
        print(
            f"| {side.name} | {alone.rate:.0f} | {alone.percentile(0.5):.1f}"
            f" | {alone.percentile(0.99):.1f} | {single.percentile(0.5):.2f} |"
        )
    gated, open_ = sides
    print()
    print(
        f"With the gate, of without: {gated.alone.rate / open_.alone.rate:.2f} of the claims a"
        f" second; {gated.single.percentile(0.5) / open_.single.percentile(0.5):.2f} of the time"
        f" of one claim (p50). Crowd: {gated.crowd.rate / open_.crowd.rate:.2f} of the answers"
        " a second."
    )
    print(dict(gated.alone.statuses), dict(open_.alone.statuses))


def _mean(values: list[int]) -> str:
    return f"{sum(values) / max(1, len(values)):.1f}"


if __name__ == "__main__":
    main()
