"""Repeating a booking, and giving up a part of it, as a member's pages do it."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from bookings.links import manage_token
from bookings.models import Booking, PriceRule, Resource
from holds.claims import LineRequest
from holds.lock_objects import lock_hold
from holds.services import confirm_unpaid
from members.models import GroupMembership, MemberGroup
from tests.admin.support import payment
from tests.core.support import SOMEBODY, hold
from tests.factories import MemberFactory, WorkspaceFactory, at, make_room
from tests.pages.support import form_to, forms, send, text

pytestmark = pytest.mark.django_db


def repeat_url(room: Resource, **query: Any) -> str:
    said = {"start": at(10).isoformat(), "end": at(11).isoformat(), "every": "week", "times": "4"}
    path = reverse("payments:repeat", args=[room.workspace.slug, room.slug])
    return f"{path}?{urlencode(said | query)}"


def taken(room: Resource, days: int) -> None:
    hold(LineRequest(room.pk, at(10, days=days), at(11, days=days)))


@pytest.fixture
def room() -> Resource:
    return make_room(workspace=WorkspaceFactory())


def held_series(client: Client, room: Resource, **query: Any) -> Booking:
    page = client.get(repeat_url(room, **query))
    answer = send(client, form_to(page, f"?{page.context['query']}"))
    assert answer.status_code == 303, text(answer)
    return Booking.objects.get(series__isnull=False)


def test_what_can_be_had_is_shown_and_held(client: Client, room: Resource) -> None:
    taken(room, 14)
    page = client.get(repeat_url(room))
    assert "3 of 4 times can be had" in text(page)
    assert "Someone else has that time." in text(page)
    booking = held_series(client, room)
    assert (booking.state, booking.lines.count(), booking.total_minor) == (
        "pending_payment", 3, 13500,
    )  # fmt: skip


def test_a_second_press_holds_nothing_more(client: Client, room: Resource) -> None:
    form = form_to(client.get(repeat_url(room)), "times=4")
    first, second = send(client, form), send(client, form)
    assert first["Location"] == second["Location"]
    assert Booking.objects.count() == 1


def test_all_or_none_has_no_button_when_one_is_taken(client: Client, room: Resource) -> None:
    taken(room, 14)
    page = client.get(repeat_url(room, skip="no"))
    assert "Not all of these times can be had." in text(page)
    assert 'name="expects"' not in page.content.decode()


def test_a_price_that_has_changed_meanwhile_holds_nothing(client: Client, room: Resource) -> None:
    form = form_to(client.get(repeat_url(room)), "times=4")
    taken(room, 14)
    answer = send(client, form)
    assert (answer.status_code, Booking.objects.filter(series__isnull=False).exists()) == (
        409, False,
    )  # fmt: skip
    assert "You hold nothing of it" in text(answer)


@pytest.mark.parametrize("query", [{"times": "1"}, {"times": "x"}, {"every": "hour"}])
def test_nonsense_is_named(client: Client, room: Resource, query: dict[str, str]) -> None:
    page = client.get(repeat_url(room, **query))
    assert page.status_code == 422
    assert 'role="alert"' in page.content.decode()


def test_times_that_are_paid_each_are_booked_with_a_name(client: Client) -> None:
    room = make_room(workspace=WorkspaceFactory(series_paid_each=True))
    form = form_to(client.get(repeat_url(room, times="3")), "times=3")
    assert send(client, form, email="", name="").status_code == 422
    answer = send(client, form, email="ana@example.test", name="Ana")
    assert Booking.objects.filter(state="confirmed").count() == 3
    page = client.get(answer["Location"])
    assert text(page).count("pay by") == 3
    first = Booking.objects.order_by("starts_at").first()
    assert first is not None
    manage = client.get(reverse("payments:manage", args=[manage_token(first)]))
    assert "Please pay by" in text(manage)
    ask = client.get(reverse("payments:cancel_rest", args=[manage_token(first)]))
    assert "Cancel 3 times" in text(ask)
    form = next(form for form in forms(ask) if any("Cancelling…" in str(b) for b in form.buttons))
    path = ask.request["PATH_INFO"]
    changed = client.post(path, {**form.fields, "expects": "4500"})
    assert (changed.status_code, "has changed" in text(changed)) == (409, True)
    assert client.post(path, {**form.fields, "request_id": "forged"}).status_code == 400
    assert not Booking.objects.filter(state="cancelled").exists()
    again = next(
        f for f in forms(client.get(path)) if any("Cancelling…" in str(b) for b in f.buttons)
    )
    assert client.post(path, again.fields).status_code == 303
    assert Booking.objects.filter(state="cancelled").count() == 3


def test_one_of_a_series_is_given_up_with_the_money_shown(client: Client, room: Resource) -> None:
    lines = [LineRequest(room.pk, at(10, days=d), at(11, days=d)) for d in (7, 8, 9)]
    booking = confirm_unpaid(lock_hold(hold(*lines).pk), SOMEBODY)
    payment(booking)
    token = manage_token(booking)
    manage = client.get(reverse("payments:manage", args=[token]))
    assert "Cancel this one…" in text(manage)
    ask = client.get(reverse("payments:cancel_lines", args=[token]) + "?line=1")
    assert "Cancel it and get NZ$45.00 back" in text(ask)
    answer = send(client, form_to(ask, "?line=1"))
    assert answer.status_code == 303
    shown = client.get(answer["Location"])
    assert "Cancelled in part" in text(shown)
    assert booking.lines.filter(cancelled_at=None).count() == 2
    # All that is left is another page; what is gone already changes nothing.
    both = client.get(reverse("payments:cancel_lines", args=[token]) + "?line=0&line=2")
    assert both["Location"] == reverse("payments:cancel", args=[token])
    gone = client.get(reverse("payments:cancel_lines", args=[token]) + "?line=1")
    assert gone["Location"] == reverse("payments:manage", args=[token])


def test_the_rest_of_a_series_paid_at_once_is_its_lines_to_come(
    client: Client, room: Resource
) -> None:
    booking = held_series(client, room)
    confirm_unpaid(lock_hold(booking.holds.get().pk), SOMEBODY)
    token = manage_token(booking)
    assert "Cancel the rest of the series…" in text(
        client.get(reverse("payments:manage", args=[token]))
    )
    answer = client.get(reverse("payments:cancel_rest", args=[token]))
    assert answer["Location"].endswith("?line=0&line=1&line=2&line=3")


def test_a_member_of_a_group_holds_a_series_at_its_price(client: Client, room: Resource) -> None:
    member = MemberFactory()
    group = MemberGroup.objects.create(workspace=room.workspace, name="Club", slug="club")
    GroupMembership.objects.create(group=group, member=member)
    PriceRule.objects.create(
        resource=room, kind="per_hour", amount_minor=3000, priority=1, group=group
    )
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    assert held_series(client, room).total_minor == 4 * 3000


def test_many_deadlines_are_one_sentence(client: Client, room: Resource) -> None:
    booking = held_series(client, room)
    page = text(client.get(f"/hold/{booking.holds.get().token}/"))
    assert "For each: free to cancel until 24 hours before it starts." in page
    assert page.count("ree to cancel") == 1
    assert "per hour, 4 times" in page
