"""My bookings, and the page that a guest's link opens."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from icalendar import Calendar
from pytest_django import DjangoAssertNumQueries

from bookings.links import manage_token
from bookings.models import Booking
from holds.claims import Claimant
from holds.models import Hold
from members.models import Member
from tests.core.support import SOMEBODY, lapse
from tests.core.support import hold as claim
from tests.factories import MemberFactory, at, make_room
from tests.pages.support import form_to, forms, send, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(client: Client) -> Member:
    """A member who is signed in."""
    member = MemberFactory(email="ada@example.test", name="Ada")
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    return member


def held(member: Member | None = None, hour: float = 9, **overrides: Any) -> Hold:
    from holds.claims import LineRequest

    room = make_room(**overrides)
    who = Claimant(member=member, email="ada@example.test", name="Ada")
    return claim(LineRequest(room.pk, at(hour), at(hour + 1)), claimant=who)


def booked(member: Member | None = None, hour: float = 9, **overrides: Any) -> Booking:
    from django.db import transaction

    from holds.lock_objects import lock_hold
    from holds.services import confirm_unpaid

    found = held(member, hour, price=0, **overrides)
    with transaction.atomic():
        return confirm_unpaid(lock_hold(found.pk), SOMEBODY)


def test_nothing_booked_says_how_to_begin(client: Client, ada: Member) -> None:
    words = text(client.get("/my/"))
    assert "You have nothing booked" in words
    assert "Find a time" in words


def test_next_first_then_later_then_what_is_over(client: Client, ada: Member) -> None:
    later = booked(ada, hour=15, name="Later room")
    first = booked(ada, hour=9, name="First room")
    gone = held(ada, name="Gone room")
    lapse(gone)
    words = text(client.get("/my/"))
    assert words.index("First room") < words.index("Later room") < words.index("Gone room")
    assert words.index("Next") < words.index("First room")
    assert words.index("Past and ended (1)") < words.index("Gone room")
    assert "Hold ended" in words
    assert first.reference in words
    assert later.reference in words


def test_an_unpaid_hold_can_be_paid_or_let_go_from_here(client: Client, ada: Member) -> None:
    hold = held(ada)
    page = client.get("/my/")
    assert "Not paid yet" in text(page)
    assert f'href="/hold/{hold.token}/">Pay NZ$45.00' in page.content.decode()
    form = form_to(page, "/let-go/")
    for _ in range(2):
        assert send(client, form).url == f"/hold/{hold.token}/"
    hold.refresh_from_db()
    assert hold.state == "released"


def test_bookings_made_as_a_guest_with_the_same_address_are_shown(
    client: Client, ada: Member
) -> None:
    booking = booked(None)
    assert booking.reference in text(client.get("/my/"))


def test_nobody_sees_anothers(client: Client, ada: Member) -> None:
    booking = booked(MemberFactory())
    assert booking.reference not in text(client.get("/my/"))


def test_without_signing_in_it_shows_the_way_in(client: Client) -> None:
    page = client.get("/my/")
    assert "Mail me a link" in text(page)
    assert form_to(page, "/sign-in/").fields["next"] == "/my/"


def test_my_bookings_cost_the_same_queries_however_many(
    client: Client, ada: Member, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    booked(ada), lapse(held(ada))
    with django_assert_num_queries(15):
        client.get("/my/")
    for hour in range(10, 16):
        booked(ada, hour), held(ada, hour)
    with django_assert_num_queries(15):
        client.get("/my/")


# --- The guest's link ---------------------------------------------------------------------------


def manage(booking: Booking) -> str:
    return f"/b/{manage_token(booking)}/"


def test_a_guest_manages_by_the_link_alone(client: Client) -> None:
    booking = booked(None)
    words = text(client.get(manage(booking)))
    assert f"Booking {booking.reference}" in words
    assert "Confirmed" in words
    assert "Add to calendar" in words
    assert "What happened Held" in words


def test_a_guest_resumes_payment_or_lets_go_by_the_link(client: Client) -> None:
    hold = held(None)
    page = client.get(manage(hold.booking))
    assert f'href="/hold/{hold.token}/">Pay NZ$45.00' in page.content.decode()
    assert send(client, form_to(page, "/let-go/")).status_code == 303
    assert "Let go" in text(client.get(manage(hold.booking)))


def test_an_ended_hold_is_told_as_ended_before_anybody_tidied(client: Client) -> None:
    hold = held(None)
    lapse(hold)
    page = client.get(manage(hold.booking))
    assert "The hold ended unpaid" in text(page)
    assert not [form for form in forms(page) if form.action.endswith("/let-go/")]


def test_a_made_up_or_altered_link_is_not_found(client: Client) -> None:
    booking = booked(None)
    token = manage_token(booking)
    assert client.get("/b/made-up/").status_code == 404
    assert client.get(f"/b/{token[:-1]}{'a' if token[-1] != 'a' else 'b'}/").status_code == 404
    assert client.get(f"/b/{booking.pk.hex}/").status_code == 404
    assert client.get("/b/made-up/calendar.ics").status_code == 404


def test_the_link_is_kept_from_caches_and_other_sites(client: Client) -> None:
    answer = client.get(manage(booked(None)))
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_the_calendar_file(client: Client) -> None:
    booking = booked(None)
    answer = client.get(f"{manage(booking)}calendar.ics")
    assert answer.headers["Content-Type"].startswith("text/calendar")
    assert booking.reference in answer.headers["Content-Disposition"]
    here = at(9).astimezone(ZoneInfo("Pacific/Auckland"))
    assert f"DTSTART;TZID=Pacific/Auckland:{here:%Y%m%dT%H%M%S}".encode() in answer.content
    (event,) = Calendar.from_ical(answer.content).walk("VEVENT")
    assert event["DTSTART"].dt == at(9)
    assert booking.ends_at - booking.starts_at == timedelta(hours=1)
