"""A change of a confirmed booking against everything that can meet it, lock by lock.

A booking from nine to ten, paid. In `held` a change to one till three waits, paid for and not yet
settled; in `late` its time is up as well; in `plain` there is none. After each interleaving the
invariants hold, the answers are ones the contract has, the booking has its old time or its new one,
and nobody was a deadlock's victim.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.db import IntegrityError, transaction

from bookings.models import Booking, Change, Resource
from config.kernel.database_errors import translated
from holds import lapsing, services
from holds.claims import Claimant
from holds.lock_objects import lock_hold
from holds.models import Hold
from payments import cancelling, rescheduling, settlement
from payments.models import Checkout, Payment, Signal
from payments.rescheduling import NONE, Settling, Wish
from tests.core.interleaving import Run, interleave
from tests.core.legality import assert_legal
from tests.core.support import SOMEBODY, hold, lapse, line
from tests.factories import LocationFactory, ResourceFactory, WorkspaceFactory
from tests.money.changes_support import MEMBER, hours, wait_for, window
from tests.money.support import pay, start

pytestmark = pytest.mark.django_db(transaction=True)

WAS, WANTED, ELSEWHERE = (9, 10), (13, 15), (14, 16)
# Who takes many locks is stopped at every tenth or twelfth of them, each beginning at another one
# (docs/soak.md: at each).
STRIDES = {"settle": 12, "move": 10, "move elsewhere": 10, "cancel": 10}
THOROUGH = bool(os.environ.get("SUREHOLD_THOROUGH"))


@dataclass
class World:
    """One room, a booking on it, and perhaps the change that it waits for."""

    room: Resource
    booking: Booking
    waiting: Hold | None = None
    checkout: Checkout | None = None


def _claim(world: World, start: int, end: int) -> str:
    try:
        hold(line(world.room, start, end), claimant=Claimant(visitor="somebody else"))
    except IntegrityError as error:
        raise translated(error) or error from error
    return "held"


def _move(world: World, *windows: int, version: int | None = None) -> str:
    """Staff move it and leave the difference: it is made at once or not at all."""
    settling = Settling(NONE)
    wish = Wish(world.booking.pk, [window(*windows)], settling=settling, version=version)
    try:
        with transaction.atomic():
            rescheduling.reschedule(wish, actor=MEMBER)
    except IntegrityError as error:
        raise translated(error) or error from error
    return "moved"


def _settle(world: World) -> str:
    assert world.checkout is not None
    source = Signal.Source.SUCCESS_PAGE
    return settlement.settle(checkout_id=world.checkout.pk, source=source).name


def _cancel(world: World) -> str:
    return cancelling.cancel(booking_id=world.booking.pk, actor=SOMEBODY).state


def _lapse(world: World) -> str:
    return f"lapsed {lapsing._expire_one(world.booking.pk)}"


def _release(world: World) -> str:
    assert world.waiting is not None
    services.release(hold_id=world.waiting.pk, actor=SOMEBODY, checkout_closed=True)
    return "released"


OPERATIONS: dict[str, Callable[[World], str]] = {
    "claim what it wants": lambda world: _claim(world, 14, 15),
    "claim what it had": lambda world: _claim(world, *WAS),
    "move": lambda world: _move(world, *WANTED, version=world.booking.version),
    "move elsewhere": lambda world: _move(world, *ELSEWHERE, version=world.booking.version),
    "settle": _settle,
    "cancel": _cancel,
    "lapse": _lapse,
    "release": _release,
}
# Answers that the contract has for each; `checkout_open` is answered by closing it at Stripe first.
MOVED = {"moved", "slot_taken", "version_mismatch", "invalid_transition"}
ANSWERS = {
    "claim what it wants": {"held", "slot_taken"},
    "claim what it had": {"held", "slot_taken"},
    "move": MOVED | {"checkout_open", "payment_in_progress"},
    "move elsewhere": MOVED | {"checkout_open", "payment_in_progress"},
    "settle": {"confirmed", "voided", "repeated"},
    "cancel": {"cancelled", "checkout_open", "payment_in_progress"},
    "lapse": {"lapsed 0", "lapsed 1"},
    "release": {"released", "invalid_transition"},
}
PAIRS = [
    ("move", "move elsewhere", "plain"),
    ("move", "claim what it wants", "plain"),
    ("move", "claim what it had", "plain"),
    ("move", "cancel", "plain"),
    ("settle", "move elsewhere", "held"),
    ("settle", "claim what it had", "held"),
    ("settle", "cancel", "held"),
    ("settle", "release", "held"),
    ("settle", "move elsewhere", "late"),
    ("settle", "claim what it wants", "late"),
    ("settle", "claim what it had", "late"),
    ("settle", "cancel", "late"),
    ("settle", "lapse", "late"),
    ("lapse", "move elsewhere", "late"),
    ("lapse", "cancel", "late"),
]
BOTH_ORDERS = [
    (first, second, moment)
    for one, two, moment in PAIRS
    for first, second in ((one, two), (two, one))
]
# The suite has each pair in one order, now this one first and now the other.
CASES = [case for n, case in enumerate(BOTH_ORDERS) if THOROUGH or (n + n // 2) % 2 == 0]


@pytest.mark.parametrize(("first", "second", "moment"), CASES)
def test_one_legal_outcome(first, second, moment, sandbox):
    location = LocationFactory(workspace=WorkspaceFactory())
    stride = 1 if THOROUGH else STRIDES.get(first, 1)
    begin = 1 + CASES.index((first, second, moment)) % min(stride, 4)
    stop_after, reached = begin, True
    while reached:
        world = _world(location, moment, sandbox)
        one = Run(first, lambda world=world: OPERATIONS[first](world), stop_after)
        two = Run(second, lambda world=world: OPERATIONS[second](world))
        reached = interleave(one, two)
        _check(world, one, two)
        stop_after += stride
        assert stop_after < 80, one.locks
    assert stop_after > begin + stride, f"{first} took no lock at all"


def _world(location, moment, sandbox) -> World:
    room = ResourceFactory(workspace=location.workspace, location=location)
    held = hold(line(room, *WAS))
    with transaction.atomic():
        booking = services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    world = World(room, booking)
    if moment != "plain":
        world.waiting = wait_for(held, window(*WANTED))
        world.checkout = start(world.waiting)
        pay(sandbox, world.checkout)
        world.waiting.refresh_from_db()
    if moment == "late":
        assert world.waiting is not None
        lapse(world.waiting)
    return world


def _check(world: World, one: Run, two: Run) -> None:
    said = f"{one.name} stopped after {one.stop_after}: {one.locks}; {two.name}: {two.locks}"
    for run in (one, two):
        assert run.error is None, f"{said}\n{run.name}: {run.error!r}"
        assert run.outcome in ANSWERS[run.name], f"{said}\n{run.name}: {run.outcome}"
        assert run.deadlocks == 0, said
    assert_legal()
    _check_story(world, {run.name: run.outcome for run in (one, two)}, said)


def _check_story(world: World, answers: dict[str, str], said: str) -> None:
    """The answers and the rows tell the same story; the old time is never lost for nothing."""
    said = f"{answers}: {said}"
    booking = Booking.objects.get(pk=world.booking.pk)
    made = Change.objects.filter(booking=booking, state="committed")
    moves = [name for name, answer in answers.items() if answer in {"moved", "confirmed"}]
    assert made.count() == len(moves), said
    where = {"move": WANTED, "move elsewhere": ELSEWHERE, "settle": WANTED}
    expected = {where[name] for name in moves} or {WAS}
    assert tuple(hours(booking.pk)[0]) in expected, said
    assert (booking.state == "cancelled") == (answers.get("cancel") == "cancelled"), said
    if {"move", "move elsewhere"} <= set(answers):
        assert sorted(answers.values()) == ["moved", "version_mismatch"], said
    if answers.get("claim what it wants") == "held":
        assert not moves, said
    if answers.get("claim what it had") == "held":
        assert moves or booking.state == "cancelled", said
    if answers.get("settle") == "confirmed":
        assert answers.get("release") != "released", said
    for payment in Payment.objects.filter(due__booking=booking):
        expected_state = "captured" if "settle" in moves else "voided"
        assert payment.state == expected_state, said
