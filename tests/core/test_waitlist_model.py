"""Lines against a plain Python queue: whatever happens in whatever order, the same ones are served.

The model knows units per hour and a list of people, nothing of rows, locks or claims.
"""

import os
import random
from dataclasses import dataclass, field

import pytest

from bookings.models import Resource
from holds import services, waitlist
from holds.errors import AlreadyFree
from holds.models import Hold, WaitlistEntry
from holds.offering import offer
from tests.core.support import SOMEBODY, hold, lapse, line
from tests.core.waiting import in_line, wait
from tests.factories import make_pool

pytestmark = pytest.mark.django_db

HOURS, UNITS, STEPS = range(9, 12), 3, 40
DEEDS = ["hold", "join", "release", "decline", "leave"]


@dataclass
class Person:
    """Somebody in the model's queue: hours, how long of them, how many, and how they stand."""

    name: str
    start: int
    end: int
    hours: int
    units: int
    state: str = "waiting"
    has: tuple[int, int] = (0, 0)


@dataclass
class Model:
    free: dict[int, int] = field(default_factory=lambda: dict.fromkeys(HOURS, UNITS))
    queue: list[Person] = field(default_factory=list)
    contested: int = 0

    def take(self, start: int, end: int, units: int) -> bool:
        if any(self.free[hour] < units for hour in range(start, end)):
            return False
        self.give(start, end, -units)
        return True

    def give(self, start: int, end: int, units: int) -> None:
        for hour in range(start, end):
            self.free[hour] += units

    def fits(self, person: Person) -> tuple[int, int] | None:
        for quarter in range(person.start * 4, (person.end - person.hours) * 4 + 1):
            touched = range(quarter // 4, -(-(quarter + person.hours * 4) // 4))
            if all(self.free[hour] >= person.units for hour in touched):
                return quarter // 4, quarter // 4 + person.hours
        return None

    def serve(self) -> None:
        """First in line whom it fits, then the next, until it fits nobody."""
        while True:
            found = [(p, self.fits(p)) for p in self.queue if p.state == "waiting"]
            fitting = [(p, window) for p, window in found if window is not None]
            if not fitting:
                return
            self.contested += len(fitting) > 1
            person, window = fitting[0]
            person.state, person.has = "offered", window
            assert self.take(*window, person.units)


@pytest.mark.parametrize("seed", range(40 if os.environ.get("SUREHOLD_THOROUGH") else 2))
def test_the_line_does_what_a_plain_queue_does(seed):
    chance, model, pool = random.Random(seed), Model(), make_pool(price=0, capacity=UNITS)
    held = _everything_is_taken(model, pool)
    for step in range(STEPS):
        deed = "join" if step < 12 else chance.choices(DEEDS, weights=[1, 6, 5, 4, 1])[0]
        if deed == "hold":
            _hold(chance, model, pool, held)
        elif deed == "join":
            _join(chance, model, pool, f"p{step:02}")
        elif deed == "release" and held:
            gone, start, end, units = held.pop(chance.randrange(len(held)))
            _end(chance, gone)
            model.give(start, end, units)
        else:
            _away(chance, model, "offered" if deed == "decline" else "waiting")
        model.serve()
        offer(pool.pk)
        assert in_line(pool) == {p.name: p.state for p in model.queue}, (seed, step, deed)
    assert model.contested >= 2  # else the order would not have mattered


def _everything_is_taken(model: Model, pool: Resource) -> list[tuple[Hold, int, int, int]]:
    found = []
    for hour in HOURS:
        for _ in range(UNITS):
            assert model.take(hour, hour + 1, 1)
            found.append((hold(line(pool, hour, hour + 1)), hour, hour + 1, 1))
    return found


def _hold(chance: random.Random, model: Model, pool: Resource, held: list) -> None:
    start, units = chance.choice(HOURS), chance.randint(1, 2)
    end = chance.randint(start + 1, HOURS.stop)
    if model.take(start, end, units):
        held.append((hold(line(pool, start, end, units)), start, end, units))


def _join(chance: random.Random, model: Model, pool: Resource, name: str) -> None:
    start = chance.choice(HOURS)
    end = chance.randint(start + 1, HOURS.stop)
    hours = chance.randint(1, end - start)
    person = Person(name, start, end, hours, chance.choices([1, 2, 3], [6, 3, 1])[0])
    if model.fits(person):
        with pytest.raises(AlreadyFree):
            wait(pool, name, start, end, minutes=hours * 60, quantity=person.units)
        return
    wait(pool, name, start, end, minutes=hours * 60, quantity=person.units)
    model.queue.append(person)


def _end(chance: random.Random, gone: Hold) -> None:
    if chance.random() < 0.5:
        lapse(gone)
        services.expire_lapsed()
    else:
        services.release(hold_id=gone.pk, actor=SOMEBODY)


def _away(chance: random.Random, model: Model, state: str) -> None:
    """Somebody who waits leaves, or somebody's offer is declined or lapses."""
    found = [person for person in model.queue if person.state == state]
    if not found:
        return
    person = chance.choice(found)
    entry = WaitlistEntry.objects.select_related("hold").get(email=f"{person.name}@example.test")
    if state == "waiting":
        waitlist.leave(entry_id=entry.pk, actor=SOMEBODY)
        person.state = "left"
        return
    _end(chance, entry.hold)
    person.state = "passed"
    model.give(*person.has, person.units)
