"""Waiting for a time that is taken: who may, who comes first, and how a wait ends."""

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from bookings import dropping
from bookings import services as booking_services
from bookings.errors import OutsideOpeningHours, SlotTaken, WindowNotAllowed
from bookings.models import Block, Resource
from bookings.services import Move
from config.kernel import clock
from config.kernel.context import SYSTEM
from config.kernel.ids import new_id
from holds import changing, offering, services, tasks, waitlist
from holds.errors import AlreadyFree, StillOffered, TooManyWaiting
from holds.lock_objects import lock_hold
from holds.models import FreedTime, Hold, WaitlistEntry
from holds.offering import offer, ttl_seconds
from holds.subjects import AddOnRequest, LineRequest
from members.models import Notification, Workspace
from tests.core.support import SOMEBODY, hold, lapse, line, state_of, tomorrow
from tests.core.waiting import in_line, kept, mails, offers, wait, wait_between
from tests.factories import BlockFactory, make_add_on, make_pool, make_room

pytestmark = pytest.mark.django_db


def release(held, actor=SOMEBODY):
    services.release(hold_id=held.pk, actor=actor)


def offered_to(who: str) -> Hold:
    return WaitlistEntry.objects.select_related("hold").get(email=f"{who}@example.test").hold


# --- Joining ------------------------------------------------------------------------------------


def test_the_same_person_has_one_place_for_one_time():
    room = make_room()
    hold(line(room))
    first = wait(room, "ana")
    assert wait(room, "ana").pk == first.pk
    assert mails("ana") == ["joined"]
    twice = WaitlistEntry.objects.get(pk=first.pk)
    twice.pk, twice.token, twice._state.adding = new_id(), "another", True
    with pytest.raises(IntegrityError, match="waitlist_once_per_person"), transaction.atomic():
        twice.save()


def test_nobody_waits_for_what_is_free():
    room = make_room()
    with pytest.raises(AlreadyFree) as free:
        wait(room, "ana", 9, 12, minutes=60)
    said = [free.value.data[name] for name in ("start", "end")]
    assert [datetime.fromisoformat(moment) for moment in said] == [tomorrow(9), tomorrow(10)]
    assert in_line(room) == {}


@pytest.mark.parametrize(
    ("start", "end", "minutes", "quantity", "error"),
    [
        (9, 9.1, 0, 1, WindowNotAllowed),  # too short
        (9, 10, 120, 1, WindowNotAllowed),  # longer than its range
        (9, 10, 0, 2, WindowNotAllowed),  # there is one
        (-48, -47, 0, 1, WindowNotAllowed),  # over
        (20, 21, 0, 1, OutsideOpeningHours),
        (20, 23, 60, 1, OutsideOpeningHours),
        (9, 24 * 9, 60, 1, WindowNotAllowed),  # a range of more than a week
    ],
)
def test_what_the_rules_never_give_is_not_waited_for(start, end, minutes, quantity, error):
    from datetime import time

    room = make_room()
    Resource.objects.filter(pk=room.pk).update(min_seconds=30 * 60)
    room.location.timezone = "UTC"
    room.location.save()
    room.location.opening_hours.update(opens_at=time(8), closes_at=time(18))
    begin = tomorrow(0)
    with pytest.raises(error):
        wait_between(
            room, "ana", begin + timedelta(hours=start), begin + timedelta(hours=end),
            minutes=minutes, quantity=quantity,
        )  # fmt: skip
    assert in_line(room) == {}


def test_nobody_waits_in_more_lines_than_allowed():
    room = make_room()
    Workspace.objects.filter(pk=room.workspace_id).update(max_waiting_per_member=2)
    hold(line(room, 9, 13))
    left = wait(room, "ana", 9, 10)
    wait(room, "ana", 10, 11)
    with pytest.raises(TooManyWaiting):
        wait(room, "ana", 11, 12)
    waitlist.leave(entry_id=left.pk, actor=SOMEBODY)
    wait(room, "ana", 11, 12)
    wait(room, "ben", 11, 12)


# --- Offering -----------------------------------------------------------------------------------


def test_the_first_in_line_gets_a_real_hold_then_the_one_after():
    room = make_room()
    held = hold(line(room))
    for who in ("ana", "ben", "cho"):
        wait(room, who)
    assert offer(room.pk) == 0
    release(held)
    assert offer(room.pk) == 1
    assert in_line(room) == {"ana": "offered", "ben": "waiting", "cho": "waiting"}
    assert mails("ana") == ["joined", "offered"]
    theirs = offered_to("ana")
    assert state_of(theirs) == ("active", "pending_payment")
    assert theirs.expires_at - theirs.created_at == timedelta(hours=1)
    assert theirs.booking.email == "ana@example.test"
    lapse(theirs)
    assert offer(room.pk) == 1  # the claim for the next clears what lapsed
    assert in_line(room) == {"ana": "passed", "ben": "offered", "cho": "waiting"}
    assert mails("ana") == ["joined", "offered", "passed"]
    assert not Notification.objects.filter(kind="expiry", to="ana@example.test").exists()
    release(offered_to("ben"))  # declined
    assert offer(room.pk) == 1
    assert in_line(room) == {"ana": "passed", "ben": "passed", "cho": "offered"}
    assert mails("ben") == ["joined", "offered"]
    with transaction.atomic():
        services.confirm_unpaid(lock_hold(offered_to("cho").pk), SYSTEM)
    assert in_line(room)["cho"] == "taken"
    assert offer(room.pk) == 0
    assert kept(room) == 0


def test_as_many_are_offered_as_units_are_free_and_no_more():
    pool = make_pool(capacity=3)
    held = [hold(line(pool)) for _ in range(3)]
    for who in ("ana", "ben", "cho", "dov"):
        wait(pool, who)
    release(held[0])
    release(held[1])
    assert offer(pool.pk) == 2
    assert offers(pool) == ["ana", "ben"]
    assert offer(pool.pk) == 0
    with pytest.raises(SlotTaken):
        services_hold(pool)


def services_hold(pool):
    with transaction.atomic():
        try:
            return hold(line(pool))
        except IntegrityError as error:
            raise SlotTaken from error


def test_who_needs_more_keeps_their_place_and_holds_up_nobody():
    pool = make_pool(capacity=3)
    held = [hold(line(pool)) for _ in range(3)]
    wait(pool, "two", quantity=2)
    wait(pool, "one")
    wait(pool, "also")
    release(held[0])
    assert offer(pool.pk) == 1
    assert in_line(pool) == {"two": "waiting", "one": "offered", "also": "waiting"}
    release(held[1])
    release(held[2])
    assert offer(pool.pk) == 1
    assert in_line(pool) == {"two": "offered", "one": "offered", "also": "waiting"}


def test_whoever_wants_any_start_gets_the_earliest_that_frees():
    room = make_room()
    first, second = hold(line(room, 9, 11)), hold(line(room, 11, 13))
    wait(room, "any", 9, 13, minutes=90)
    wait(room, "exact", 11, 12)
    release(second)
    assert offer(room.pk) == 1
    window = offered_to("any").booking
    assert (window.starts_at, window.ends_at) == (tomorrow(11), tomorrow(12, 30))
    assert in_line(room)["exact"] == "waiting"
    release(first)
    assert offer(room.pk) == 0


def test_different_times_of_a_resource_do_not_stand_in_one_anothers_way():
    room = make_room()
    nine, ten = hold(line(room, 9, 10)), hold(line(room, 10, 11))
    wait(room, "ana", 9, 10)
    wait(room, "ben", 10, 11)
    release(ten)
    assert offer(room.pk) == 1
    assert offers(room) == ["ben"]
    release(nine)
    assert offer(room.pk) == 1
    assert set(offers(room)) == {"ana", "ben"}


def test_the_sweep_finds_what_no_kick_told_of(django_assert_max_num_queries):
    room, pool, closed = make_room(), make_pool(capacity=1), make_room()
    block = BlockFactory(resource=room, during=(tomorrow(9), tomorrow(10)))
    hold(line(pool))
    lapsing = hold(line(closed))
    for resource in (room, pool, closed):
        wait(resource, "ana")
    assert offering.sweep() == 0
    Block.objects.filter(pk=block.pk).delete()
    assert offering.sweep() == 1
    Resource.objects.filter(pk=pool.pk).update(capacity=2)
    assert offering.sweep() == 1
    lapse(lapsing)
    assert offering.sweep() == 1
    assert [in_line(r)["ana"] for r in (room, pool, closed)] == ["offered"] * 3
    assert offering.sweep() == 0


def test_one_whose_claim_is_refused_is_passed_over_and_keeps_their_place():
    """Money is refused here: their workspace cannot take any; a free one is offered."""
    room = make_room()
    held = hold(line(room))
    Workspace.objects.filter(pk=room.workspace_id).update(
        charges="direct", stripe_account_id="acct_1", stripe_charges_enabled=False
    )
    wait(room, "ana")
    release(held)
    assert offer(room.pk) == 0
    assert in_line(room) == {"ana": "waiting"}
    assert Hold.objects.count() == 1
    assert mails("ana") == ["joined"]


def test_a_wait_ends_when_it_is_too_late():
    room = make_room()
    hold(line(room))
    wait(room, "ana")
    WaitlistEntry.objects.update(
        starts_at=clock.now() - timedelta(minutes=61),
        last_start_at=clock.now() - timedelta(minutes=1),
        ends_at=clock.now() + timedelta(minutes=59),
    )
    assert offering.sweep() == 0
    assert in_line(room) == {"ana": "over"}
    assert mails("ana") == ["joined", "over"]


@pytest.mark.parametrize(
    ("minutes_left", "seconds"),
    [(10_000, 3600), (120, 3600), (60, 1800), (12, 360), (8, 300), (4, 240), (0.5, 60)],
)
def test_an_offer_for_what_begins_soon_is_shorter(minutes_left, seconds):
    now = clock.now()
    assert ttl_seconds(3600, now + timedelta(minutes=minutes_left), now) == seconds


# --- Freed time is kept for the line ------------------------------------------------------------


def test_between_release_and_offer_a_passer_by_gets_nothing_of_it():
    room = make_room()
    held = hold(line(room, 9, 10))
    wait(room, "ana")
    release(held)
    assert kept(room) == 1
    with pytest.raises(SlotTaken, match="offered to them first"), transaction.atomic():
        hold(line(room, 9, 10))
    hold(line(room, 10, 11))  # nobody waits for that
    assert offer(room.pk) == 1
    assert (offers(room), kept(room)) == (["ana"], 0)


def test_a_release_kicks_the_row_that_it_wrote(monkeypatch, django_capture_on_commit_callbacks):
    sent = []
    monkeypatch.setattr(
        "config.kernel.effects._send", lambda task, args, _: sent.append([task, *args])
    )
    room = make_room()
    held = hold(line(room))
    wait(room, "ana")
    with django_capture_on_commit_callbacks(execute=True):
        release(held)
    ((task, freed_id),) = [each for each in sent if each[0].startswith("holds.")]
    assert task == "holds.offer_freed"
    assert tasks.offer_freed(freed_id) == 1
    assert tasks.offer_freed(freed_id) == 0  # delivered twice
    assert tasks.sweep_waitlist() == 0


def confirmed(*lines):
    held = hold(*lines)
    with transaction.atomic():
        return services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)


@pytest.mark.parametrize("how", ["cancelled", "dropped", "moved", "shortened"])
def test_what_a_confirmed_booking_gives_back_is_the_lines(how):
    room = make_room(price=0)
    lines = [line(room, 8, 9), line(room, 9, 10)] if how == "dropped" else [line(room, 8, 10)]
    booking = confirmed(*lines)
    wait(room, "ana", 9, 10)
    if how == "cancelled":
        booking_services.cancel(booking_id=booking.pk, actor=SOMEBODY)
    elif how == "dropped":
        with transaction.atomic():
            locked = booking_services.locked_booking(booking.pk)
            part = dropping.Dropped(booking.lines.get(position=1), kept_minor=0)
            dropping.drop(locked, [part], Move("confirmed", clock.now(), SOMEBODY))
    else:
        start, end = (12, 14) if how == "moved" else (8, 9)
        wanted = [changing.NewWindow(0, tomorrow(start), tomorrow(end))]
        with transaction.atomic():
            asked = changing.ask(booking_id=booking.pk, windows=wanted, actor=SOMEBODY)
            changing.make(asked, actor=SOMEBODY)
    assert kept(room) == 1
    with pytest.raises(SlotTaken, match="offered to them first"), transaction.atomic():
        hold(line(room, 9, 10))
    assert offer(room.pk) == 1
    assert offers(room) == ["ana"]


def test_what_fits_nobody_in_line_is_anybodys():
    room = make_room()
    held, _still = hold(line(room, 9, 10)), hold(line(room, 10, 11))
    wait(room, "ana", 9, 11)
    release(held)
    assert (offer(room.pk), kept(room)) == (0, 0)
    hold(line(room, 9, 10))


def test_nothing_is_kept_where_nobody_waits_or_for_long():
    room, other = make_room(), make_room()
    release(hold(line(room)))
    assert FreedTime.objects.count() == 0
    held = hold(line(other))
    wait(other, "ana")
    release(held)
    freed = FreedTime.objects.get()
    assert timedelta(seconds=20) < freed.kept_until - clock.now() <= timedelta(seconds=30)
    FreedTime.objects.update(kept_until=clock.now())
    hold(line(other))  # no worker for half a minute: it is not kept from everybody for ever


def test_a_lapsed_hold_is_the_lines_before_it_is_a_passer_bys():
    room = make_room()
    held = hold(line(room))
    wait(room, "ana")
    lapse(held, 1)
    with pytest.raises(IntegrityError, match="others wait for that time"), transaction.atomic():
        hold(line(room))
    assert offer(room.pk) == 1
    assert offers(room) == ["ana"]


def test_a_hold_that_lapsed_long_ago_is_anybodys():
    room = make_room()
    held = hold(line(room))
    wait(room, "ana")
    lapse(held, 31)
    hold(line(room))
    assert in_line(room) == {"ana": "waiting"}


def test_who_chooses_another_time_keeps_what_they_had_of_it():
    room = make_room()
    mine = hold(line(room, 9, 10))
    wait(room, "ana", 9, 10)
    again = hold(line(room, 9, 11), token=mine.token)
    assert (again.pk != mine.pk, state_of(mine)[0]) == (True, "released")
    assert offer(room.pk) == 0


# --- How a wait ends ----------------------------------------------------------------------------


def test_leaving_at_any_time():
    room = make_room()
    held = hold(line(room))
    waiting, offered = wait(room, "ana"), wait(room, "ben")
    waitlist.leave(entry_id=waiting.pk, actor=SOMEBODY)
    release(held)
    offer(room.pk)
    assert in_line(room) == {"ana": "left", "ben": "offered"}
    with pytest.raises(StillOffered):
        waitlist.leave(entry_id=offered.pk, actor=SOMEBODY)
    release(offered_to("ben"))
    waitlist.leave(entry_id=offered.pk, actor=SOMEBODY)
    assert waitlist.leave(entry_id=offered.pk, actor=SOMEBODY).state == "left"
    assert in_line(room) == {"ana": "left", "ben": "left"}


def test_who_found_it_themselves_does_not_wait_any_more():
    room = make_room(price=0)
    held = hold(line(room))
    wait(room, "ana", 9, 10)
    wait(room, "ben")
    release(held)
    FreedTime.objects.all().delete()
    own = hold(line(room))  # ana's address
    with transaction.atomic():
        services.confirm_unpaid(lock_hold(own.pk), SOMEBODY)
    assert in_line(room) == {"ana": "taken", "ben": "waiting"}
    booking_services.cancel(booking_id=own.booking_id, actor=SOMEBODY)
    assert offer(room.pk) == 1
    assert offers(room) == ["ben"]


def test_staff_remove_somebody_with_a_reason():
    room = make_room()
    hold(line(room))
    entry = wait(room, "ana")
    waitlist.remove(entry_id=entry.pk, actor=SYSTEM, reason="Twice on the list")
    assert in_line(room) == {"ana": "removed"}
    told = Notification.objects.get(kind="waitlist_removed")
    assert "Twice on the list" in told.payload["text"]


def test_the_database_refuses_what_must_not_be():
    room = make_room()
    hold(line(room))
    entry = wait(room, "ana")
    for wrong in ({"state": "offered"}, {"state": "passed"}, {"quantity": 0}):
        changes = {"version": entry.version + 1} | wrong
        with pytest.raises(IntegrityError), transaction.atomic():
            WaitlistEntry.objects.filter(pk=entry.pk).update(**changes)
    with pytest.raises(IntegrityError), transaction.atomic():
        WaitlistEntry.objects.all().delete()


def test_a_failure_after_the_claim_leaves_neither_hold_nor_offer(monkeypatch):
    """The mail is part of the offer: without it there is no hold that nobody was told of."""
    room = make_room()
    held = hold(line(room))
    wait(room, "ana")
    release(held)

    def crash(*_args, **_more):
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patch:
        patch.setattr("holds.waitlist_mails.offered", crash)
        with pytest.raises(RuntimeError):
            offer(room.pk)
    assert (in_line(room), Hold.objects.count(), kept(room)) == ({"ana": "waiting"}, 1, 1)
    assert offering.sweep() == 1
    assert mails("ana") == ["joined", "offered"]


def test_what_has_to_be_booked_with_it_is_offered_along():
    bike = make_pool(capacity=1)
    lock = make_add_on(bike, is_required=True).pool
    held = hold(LineRequest(bike.pk, tomorrow(9), tomorrow(10), 1, (AddOnRequest(lock.pk, 1),)))
    wait(bike, "ana")
    release(held)
    offer(bike.pk)
    lines = offered_to("ana").booking.lines.order_by("position")
    assert list(lines.values_list("resource_id", "quantity")) == [(bike.pk, 1), (lock.pk, 1)]
