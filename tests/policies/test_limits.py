"""A member's limits on bookings: counted under the member's lock, whoever asks and in what way."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, BookingLimit
from config.kernel import locks
from config.kernel.context import Actor
from holds import changing, services
from holds.booking_limits import BookingLimitReached
from holds.changing import NewWindow
from holds.claims import Claimant
from holds.models import Hold
from payments import checkouts
from tests.core.support import hold, lapse, line, tomorrow
from tests.core.threads import together
from tests.factories import MemberFactory, make_room

pytestmark = pytest.mark.django_db
STAFF = Actor("staff", "1", "Staff")
ANA = Claimant(email="ana@example.test")


def limited(**limits):
    """A free room (so that it is confirmed at once) in a workspace with these limits."""
    room = make_room(price=0, location__workspace__timezone="UTC", workspace__timezone="UTC")
    return add(room, **limits)


def add(room, *, resource=None, category=None, **limits):
    BookingLimit.objects.create(
        workspace=room.workspace, resource=resource, category=category, **limits
    )
    room.workspace.refresh_from_db()
    return room


def confirm(held):
    checkouts.start(hold_id=held.pk, success_url="https://x.test/", cancel_url="https://x.test/")


def test_held_and_confirmed_bookings_count_whatever_the_case_of_the_address():
    room = limited(bookings_per_day=2)
    confirm(hold(line(room, 9, 10), claimant=ANA))
    held = hold(line(room, 10, 11), claimant=Claimant(email="Ana@Example.test"))
    with pytest.raises(BookingLimitReached) as caught:
        hold(line(room, 11, 12), claimant=ANA)
    problem = caught.value.as_problem()
    day = tomorrow(0)
    assert (problem["status"], problem["code"]) == (422, "booking_limit_reached")
    assert (problem["rule"], problem["limit"], problem["used"]) == ("bookings_per_day", 2, 2)
    assert problem["frees_at"] == (day + timedelta(days=1)).isoformat()
    assert "at most 2 bookings a day" in problem["detail"]
    assert Booking.objects.count() == 2
    # Somebody else's do not count, nor what has lapsed; what is replaced makes room for itself.
    hold(line(room, 12, 13), claimant=Claimant(email="ben@example.test"))
    again = hold(line(room, 13, 14), claimant=ANA, token=held.token)
    lapse(again)
    hold(line(room, 14, 15), claimant=ANA)


def test_a_member_is_known_by_their_address_too():
    room = limited(bookings_per_day=1)
    member = MemberFactory(email="mia@example.test")
    hold(line(room, 9, 10), claimant=Claimant(member=member, email="work@example.test"))
    for who in (
        Claimant(email="mia@example.test"),
        Claimant(email="WORK@example.test"),
        Claimant(member=member),
    ):
        with pytest.raises(BookingLimitReached):
            hold(line(room, 11, 12), claimant=who)
    assert Booking.objects.count() == 1


def test_a_paid_hold_is_not_replaced_and_so_counts():
    room = limited(bookings_per_day=1)
    paid = hold(line(room, 9, 10), claimant=ANA)
    confirm(paid)
    with pytest.raises(BookingLimitReached):
        hold(line(room, 10, 11), claimant=ANA, token=paid.token)


def test_hours_of_one_resource():
    room = limited(bookings_per_week=50)
    other = make_room(workspace=room.workspace, location=room.location, category=room.category)
    add(room, resource=room, hours_per_month=3)
    hold(line(room, 9, 11), claimant=ANA)
    hold(line(other, 9, 14), claimant=ANA)
    with pytest.raises(BookingLimitReached) as caught:
        hold(line(room, 12, 14), claimant=ANA)
    assert (caught.value.data["rule"], caught.value.data["used"]) == ("hours_per_month", 2)
    hold(line(room, 12, 13), claimant=ANA)


def test_staff_may_go_beyond_where_they_have_confirmed_it():
    room = limited(bookings_per_day=1)
    hold(line(room, 9, 10), claimant=ANA)
    hold(line(room, 10, 11), claimant=Claimant(email=ANA.email, may_exceed=True))
    assert Booking.objects.count() == 2


def test_who_says_who_they_are_only_when_paying_is_counted_then():
    room = limited(bookings_per_day=1)
    hold(line(room, 9, 10), claimant=ANA)
    nobody = hold(line(room, 10, 11), claimant=Claimant(visitor="a browser"))
    with pytest.raises(BookingLimitReached):
        checkouts.start(
            hold_id=nobody.pk,
            success_url="https://x.test/",
            cancel_url="https://x.test/",
            email="ANA@example.test",
        )
    nobody.refresh_from_db()
    assert (nobody.state, nobody.booking.email) == ("active", "")


def test_a_member_cannot_move_a_booking_to_a_full_day_and_staff_can():
    room = limited(bookings_per_day=1)
    first = hold(line(room, 9, 10), claimant=ANA)
    start = tomorrow(9) + timedelta(days=1)
    moved = changing.NewWindow(0, start, start + timedelta(hours=1))
    confirm(first)
    with transaction.atomic():
        second = services.claim(
            workspace=room.workspace,
            lines=[type(line(room))(room.pk, start, start + timedelta(hours=1))],
            claimant=ANA,
            actor=STAFF,
        )
    confirm(second)
    back = NewWindow(0, tomorrow(12), tomorrow(13))
    with pytest.raises(BookingLimitReached), transaction.atomic():
        changing.ask(booking_id=second.booking_id, windows=[back], actor=STAFF, claimant=Claimant())
    later = NewWindow(0, moved.start + timedelta(hours=2), moved.end + timedelta(hours=2))
    with transaction.atomic():  # the day it has already is no further booking
        changing.ask(
            booking_id=second.booking_id, windows=[later], actor=STAFF, claimant=Claimant()
        )
        changing.ask(booking_id=second.booking_id, windows=[back], actor=STAFF)


def test_the_workspace_knows_whether_it_limits_anything():
    room = limited(bookings_per_day=1)
    assert room.workspace.limits_bookings
    stale = type(room.workspace).objects.get(pk=room.workspace_id)
    stale.limits_bookings = False
    stale.save()  # from an older reading
    room.workspace.refresh_from_db()
    assert room.workspace.limits_bookings
    BookingLimit.objects.all().delete()
    room.workspace.refresh_from_db()
    assert not room.workspace.limits_bookings


def test_a_limit_stays_within_its_workspace():
    room, other = make_room(), make_room()
    BookingLimit.objects.create(workspace=room.workspace, resource=other, bookings_per_day=1)
    with pytest.raises(IntegrityError) as caught, connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    assert caught.value.__cause__.diag.constraint_name == "booking_limit_within_workspace"


def test_a_claim_without_limits_asks_nothing_more():
    plain, room = make_room(), limited(bookings_per_day=9)
    with CaptureQueriesContext(
        connection,
    ) as without:
        hold(line(plain), claimant=ANA)
    with CaptureQueriesContext(connection) as with_limits:
        hold(line(room), claimant=ANA)
    assert not any("bookinglimit" in q["sql"] for q in without.captured_queries)
    assert not any("advisory" in q["sql"] for q in without.captured_queries)
    assert len(with_limits) == len(without) + 3  # the lock, the limits, what the member has


def _race():
    room = limited(bookings_per_day=2)
    rooms = [room, *(make_room(workspace=room.workspace, price=0) for _ in range(5))]
    return together([lambda r=r: hold(line(r), claimant=ANA) for r in rooms])


@pytest.mark.django_db(transaction=True)
def test_limits_hold_when_all_claim_at_once():
    found = sorted(type(each).__name__ for each in _race())
    assert found == ["BookingLimitReached"] * 4 + ["Hold"] * 2
    assert Hold.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_control_without_the_subjects_lock_there_are_more(monkeypatch):
    """Counting alone does not hold: with the lock off, all see the same count."""
    from threading import Barrier

    from holds import booking_limits

    meet, count = Barrier(6), booking_limits._had

    def all_count_first(*args):
        had = count(*args)
        meet.wait(30)
        return had

    monkeypatch.setattr(locks, "advisory", lambda _subjects: None)
    monkeypatch.setattr(booking_limits, "_had", all_count_first)
    assert [type(each).__name__ for each in _race()] == ["Hold"] * 6
