"""Rules of what looks after it all: the sweeps, the reconciler's checks, and time."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from payments import tasks
from payments.reconciler import registry
from tests.money.support import heal
from tests.properties import settling_down, world
from tests.properties.machine import Machine, upset
from tests.properties.upsets import Upset

checks = st.sampled_from([check.name for check in registry.CHECKS])


class Tending(Machine):
    """What finds what a crash, a lost webhook or an impatient payer left behind."""

    @rule(wrong=upset)
    def sweep(self, wrong: Upset | None) -> None:
        """The self-heal, with its waiting times left out."""
        self.attempt("sweep", heal, wrong)

    @rule(name=checks, wrong=upset)
    def reconcile(self, name: str, wrong: Upset | None) -> None:
        """One of the reconciler's checks, now."""
        self.attempt(
            f"reconcile {name}",
            lambda: settling_down.run_check(self.world, name, may_fail=wrong is not None),
            wrong,
        )

    @rule(deadline=st.booleans(), wrong=upset)
    def time_passes(self, deadline: bool, wrong: Upset | None) -> None:
        """What is stuck is stuck for long enough to be looked at; who was asked to pay again
        did not.
        """

        def pass_by() -> None:
            world.minutes_pass(self.world)
            if deadline:
                world.deadlines_pass(self.world)
                tasks.sweep()

        self.attempt("time passes", pass_by, wrong)
