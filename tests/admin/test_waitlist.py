"""Lines in the admin: who waits, taken off with a reason, looked along at once."""

import pytest

from bookings.models import Resource
from holds.models import Hold, WaitlistEntry
from holds.offering import offer
from holds.services import release
from members.models import Notification
from tests.admin.conftest import SignIn
from tests.admin.support import ANA, change, changelist, deed, place
from tests.core.waiting import in_line, wait_between
from tests.factories import at, make_room

pytestmark = pytest.mark.django_db


def wait(room: Resource, who: str) -> WaitlistEntry:
    return wait_between(room, who, at(10), at(11))


def test_the_list_opens_on_who_waits(as_role: SignIn, room: Resource) -> None:
    place(room)
    theirs = make_room(name="Their secret room")
    place(theirs)
    wait(theirs, "stranger")
    for who in ("ben", "cho"):
        wait(room, who)
    browser = as_role("clerk")
    page = browser.get(changelist(WaitlistEntry)).content.decode()
    assert page.index("ben@example.test") < page.index("cho@example.test")
    assert "stranger" not in page
    assert "ben@" not in browser.get(changelist(WaitlistEntry) + "?places=left").content.decode()
    entry = WaitlistEntry.objects.get(email="ben@example.test")
    assert browser.get(change(entry)).status_code == 200


def test_somebody_is_taken_off_and_their_offer_goes_on(as_role: SignIn, room: Resource) -> None:
    held = place(room)
    ben, _cho = wait(room, "ben"), wait(room, "cho")
    release(hold_id=held.pk, actor=ANA)
    offer(room.pk)
    browser = as_role("clerk")
    assert "goes to the next in line" in browser.get(deed(ben, "remove")).content.decode()
    assert browser.post(deed(ben, "remove"), {"reason": " "}).status_code == 422
    assert browser.post(deed(ben, "remove"), {"reason": "Asked by phone"}).status_code == 302
    assert in_line(room) == {"ben": "removed", "cho": "waiting"}
    assert not Hold.objects.filter(state="active").exists()
    told = Notification.objects.get(kind="waitlist_removed")
    assert "Asked by phone" in told.payload["text"]
    assert browser.post(deed(_cho, "offer_now"), {}).status_code == 302
    assert in_line(room) == {"ben": "removed", "cho": "offered"}


def test_another_workspaces_line_is_not_touched(as_role: SignIn) -> None:
    theirs = make_room()
    place(theirs)
    entry = wait(theirs, "stranger")
    for name in ("remove", "offer_now"):
        assert as_role("owner").post(deed(entry, name), {"reason": "x"}).status_code == 404
    assert in_line(theirs) == {"stranger": "waiting"}
