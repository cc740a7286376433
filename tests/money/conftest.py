"""One web instance and one worker for a whole module of tests: starting them is what costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from djstripe.models import WebhookEndpoint

from tests.money.support import Hooks
from tests.support.instances import Fleet, Instance
from tests.support.sandbox import SandboxClient


@dataclass
class Stack:
    """The module's processes."""

    fleet: Fleet
    web: Instance
    worker: Instance


@pytest.fixture(scope="module")
def _stack(django_db_setup: None, sandbox_process: SandboxClient) -> Iterator[Stack]:
    fleet = Fleet()
    try:
        (web,), (worker,) = fleet.start("web", 1), fleet.start("worker", 1)
        yield Stack(fleet, web, worker)
    finally:
        fleet.close()


@pytest.fixture
def stack(_stack: Stack, transactional_db: None, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The module's web and worker; what they logged during a test that fails is shown."""
    before = {instance.name: len(instance.log()) for instance in _stack.fleet.members}
    yield _stack
    for instance in _stack.fleet.members:
        said = instance.log()[before.get(instance.name, 0) :]
        print(f"--- {instance.name}\n{said[-6000:]}")


@pytest.fixture
def hooks(stack: Stack, sandbox: SandboxClient, settings: Any) -> Hooks:
    """Both webhook endpoints, registered at the sandbox by the product's own command."""
    settings.SITE_URL = stack.web.url
    call_command("ensure_webhook_endpoints", verbosity=0)
    rows = {row.metadata["surehold"]: row for row in WebhookEndpoint.objects.all()}
    return Hooks(sandbox, rows["platform"], rows["connect"])
