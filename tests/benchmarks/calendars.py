"""`python -m tests.benchmarks.calendars`: from a commit to the event standing in Radicale.

The product's own worker, PostgreSQL with its default durability, Valkey, and a real CalDAV server
on the same machine. A hold is placed and confirmed; each time the clock runs from the commit until
the server's own file says so. Prints a Markdown table for docs/benchmarks.md.
"""

import argparse
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import roles
from config.up.procfile import command_lines
from tests.benchmarks.stage import Stage, stage


@dataclass
class Watch:
    """How long each took, in seconds."""

    held: list[float]
    confirmed: list[float]
    released: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="bookings")
    options = parser.parse_args()
    with stage() as on:
        logging.disable(logging.WARNING)
        _worker(on)
        report(measure(on, options.count))


def measure(on: Stage, count: int) -> Watch:
    from tests.calendars.support import connect
    from tests.factories import make_room
    from tests.support.radicale import serving

    with serving(on.run) as radicale:
        room = make_room()
        calendar = connect(radicale, room)
        watch = Watch([], [], [])
        for number in range(count + 3):
            _one(calendar, room, number, watch)
        calendar.assert_equal()
    for kind in (watch.held, watch.confirmed, watch.released):
        del kind[:3]  # the worker's first steps
    return watch


def _one(calendar: Any, room: Any, number: int, watch: Watch) -> None:
    """A booking's life in the calendar; every other one is cancelled again."""
    from bookings import services
    from tests.calendars.support import STAFF, confirm
    from tests.core.support import hold, line

    wanted = line(room)
    shift = (number * 15) * 60
    start = wanted.start.fromtimestamp(wanted.start.timestamp() + shift, wanted.start.tzinfo)
    end = start.fromtimestamp(start.timestamp() + 15 * 60, start.tzinfo)
    held = hold(type(wanted)(room.pk, start, end))
    path = calendar.user.server.stored(calendar.url) / f"{held.lines[0].pk}@surehold.ics"
    watch.held.append(_until(lambda: "TENTATIVE" in _said(path)))
    confirm(held.booking)
    watch.confirmed.append(_until(lambda: "CONFIRMED" in _said(path)))
    services.cancel(booking_id=held.booking_id, actor=STAFF)
    watch.released.append(_until(lambda: not path.exists()))


def _said(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _until(is_so: Callable[[], bool]) -> float:
    began = time.perf_counter()
    while not is_so():
        if time.perf_counter() - began > 60:
            raise RuntimeError("not within a minute")
        time.sleep(0.002)
    return time.perf_counter() - began


def _worker(on: Stage) -> None:
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL_WORKER": on.server.url(roles.WORKER),
    }
    child = on.run.start(
        "calendars", ["/bin/sh", "-c", f"exec {command_lines()['calendars']}"], env=env
    )
    child.wait_until(lambda: "ready." in child.log.read_text(), 60)


def report(watch: Watch) -> None:
    print("| from the commit to the calendar | n | median ms | p95 ms | most ms |")
    print("|---|---|---|---|---|")
    for name, seconds in [
        ("a hold stands there as TENTATIVE", watch.held),
        ("a confirmation as CONFIRMED", watch.confirmed),
        ("a cancelled one is gone", watch.released),
    ]:
        ordered = sorted(seconds)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        median = statistics.median(ordered)
        figures = " | ".join(f"{1000 * each:.0f}" for each in (median, p95, ordered[-1]))
        print(f"| {name} | {len(ordered)} | {figures} |")


if __name__ == "__main__":
    main()
