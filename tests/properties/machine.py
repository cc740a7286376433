"""What every rule of the machine shares: a world, a way to act, and what is true after each step.

The rules stand beside each other in `booking.py`, `paying.py`, `changing.py`, `giving_back.py` and
`tending.py`; `AnyOrder` (in `any_order.py`) has them all.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from bookings.models import Booking
from config.kernel.context import Actor
from config.kernel.errors import DomainError
from holds.models import Hold
from members.idempotency import Answer
from payments.models import Checkout
from tests.properties import after_each_step, settling_down, tally, upsets, world
from tests.properties.deeds import Deeds
from tests.properties.upsets import PowerCut, Upset
from tests.support.sandbox import SandboxClient

STAFF = Actor("staff", "1", "Sam of the desk")

# Which of the things there are: an index that wraps around, so that any number names one.
which = st.integers(0, 7)
# Often nothing goes wrong; else the network, Stripe or our own power.
upset = st.one_of(st.none(), st.none(), st.sampled_from(upsets.FAULTS + upsets.CUTS))


class Machine(RuleBasedStateMachine):
    """One run: its world, the model of its deeds, and what went wrong behind the scenes."""

    sandbox: SandboxClient
    account: str

    def __init__(self) -> None:
        super().__init__()
        tally.begin()
        self.world = world.make(self.account)
        self.deeds = Deeds()
        self.seen = after_each_step.Seen()
        self.stumbles = Stumbles()
        self.stumbles.listen()
        self.states: list[after_each_step.Standing] = []
        self.truths: list[tuple[Checkout, Any]] = []

    # --- Acting -----------------------------------------------------------------------------------

    def attempt(
        self, rule: str, work: Callable[[], object], wrong: Upset | None = None, **sort: str
    ) -> Any:
        """Do it, with what goes wrong; its answer, or None where it was refused or cut short."""
        try:
            with upsets.in_force(self.sandbox, wrong):
                answer = work()
        except DomainError as error:
            tally.add(rule, error.code)
            return None
        except PowerCut:
            tally.add(rule, "power cut")
            return None
        tally.add(rule, str(sort.get("outcome") or _word(answer)))
        return answer

    def attempt_in_transaction(self, rule: str, work: Callable[[], object]) -> Any:
        """The same for what runs inside its caller's transaction."""

        def within() -> object:
            with transaction.atomic():
                return work()

        return self.attempt(rule, within)

    # --- Choosing ---------------------------------------------------------------------------------

    def pick(self, index: int, *booking_states: str) -> Hold:
        """One of the holds whose booking is in these states; of all where none is, or at 7."""
        fitting = [s for s in self.states if s.booking in booking_states]
        found = fitting if fitting and index < 7 else self.states
        return Hold.objects.get(pk=found[index % len(found)].hold_id)

    def checkout_of(self, hold: Hold, index: int) -> Checkout | None:
        """One of a hold's Checkouts that Stripe knows of, the newest first."""
        known = Checkout.objects.filter(due__booking_id=hold.booking_id, session_id__isnull=False)
        found = list(known.select_related("due").order_by("-attempt"))
        return found[index % len(found)] if found else None

    def has(self, *booking_states: str) -> bool:
        return any(standing.booking in booking_states for standing in self.states)

    # --- After each step, and at the end ----------------------------------------------------------

    @invariant()
    def nothing_impossible_has_happened(self) -> None:
        self.states = after_each_step.look(self.world, self.seen)

    def teardown(self) -> None:
        """Let everything settle down, then ask both sides whether it came out as promised."""
        try:
            settling_down.settle_down(self.world, self.sandbox)
            settling_down.check(self.world, self.deeds, self.sandbox)
            self.nothing_impossible_has_happened()
            assert not self.stumbles.heard, self.stumbles.heard
        finally:
            self.stumbles.rest()


def _word(answer: object) -> str:
    """An answer in a word."""
    if isinstance(answer, Booking | Hold | Checkout):
        return answer.state
    if isinstance(answer, Answer):
        return str(answer.body.get("code", "replayed" if answer.replayed else answer.status))
    return str(getattr(answer, "name", answer if isinstance(answer, str | bool) else "done"))


class Stumbles(logging.Handler):
    """Exceptions that the product logged and went on: sweeps and checks do not raise."""

    NAMES = ("payments", "holds", "bookings", "members", "config", "djstripe")

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def listen(self) -> None:
        for name in self.NAMES:
            logging.getLogger(name).addHandler(self)

    def rest(self) -> None:
        for name in self.NAMES:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not isinstance(record.exc_info[1], DomainError):
            self.heard.append(f"{record.getMessage()}: {self.format(record)[-3000:]}")
