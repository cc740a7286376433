"""Rules that meet: what one part of a booking knows of the others."""

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings import series as rules_of_series
from bookings.errors import OnlyWithOthers, UnknownResource
from bookings.models import Booking, BookingLimit, Discount, PriceRule, Resource
from bookings.pricing import summed
from bookings.rules import Window
from bookings.selectors import rules_for
from bookings.series import Repeat
from bookings.taxes import Tax
from config.kernel.context import Actor
from config.kernel.errors import NotFound
from config.kernel.money import Money
from holds import offering, services, waitlist
from holds.booking_limits import BookingLimitReached
from holds.claims import Claimant
from holds.errors import HoldExpired
from holds.lock_objects import lock_hold
from holds.models import Hold, WaitlistEntry
from holds.services import confirm_unpaid
from holds.subjects import AddOnRequest, LineRequest
from members.models import GroupMembership, MemberGroup, Notification
from payments import (
    cancelling,
    credit_spending,
    dropping,
    external,
    on_behalf,
    rebooking,
    rescheduling,
    series,
)
from payments.api import booking_json, bookings_of
from payments.credit_spending import RestTooSmall
from payments.errors import ApprovedByStaff
from payments.models import Due, Refund
from payments.on_behalf import COMPLIMENTARY
from tests.core.support import hold, lapse, line, live, state_of, tomorrow
from tests.core.waiting import in_line, wait
from tests.factories import MemberFactory, WorkspaceFactory, at, make_add_on, make_room
from tests.policies.support import STAFF, assert_even, confirm, received

pytestmark = pytest.mark.django_db
ANA = Claimant(email="ana@example.test", name="Ana")
MEMBER = Actor("member", label="Ana")


def confirmed(*lines, **options) -> Booking:
    held = hold(*lines, claimant=ANA, **options)
    with transaction.atomic():
        return confirm_unpaid(lock_hold(held.pk), MEMBER)


# --- Limits and parts that were given up --------------------------------------------------------


def test_a_line_that_was_given_up_uses_no_limit():
    room = make_room(price=0, location__workspace__timezone="UTC", workspace__timezone="UTC")
    BookingLimit.objects.create(workspace=room.workspace, bookings_per_day=1)
    room.workspace.refresh_from_db()
    days = [LineRequest(room.pk, at(10, days=d), at(11, days=d)) for d in (7, 8)]
    booking = confirmed(*days)
    dropping.cancel_lines(booking_id=booking.pk, positions=[1], actor=MEMBER)
    held = hold(LineRequest(room.pk, at(12, days=8), at(13, days=8)), claimant=ANA)
    assert state_of(held) == ("active", "pending_payment")


# --- Series -------------------------------------------------------------------------------------


def weekly(room: Resource, **options) -> series.Wish:
    repeat = Repeat("FREQ=WEEKLY;COUNT=3", Window(at(10), at(11)))
    return series.Wish(room, repeat, **options)


def place(wanted: series.Wish, who: Claimant = ANA) -> series.Placed:
    with transaction.atomic():
        return series.place(wanted, claimant=who, actor=MEMBER)


def shown(room: Resource, groups=frozenset()) -> rules_of_series.Preview:
    rules = rules_for(workspace_id=room.workspace_id, resource_ids=[room.pk])[room.pk]
    return rules_of_series.preview(rules=rules, repeat=weekly(room).repeat, groups=groups)


def test_a_series_at_the_prices_of_its_members_groups_is_had_as_it_was_shown():
    room = make_room()
    group = MemberGroup.objects.create(workspace=room.workspace, name="Club", slug="club")
    member = MemberFactory()
    GroupMembership.objects.create(member=member, group=group)
    PriceRule.objects.create(
        resource=room, kind=PriceRule.Kind.PER_HOUR, amount_minor=3000, group=group
    )
    seen = shown(room, frozenset({group.pk}))
    assert seen.total.amount_minor == 3 * 7500
    placed = place(weekly(room, expects_minor=3 * 7500), Claimant(member=member))
    assert placed.holds[0].booking.total_minor == 3 * 7500


@pytest.mark.parametrize("each", [False, True])
def test_a_series_has_what_must_be_booked_with_it(each):
    room = make_room(workspace=WorkspaceFactory(series_paid_each=each))
    offer = make_add_on(room, is_required=True, price_kind="per_unit", amount_minor=500)
    seen = shown(room)
    assert seen.total.amount_minor == 3 * 5000
    placed = place(weekly(room, expects_minor=3 * 5000))
    bookings = [held.booking for held in placed.holds]
    assert sum(b.total_minor for b in bookings) == 3 * 5000
    helmets = [ln for b in bookings for ln in b.lines.filter(resource=offer.pool)]
    assert [ln.parent.resource_id for ln in helmets] == [room.pk] * 3
    assert sorted(ln.starts_at for ln in helmets) == [at(10, days=d) for d in (7, 14, 21)]


def test_a_time_at_which_what_belongs_to_it_is_gone_is_a_conflict():
    room = make_room()
    offer = make_add_on(room, is_required=True)
    hold(LineRequest(offer.pool_id, at(10, days=14), at(11, days=14), 4))
    assert [o.problem for o in shown(room).occurrences] == ["", "taken", ""]
    placed = place(weekly(room, skips_conflicts=True))
    assert placed.holds[0].booking.lines.filter(parent=None).count() == 2


# --- Staff book for somebody --------------------------------------------------------------------


def test_staff_book_what_must_be_booked_with_it():
    room = make_room()
    offer = make_add_on(room, is_required=True, price_kind="per_unit", amount_minor=500)
    wish = on_behalf.Wish(
        workspace=room.workspace, line=line(room), email="ana@example.test", name="Ana",
        how=COMPLIMENTARY, reason="Sponsor",
    )  # fmt: skip
    told = on_behalf.preview(wish)
    assert (told.price.amount_minor, told.refused) == (5000, [])
    with transaction.atomic():
        booking = on_behalf.book(wish, actor=STAFF, expects_minor=5000)
    assert booking.total_minor == 5000
    assert booking.lines.filter(resource=offer.pool, parent__resource=room).count() == 1


def test_staff_are_told_that_what_belongs_to_it_is_gone():
    room = make_room()
    offer = make_add_on(room, is_required=True)
    hold(LineRequest(offer.pool_id, tomorrow(9), tomorrow(10), 4))
    wish = on_behalf.Wish(
        workspace=room.workspace, line=line(room), email="ana@example.test", name="Ana",
        how=COMPLIMENTARY, reason="Sponsor",
    )  # fmt: skip
    assert len(on_behalf.preview(wish).refused) == 1


# --- The waiting list ---------------------------------------------------------------------------


def members_only(room: Resource) -> None:
    Resource.objects.filter(pk=room.pk).update(visibility=Resource.Visibility.MEMBERS)


def joined_on_a_page(room: Resource, email: str, member=None) -> WaitlistEntry:
    who = Claimant(member, email, "Somebody", visitor=f"browser of {email}", limited=True)
    with transaction.atomic():
        wish = waitlist.Wish(room.pk, tomorrow(9), tomorrow(10))
        return waitlist.join(workspace=room.workspace, wish=wish, who=who, actor=MEMBER).entry


def test_nobody_is_offered_what_they_may_not_see_any_more():
    room = make_room()
    held = hold(line(room))
    joined_on_a_page(room, "guest@example.test")
    member = MemberFactory(email="mia@example.test")
    joined_on_a_page(room, "mia@example.test", member)
    members_only(room)
    services.release(hold_id=held.pk, actor=MEMBER)
    offering.offer(room.pk)
    assert in_line(room) == {"guest": "waiting", "mia": "offered"}


def test_a_members_limits_are_locked_before_the_resource_that_is_offered_to_them():
    room = make_room()
    BookingLimit.objects.create(workspace=room.workspace, bookings_per_day=1)
    room.workspace.refresh_from_db()
    held = hold(line(room))
    wait(room, "mia")
    services.release(hold_id=held.pk, actor=MEMBER)
    with CaptureQueriesContext(connection) as asked:
        assert offering.offer(room.pk) == 1
    said = [query["sql"] for query in asked.captured_queries]
    first = {
        what: next(n for n, sql in enumerate(said) if what in sql)
        for what in ("pg_advisory_xact_lock", "FOR NO KEY UPDATE")
    }
    assert first["pg_advisory_xact_lock"] < first["FOR NO KEY UPDATE"]


def test_who_may_not_see_it_cannot_wait_for_it():
    room = make_room()
    hold(line(room))
    members_only(room)
    with pytest.raises(UnknownResource):
        joined_on_a_page(room, "guest@example.test")
    assert in_line(room) == {}
    url = reverse("holds:wait", args=[room.workspace.slug, room.slug])
    assert Client().get(url).status_code == 404


def test_nobody_waits_for_what_cannot_be_booked_by_itself():
    room = make_room()
    pool = make_add_on(room).pool
    Resource.objects.filter(pk=pool.pk).update(only_with_others=True)
    hold(LineRequest(room.pk, tomorrow(9), tomorrow(10), 1, (AddOnRequest(pool.pk, 1),)))
    with pytest.raises(OnlyWithOthers):
        wait(pool, "ana", quantity=4)


# --- Approval and moving ------------------------------------------------------------------------


def test_a_member_does_not_move_what_staff_have_to_approve():
    room = make_room(needs_approval=True, price=0)
    wanted = LineRequest(room.pk, at(9), at(10))
    held = hold(wanted, claimant=Claimant(email="ana@example.test", approved=True))
    with transaction.atomic():
        booking = confirm_unpaid(lock_hold(held.pk), STAFF)
    wish = rescheduling.Wish(booking.pk, [rescheduling.NewWindow(0, at(12), at(13))])
    with pytest.raises(ApprovedByStaff), transaction.atomic():
        rescheduling.reschedule_own(wish, actor=MEMBER, claimant=ANA)
    assert booking.lines.get().starts_at == at(9)
    with transaction.atomic():
        rescheduling.reschedule(wish, actor=STAFF)
    assert booking.lines.get().starts_at == at(12)


# --- Money by hand, and parts that are given up -------------------------------------------------


def test_what_was_paid_by_hand_goes_back_by_hand_and_is_said_so():
    room = make_room()
    days = [LineRequest(room.pk, at(10, days=d), at(11, days=d)) for d in (7, 8)]
    held = hold(*days, claimant=ANA)
    confirm(held, received(9000))
    booking = Booking.objects.get(pk=held.booking_id)
    shorter = rescheduling.NewWindow(1, at(10, days=8), at(10.5, days=8))
    moved = rescheduling.preview(booking, [shorter])
    assert (moved.to_card.amount_minor, moved.to_hand.amount_minor) == (0, 2250)
    told = dropping.preview(held.booking.__class__.objects.get(pk=held.booking_id), [1])
    assert (told.to_card.amount_minor, told.to_hand.amount_minor) == (0, 4500)
    dropping.cancel_lines(booking_id=held.booking_id, positions=[1], actor=MEMBER)
    mail = Notification.objects.get(kind="lines_cancelled")
    assert "back in the way you paid it" in mail.payload["text"]
    assert "card" not in mail.payload["text"]
    assert_even(held)


# --- Parts that were given up, elsewhere --------------------------------------------------------


def test_what_was_given_up_is_not_offered_again():
    room = make_room(price=0)
    days = [LineRequest(room.pk, at(10, days=d), at(11, days=d)) for d in (7, 8)]
    booking = confirmed(*days)
    dropping.cancel_lines(booking_id=booking.pk, positions=[1], actor=MEMBER)
    assert [ln.position for ln in rebooking.lines_of(booking)] == [0]
    said = booking_json(bookings_of(room.workspace).get(pk=booking.pk))
    assert [ln["cancelled_at"] is not None for ln in said["lines"]] == [False, True]


# --- What a card can be asked for ---------------------------------------------------------------

STEPS = {"cancel_free_hours": 24 * 30, "cancel_partial_hours": 0, "cancel_partial_percent": 33}


def test_where_cards_are_charged_in_tens_everything_is_in_tens():
    room = make_room(price=1255, workspace=WorkspaceFactory(currency="KWD", **STEPS))
    Discount.objects.create(workspace=room.workspace, code="LESS", percent=15)
    days = [LineRequest(room.pk, at(10, days=d), at(11.5, days=d)) for d in (7, 8)]
    held = hold(*days, claimant=ANA, discount_code="LESS")
    booking = held.booking
    assert [ln.amount_minor for ln in booking.lines.all()] == [1600, 1600]  # of 1882.5 each
    assert [sum(p["amount_minor"] for p in ln.price) for ln in booking.lines.all()] == [1600, 1600]
    owed = Money(3200, "KWD")
    external.confirm_external(
        hold_id=held.pk, received=external.Received("cash", "K", owed), actor=STAFF
    )
    dropped = dropping.cancel_lines(booking_id=booking.pk, positions=[1], actor=MEMBER)
    assert dropped.total_minor == 3200 - 530  # a third of it, in tens
    assert_even(held)
    cancelling.cancel(booking_id=booking.pk, actor=MEMBER)
    assert [r.amount_minor for r in Refund.objects.order_by("created_at")] == [530, 530]
    assert_even(held)


@pytest.mark.parametrize("tax", [Tax("VAT", 500), Tax("VAT", 500, is_added=True)])
def test_a_line_is_rounded_after_its_tax_and_its_parts_add_up(tax):
    part = {"label": "Per hour", "kind": "per_hour", "quantity": "1", "unit_minor": 1883}
    found = summed([part | {"amount_minor": 1883}], "KWD", tax)
    assert found.total.amount_minor == (1980 if tax.is_added else 1880)
    assert found.total.amount_minor == sum(each["amount_minor"] for each in found.parts)
    again = summed(found.priced, "KWD", found.tax)
    assert again == found


def test_credit_leaves_the_card_what_it_can_be_charged():
    due = Due(amount_minor=3200, currency="KWD")
    with pytest.raises(RestTooSmall):
        credit_spending.Wish(105).check(due)
    credit_spending.Wish(110).check(due)


# --- A payment that comes late ------------------------------------------------------------------


def late_with_helmet(room: Resource, **options) -> Hold:
    """A room with two helmets whose hold has ended, and which is paid for then."""
    offer = make_add_on(room, max_per_unit=4)
    helmets = (AddOnRequest(offer.pool_id, 2),)
    held = hold(
        LineRequest(room.pk, tomorrow(9), tomorrow(10), 1, helmets), claimant=ANA, **options
    )
    lapse(held)
    services.expire_lapsed()
    assert state_of(held) == ("expired", "expired")
    return held


def pay_late(held: Hold) -> None:
    owed = Due.objects.get(booking=held.booking).amount
    external.confirm_external(
        hold_id=held.pk, received=external.Received("cash", "L", owed), actor=STAFF
    )


def test_late_it_is_won_back_with_what_goes_with_it_while_others_wait():
    room = make_room()
    held = late_with_helmet(room)
    other = hold(line(room, 12, 13))
    wait(room, "mia", 12, 13)
    services.release(hold_id=other.pk, actor=MEMBER)  # what is freed is kept for the line
    pay_late(held)
    assert (state_of(held), live(held.booking)) == (("confirmed", "confirmed"), 2)
    assert_even(held)


def test_late_it_is_lost_whole_when_what_goes_with_it_is_gone():
    room = make_room()
    held = late_with_helmet(room)
    pool = held.booking.lines.exclude(parent=None).get().resource
    hold(LineRequest(pool.pk, tomorrow(9), tomorrow(10), 3))
    with pytest.raises(HoldExpired):
        pay_late(held)
    assert (state_of(held), live(held.booking)) == (("expired", "expired"), 0)
    assert_even(held)


def test_late_it_is_lost_when_its_code_is_used_up_by_then():
    room = make_room()
    code = Discount.objects.create(
        workspace=room.workspace, code="ONCE", amount_minor=500, max_uses=1
    )
    held = late_with_helmet(room, discount_code="ONCE")
    hold(line(room, 14, 15), claimant=Claimant(email="ben@x.test"), discount_code="ONCE")
    with pytest.raises(HoldExpired):
        pay_late(held)
    assert (state_of(held), live(held.booking)) == (("expired", "expired"), 0)
    assert code.uses.exclude(booking__state="expired").count() == 1
    assert_even(held)


def test_a_request_that_has_ended_is_not_bought_late():
    held = late_with_helmet(make_room(needs_approval=True))
    with pytest.raises(HoldExpired):
        pay_late(held)
    assert state_of(held) == ("expired", "expired")
    assert_even(held)


# --- Hidden, approved, limited: every refusal has a name ----------------------------------------


def test_what_is_given_up_of_a_discounted_booking_with_add_ons_comes_out_even():
    room = make_room(workspace=WorkspaceFactory(tax_basis_points=1500))
    offer = make_add_on(room, price_kind="per_unit", amount_minor=333, max_per_unit=4)
    Discount.objects.create(workspace=room.workspace, code="FIX", amount_minor=1001)
    helmets = (AddOnRequest(offer.pool_id, 2),)
    lines = [LineRequest(room.pk, at(10, days=d), at(11, days=d), 1, helmets) for d in (7, 8, 9)]
    held = hold(*lines, claimant=ANA, discount_code="FIX")
    booking = held.booking
    total = 3 * (4500 + 666) - 1001
    assert booking.total_minor == total == sum(ln.amount_minor for ln in booking.lines.all())
    external.confirm_external(
        hold_id=held.pk, received=external.Received("cash", "F", Money(total, "NZD")), actor=STAFF
    )
    dropping.cancel_lines(booking_id=booking.pk, positions=[1], actor=MEMBER)
    assert_even(held)
    with transaction.atomic():
        rescheduling.reschedule(
            rescheduling.Wish(
                booking.pk, [rescheduling.NewWindow(0, at(10, days=10), at(10.5, days=10))]
            ),
            actor=STAFF,
        )
    assert_even(held)
    booking.refresh_from_db()
    lines_now = list(booking.lines.order_by("position"))
    assert booking.total_minor == sum(ln.amount_minor for ln in lines_now)
    assert booking.total_minor == sum(each["total_minor"] for each in booking.price["lines"])
    gone = [ln.position for ln in lines_now if ln.cancelled_at]
    assert gone == [1, 4]
    cancelling.cancel(booking_id=booking.pk, actor=MEMBER)
    assert_even(held)
    back = sum(r.amount_minor for r in Refund.objects.all())
    assert back == total  # all of it was free to cancel


@pytest.mark.parametrize("each", [False, True])
def test_a_series_keeps_a_members_limits_and_says_so(each):
    room = make_room(workspace=WorkspaceFactory(series_paid_each=each))
    BookingLimit.objects.create(workspace=room.workspace, hours_per_month=1)
    room.workspace.refresh_from_db()
    daily = Repeat("FREQ=DAILY;COUNT=3", Window(at(10), at(11)))
    with pytest.raises(BookingLimitReached):
        place(series.Wish(Resource.objects.get(pk=room.pk), daily))
    assert not Booking.objects.exists()


def test_a_series_of_what_staff_approve_is_one_request():
    room = make_room(needs_approval=True, workspace=WorkspaceFactory(series_paid_each=True))
    placed = place(weekly(room))
    (held,) = placed.holds
    assert state_of(held) == ("active", "awaiting_approval")
    members_only(room)
    with pytest.raises(NotFound):
        place(weekly(room), Claimant(email="x@x.test", visitor="v", limited=True))
