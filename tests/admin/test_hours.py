"""Opening hours in the admin: exceptions, seasons, holidays, and what they come to."""

from datetime import date
from typing import Any

import pytest
from django.urls import reverse

from bookings.models import Block, HolidayCalendar, Location, OpeningException, Season
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, confirmed, place
from tests.admin.test_access import HOURS_FORMS
from tests.admin.test_catalogue import block_form, errors
from tests.factories import at, make_pool, make_room

pytestmark = pytest.mark.django_db


def location_form(location: Location, **rows: str) -> dict[str, Any]:
    spans = location.opening_hours.all()
    known = {
        f"opening_hours-{n}-{name}": str(getattr(span, name))
        for n, span in enumerate(spans)
        for name in ("id", "weekday", "opens_at", "closes_at")
    }
    return {
        "name": location.name, "slug": location.slug, "timezone": location.timezone,
        "address": "", "directions": "",
        "opening_hours-TOTAL_FORMS": str(len(spans)),
        "opening_hours-INITIAL_FORMS": str(len(spans)),
        **known, **HOURS_FORMS, **rows,
    }  # fmt: skip


def one(prefix: str, **values: str) -> dict[str, str]:
    return {f"{prefix}-TOTAL_FORMS": "1"} | {f"{prefix}-0-{k}": v for k, v in values.items()}


def test_all_of_it_is_entered_as_people_write_it(as_role: SignIn, room: Any) -> None:
    year = date.today().year + 1  # noqa: DTZ011
    rows = (
        one("openingexceptions", day=f"{year}-12-24", spans="9-12", label="Eve")
        | one("seasons", name="Summer", yearly="on", first_day=f"{year}-12-01",
              last_day=f"{year}-02-28", monday="7 - 23", tuesday="24h")
        | one("holidaycalendars", country="NZ", subdivision="AUK", effect="spans",
              spans="10–14")
    )  # fmt: skip
    answer = as_role("manager").post(change(room.location), location_form(room.location, **rows))
    assert answer.status_code == 302, errors(answer)
    assert OpeningException.objects.get().spans == "09:00-12:00"
    made = Season.objects.get()
    assert (made.monday, made.tuesday, made.sunday) == ("07:00-23:00", "00:00-00:00", "")
    assert HolidayCalendar.objects.get().spans == "10:00-14:00"

    page = reverse("admin:bookings_location_hours_to_come", args=[room.location_id])
    shown = as_role("clerk").get(page, {"days": "900"}).content.decode()
    assert shown.count("<li>") >= 366
    assert "10:00–14:00" in shown
    assert "holiday: Christmas Day" in shown
    assert "season: Summer" in shown
    own = reverse("admin:bookings_resource_hours_to_come", args=[room.pk])
    assert "holiday:" in as_role("clerk").get(own, {"days": "366"}).content.decode()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (one("openingexceptions", day="2030-01-01", spans="noon"), "Write times as in"),
        (one("holidaycalendars", country="NZ", subdivision="BY", effect="closed"), "give one of"),
        (one("holidaycalendars", country="NZ", effect="spans"), "Give times if it is open"),
        (one("seasons", name="S", first_day="2030-02-01", last_day="2030-01-01"),
         "last day is not before its first"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_form_error(
    as_role: SignIn, room: Any, rows: dict[str, str], sentence: str
) -> None:
    page = as_role("manager").post(change(room.location), location_form(room.location, **rows))
    assert page.status_code == 200
    assert sentence in page.content.decode()


def test_two_seasons_that_overlap_are_a_form_error(as_role: SignIn, room: Any) -> None:
    Season.objects.create(location=room.location, name="One", first_day=date(2030, 1, 1),
                          last_day=date(2030, 2, 1))  # fmt: skip
    kept = Season.objects.get()
    rows = {
        "seasons-TOTAL_FORMS": "2", "seasons-INITIAL_FORMS": "1", "seasons-0-id": str(kept.pk),
        "seasons-0-name": "One", "seasons-0-first_day": "2030-01-01",
        "seasons-0-last_day": "2030-02-01", "seasons-1-name": "Two",
        "seasons-1-first_day": "2030-02-01", "seasons-1-last_day": "2030-03-01",
    }  # fmt: skip
    page = as_role("manager").post(change(room.location), location_form(room.location, **rows))
    assert "Two seasons overlap." in page.content.decode()
    assert Season.objects.count() == 1


def test_hours_of_another_workspace_are_not_shown(as_role: SignIn) -> None:
    other = make_room()
    page = reverse("admin:bookings_location_hours_to_come", args=[other.location_id])
    assert as_role("owner").get(page).status_code == 404


# --- Blocks over several ------------------------------------------------------------------------


def test_a_whole_place_is_closed_at_once(as_role: SignIn, room: Any) -> None:
    bikes = make_pool(workspace=room.workspace, location=room.location, category=room.category)
    elsewhere = make_room(workspace=room.workspace)
    form = block_form(room, at(9), at(12)) | {"resources": [], "location": str(room.location_id)}
    answer = as_role("manager").post(add(Block), form)
    assert answer.status_code == 302, errors(answer)
    found = {block.resource_id: block.quantity for block in Block.objects.all()}
    assert found == {room.pk: 1, bikes.pk: bikes.capacity}
    assert elsewhere.pk not in found
    assert {block.kind for block in Block.objects.all()} == {"maintenance"}


def test_a_pool_with_room_for_both_needs_no_agreement(as_role: SignIn, room: Any) -> None:
    bikes = make_pool(workspace=room.workspace, location=room.location, category=room.category)
    held = place(bikes, quantity=8)
    browser = as_role("manager")
    form = block_form(bikes, at(9), at(12))
    assert browser.post(add(Block), form | {"quantity": "3"}).status_code == 302
    assert held.booking.reference in str(errors(browser.post(add(Block), form | {"quantity": "1"})))
    assert Block.objects.count() == 1


def test_what_was_agreed_to_must_be_what_is_there(as_role: SignIn, room: Any) -> None:
    booking = confirmed(room, 10)
    browser = as_role("manager")
    form = block_form(room, at(9), at(14)) | {"seen": str(booking.pk), "confirmed": "on"}
    late = confirmed(room, 12)
    assert late.reference in str(errors(browser.post(add(Block), form)))
    assert not Block.objects.exists()


def test_neither_and_both_are_refused(as_role: SignIn, room: Any) -> None:
    browser, form = as_role("manager"), block_form(room, at(9), at(12))
    assert "resources" in errors(browser.post(add(Block), form | {"resources": []}))
    both = form | {"location": str(room.location_id)}
    assert "resources" in errors(browser.post(add(Block), both))
    theirs = form | {"resources": [str(make_room().pk)]}
    assert "resources" in errors(browser.post(add(Block), theirs))
