"""The fixtures that need a process; what each app's tests share stands in their own folders."""

import contextlib
import logging
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.core.cache import cache

from config.embedded import sandbox as embedded_sandbox
from tests.servers import servers
from tests.support import flush
from tests.support.instances import Fleet, Starter
from tests.support.sandbox import SandboxClient

flush.install()
logging.getLogger("httpx").setLevel(logging.WARNING)
_fleet_key = pytest.StashKey[Fleet]()


# Files that take a minute or so: begun first, so that no process is left alone with one at the end.
LONG = ("tests/properties", "tests/up/test_database", "tests/core/test_change_interleavings",
        "tests/up", "tests/money/test_crashes", "tests/browser", "tests/races")  # fmt: skip


# Set by `python -m tests.long`.
RUN_LONG = "SUREHOLD_LONG"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first; the rest in the order in which they stand. Marked ones wait for CI."""
    skipped = pytest.mark.skip(reason="python -m tests.long")
    for item in items:
        if item.get_closest_marker("long") and RUN_LONG not in os.environ:
            item.add_marker(skipped)

    def turn(item: pytest.Item) -> int:
        fitting = (n for n, start in enumerate(LONG) if item.nodeid.startswith(start))
        return next(fitting, len(LONG))

    items.sort(key=turn)


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """No test sees another's cached pages, gates or queued tasks; there may be no Redis at all."""
    with contextlib.suppress(Exception):
        cache.clear()


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxClient]:
    """The Stripe sandbox, one process for the session, at the address the settings name."""
    process = embedded_sandbox.start(servers().run)
    embedded_sandbox.wait(process)
    client = SandboxClient(process)
    yield client
    client.http.close()


@pytest.fixture
def sandbox(sandbox_process: SandboxClient) -> Iterator[SandboxClient]:
    """The sandbox with no faults, no mail and no webhook endpoints left from another test."""
    sandbox_process.reset()
    yield sandbox_process
    sandbox_process.reset()


@pytest.fixture
def fleet(transactional_db: None, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Real web, worker and beat processes against the test database; their logs on failure."""
    fleet = Fleet()
    request.node.stash[_fleet_key] = fleet
    try:
        yield fleet
    finally:
        fleet.close()


@pytest.fixture
def web(fleet: Fleet) -> Starter:
    """`web(count=1, env=None)` starts that many granian instances, each on a port of its own."""
    return lambda count=1, env=None: fleet.start("web", count, env)


@pytest.fixture
def worker(fleet: Fleet) -> Starter:
    """`worker(count=1, env=None)` starts Celery workers."""
    return lambda count=1, env=None: fleet.start("worker", count, env)


@pytest.fixture
def beat(fleet: Fleet) -> Starter:
    """`beat()` starts Celery's beat."""
    return partial(fleet.start, "beat", 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    """A failed test shows what its processes said."""
    report: pytest.TestReport = yield
    fleet = item.stash.get(_fleet_key, None)
    if report.failed and fleet is not None:
        for instance in fleet.members:
            report.sections.append((f"log of {instance.name}", instance.log()[-8000:]))
    return report
