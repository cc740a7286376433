"""Capacity against a plain sweep: any order of claims, ends, blocks and new capacities.

The model is a list of what stands and a loop over quarters of an hour. PostgreSQL, the claim and
the availability must say what it says: who gets in, how many are left, what may be lowered.
"""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookings.availability import Use, availability, peak_of
from bookings.capacity import CapacityTaken, set_capacity
from bookings.errors import SlotTaken, WindowNotAllowed
from bookings.models import Occupancy, Resource
from bookings.nearest import free_throughout
from bookings.rules import Window
from bookings.selectors import rules_for
from bookings.services import cancel, place_block
from config.kernel.database_errors import constraint_of
from holds import services
from holds.claims import AddOnRequest, LineRequest
from holds.lock_objects import lock_hold
from holds.models import Hold
from tests.core import raw
from tests.core.support import SOMEBODY, hold, lapse, tomorrow
from tests.factories import make_add_on, make_pool

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("SUREHOLD_CAPACITY_EXAMPLES", "20"))
QUARTER = timedelta(minutes=15)
BUFFER = 1  # quarters after each bike
BIKES, HELMETS = 0, 1


@dataclass(eq=False)
class Taken:
    """What a hold has: for each pool, (from, until, how many) in quarters; where it stands."""

    held: Hold
    parts: list[tuple[int, int, int, int]]
    state: str = "live"


@dataclass
class Model:
    """What stands, in plain lists."""

    capacity: list[int] = field(default_factory=lambda: [4, 3])
    taken: list[Taken] = field(default_factory=list)
    blocks: list[tuple[int, int, int, int]] = field(default_factory=list)

    def used(self, pool: int, at: int, states: set[str]) -> int:
        parts = [part for each in self.taken if each.state in states for part in each.parts]
        return sum(
            many
            for where, start, end, many in [*parts, *self.blocks]
            if where == pool and start <= at < end
        )

    def left(self, pool: int, start: int, end: int, states: set[str] | None = None) -> int:
        peak = max(self.used(pool, at, states or {"live", "sure"}) for at in range(start, end))
        return max(0, self.capacity[pool] - peak)

    def first_taken(self, wanted: list[tuple[int, int, int, int]]) -> tuple[int, int] | None:
        """The place among the wanted of the first that does not fit, and how many are left."""
        for number, (pool, start, end, many) in enumerate(wanted):
            before = Taken(None, wanted[:number])  # type: ignore[arg-type]
            self.taken.append(before)
            left = self.left(pool, start, end)
            self.taken.pop()
            if left < many:
                return number, left
        return None


start = st.integers(0, 12)
length = st.integers(1, 6)
line_ = st.tuples(start, length, st.integers(1, 3), st.integers(0, 2))
step = st.one_of(
    st.tuples(st.just("claim"), st.lists(line_, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["release", "lapse", "confirm", "cancel"]), st.integers(0, 5)),
    st.tuples(st.just("block"), st.tuples(st.sampled_from([0, 1]), start, length, st.just(1))),
    st.tuples(st.just("capacity"), st.tuples(st.sampled_from([0, 1]), st.integers(0, 5))),
)


class World:
    """The pools in the database beside the model; every step is done in both and compared."""

    def __init__(self, pools: list[Resource]) -> None:
        self.pools, self.model = pools, Model()

    def at(self, quarter: int) -> Any:
        return tomorrow(8) + quarter * QUARTER

    def claim(self, lines: list[tuple[int, int, int, int]]) -> None:
        asked = [self._line(*each) for each in lines]
        mains = [(BIKES, s, s + n + BUFFER, q) for s, n, q, _ in lines]
        extra = [(i, (HELMETS, s, s + n, h)) for i, (s, n, _, h) in enumerate(lines) if h]
        wanted = [*mains, *(part for _, part in extra)]
        owners = [*((i, None) for i in range(len(mains))), *((i, 0) for i, _ in extra)]
        expected = self.model.first_taken(wanted)
        if any(quantity > max(1, self.model.capacity[BIKES]) for _, _, quantity, _ in lines):
            with pytest.raises(WindowNotAllowed):
                hold(*asked)
            return
        if expected is not None:
            with pytest.raises(SlotTaken) as caught:
                hold(*asked)
            said = caught.value.data
            assert (said["line"], said["add_on"]) == owners[expected[0]]
            assert said["remaining"] == expected[1]
            return
        held = hold(*asked)
        self._tidied_by(wanted)
        self.model.taken.append(Taken(held, wanted))

    def _line(self, begin: int, long: int, quantity: int, helmets: int) -> LineRequest:
        chosen = (AddOnRequest(self.pools[HELMETS].pk, helmets),) if helmets else ()
        span = self.at(begin), self.at(begin + long)
        return LineRequest(self.pools[BIKES].pk, *span, quantity, chosen)

    def _tidied_by(self, wanted: list[tuple[int, int, int, int]]) -> None:
        """Whatever lapsed in the windows of a claim that is let in is released by it as a whole."""
        for each in self.model.taken:
            touches = any(
                p == q and s < f and t < e for p, s, e, _ in wanted for q, t, f, _ in each.parts
            )
            if each.state == "lapsed" and touches:
                each.state = "ended"

    def end(self, deed: str, number: int) -> None:
        fitting = {"cancel": "sure"}.get(deed, "live")
        those = [each for each in self.model.taken if each.state == fitting]
        if not those:
            return
        one = those[number % len(those)]
        if deed == "release":
            services.release(hold_id=one.held.pk, actor=SOMEBODY)
        elif deed == "lapse":
            lapse(one.held)
        elif deed == "cancel":
            cancel(booking_id=one.held.booking_id, actor=SOMEBODY)
        else:
            with transaction.atomic():
                services.confirm_unpaid(lock_hold(one.held.pk), SOMEBODY)
        one.state = {"lapse": "lapsed", "confirm": "sure"}.get(deed, "ended")

    def block(self, where: int, begin: int, long: int, units: int) -> None:
        """Always written; what does not fit any more is listed, and nothing else."""
        self.model.blocks.append((where, begin, begin + long, units))
        full = [
            at
            for at in range(begin, begin + long)
            if self.model.used(where, at, {"live", "sure", "lapsed"}) > self.model.capacity[where]
        ]
        _, listed = place_block(
            workspace=self.pools[where].workspace,
            resource=Resource.objects.get(pk=self.pools[where].pk),
            window=Window(self.at(begin), self.at(begin + long)),
            reason="In repair",
            quantity=units,
        )
        assert {each.pk for each in listed} == {
            each.held.booking_id
            for each in self.model.taken
            if each.state in {"live", "sure"}
            and any(p == where and s <= at < e for p, s, e, _ in each.parts for at in full)
        }

    def set_capacity(self, where: int, capacity: int) -> None:
        """Refused where more stands than that, by the service and by the guard alike."""
        unreleased = {"live", "sure", "lapsed"}
        peak = max(self.model.used(where, at, unreleased) for at in range(30))
        may = capacity >= self.model.capacity[where] or peak <= capacity
        pool = self.pools[where]
        if not may:
            with pytest.raises(IntegrityError) as caught, transaction.atomic():
                Resource.objects.filter(pk=pool.pk).update(capacity=capacity)
            assert constraint_of(caught.value) == "resource_capacity_covers_bookings"
            with pytest.raises(CapacityTaken) as refused:
                set_capacity(resource_id=pool.pk, capacity=capacity)
            assert refused.value.in_the_way
            return
        set_capacity(resource_id=pool.pk, capacity=capacity)
        self.model.capacity[where] = capacity

    def compare(self) -> None:
        """What availability says of some windows is what the model says."""
        ids = [pool.pk for pool in self.pools]
        rules = rules_for(workspace_id=self.pools[0].workspace_id, resource_ids=ids)
        known = availability(rules=list(rules.values()), start=self.at(-8), end=self.at(40))
        for where, pool in enumerate(self.pools):
            for begin, end in [(0, 4), (3, 5), (6, 13), (0, 18)]:
                left = free_throughout(known[pool.pk], Window(self.at(begin), self.at(end)))
                extra = BUFFER if where == BIKES else 0
                assert left == self.model.left(where, begin, end + extra)

    def do(self, deed: str, what: Any) -> None:
        if deed == "claim":
            self.claim(what)
        elif deed == "block":
            self.block(*what)
        elif deed == "capacity":
            self.set_capacity(*what)
        else:
            self.end(deed, what)


@pytest.fixture
def pools() -> list[Resource]:
    """Bikes with a buffer behind each, and helmets that go with them; both free of charge."""
    bikes = make_pool(capacity=4, price=0, buffer_after_seconds=15 * 60)
    helmets = make_pool(workspace=bikes.workspace, location=bikes.location, capacity=3, price=0)
    make_add_on(bikes, helmets, max_per_unit=3)
    return [bikes, helmets]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(step, min_size=4, max_size=24))
def test_the_database_agrees_with_a_plain_sweep(pools: list[Resource], steps: Any) -> None:
    with transaction.atomic():
        world = World(pools)
        for deed, what in steps:
            world.do(deed, what)
        world.compare()
        raw.settle_constraints()
        transaction.set_rollback(True)
    assert not Occupancy.objects.exists()


uses = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10), st.integers(1, 4)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(uses=uses, begin=st.integers(0, 20), long=st.integers(1, 10))
def test_the_sweep_in_python_is_the_plain_one(uses: Any, begin: int, long: int) -> None:
    base = tomorrow(8)

    def span(at: int, quarters: int) -> Window:
        return Window(base + at * QUARTER, base + (at + quarters) * QUARTER)

    plain = max(
        sum(many for at, n, many in uses if at <= moment < at + n)
        for moment in range(begin, begin + long)
    )
    found = [Use(span(at, n), many) for at, n, many in uses]
    assert peak_of(found, span(begin, long)) == plain
