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
from tests.support.flush import empty_all

pytestmark = pytest.mark.django_db(transaction=True)

# Of more than ten in one go hypothesis makes most by repeating parts of others: a little of many.
AT_ONCE = 10
SUITE = range(2)


def run(machine: type[AnyOrder], number: int, *, runs: int, steps: int) -> None:
    """Up to ten runs, which follow from the number alone."""
    shrinks = [] if "SUREHOLD_NO_SHRINK" in os.environ else [Phase.shrink]
    chosen = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *shrinks],
    )
    run_state_machine_as_test(seed(number)(machine), settings=chosen)


def test_any_order(stage: Callable[[], type[AnyOrder]]) -> None:
    machine = stage()
    for number in SUITE:
        run(machine, number, runs=AT_ONCE, steps=20)


@pytest.mark.skipif("SUREHOLD_DEEP_EXAMPLES" not in os.environ, reason="tests.properties.deep")
def test_deep(stage: Callable[[], type[AnyOrder]]) -> None:
    """Ten by ten, each ten on an empty stage and with the next seed."""
    left, steps = int(os.environ["SUREHOLD_DEEP_EXAMPLES"]), int(os.environ["SUREHOLD_DEEP_STEPS"])
    number = int(os.environ["SUREHOLD_DEEP_SEED"])
    while left > 0:
        print(f"seed {number}: {tally.runs} runs, {tally.steps()} steps before", flush=True)
        run(stage(), number, runs=min(AT_ONCE, left), steps=steps)
        empty_all()
        left, number = left - AT_ONCE, number + 1
        if number % 10 == 0:
            print(tally.table(), flush=True)
