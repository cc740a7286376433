"""Live holds: who, what, until when; filters; and one click from the day to why it is not free."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from bookings.models import Resource
from holds.models import Hold
from tests.admin.conftest import SignIn
from tests.admin.support import changelist, place
from tests.factories import make_room

pytestmark = pytest.mark.django_db


def listed(browser, **query: str) -> set[str]:
    response = browser.get(changelist(Hold), query)
    assert response.status_code == 200
    return {row.booking.reference for row in response.context["cl"].result_list}


def held(room: Resource, hour: int, **columns: object) -> str:
    hold = place(room, hour)
    Hold.objects.filter(pk=hold.pk).update(**columns)
    return hold.booking.reference


def test_holds_are_filtered_by_place_resource_payment_and_time(as_role: SignIn, room: Resource):
    other = make_room(workspace=room.workspace)
    soon = timezone.now() + timedelta(minutes=4)
    one = held(room, 9)
    paying = held(room, 11, has_open_checkout=True)
    ending = held(other, 9, expires_at=soon, created_at=soon - timedelta(minutes=9))
    browser = as_role("clerk")
    assert listed(browser) == {one, paying, ending}
    assert listed(browser, paying="yes") == {paying}
    assert listed(browser, paying="no") == {one, ending}
    assert listed(browser, ending="soon") == {ending}
    by_resource = {"booking__lines__resource__id__exact": str(other.pk)}
    assert listed(browser, **by_resource) == {ending}
    by_place = {"booking__lines__resource__location__id__exact": str(room.location_id)}
    assert listed(browser, **by_place) == {one, paying}
    assert listed(browser, **by_place, paying="yes") == {paying}


def test_filters_offer_only_what_is_in_reach(as_role: SignIn, room: Resource):
    stranger = make_room(name="Somebody else's cellar")
    page = as_role("clerk").get(changelist(Hold)).content.decode()
    assert stranger.name not in page
    assert escape(stranger.name) not in page
    assert str(stranger.pk) not in page


def test_a_live_holds_end_counts_down_and_is_written_out_without_scripts(
    as_role: SignIn, room: Resource
):
    hold = place(room, 9)
    browser = as_role("clerk")
    for address in (changelist(Hold), "/admin/"):
        page = browser.get(address).content.decode()
        (moment, said) = re.findall(
            r'<time datetime="([^"]+)" data-counting data-now="[^"]+">([^<]+)</time>', page
        )[0]
        assert moment == hold.expires_at.isoformat()
        assert re.search(r"\d\d:\d\d", said)
        assert "surehold-admin/counting.js" in page


def test_from_the_day_it_is_one_click_to_why_a_time_is_not_free(as_role: SignIn, room: Resource):
    hold = place(room, 10)
    start = hold.booking.starts_at.astimezone(ZoneInfo(room.location.timezone))
    browser = as_role("clerk")
    page = browser.get("/admin/", {"day": f"{start:%Y-%m-%d}"}).content.decode()
    why = reverse("admin:bookings_resource_why_not_free", args=[room.pk])
    links = [link.replace("&amp;", "&") for link in re.findall(rf'href="({why}\?[^"]+)"', page)]
    the_hour = [link for link in links if f"start_1={start:%H}%3A00" in link]
    (answer,) = {browser.get(link).content.decode() for link in the_hour}
    assert hold.booking.reference in answer
    assert "It is not free" in answer
