"""Waiting for a taken time on the pages: joining, being offered it, leaving; no JavaScript."""

from datetime import timedelta

import pytest

from holds.models import Hold, WaitlistEntry
from holds.offering import offer
from tests.core.support import hold as hold_one
from tests.core.support import lapse, line, tomorrow
from tests.core.waiting import in_line
from tests.factories import MemberFactory, make_pool, make_room
from tests.pages.support import address, at_param, form_to, forms, send, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def room():
    return make_room(price=0, workspace__timezone="UTC")


def wait_form(client, room, start=9, end=10, **query):
    said = {"start": at_param(tomorrow(start)), "end": at_param(tomorrow(end))} | query
    return form_to(client.get(f"{address(room)}wait/", said), "/wait/")


def joined(client, room, who="ana", **typed):
    """Join from the form; the address of the page that tells how it stands."""
    form = wait_form(client, room)
    minutes = typed.pop("minutes", "60")
    answer = send(
        client, form, minutes=minutes, email=f"{who}@example.test", name=who.title(), **typed
    )
    assert answer.status_code == 303, text(answer)[:800]
    return answer.url


def test_from_a_slot_that_someone_else_has_to_the_list_and_to_the_booking(client, room):
    taken = hold_one(line(room))
    late = client.get(address(room), {"at": at_param(tomorrow(9)), "minutes": "60"})
    assert "Tell me when it frees" in text(late)
    page = joined(client, room)
    told = client.get(page)
    assert "You are on the list" in text(told)
    assert "ana@example.test" in text(told)
    assert in_line(room) == {"ana": "waiting"}

    from holds import services
    from tests.core.support import SOMEBODY

    services.release(hold_id=taken.pk, actor=SOMEBODY)
    assert offer(room.pk) == 1
    told = client.get(page)
    assert "It is your turn" in text(told)
    held = WaitlistEntry.objects.get().hold
    hold_page = client.get(f"/hold/{held.token}/")
    assert "You waited for this" in text(hold_page)
    paid = send(client, form_to(hold_page, "/pay/"), email="ana@example.test", name="Ana")
    assert paid.status_code == 303
    assert in_line(room) == {"ana": "taken"}
    assert "You have it" in text(client.get(page))


def test_a_second_press_and_a_second_form_are_one_place(client, room):
    hold_one(line(room))
    form = wait_form(client, room)
    typed = {"minutes": "60", "email": "ana@example.test", "name": "Ana"}
    first, again = send(client, form, **typed), send(client, form, **typed)
    assert first.url == again.url
    assert joined(client, room) == first.url
    assert WaitlistEntry.objects.count() == 1


def test_what_is_free_is_to_be_held_instead(client, room):
    answer = send(
        client, wait_form(client, room), minutes="60", email="ana@example.test", name="Ana"
    )
    assert answer.status_code == 409
    assert "That is free just now" in text(answer)
    assert f"at={at_param(tomorrow(9))}".replace(":", "%3A") in answer.content.decode()
    assert not WaitlistEntry.objects.exists()


def test_what_cannot_be_is_said_beside_the_form(client, room):
    hold_one(line(room))
    form = wait_form(client, room)
    answer = send(client, form, minutes="120", email="ana@example.test", name="Ana")
    assert answer.status_code == 422
    assert "make it later, or shorter" in text(answer)
    answer = send(client, form, minutes="60", email="nobody", name="")
    assert answer.status_code == 422
    assert "name@example.com" in text(answer)
    yesterday = (tomorrow(9) - timedelta(days=3)).date().isoformat()
    answer = send(client, form, minutes="60", day=yesterday, email="ana@example.test", name="Ana")
    assert answer.status_code == 422
    assert "already begun" in text(answer)
    assert not WaitlistEntry.objects.exists()


def test_an_hour_within_an_afternoon(client, room):
    hold_one(line(room, 12, 18))
    form = wait_form(client, room, 13, 17, minutes="60")
    page = send(client, form, minutes="60", email="ana@example.test", name="Ana").url
    assert "1 h within" in text(client.get(page))
    entry = WaitlistEntry.objects.get()
    assert (entry.duration_seconds, entry.last_start_at) == (3600, tomorrow(16))


def test_leaving_by_the_link(client, another, room):
    hold_one(line(room))
    page = joined(client, room)
    left = send(another, form_to(another.get(page), "/leave/"))  # the link is what counts
    assert (left.status_code, left.url) == (303, page)
    assert "You left the list" in text(client.get(page))
    assert in_line(room) == {"ana": "left"}
    assert not [form for form in forms(client.get(page)) if "leave" in form.action]


def test_leaving_with_an_offer_gives_it_to_the_next(client, another, room):
    taken = hold_one(line(room))
    ana, _ben = joined(client, room, "ana"), joined(another, room, "ben")
    from holds import services
    from tests.core.support import SOMEBODY

    services.release(hold_id=taken.pk, actor=SOMEBODY)
    offer(room.pk)
    send(client, form_to(client.get(ana), "/leave/"))
    assert in_line(room) == {"ana": "left", "ben": "waiting"}
    assert Hold.objects.filter(state="active").count() == 0
    assert offer(room.pk) == 1
    assert in_line(room) == {"ana": "left", "ben": "offered"}


def test_who_was_passed_over_can_wait_again_at_the_end(client, another, room):
    taken = hold_one(line(room))
    ana, _ben = joined(client, room, "ana"), joined(another, room, "ben")
    from holds import services
    from tests.core.support import SOMEBODY

    services.release(hold_id=taken.pk, actor=SOMEBODY)
    offer(room.pk)
    lapse(WaitlistEntry.objects.get(email="ana@example.test").hold)
    told = client.get(ana)
    assert "It went to the next in line" in text(told)
    import re

    link = re.search(r'href="([^"]*again=[^"]*)"', told.content.decode())
    form = form_to(client.get(link[1].replace("&amp;", "&")), "/wait/")
    assert form.fields["email"] == "ana@example.test"
    answer = send(client, form, minutes="60")
    assert answer.status_code == 303, text(answer)[:500]
    states = list(WaitlistEntry.objects.order_by("queued_at").values_list("email", "state"))
    assert states == [
        ("ana@example.test", "passed"),
        ("ben@example.test", "waiting"),
        ("ana@example.test", "waiting"),
    ]
    assert offer(room.pk) == 1
    assert WaitlistEntry.objects.get(state="offered").email == "ben@example.test"


def test_a_member_waits_under_their_own_address_and_sees_it_among_their_bookings(client, room):
    member = MemberFactory(email="mia@example.test")
    hold_one(line(room))
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    form = wait_form(client, room)
    assert "email" not in form.fields
    page = send(client, form, minutes="60").url
    mine = text(client.get("/my/"))
    assert "Waiting for" in mine
    assert "Not free yet" in mine
    assert page in client.get("/my/").content.decode()


def test_a_guest_sees_where_their_browser_waits(client, another, room):
    hold_one(line(room))
    joined(client, room)
    assert "Waiting for" in text(client.get("/my/"))
    assert "Waiting for" not in text(another.get("/my/"))


def test_a_pool_asks_how_many(client):
    pool = make_pool(price=0, capacity=2, workspace__timezone="UTC")
    hold_one(line(pool, quantity=2))
    form = wait_form(client, pool, quantity="2")
    assert form.fields["quantity"] == "2"
    page = send(client, form, minutes="60", email="ana@example.test", name="Ana").url
    assert "× 2" in text(client.get(page))


def test_unknown_places_are_not_found(client, room):
    assert client.get("/waiting/nothing/").status_code == 404
    assert client.get(f"/w/{room.workspace.slug}/nothing/wait/").status_code == 404
