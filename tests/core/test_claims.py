"""Claiming and what ends a hold: all lines or none, tokens, limits, time (design.md §5)."""

from datetime import time, timedelta
from time import sleep

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from bookings import lock_objects
from bookings.errors import OutsideOpeningHours, SlotTaken, UnknownResource, WindowNotAllowed
from bookings.models import Booking, BookingEvent, Occupancy
from bookings.nearest import with_next_free
from config.kernel import clock
from config.kernel.errors import InvalidInput, InvalidTransition, NotFound
from holds import selectors, services, tasks
from holds.claims import Claimant, LineRequest
from holds.errors import HoldExpired, HoldNotExtendable, TooManyHolds
from holds.lock_objects import lock_hold
from holds.models import Hold
from members.models import Notification
from payments.models import Due
from tests.core.legality import assert_legal
from tests.core.raw import sql
from tests.core.support import SOMEBODY, hold, lapse, line, live, state_of, tomorrow
from tests.core.threads import Aside, together
from tests.factories import BlockFactory, MemberFactory, make_pool, make_room

pytestmark = pytest.mark.django_db


def ana(**more) -> Claimant:
    return Claimant(email="ana@example.test", name="Ana", visitor="ana", **more)


# --- What a claim writes ------------------------------------------------------------------------


def test_a_hold_has_everything_that_stands_behind_it():
    room = make_room(buffer_before_seconds=600, buffer_after_seconds=1200)
    held = hold(line(room, 9, 11), claimant=ana())

    booking = Booking.objects.get(pk=held.booking_id)
    assert (booking.state, booking.total_minor, booking.currency) == (
        "pending_payment",
        9000,
        "NZD",
    )
    assert (booking.email, booking.name) == ("ana@example.test", "Ana")
    taken = Occupancy.objects.get(booking=booking)
    assert taken.during.lower == tomorrow(9) - timedelta(minutes=10)
    assert taken.during.upper == tomorrow(11) + timedelta(minutes=20)
    assert taken.lapses_at == held.lapses_at == held.expires_at
    assert Due.objects.get(booking=booking).amount_minor == 9000
    event = BookingEvent.objects.get(booking=booking)
    assert (event.kind, event.from_state, event.to_state, event.version) == (
        "held", "", "pending_payment", 0,
    )  # fmt: skip
    assert not Notification.objects.exists(), "nobody is mailed about a hold"


@pytest.mark.django_db(transaction=True)
def test_a_claim_refuses_to_run_outside_a_transaction():
    room = make_room()
    with pytest.raises(TransactionManagementError):
        services.claim(workspace=room.workspace, lines=[line(room)], claimant=ana(), actor=SOMEBODY)


# --- All lines or none --------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_all_lines_or_none_with_the_index_of_the_failing_one(failing):
    first = make_room()
    rooms = [first, *(make_room(workspace=first.workspace) for _ in range(2))]
    hold(line(rooms[failing], 9, 10))
    before = Booking.objects.count(), Occupancy.objects.count(), Hold.objects.count()

    with pytest.raises(SlotTaken) as caught:
        hold(*(line(room, 9, 10) for room in rooms))

    assert caught.value.data["line"] == failing
    assert (Booking.objects.count(), Occupancy.objects.count(), Hold.objects.count()) == before
    hold(*(line(room, 10, 11) for room in rooms))
    assert Occupancy.objects.count() == before[1] + 3


def test_a_pools_refusal_names_its_line_and_the_nearest_time():
    pool = make_pool(capacity=2)
    room = make_room(workspace=pool.workspace)
    hold(line(pool, 9, 10, quantity=2))
    lines = [line(room), line(pool, 9, 10)]
    with pytest.raises(SlotTaken) as caught:
        hold(*lines)
    error = with_next_free(caught.value, pool.workspace_id, lines)
    problem = error.as_problem()
    assert (problem["code"], problem["line"]) == ("slot_taken", 1)
    assert (problem["remaining"], problem["add_on"]) == (0, None)
    assert problem["next_free"]["start"].startswith(f"{tomorrow(10):%Y-%m-%dT%H:%M}")
    assert Hold.objects.count() == 1


def test_the_same_room_twice_in_one_claim_is_refused():
    room = make_room()
    with pytest.raises(SlotTaken) as caught:
        hold(line(room, 9, 11), line(room, 10, 12))
    assert caught.value.data["line"] == 1
    assert not Hold.objects.exists()
    hold(line(room, 9, 10), line(room, 10, 11))
    assert Occupancy.objects.count() == 2


def test_what_can_never_be_claimed():
    room = make_room()
    elsewhere = make_room()
    with pytest.raises(UnknownResource) as caught:
        hold(line(room), line(elsewhere, 12, 13))
    assert caught.value.data["line"] == 1
    room.is_active = False
    room.save()
    with pytest.raises(UnknownResource):
        hold(line(room))
    with pytest.raises(InvalidInput):
        services.claim(workspace=room.workspace, lines=[], claimant=ana(), actor=SOMEBODY)
    with pytest.raises(WindowNotAllowed):
        hold(LineRequest(elsewhere.pk, tomorrow(9), tomorrow(9)))
    with pytest.raises(WindowNotAllowed):
        hold(LineRequest(elsewhere.pk, tomorrow(9), tomorrow(9) + timedelta(minutes=20)))


def test_closed_hours_and_blocks_are_refused():
    room = make_room(hours=[(weekday, time(8), time(18)) for weekday in range(7)])
    room.location.timezone = "UTC"
    room.location.save()
    with pytest.raises(OutsideOpeningHours):
        hold(line(room, 17, 19))
    BlockFactory(resource=room, during=(tomorrow(12), tomorrow(13)))
    with pytest.raises(SlotTaken, match="That time is closed for bookings"), transaction.atomic():
        hold(line(room, 12, 13))
    with pytest.raises(IntegrityError) as caught:
        hold(line(room, 9, 10), line(room, 12, 13))
    said = with_next_free(caught.value, room.workspace_id, [line(room, 9, 10), line(room, 12, 13)])
    assert isinstance(said, SlotTaken)
    assert said.message == "That time is closed for bookings."


# --- How long -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workspace", "resource", "asked", "seconds"),
    [(900, None, None, 900), (900, 300, None, 300), (900, 300, 60, 60), (900, None, 7200, 7200)],
)
def test_the_time_to_live_is_the_requests_the_resources_or_the_workspaces(
    workspace, resource, asked, seconds
):
    room = make_room(hold_ttl_seconds=resource)
    room.workspace.hold_ttl_seconds = workspace
    room.workspace.save()
    held = hold(line(room), ttl_seconds=asked)
    assert held.expires_at - held.created_at == timedelta(seconds=seconds)


def test_several_resources_have_the_shortest_of_their_times():
    room = make_room(hold_ttl_seconds=600)
    other = make_room(workspace=room.workspace, hold_ttl_seconds=120)
    held = hold(line(room), line(other))
    assert held.expires_at - held.created_at == timedelta(seconds=120)


@pytest.mark.parametrize("seconds", [0, 59, 7201, -1])
def test_a_time_out_of_range_is_refused(seconds):
    with pytest.raises(InvalidInput):
        hold(line(make_room()), ttl_seconds=seconds)


# --- Tokens -------------------------------------------------------------------------------------


def test_a_token_with_the_same_lines_is_the_same_hold():
    room = make_room()
    held = hold(line(room), line(room, 12, 13))
    again = hold(line(room, 12, 13), line(room), token=held.token)
    assert again.pk == held.pk
    assert again.expires_at == held.expires_at, "a retry is no extension"
    assert Booking.objects.count() == 1


@pytest.mark.parametrize(("start", "end"), [(9, 11), (10, 11), (12, 13)])
def test_a_token_with_other_lines_replaces_the_hold(start, end):
    """Their own hold is never in a visitor's way."""
    room = make_room()
    held = hold(line(room, 9, 10), claimant=ana())
    other = hold(line(room, start, end), token=held.token, claimant=ana())
    assert other.pk != held.pk
    assert state_of(held) == ("released", "released")
    assert live(held.booking) == 0
    assert live(other.booking) == 1
    assert Hold.objects.get(pk=held.pk).ended_because == "Replaced by another choice"


def test_a_replacement_that_fails_leaves_the_hold():
    room = make_room()
    held = hold(line(room, 9, 10))
    hold(line(room, 12, 13))
    with pytest.raises(SlotTaken):
        hold(line(room, 12, 13), token=held.token)
    assert state_of(held) == ("active", "pending_payment")
    assert live(held.booking) == 1


def test_a_token_of_an_ended_hold_or_of_another_workspace_is_as_none():
    room, elsewhere = make_room(), make_room()
    held = hold(line(room))
    foreign = hold(line(elsewhere), token=held.token)
    assert foreign.pk != held.pk
    assert state_of(held) == ("active", "pending_payment")
    services.release(hold_id=held.pk, actor=SOMEBODY)
    again = hold(line(room), token=held.token)
    assert again.pk != held.pk
    assert again.token != held.token


# --- Limits -------------------------------------------------------------------------------------


LIMITS = {"member": 2, "visitor": 2, "address": 2}


def _limited(kind):
    """A claimant of whom the workspace knows one thing only, and a room with limits of 2."""
    room = make_room()
    for name in LIMITS:
        setattr(room.workspace, f"max_live_holds_per_{name}", 2 if name == kind else 50)
    room.workspace.save()
    known = {
        "member": lambda: {"member": MemberFactory()},
        "visitor": lambda: {"visitor": "one browser"},
        "address": lambda: {"address": "192.0.2.7"},
    }[kind]()
    return room, Claimant(limited=True, **known)


@pytest.mark.parametrize("kind", LIMITS)
def test_live_holds_are_limited(kind):
    room, who = _limited(kind)
    first = hold(line(room, 9, 10), claimant=who)
    hold(line(room, 10, 11), claimant=who)
    with pytest.raises(TooManyHolds) as caught:
        hold(line(room, 11, 12), claimant=who)
    assert caught.value.status == 429
    assert Hold.objects.count() == 2
    hold(line(room, 11, 12), claimant=Claimant(visitor="somebody else", limited=True))
    # One that lapsed does not count, and replacing one's own is not one more.
    lapse(first)
    third = hold(line(room, 12, 13), claimant=who)
    hold(line(room, 13, 14), claimant=who, token=third.token)


def test_secret_keys_are_not_limited():
    room, who = _limited("address")
    for hour in range(9, 13):
        hold(line(room, hour, hour + 1), claimant=Claimant(address=who.address))
    assert Hold.objects.count() == 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", LIMITS)
def test_limits_hold_when_all_claim_at_once(kind):
    """Different rooms have no lock in common: only the subject's own lock can hold the limit."""
    room, who = _limited(kind)
    rooms = [room, *(make_room(workspace=room.workspace) for _ in range(7))]
    found = together([lambda r=r: hold(line(r), claimant=who) for r in rooms])
    kinds = sorted(type(each).__name__ for each in found)
    assert kinds == ["Hold"] * 2 + ["TooManyHolds"] * 6
    assert Hold.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_sixteen_threads_on_one_slot_are_one_hold():
    room = make_room()
    found = together([lambda: hold(line(room))] * 16)
    assert sorted(type(each).__name__ for each in found) == ["Hold"] + ["SlotTaken"] * 15
    assert Booking.objects.count() == 1
    assert_legal()


@pytest.mark.django_db(transaction=True)
def test_sixteen_threads_on_five_bikes_are_five_holds():
    pool = make_pool(capacity=5)
    found = together([lambda: hold(line(pool))] * 16)
    assert sorted(type(each).__name__ for each in found) == ["Hold"] * 5 + ["SlotTaken"] * 11
    assert sql("SELECT sum(quantity) FROM bookings_occupancy WHERE released_at IS NULL") == [(5,)]


@pytest.mark.django_db(transaction=True)
def test_lines_in_opposite_orders_do_not_deadlock():
    """Resources are locked by id, whatever the request says; all or none for each."""
    one = make_room()
    two = make_room(workspace=one.workspace)
    forth, back = [line(one), line(two)], [line(two), line(one)]
    found = together([lambda ls=ls: hold(*ls) for ls in [forth, back] * 6])
    assert sorted(type(each).__name__ for each in found) == ["Hold"] + ["SlotTaken"] * 11
    assert Occupancy.objects.count() == 2


# --- What comes in while a claim waits ----------------------------------------------------------


def _waiting(work):
    """Start work that the lock of this very transaction holds up, and return once it waits."""
    aside = Aside(work)
    pid = aside.backend()
    while sql("SELECT pg_blocking_pids(%s) = '{}'", pid)[0][0]:
        assert not aside.done.is_set(), f"it did not wait: {aside.error}"
        sleep(0.005)
    return aside


@pytest.mark.django_db(transaction=True)
def test_a_claim_reads_the_clock_once_it_has_the_lock():
    """Its time to live begins then, however long it waited (design.md §3, "One clock")."""
    room = make_room()
    with transaction.atomic():
        lock_objects.lock_resources([room.pk]).get()
        waiting = _waiting(lambda: hold(line(room)))
        ((before,),) = sql("SELECT clock_timestamp()")
    held = waiting.result()
    assert held.created_at > before
    assert held.expires_at - held.created_at == timedelta(seconds=900)


@pytest.mark.django_db(transaction=True)
def test_who_came_in_while_a_claim_waited_has_the_slot():
    """It found the window free before it waited; the constraint knows better (INV-1)."""
    room = make_room()
    with transaction.atomic():
        lock_objects.lock_resources([room.pk]).get()
        waiting = _waiting(lambda: hold(line(room, 9, 11)))
        first = hold(line(room, 10, 12))
    with pytest.raises(SlotTaken) as caught:
        waiting.result()
    assert caught.value.data["line"] == 0
    assert sql("SELECT booking_id FROM bookings_occupancy") == [(first.booking_id,)]
    assert Booking.objects.count() == 1


# --- Time, without worker or beat ---------------------------------------------------------------


def test_a_claim_supersedes_one_that_lapsed():
    room = make_room()
    held = hold(line(room, 9, 11), claimant=ana())
    lapse(held, seconds=0)
    other = hold(line(room, 10, 12))
    assert state_of(held) == ("expired", "expired")
    assert state_of(other) == ("active", "pending_payment")
    assert (live(held.booking), live(other.booking)) == (0, 1)
    assert list(Notification.objects.values_list("kind", flat=True)) == ["expiry"]


def test_a_pools_lapsed_units_are_had_again():
    pool = make_pool(capacity=3)
    held = hold(line(pool, quantity=3))
    with pytest.raises(SlotTaken):
        hold(line(pool))
    lapse(held)
    hold(line(pool, quantity=3))
    assert state_of(held) == ("expired", "expired")


def test_one_that_lapsed_elsewhere_is_left_for_the_tidier():
    room = make_room()
    held = hold(line(room, 9, 10))
    lapse(held)
    hold(line(room, 10, 11))
    assert state_of(held) == ("active", "pending_payment")
    assert not selectors.is_live(held, clock.now())
    assert tasks.tidy_lapsed() == 1
    assert state_of(held) == ("expired", "expired")
    assert tasks.tidy_lapsed() == 0


def test_a_lapsed_hold_cannot_be_confirmed_extended_or_kept():
    held = hold(line(make_room(price=0)))
    lapse(held)
    with pytest.raises(HoldExpired):
        services.extend(hold_id=held.pk, actor=SOMEBODY)
    with transaction.atomic(), pytest.raises(HoldExpired):
        services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)


# --- Extending and releasing --------------------------------------------------------------------


def test_an_extension_is_had_once():
    held = hold(line(make_room()))
    extended = services.extend(hold_id=held.pk, actor=SOMEBODY)
    assert extended.expires_at - held.expires_at == timedelta(seconds=300)
    assert Occupancy.objects.get().lapses_at == extended.lapses_at == extended.expires_at
    with pytest.raises(HoldNotExtendable):
        services.extend(hold_id=held.pk, actor=SOMEBODY)
    held.refresh_from_db()
    assert held.expires_at == extended.expires_at


def test_no_extension_where_the_workspace_gives_none():
    room = make_room()
    room.workspace.hold_extension_seconds = 0
    room.workspace.save()
    with pytest.raises(HoldNotExtendable):
        services.extend(hold_id=hold(line(room)).pk, actor=SOMEBODY)


@pytest.mark.django_db(transaction=True)
def test_extensions_at_once_are_one():
    held = hold(line(make_room()))
    found = together([lambda: services.extend(hold_id=held.pk, actor=SOMEBODY)] * 6)
    assert sorted(type(each).__name__ for each in found) == ["Hold"] + ["HoldNotExtendable"] * 5


def test_releasing_again_changes_nothing():
    held = hold(line(make_room()))
    services.release(hold_id=held.pk, actor=SOMEBODY, reason="Changed my mind")
    first = Booking.objects.get(pk=held.booking_id)
    services.release(hold_id=held.pk, actor=SOMEBODY)
    again = Booking.objects.get(pk=held.booking_id)
    assert (again.state, again.version, again.ended_at) == ("released", 1, first.ended_at)
    assert BookingEvent.objects.filter(kind="released").count() == 1
    assert not Notification.objects.exists(), "it was the member's own doing"
    with pytest.raises(NotFound):
        services.release(hold_id=held.booking_id, actor=SOMEBODY)


def test_a_confirmed_booking_is_not_released():
    held = hold(line(make_room(price=0)))
    with transaction.atomic():
        services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)
    with pytest.raises(InvalidTransition):
        services.release(hold_id=held.pk, actor=SOMEBODY)
    assert state_of(held) == ("confirmed", "confirmed")


# --- Round trips --------------------------------------------------------------------------------


@pytest.mark.parametrize(("lines", "statements"), [(1, 2), (5, 3)])
def test_a_claim_takes_few_statements_however_many_lines(lines, statements):
    """Lock and rules, one look, one write: round trips are what a claim costs (design.md §9).

    One line in a free window needs no look of its own.
    """
    room = make_room()
    wanted = [line(room, 6 + n, 7 + n) for n in range(lines)]
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        services.claim(workspace=room.workspace, lines=wanted, claimant=ana(), actor=SOMEBODY)
    said = [q["sql"] for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]]
    assert len(said) == statements, said


def test_a_claim_on_a_pool_looks_under_the_lock_and_takes_no_more():
    pool = make_pool(capacity=5)
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        services.claim(workspace=pool.workspace, lines=[line(pool)], claimant=ana(), actor=SOMEBODY)
    said = [q["sql"] for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]]
    assert len(said) == 3, said
