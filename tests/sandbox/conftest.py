"""One running sandbox for most tests, a fresh connected account for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .harness import Listener, Process, Shop


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The process all tests share that do not stop it."""
    process = Process(tmp_path_factory.mktemp("sandbox")).start()
    yield process
    process.stop()


@pytest.fixture
def sandbox(running: Process) -> Iterator[Process]:
    """The shared process, left without faults."""
    yield running
    running.clear()


@pytest.fixture
def own_sandbox(tmp_path: Any) -> Iterator[Process]:
    """A process of the test's own, to be stopped and started."""
    process = Process(tmp_path).start()
    yield process
    process.stop()


def new_shop(process: Process) -> Shop:
    """A connected account of its own."""
    account = process.client().v1.accounts.create({"country": "NZ", "type": "standard"})
    return Shop(process, account.id)


@pytest.fixture
def shop(sandbox: Process) -> Shop:
    """A connected account, so that tests do not see each other's objects."""
    return new_shop(sandbox)


@pytest.fixture
def own_shop(own_sandbox: Process) -> Shop:
    """A connected account in the test's own process."""
    return new_shop(own_sandbox)


@pytest.fixture
def platform(sandbox: Process) -> Shop:
    """The platform itself, speaking through its own id."""
    return Shop(sandbox, sandbox.client().v1.accounts.retrieve_current().id)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Somebody to send webhooks to."""
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def endpoints(sandbox: Process, listener: Listener) -> Iterator[dict[str, Any]]:
    """A platform endpoint and a Connect endpoint, each with its secret."""
    made = {
        name: sandbox.client().v1.webhook_endpoints.create(
            {
                "url": f"{listener.url}/{name}",
                "enabled_events": ["*"],
                "connect": name == "connect",
            }
        )
        for name in ("platform", "connect")
    }
    yield made
    for endpoint in made.values():
        sandbox.client().v1.webhook_endpoints.delete(endpoint.id)
