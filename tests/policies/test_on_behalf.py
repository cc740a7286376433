"""Staff book for somebody: said first, done once, never over what others have."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from bookings.errors import OutsideOpeningHours, SlotTaken, WindowNotAllowed
from bookings.models import Booking, BookingEvent, BookingLimit
from config.kernel.errors import InvalidInput
from holds.booking_limits import BookingLimitReached
from holds.models import Hold
from members.models import Notification
from payments import on_behalf
from payments.errors import PriceChanged
from payments.models import Payment
from payments.on_behalf import COMPLIMENTARY, LINK, OFFLINE, Wish
from tests.core.support import hold, line, state_of, tomorrow
from tests.factories import BlockFactory, StaffFactory, make_room
from tests.pages.support import Form, forms, text
from tests.policies.support import STAFF, assert_even, due_of

pytestmark = pytest.mark.django_db


def wish(room, how=LINK, start=9, end=10, **more):
    about = {"email": "Ana@example.test", "name": "Ana"} | more
    return Wish(workspace=room.workspace, line=line(room, start, end), how=how, **about)


def book(asked, **options):
    with transaction.atomic():
        booking = on_behalf.book(asked, actor=STAFF, **options)
    return Hold.objects.get(booking=booking)


def test_by_link_it_is_held_as_long_as_staff_chose_and_the_mail_has_the_link():
    held = book(wish(make_room(), pay_within=timedelta(hours=2)))
    assert state_of(held) == ("active", "pending_payment")
    assert held.expires_at == held.lapses_at
    assert timedelta(minutes=119) < held.expires_at - held.created_at < timedelta(minutes=121)
    told = Notification.objects.get(kind="pay_by_link")
    assert (told.to, f"/hold/{held.token}/" in told.payload["text"]) == ("ana@example.test", True)
    assert Client().get(f"/hold/{held.token}/").status_code == 200


def test_never_beyond_its_own_start():
    held = book(wish(make_room(), pay_within=timedelta(days=30)))
    assert held.expires_at <= held.booking.starts_at


def test_paid_by_hand_or_not_at_all_it_is_theirs_at_once():
    paid = book(wish(make_room(), OFFLINE, method="invoice", reference="INV-9"))
    assert (state_of(paid), Payment.objects.get().name) == (
        ("confirmed", "confirmed"), "invoice INV-9",
    )  # fmt: skip
    given = book(wish(make_room(), COMPLIMENTARY, reason="Sponsor"))
    assert (state_of(given), due_of(given).waived_minor) == (("confirmed", "confirmed"), 4500)
    free = book(wish(make_room(price=0)))
    assert state_of(free) == ("confirmed", "confirmed")
    for held in (paid, given, free):
        assert_even(held)
    assert not BookingEvent.objects.filter(booking=free.booking, kind="waived").exists()


def test_who_books_for_somebody_has_approved_it():
    held = book(wish(make_room(needs_approval=True)))
    assert state_of(held) == ("active", "pending_payment")


@pytest.mark.parametrize(
    ("rules", "refusal"),
    [
        ({"notice_seconds": 7 * 86400}, WindowNotAllowed),
        ({"horizon_days": 1, "start": 26}, WindowNotAllowed),
        ({"hours": [(day, "01:00", "02:00") for day in range(7)]}, OutsideOpeningHours),
    ],
)
def test_rules_are_set_aside_only_when_confirmed_with_a_reason(rules, refusal):
    rules.pop("start", None)
    room = make_room(**rules)
    at = {"start": 9, "end": 10}
    if "horizon_days" in rules:
        room.notice_seconds = 0
        asked = wish(room)
        late = type(asked.line)(room.pk, tomorrow(9) + timedelta(days=3),
                                tomorrow(10) + timedelta(days=3))  # fmt: skip
        asked = Wish(room.workspace, late, "ana@example.test", "Ana", LINK)
    else:
        asked = wish(room, **at)
    with pytest.raises(refusal):
        book(asked)
    told = on_behalf.preview(asked)
    assert (len(told.broken), told.refused) == (1, [])
    from dataclasses import replace

    with pytest.raises(InvalidInput):
        book(replace(asked, overrides=True))
    held = book(replace(asked, overrides=True, reason="A regular"))
    story = held.booking.events.get(kind="booked_on_behalf")
    assert (story.reason, story.data["set_aside"]) == ("A regular", told.broken)


def test_a_members_limit_is_set_aside_in_the_same_way():
    room = make_room(location__timezone="UTC")
    BookingLimit.objects.create(workspace=room.workspace, bookings_per_day=1)
    room.workspace.refresh_from_db()
    book(wish(room))
    with pytest.raises(BookingLimitReached):
        book(wish(room, start=11, end=12))
    assert "at most 1 booking" in on_behalf.preview(wish(room, start=11, end=12)).broken[0]
    book(wish(room, start=11, end=12, overrides=True, reason="Paid twice last week"))


def test_what_others_have_and_what_is_blocked_is_never_set_aside():
    room = make_room()
    hold(line(room, 9, 10))
    BlockFactory(resource=room, during=(tomorrow(12), tomorrow(13)))
    for start in (9, 12):
        asked = wish(room, start=start, end=start + 1, overrides=True, reason="Please")
        assert on_behalf.preview(asked).refused
        with pytest.raises(Exception) as caught, transaction.atomic():  # noqa: PT011
            on_behalf.book(asked, actor=STAFF)
        assert isinstance(caught.value, SlotTaken) or "occupancy" in str(
            caught.value.__cause__.diag.constraint_name
        )
    assert Booking.objects.count() == 1


def test_another_price_than_was_shown_books_nothing():
    with pytest.raises(PriceChanged):
        book(wish(make_room()), expects_minor=4400)
    assert not Booking.objects.exists()


# --- The page -----------------------------------------------------------------------------------


def said(room, start=9, **more):
    local = tomorrow(start)
    return {
        "resource": str(room.pk), "start_0": f"{local:%Y-%m-%d}", "start_1": f"{local:%H:%M}",
        "end_0": f"{local:%Y-%m-%d}", "end_1": f"{local + timedelta(hours=1):%H:%M}",
        "quantity": "1", "email": "ana@example.test", "name": "Ana", "how": "link",
        "hours": "24", "method": "cash", "reference": "", "reason": "",
    } | more  # fmt: skip


@pytest.fixture
def room():
    return make_room(workspace__timezone="UTC", name="Kauri")


def desk(room, role="manager"):
    client = Client()
    client.force_login(StaffFactory(workspace=room.workspace, role=role).member)
    return client


PAGE = "/admin/book-for-somebody/"


def test_the_page_says_what_it_means_and_does_it_once(room):
    assert reverse("payments_admin:book") == PAGE
    client = desk(room)
    assert client.get(PAGE).status_code == 200
    shown = client.post(PAGE, said(room))
    page = text(shown)
    assert "It costs NZ$45.00." in page
    assert "ana@example.test gets a mail with a link to pay" in page
    assert not Booking.objects.exists()
    form: Form = next(f for f in forms(shown) if "seen" in f.fields)
    for _ in range(2):
        assert client.post(PAGE, form.fields).status_code == 302
    booking = Booking.objects.get()
    assert (booking.state, booking.email) == ("pending_payment", "ana@example.test")
    assert booking.events.get(kind="booked_on_behalf").actor_kind == "staff"


def test_the_page_says_what_stands_against_it(room):
    room.notice_seconds = 7 * 86400
    room.save()
    client = desk(room)
    answer = client.post(PAGE, said(room))
    assert answer.status_code == 422
    assert "You can set this aside below" in text(answer)
    assert client.post(PAGE, said(room, overrides="on")).status_code == 422
    shown = client.post(PAGE, said(room, overrides="on", reason="A regular"))
    assert "Set aside: It needs" in text(shown)


def test_clerks_and_other_workspaces_do_not(room):
    assert desk(room, "clerk").get(PAGE).status_code == 403
    answer = desk(make_room()).post(PAGE, said(room))
    assert answer.status_code == 422
    assert not Booking.objects.exists()
