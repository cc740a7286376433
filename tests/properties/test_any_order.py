"""Claim, pay, fail, crash, heal, give back, in any order: nothing double, nothing lost.

The suite runs the same few dozen runs each time; `python -m tests.properties.deep` runs as many
others as one likes (docs/soak.md).
"""

import os
import time
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.core.management import call_command
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from payments.reconciler.stripe_objects import OpenSessions, StripePayments, UndeliveredEvents
from tests.money.reconciling import NO_WAIT
from tests.money.support import connected_account
from tests.properties import tally
from tests.properties.any_order import AnyOrder
from tests.support.flush import truncate_all
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)

ALWAYS = settings(
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, *([Phase.shrink] if "SUREHOLD_NO_SHRINK" not in os.environ else [])],
)


@pytest.fixture
def machine(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], type[AnyOrder]]:
    """Prepares an empty stage: two endpoints to which nothing is delivered, one account."""
    for each in (StripePayments, OpenSessions, UndeliveredEvents):
        monkeypatch.setattr(each, "settles_within", NO_WAIT)

    def prepared() -> type[AnyOrder]:
        cache.clear()
        sandbox.reset()
        call_command("ensure_webhook_endpoints", verbosity=0)
        sandbox.fault("drop", times=None)
        AnyOrder.sandbox, AnyOrder.account = sandbox, connected_account(sandbox)
        # The last stage's objects are not this one's: Stripe's times are whole seconds.
        time.sleep(1.1)
        return AnyOrder

    return prepared


def test_any_order(machine: Callable[[], type[AnyOrder]]) -> None:
    chosen = settings(ALWAYS, max_examples=60, stateful_step_count=20, derandomize=True)
    run_state_machine_as_test(machine(), settings=chosen)


@pytest.mark.skipif("SUREHOLD_DEEP_EXAMPLES" not in os.environ, reason="tests.properties.deep")
def test_deep(machine: Callable[[], type[AnyOrder]]) -> None:
    """In batches, each on an empty stage and with a seed of its own."""
    left, steps = int(os.environ["SUREHOLD_DEEP_EXAMPLES"]), int(os.environ["SUREHOLD_DEEP_STEPS"])
    first, batch = int(os.environ["SUREHOLD_DEEP_SEED"]), int(os.environ["SUREHOLD_DEEP_BATCH"])
    number = first
    while left > 0:
        print(f"seed {number}: {min(batch, left)} runs", flush=True)
        chosen = settings(ALWAYS, max_examples=min(batch, left), stateful_step_count=steps)
        run_state_machine_as_test(seed(number)(machine()), settings=chosen)
        truncate_all()
        left, number = left - batch, number + 1
        print(tally.table(), flush=True)
