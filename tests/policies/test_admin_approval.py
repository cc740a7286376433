"""Staff answer requests from the first screen, and see before what an answer does."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.core.support import hold, line, state_of
from tests.factories import StaffFactory, make_room
from tests.pages.support import text
from tests.policies.test_approval import send_free

pytestmark = pytest.mark.django_db


@pytest.fixture
def held():
    found = hold(line(make_room(needs_approval=True, price=0, name="Great hall")))
    send_free(found)
    return found


def desk(workspace, role="manager"):
    client = Client()
    client.force_login(StaffFactory(workspace=workspace, role=role).member)
    return client


def answer(name, held):
    return reverse(f"admin:bookings_booking_{name}", args=[held.booking_id])


def test_requests_are_a_worklist_of_the_first_screen(held):
    unsent = hold(line(held.lines[0].resource, 12, 13))
    page = desk(held.workspace).get(reverse("admin:index")).content.decode()
    assert "Waiting for approval" in page
    assert answer("approve", held) in page
    assert answer("approve", unsent) not in page
    assert "Waiting for approval" not in desk(make_room().workspace).get("/admin/").content.decode()


def test_approve_and_decline_are_offered_and_said(held):
    client = desk(held.workspace)
    shown = client.get(reverse("admin:bookings_booking_change", args=[held.booking_id]))
    for name in ("approve", "decline"):
        assert answer(name, held) in shown.content.decode()
    assert answer("ask_nothing", held) not in shown.content.decode()
    said = client.get(answer("approve", held)).content.decode()
    assert "Nothing is charged to a card." in said
    assert client.post(answer("decline", held), {"reason": ""}).status_code == 422
    assert state_of(held) == ("active", "awaiting_approval")
    assert client.post(answer("approve", held), {"reason": ""}).status_code == 302
    assert state_of(held) == ("confirmed", "confirmed")
    again = client.post(answer("decline", held), {"reason": "Changed our mind"})
    assert again.status_code == 422
    assert "does not wait for an answer" in again.content.decode()


def test_clerks_do_not_answer(held):
    client = desk(held.workspace, role="clerk")
    assert client.post(answer("approve", held), {"reason": ""}).status_code in {403, 404}
    assert state_of(held) == ("active", "awaiting_approval")


def test_the_members_pages_say_that_it_waits_and_take_it_back(held):
    from bookings.links import manage_token

    token = manage_token(held.booking)
    client = Client()
    for page in (f"/return/{token}/", f"/b/{token}/", f"/hold/{held.token}/"):
        shown = client.get(page)
        assert shown.status_code == 200
        assert "answers" in text(shown), page
    assert "Nothing is charged" in text(client.get(f"/return/{token}/"))


def test_the_hold_page_says_beforehand_that_it_is_a_request():
    unsent = hold(line(make_room(needs_approval=True)))
    shown = text(Client().get(f"/hold/{unsent.token}/"))
    assert "approves this first" in shown
    assert "Ask for it with NZ$45.00" in shown
