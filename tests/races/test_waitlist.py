"""Lines while many come and go at once: in order, each once, never more than there are.

Each race has its control beside it: the same without the protection goes wrong.
"""

import os
import random
import time
from collections import Counter
from datetime import datetime
from threading import Barrier, Event
from uuid import UUID

import pytest
from django.db import DatabaseError, OperationalError, transaction

from bookings.models import Booking, Occupancy, Resource
from bookings.selectors import rules_for
from config.kernel.context import SYSTEM
from config.kernel.errors import DomainError
from config.kernel.locks import sqlstate
from holds import offering, services, waitlist
from holds.claims import Claimant, LineRequest, claim
from holds.models import FreedTime, Hold, WaitlistEntry
from holds.states import ACTIVE
from holds.waitlist_line import first_fit, waiting_for
from members.models import Workspace
from tests.core.raw import sql
from tests.core.support import SOMEBODY, hold, lapse, line, tomorrow
from tests.core.threads import Aside, together
from tests.core.waiting import in_line, mails, offers, wait
from tests.factories import make_pool, make_room
from tests.races.crowd import deadlocks

pytestmark = pytest.mark.django_db(transaction=True)

OVERLAPPING_OFFERS = """
    SELECT count(*) FROM bookings_occupancy a JOIN bookings_occupancy b
      ON a.resource_id = b.resource_id AND a.id < b.id AND a.during && b.during
    WHERE a.released_at IS NULL AND b.released_at IS NULL AND a.exclusive
"""


def release(held: Hold) -> None:
    services.release(hold_id=held.pk, actor=SOMEBODY)


def in_use(pool: Resource) -> int:
    return Occupancy.objects.filter(resource=pool, released_at=None).count()


def passer_by(pool: Resource) -> str:
    try:
        hold(line(pool), claimant=Claimant(email="passer-by@example.test"))
    except (DomainError, DatabaseError):
        return "refused"
    return "held"


def test_units_that_free_at_once_go_to_the_first_in_line_each_once():
    """Four releases, four workers that look along the line, four passers-by, all at once."""
    pool = make_pool(capacity=4)
    held = [hold(line(pool)) for _ in range(4)]
    names = [f"m{n:02}" for n in range(8)]
    for who in names:
        wait(pool, who)
    before = deadlocks()

    found = together(
        [
            *[lambda h=h: release(h) for h in held],
            *[lambda: offering.offer(pool.pk)] * 4,
            *[lambda: passer_by(pool)] * 4,
        ]  # type: ignore[arg-type]
    )
    assert found[:4] == [None] * 4
    assert found[8:] == ["refused"] * 4
    rest = offering.offer(pool.pk)  # what was released after the last look
    assert sum(found[4:8]) + rest == 4  # type: ignore[arg-type]
    assert offers(pool) == names[:4]
    assert list(in_line(pool).values()) == ["offered"] * 4 + ["waiting"] * 4
    assert in_use(pool) == 4
    assert [mails(who) for who in names] == [["joined", "offered"]] * 4 + [["joined"]] * 4
    assert not FreedTime.objects.exists()
    assert deadlocks() == before


def test_without_what_is_kept_a_passer_by_comes_first():
    """The control: the same release, and nothing kept for the line."""
    room = make_room()
    held = hold(line(room))
    wait(room, "ana")
    release(held)
    assert passer_by(room) == "refused"
    FreedTime.objects.all().delete()
    assert passer_by(room) == "held"
    assert offering.offer(room.pk) == 0


def naive_offer(pool_id: UUID, looked: Barrier) -> None:
    """Look, then claim, then write down who has it: what everybody writes first."""
    entries = waiting_for(pool_id)
    rules = rules_for(workspace_id=entries[0].workspace_id, resource_ids=[pool_id])[pool_id]
    fit = first_fit(rules, entries)
    assert fit is not None
    looked.wait(30)
    with transaction.atomic(), offering._what_is_kept():
        entry = fit.entry
        placed = claim(
            workspace=entry.workspace,
            lines=[LineRequest(pool_id, fit.window.start, fit.window.end)],
            claimant=Claimant(email=entry.email),
            actor=SYSTEM,
        )
        WaitlistEntry.objects.filter(pk=entry.pk, state="waiting").update(
            state="offered", version=1, hold=placed, offered_at=placed.created_at
        )


def two_free_and_a_line_of_three() -> Resource:
    pool = make_pool(capacity=2)
    held = [hold(line(pool)) for _ in range(2)]
    for who in ("ana", "ben", "cho"):
        wait(pool, who)
    for each in held:
        release(each)
    return pool


def live_holds() -> Counter[str]:
    rows = Hold.objects.filter(state=ACTIVE).values_list("booking__email", flat=True)
    return Counter(email.partition("@")[0] for email in rows)


def test_two_workers_without_the_lock_offer_twice_to_one():
    """The control: both look before either claims, and the second in line goes without."""
    pool, looked = two_free_and_a_line_of_three(), Barrier(2)
    assert together([lambda: naive_offer(pool.pk, looked)] * 2) == [None, None]
    assert live_holds() == {"ana": 2}


def test_two_workers_in_the_same_sweep_offer_each_once():
    pool = two_free_and_a_line_of_three()
    assert sum(together([offering.sweep] * 2)) == 2  # type: ignore[arg-type]
    assert live_holds() == {"ana": 1, "ben": 1}
    assert in_line(pool) == {"ana": "offered", "ben": "offered", "cho": "waiting"}
    assert mails("ana") == ["joined", "offered"]


def test_who_leaves_while_it_is_being_offered_has_no_hold_and_the_next_one_has():
    """Either they left first, or they are told that it is held for them; never both."""
    for _ in range(5):
        room = make_room()
        held = hold(line(room))
        first, _second = wait(room, "ana"), wait(room, "ben")
        release(held)
        left, offered = together(
            [
                lambda e=first: waitlist.leave(entry_id=e.pk, actor=SOMEBODY),
                lambda r=room: offering.offer(r.pk),
            ]  # type: ignore[misc]
        )
        offering.offer(room.pk)
        if isinstance(left, Exception):
            assert (left.code, offered) == ("still_offered", 1)  # type: ignore[attr-defined]
            assert in_line(room) == {"ana": "offered", "ben": "waiting"}
        else:
            assert in_line(room) == {"ana": "left", "ben": "offered"}
        assert Hold.objects.filter(state=ACTIVE, workspace=room.workspace_id).count() == 1


def test_nobody_gets_an_earlier_place_than_one_that_is_committed():
    """Who is about to join holds up those who come after: the order is that of the commits."""
    room, is_in, go_on = make_room(), Event(), Event()
    hold(line(room))

    def slowly() -> None:
        with transaction.atomic():
            wait(room, "ana")
            is_in.set()
            assert go_on.wait(30)

    first = Aside(slowly)
    assert is_in.wait(30)
    sql("SET lock_timeout = '50ms'")
    with pytest.raises(OperationalError, match="lock timeout"):
        wait(room, "ben")
    sql("RESET lock_timeout")
    go_on.set()
    first.result()
    found = together([lambda n=n: wait(room, f"m{n}") for n in range(6)])  # type: ignore[misc]
    assert all(isinstance(entry, WaitlistEntry) for entry in found), found
    assert next(iter(in_line(room))) == "ana"
    assert sql("SELECT count(DISTINCT queued_at) FROM holds_waitlistentry") == [(7,)]


def test_one_person_joining_twice_at_once_has_one_place():
    room = make_room()
    hold(line(room))
    found = together([lambda: wait(room, "ana")] * 4)
    assert len({entry.pk for entry in found}) == 1  # type: ignore[union-attr]
    assert mails("ana") == ["joined"]


# --- Everything at once -------------------------------------------------------------------------


class Visitor:
    """Somebody who claims, lets go, waits, leaves, or works the line, over and over."""

    def __init__(self, seed: int, places: list[Resource], until: float) -> None:
        self.chance, self.places, self.until = random.Random(seed), places, until
        self.name = f"v{seed}"
        self.held: list[Hold] = []
        self.entries: list[WaitlistEntry] = []
        self.done: Counter[str] = Counter()

    def run(self) -> Counter[str]:
        deeds = [self.claim, self.claim, self.release, self.wait, self.leave, self.work, self.lapse]
        while time.monotonic() < self.until:
            deed = self.chance.choice(deeds)
            try:
                deed()
                self.done[deed.__name__] += 1
            except DomainError as error:
                self.done[error.code] += 1
            except DatabaseError as error:
                if sqlstate(error) != "23P01":  # a pool that is full, or a line that comes first
                    raise
                self.done["23P01"] += 1
        return self.done

    def _window(self) -> tuple[datetime, datetime]:
        start = self.chance.randint(8, 14)
        return tomorrow(start), tomorrow(start + self.chance.randint(1, 2))

    def claim(self) -> None:
        start, end = self._window()
        chosen = self.chance.sample(self.places, self.chance.randint(1, 2))
        lines = [LineRequest(place.pk, start, end) for place in chosen]
        self.held.append(hold(*lines, claimant=Claimant(email=f"{self.name}@example.test")))

    def release(self) -> None:
        if self.held:
            release(self.held.pop(self.chance.randrange(len(self.held))))

    def lapse(self) -> None:
        if self.held:
            with transaction.atomic():
                lapse(self.held.pop())
            services.expire_lapsed(limit=5)

    def wait(self) -> None:
        start, end = self._window()
        place = self.chance.choice(self.places)
        wish = waitlist.Wish(place.pk, start, end, self.chance.choice([None, 3600]))
        with transaction.atomic():
            workspace = Workspace.objects.get(pk=place.workspace_id)
            who = Claimant(email=f"{self.name}@example.test")
            joined = waitlist.join(workspace=workspace, wish=wish, who=who, actor=SOMEBODY)
        self.entries.append(joined.entry)

    def leave(self) -> None:
        if self.entries:
            waitlist.leave(entry_id=self.entries.pop().pk, actor=SOMEBODY)

    def work(self) -> None:
        offering.offer(self.chance.choice(self.places).pk)


def test_nothing_deadlocks_or_is_sold_twice_while_everything_goes_on():
    """Two rooms and a pool for 2 s; SUREHOLD_WAITLIST_SECONDS makes it longer."""
    seconds = float(os.environ.get("SUREHOLD_WAITLIST_SECONDS", "2"))
    room = make_room(price=0)
    of = {"workspace": room.workspace, "location": room.location, "category": room.category}
    places = [room, make_room(price=0, **of), make_pool(price=0, capacity=3, **of)]
    before, until = deadlocks(), time.monotonic() + seconds
    found = together([Visitor(seed, places, until).run for seed in range(8)])
    errors = [result for result in found if isinstance(result, Exception)]
    assert errors == []
    print(dict(sum(found, Counter())))  # type: ignore[arg-type]
    assert deadlocks() == before
    assert sql(OVERLAPPING_OFFERS) == [(0,)]
    offering.sweep()
    live = WaitlistEntry.objects.filter(state="offered")
    assert live.count() == live.filter(hold__state=ACTIVE).count()
    for place in places:
        queue = waiting_for(place.pk)
        rules = rules_for(workspace_id=place.workspace_id, resource_ids=[place.pk])[place.pk]
        assert first_fit(rules, queue) is None
    assert not Booking.objects.filter(holds__waited_for__state="passed", state="pending_payment")
