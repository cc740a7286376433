"""Every pair of claim, lapse, settle, release, cancel and sweep, in both orders, lock by lock.

One room and one hold on it, about which both operations are. After each interleaving the invariants
hold, the answers are ones the contract has, and nobody was a deadlock's victim.

Settling and sweeping take some twenty locks; the suite stops them at every sixteenth,
beginning with another one for each pair. `SUREHOLD_THOROUGH=1` stops at every lock of all
(docs/soak.md).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.db import transaction

from bookings import lock_objects
from bookings import services as bookings_services
from bookings.models import Booking, Resource
from config.kernel.context import SYSTEM
from holds import lapsing, services, tasks
from holds.claims import Claimant
from holds.lock_objects import lock_hold
from holds.models import Hold
from payments import settlement, stripe_api
from payments import tasks as payment_tasks
from payments.models import Checkout, Payment, Signal
from tests.core.interleaving import Run, interleave
from tests.core.legality import assert_legal
from tests.core.support import SOMEBODY, hold, lapse, line
from tests.factories import LocationFactory, ResourceFactory, WorkspaceFactory
from tests.money.support import pay, start

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class World:
    """One room, one hold of one hour on it, perhaps its paid Checkout."""

    room: Resource
    held: Hold
    checkout: Checkout | None


def _claim(world: World) -> str:
    hold(line(world.room), claimant=Claimant(visitor="somebody else"))
    return "held"


def _lapse(world: World) -> str:
    """The tidier, once it has found the hold: perhaps a while ago."""
    return f"lapsed {lapsing._expire_one(world.held.booking_id)}"


def _settle(world: World) -> str:
    assert world.checkout is not None
    source = Signal.Source.SUCCESS_PAGE
    return settlement.settle(checkout_id=world.checkout.pk, source=source).name


def _release(world: World) -> str:
    services.release(hold_id=world.held.pk, actor=SOMEBODY, checkout_closed=True)
    return "released"


def _cancel(world: World) -> str:
    bookings_services.cancel(booking_id=world.held.booking_id, actor=SOMEBODY)
    return "cancelled"


def _sweep(world: World) -> str:
    """What beat does: money's self-heal, and the tidying of holds."""
    payment_tasks.sweep()
    tasks.tidy_lapsed()
    return "swept"


OPERATIONS: dict[str, Callable[[World], str]] = {
    "claim": _claim,
    "lapse": _lapse,
    "settle": _settle,
    "release": _release,
    "cancel": _cancel,
    "sweep": _sweep,
}
# Answers that the contract has for each; anything else is a bug that a user would see.
ANSWERS = {
    "claim": {"held", "slot_taken"},
    "lapse": {"lapsed 0", "lapsed 1"},
    "settle": {"confirmed", "voided", "repeated"},
    "release": {"released", "invalid_transition"},
    "cancel": {"cancelled", "invalid_transition"},
    "sweep": {"swept"},
}


def _moment(first: str, second: str) -> list[str]:
    """When the two meet: while the hold is live, after its time, or when it is confirmed.

    Only a hold past its time lapses, and only a confirmed booking is cancelled.
    """
    pair = {first, second}
    if "cancel" in pair:
        return ["live"] if "settle" in pair else ["confirmed"]
    return ["late"] if "lapse" in pair else ["live", "late"]


CASES = [
    (first, second, moment)
    for first in OPERATIONS
    for second in OPERATIONS
    for moment in _moment(first, second)
]


THOROUGH = bool(os.environ.get("SUREHOLD_THOROUGH"))


@pytest.mark.parametrize(("first", "second", "moment"), CASES)
def test_one_legal_outcome(first, second, moment, sandbox):
    location = LocationFactory(workspace=WorkspaceFactory())
    stride = 16 if first in {"settle", "sweep"} and not THOROUGH else 1
    begin = 1 + CASES.index((first, second, moment)) % stride
    stop_after, reached = begin, True
    while reached:
        world = _world(location, moment, sandbox, paid=bool({first, second} & {"settle", "sweep"}))
        one = Run(first, lambda world=world: OPERATIONS[first](world), stop_after)
        two = Run(second, lambda world=world: OPERATIONS[second](world))
        reached = interleave(one, two)
        _check(world, one, two)
        stop_after += stride
        assert stop_after < 60, one.locks
    assert stop_after > begin + stride, f"{first} took no lock at all"


def _world(location, moment, sandbox, *, paid: bool) -> World:
    room = ResourceFactory(workspace=location.workspace, location=location)
    held = hold(line(room))
    checkout = None
    if paid:
        checkout = start(held)
        pay(sandbox, checkout)
        Checkout.objects.filter(pk=checkout.pk).update(next_look_at=held.created_at)
        held.refresh_from_db()
    if moment == "late":
        lapse(held)
    if moment == "confirmed":
        _confirm(held, checkout)
    return World(room, held, checkout)


def _confirm(held: Hold, checkout: Checkout | None) -> None:
    """Confirmed, and where it was paid, with the capture still to be done."""
    if checkout is None:
        with transaction.atomic():
            services.confirm_unpaid(lock_hold(held.pk), SYSTEM)
        return
    checkout = Checkout.objects.select_related("due").get(pk=checkout.pk)
    truth = stripe_api.fetch_session(checkout)
    settlement._decided(checkout, truth, Signal.Source.PLATFORM)
    Payment.objects.filter(checkout=checkout).update(next_try_at=held.created_at)


def _check(world: World, one: Run, two: Run) -> None:
    said = f"{one.name} stopped after {one.stop_after}: {one.locks}; {two.name}: {two.locks}"
    for run in (one, two):
        assert run.error is None, f"{said}\n{run.name}: {run.error!r}"
        assert run.outcome in ANSWERS[run.name], f"{said}\n{run.name}: {run.outcome}"
        assert run.deadlocks == 0, said
    assert_legal()
    _check_slot(world, {run.outcome for run in (one, two)}, [one, two], said)


def _check_slot(world: World, outcomes: set[str], runs: list[Run], said: str) -> None:
    """The answers and the rows tell the same story."""
    booking = Booking.objects.get(pk=world.held.booking_id)
    winners = [run for run in runs if run.name == "claim" and run.outcome == "held"]
    rivals = Booking.objects.filter(lines__resource=world.room).exclude(pk=booking.pk)
    assert rivals.count() == len(winners) <= 1, said
    if winners:
        assert booking.state in {"expired", "released", "cancelled"}, said
    if "confirmed" in outcomes:
        assert booking.state in {"confirmed", "cancelled"}, said
        assert not winners or booking.state == "cancelled", said
    if "voided" in outcomes:
        assert booking.state in {"expired", "released"}, said
    if "cancelled" in outcomes:
        assert booking.state == "cancelled", said
    if [run.name for run in runs] == ["claim", "claim"]:
        assert sorted(run.outcome for run in runs) == (
            ["held", "slot_taken"] if booking.state == "expired" else ["slot_taken"] * 2
        ), said
    for payment in Payment.objects.filter(due__booking=booking):
        assert payment.state in {"captured", "voided", "capturing", "voiding"}, said


def test_a_wrong_order_would_be_seen():
    """The control: two that lock two rooms in opposite orders, one of them a deadlock's victim."""
    rooms = [ResourceFactory().pk, ResourceFactory().pk]

    def lock(order: list) -> str:
        with transaction.atomic():
            for room in order:
                lock_objects.lock_resources([room]).get()
        return "locked"

    one = Run("forth", lambda: lock(rooms), stop_after=1)
    two = Run("back", lambda: lock(rooms[::-1]))
    assert interleave(one, two)
    assert one.deadlocks + two.deadlocks == 1
    assert sorted([one.outcome, two.outcome]) == ["OperationalError", "locked"]
