"""The catalogue: forms in people's units, refusals as form errors, blocks, and why not free."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bookings.models import Block, Location, Resource
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, confirmed, deed, delete, place
from tests.admin.test_access import HOURS_FORMS, RESOURCE
from tests.factories import BlockFactory, at, make_pool, make_room

pytestmark = pytest.mark.django_db
AUCKLAND = ZoneInfo("Pacific/Auckland")


def form_of(room: Resource, **changes: str) -> dict[str, Any]:
    return {
        "workspace": str(room.workspace_id),
        "name": "Aotea",
        "slug": "aotea",
        "location": str(room.location_id),
        "category": str(room.category_id),
        **RESOURCE,
        **changes,
    }


def errors(page: Any) -> dict[str, list[str]]:
    assert page.status_code == 200
    return dict(page.context["adminform"].form.errors)


def test_a_resource_is_made_with_minutes_hours_and_money(as_role: SignIn, room: Resource) -> None:
    data = form_of(
        room,
        step_seconds="15",
        buffer_after_seconds="7.5",
        **{
            "opening_hours-TOTAL_FORMS": "1",
            "opening_hours-0-weekday": "0",
            "opening_hours-0-opens_at": "09:00",
            "opening_hours-0-closes_at": "17:00",
            "price_rules-TOTAL_FORMS": "1",
            "price_rules-0-kind": "per_hour",
            "price_rules-0-amount": "45.50",
            "price_rules-0-label": "",
        },
    )
    response = as_role("manager").post(add(Resource), data)
    assert response.status_code == 302, errors(response)
    made = Resource.objects.get(slug="aotea")
    assert (made.step_seconds, made.min_seconds, made.buffer_after_seconds) == (900, 3600, 450)
    assert made.opening_hours.get().opens_at.hour == 9
    assert made.price_rules.get().amount_minor == 4550


def test_the_form_shows_minutes_and_money(as_role: SignIn, room: Resource) -> None:
    page = as_role("manager").get(change(room)).content.decode()
    assert "Step (minutes)" in page
    assert 'name="step_seconds" value="15"' in page
    assert 'name="price_rules-0-amount" value="45.00"' in page
    assert "Amount in NZD" in page


def test_a_fraction_of_a_cent_is_refused(as_role: SignIn, room: Resource) -> None:
    price = room.price_rules.get()
    data = form_of(
        room,
        **{
            "price_rules-TOTAL_FORMS": "1",
            "price_rules-INITIAL_FORMS": "1",
            "price_rules-0-id": str(price.pk),
            "price_rules-0-resource": str(room.pk),
            "price_rules-0-kind": "per_hour",
            "price_rules-0-amount": "45.005",
        },
    )
    page = as_role("manager").post(change(room), data)
    assert b"NZD has 2 decimals" in page.content
    price.refresh_from_db()
    assert price.amount_minor == 4500


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mode": "exclusive", "capacity": "3"}, "capacity of 1"),
        ({"min_seconds": "600", "max_seconds": "60"}, "longest duration is shorter"),
        ({"step_seconds": "0"}, "greater than or equal to 300"),
    ],
)
def test_wrong_rules_are_form_errors(
    as_role: SignIn, room: Resource, changes: dict[str, str], sentence: str
) -> None:
    page = as_role("manager").post(add(Resource), form_of(room, **changes))
    assert sentence in str(errors(page))


def test_what_the_database_refuses_is_a_form_error(as_role: SignIn, room: Resource) -> None:
    """Rules only a trigger knows: the mode of a used resource, a pool under its bookings."""
    confirmed(room)
    browser = as_role("manager")
    page = browser.post(change(room), form_of(room, mode="pooled", capacity="2"))
    assert "The mode is fixed once the resource has been booked." in str(errors(page))
    bikes = make_pool(workspace=room.workspace, location=room.location, category=room.category)
    place(bikes, quantity=5)
    lower = form_of(bikes, mode="pooled", capacity="4")
    assert "More units than that are booked already." in str(
        errors(browser.post(change(bikes), lower))
    )
    bikes.refresh_from_db()
    assert bikes.capacity == 11


def test_a_deferred_rule_is_a_form_error_too(as_role: SignIn, room: Resource) -> None:
    """A superuser may choose rows of two workspaces; the database does not take them."""
    other = make_room()
    data = form_of(room, location=str(other.location_id))
    page = as_role("superuser").post(add(Resource), data)
    assert "Choose a location and a category of the same workspace." in str(errors(page))
    assert not Resource.objects.filter(slug="aotea").exists()


def test_a_slug_that_is_taken_is_a_form_error(as_role: SignIn, room: Resource) -> None:
    page = as_role("manager").post(add(Resource), form_of(room, slug=room.slug))
    assert errors(page)
    data = {"workspace": str(room.workspace_id), "name": "x", "slug": room.location.slug,
            "timezone": "Nowhere/Land", "address": "", "directions": "",
            "opening_hours-TOTAL_FORMS": "0", "opening_hours-INITIAL_FORMS": "0",
            **HOURS_FORMS}  # fmt: skip
    assert "timezone" in errors(as_role("manager").post(add(Location), data))


def test_resources_with_history_are_not_deleted(as_role: SignIn, room: Resource) -> None:
    assert as_role("superuser").get(delete(room)).status_code == 403


# --- Blocks -------------------------------------------------------------------------------------


def block_form(room: Resource, start: datetime, end: datetime) -> dict[str, Any]:
    """Times as typed: in the room's own zone."""
    first, last = start.astimezone(AUCKLAND), end.astimezone(AUCKLAND)
    return {
        "resources": [str(room.pk)],
        "start_0": f"{first:%Y-%m-%d}",
        "start_1": f"{first:%H:%M}",
        "end_0": f"{last:%Y-%m-%d}",
        "end_1": f"{last:%H:%M}",
        "quantity": "",
        "kind": "maintenance",
        "reason": "Deep cleaning",
    }


def test_a_block_is_placed_in_the_rooms_own_time(as_role: SignIn, room: Resource) -> None:
    response = as_role("manager").post(add(Block), block_form(room, at(10), at(12)), follow=True)
    block = Block.objects.get()
    assert (block.during.lower, block.during.upper) == (at(10), at(12))
    assert block.created_by is not None
    assert b"lies over" not in response.content


def test_bookings_under_a_block_are_listed_and_stay(as_role: SignIn, room: Resource) -> None:
    booking = confirmed(room, 10)
    browser, form = as_role("manager"), block_form(room, at(9), at(12))
    listed = browser.post(add(Block), form)
    assert "It would lie over 1 booking" in str(errors(listed))
    assert change(booking) in listed.content.decode()
    assert not Block.objects.exists(), "nothing is placed before it has been agreed to"
    form |= {"seen": str(booking.pk), "confirmed": "on"}
    page = browser.post(add(Block), form, follow=True).content.decode()
    assert "The block lies over 1 booking that was made before" in page
    assert change(booking) in page
    booking.refresh_from_db()
    assert booking.state == "confirmed"


def test_a_block_backwards_or_without_a_time_is_refused(as_role: SignIn, room: Resource) -> None:
    browser = as_role("manager")
    assert "end" in errors(browser.post(add(Block), block_form(room, at(12), at(10))))
    incomplete = block_form(room, at(10), at(12)) | {"start_0": "soon", "quantity": "0"}
    assert {"start", "quantity"} <= set(errors(browser.post(add(Block), incomplete)))
    assert not Block.objects.exists()


def test_a_block_is_not_moved_but_may_be_lifted(as_role: SignIn, room: Resource) -> None:
    block = BlockFactory(resource=room)
    before = block.during
    browser = as_role("manager")
    browser.post(change(block), {"reason": "Painting", "quantity": "7", "kind": "event"})
    block.refresh_from_db()
    assert (block.reason, block.quantity) == ("Painting", 1)
    assert (block.during.lower, block.during.upper) == before
    assert as_role("clerk").get(delete(block)).status_code == 403
    assert browser.post(delete(block), {"post": "yes"}).status_code == 302
    assert not Block.objects.exists()


# --- Why is it not free? ------------------------------------------------------------------------


def ask(start: datetime, end: datetime) -> dict[str, str]:
    first, last = start.astimezone(AUCKLAND), end.astimezone(AUCKLAND)
    return {
        "start_0": f"{first:%Y-%m-%d}", "start_1": f"{first:%H:%M}",
        "end_0": f"{last:%Y-%m-%d}", "end_1": f"{last:%H:%M}", "quantity": "1",
    }  # fmt: skip


def test_a_clerk_learns_why_and_when_it_ends(as_role: SignIn, room: Resource) -> None:
    hold = place(room, 10)
    BlockFactory(resource=room, during=(at(11), at(12)), reason="Deep cleaning")
    browser = as_role("clerk")
    assert browser.get(deed(room, "why_not_free")).status_code == 200
    page = browser.get(deed(room, "why_not_free"), ask(at(10), at(12))).content.decode()
    assert "It is not free" in page
    assert change(hold.booking) in page
    assert "Deep cleaning" in page
    ends = hold.expires_at.astimezone(AUCKLAND)
    assert f"ends by itself {ends:%a} {ends.day} {ends:%b %Y, %H:%M}" in page
    free = browser.get(deed(room, "why_not_free"), ask(at(14), at(15))).content.decode()
    assert "It is free" in free


def test_questions_that_make_no_sense_are_form_errors(as_role: SignIn, room: Resource) -> None:
    browser = as_role("clerk")
    for start, end in ((at(12), at(10)), (at(0), at(0) + timedelta(days=90))):
        page = browser.get(deed(room, "why_not_free"), ask(start, end))
        assert set(page.context["form"].errors) == {"end"}
    page = browser.get(deed(room, "why_not_free"), {"start_0": "\x00", "quantity": "9" * 30})
    assert page.status_code == 200
    assert {"start", "end", "quantity"} <= set(page.context["form"].errors)


def test_what_is_not_bookable_says_so(as_role: SignIn, room: Resource) -> None:
    Resource.objects.update(is_active=False)
    page = as_role("clerk").get(deed(room, "why_not_free"), ask(at(10), at(11)))
    assert b"It is not bookable" in page.content
