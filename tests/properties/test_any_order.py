"""Claim, pay, fail, crash, heal, give back, in any order: nothing double, nothing lost.

The suite runs the same few dozen runs each time; `python -m tests.properties.deep` runs as many
others as one likes (docs/soak.md).
"""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties import tally
from tests.properties.any_order import AnyOrder
from tests.support.flush import truncate_all

pytestmark = pytest.mark.django_db(transaction=True)

ALWAYS = settings(
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, *([Phase.shrink] if "SUREHOLD_NO_SHRINK" not in os.environ else [])],
)


def test_any_order(stage: Callable[[], type[AnyOrder]]) -> None:
    chosen = settings(ALWAYS, max_examples=60, stateful_step_count=20, derandomize=True)
    run_state_machine_as_test(stage(), settings=chosen)


@pytest.mark.skipif("SUREHOLD_DEEP_EXAMPLES" not in os.environ, reason="tests.properties.deep")
def test_deep(stage: Callable[[], type[AnyOrder]]) -> None:
    """In batches, each on an empty stage and with a seed of its own."""
    left, steps = int(os.environ["SUREHOLD_DEEP_EXAMPLES"]), int(os.environ["SUREHOLD_DEEP_STEPS"])
    first, batch = int(os.environ["SUREHOLD_DEEP_SEED"]), int(os.environ["SUREHOLD_DEEP_BATCH"])
    number = first
    while left > 0:
        print(f"seed {number}: {min(batch, left)} runs", flush=True)
        chosen = settings(ALWAYS, max_examples=min(batch, left), stateful_step_count=steps)
        run_state_machine_as_test(seed(number)(stage()), settings=chosen)
        truncate_all()
        left, number = left - batch, number + 1
        print(tally.table(), flush=True)
