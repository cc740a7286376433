"""Calendar links in the admin: made for one's own workspace, shown again, revoked for good."""

import pytest
from django.test import Client

from bookings import ics_feeds
from bookings.models import CalendarFeed, Resource
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, changelist, deed
from tests.factories import MemberFactory, make_room

pytestmark = pytest.mark.django_db


def asked(room: Resource, **more: str) -> dict[str, str]:
    return {
        "workspace": str(room.workspace_id),
        "resource": str(room.pk),
        "location": "",
        "shown": "names",
        "name": "Front desk",
    } | more


def test_a_link_is_made_shown_again_and_revoked(as_role: SignIn, room: Resource) -> None:
    manager = as_role("manager")
    assert b"mine" not in manager.get(add(CalendarFeed)).content.partition(b"id_shown")[2][:800]
    made = manager.post(add(CalendarFeed), asked(room))
    assert made.status_code == 302, made.content.decode()[-4000:]
    feed = CalendarFeed.objects.get()
    assert (feed.resource, feed.shown, feed.name) == (room, "names", "Front desk")
    assert feed.created_by is not None
    address = ics_feeds.address_of(feed)
    assert address in manager.get(change(feed)).content.decode()
    manager.post(change(feed), {"name": "Kitchen"})
    assert CalendarFeed.objects.get().name == "Kitchen"
    path = f"/ical/{feed.token}.ics"
    assert Client().get(path).status_code == 200
    manager.post(deed(feed, "revoke"), {})
    assert Client().get(path).status_code == 410
    assert address not in manager.get(change(feed)).content.decode()


def test_who_sees_and_makes_them(as_role: SignIn, room: Resource) -> None:
    mine = ics_feeds.make_for_member(MemberFactory())
    theirs = ics_feeds.make_for(make_room(name="Their room"), shown="names", by=None)
    assert as_role("clerk").get(changelist(CalendarFeed)).status_code == 403
    manager = as_role("manager")
    listed = manager.get(changelist(CalendarFeed))
    assert listed.status_code == 200
    assert b"Their room" not in listed.content
    for other in (mine, theirs):
        assert manager.get(change(other)).status_code == 302, "as if there were none"
        assert manager.post(deed(other, "revoke"), {}).status_code == 404
    assert not CalendarFeed.objects.exclude(revoked_at=None).exists()


@pytest.mark.parametrize("what", ["both", "neither", "mine", "theirs"])
def test_what_no_link_may_be_is_refused_on_the_form(
    as_role: SignIn, room: Resource, what: str
) -> None:
    wrong = {
        "both": {"location": str(room.location_id)},
        "neither": {"resource": ""},
        "mine": {"shown": "mine"},
        "theirs": {"resource": str(make_room().pk)},
    }[what]
    answer = as_role("manager").post(add(CalendarFeed), asked(room, **wrong))
    assert answer.status_code == 200
    assert b"errornote" in answer.content or b"error" in answer.content
    assert not CalendarFeed.objects.exists()
