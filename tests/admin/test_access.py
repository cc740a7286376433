"""Who sees and changes what: by role, workspace by workspace (INV-9); history never."""

import pytest
from django.test import Client

from bookings.models import Block, Booking, Category, Location, Resource
from holds.models import Hold, WaitlistEntry
from members.models import ApiKey, Member, Notification, Staff, Workspace
from payments.models import Checkout, Payment
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, changelist, confirmed, deed, delete, payment, place
from tests.factories import BlockFactory, MemberFactory, make_api_key, make_room

pytestmark = pytest.mark.django_db

READABLE = [
    Booking, Hold, WaitlistEntry, Payment, Checkout, Notification, Resource, Location, Category,
    Block, Workspace,
]  # fmt: skip


@pytest.mark.parametrize("role", ["clerk", "manager", "owner", "superuser"])
def test_every_list_and_the_first_screen_open(as_role: SignIn, room: Resource, role: str) -> None:
    payment(confirmed(room))
    place(room, 14)
    BlockFactory(resource=room)
    browser = as_role(role)
    assert browser.get("/admin/").status_code == 200
    for model in READABLE:
        assert browser.get(changelist(model)).status_code == 200, model


@pytest.mark.parametrize(
    ("model", "least"), [(Staff, "manager"), (ApiKey, "manager"), (Member, "superuser")]
)
def test_lists_that_take_a_rank(as_role: SignIn, model: type, least: str) -> None:
    order = ["clerk", "manager", "owner", "superuser"]
    for role in order:
        expected = 200 if order.index(role) >= order.index(least) else 403
        assert as_role(role).get(changelist(model)).status_code == expected, role


def test_a_member_without_a_role_does_not_get_in(room: Resource) -> None:
    browser = Client()
    browser.force_login(MemberFactory(), backend="django.contrib.auth.backends.ModelBackend")
    response = browser.get("/admin/")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_staff_whose_role_was_taken_see_nothing(as_role: SignIn, room: Resource) -> None:
    browser = as_role("owner")
    Staff.objects.all().delete()
    assert b"You have no role in a workspace" in browser.get("/admin/").content
    assert browser.get(changelist(Booking)).status_code == 403


def test_other_workspaces_rows_do_not_exist(as_role: SignIn, room: Resource) -> None:
    theirs = make_room(name="Their secret room")
    booking = confirmed(theirs)
    hold = place(theirs, 14)
    key, _ = make_api_key(workspace=theirs.workspace, name="Their key")
    paid = payment(booking)
    browser = as_role("owner")
    rows = [
        theirs, theirs.workspace, theirs.location, theirs.category, booking, hold, key, paid,
        BlockFactory(resource=theirs),
    ]  # fmt: skip
    for row in rows:
        page = browser.get(change(row))
        assert page.status_code in {302, 404}, row  # Django sends a stranger to the index
        assert page.status_code == 404 or page["Location"] == "/admin/"
        listed = browser.get(changelist(type(row)) + "?when=all&state=all&holds=all")
        assert str(row.pk).encode() not in listed.content
    for row, name in [
        (hold, "release"), (booking, "cancel"), (key, "revoke"), (theirs, "why_not_free"),
    ]:  # fmt: skip
        assert browser.get(deed(row, name)).status_code == 404
        assert browser.post(deed(row, name), {"reason": "x"}).status_code == 404
    assert (
        b"Their secret room"
        not in browser.get("/admin/?workspace=" + theirs.workspace.slug).content
    )
    hold.refresh_from_db()
    assert hold.state == "active"


def test_other_workspaces_rows_cannot_be_chosen(as_role: SignIn, room: Resource) -> None:
    theirs = make_room()
    browser = as_role("owner")
    data = {
        "workspace": str(room.workspace_id),
        "name": "Spy",
        "slug": "spy",
        "location": str(theirs.location_id),
        "category": str(theirs.category_id),
        **RESOURCE,
    }
    page = browser.post(add(Resource), data)
    assert page.status_code == 200
    assert set(page.context["adminform"].form.errors) == {"location", "category"}
    page = browser.post(
        add(Category), {"workspace": str(theirs.workspace_id), "name": "x", "slug": "x"}
    )
    assert set(page.context["adminform"].form.errors) == {"workspace"}


@pytest.mark.parametrize("model", [Resource, Location, Category, Block])
def test_clerks_read_the_catalogue_and_managers_change_it(
    as_role: SignIn, room: Resource, model: type
) -> None:
    assert as_role("clerk").get(add(model)).status_code == 403
    assert as_role("manager").get(add(model)).status_code == 200
    page = as_role("clerk").post(change(room), {"name": "Renamed"})
    assert page.status_code == 403
    room.refresh_from_db()
    assert room.name != "Renamed"


def test_managers_do_not_touch_staff_keys_or_the_workspace(as_role: SignIn, room: Resource) -> None:
    browser = as_role("manager")
    assert browser.get(add(Staff)).status_code == 403
    assert browser.get(add(ApiKey)).status_code == 403
    assert browser.post(change(room.workspace), {"name": "Mine"}).status_code == 403
    assert as_role("owner").get(add(Workspace)).status_code == 403


@pytest.mark.parametrize("role", ["owner", "superuser"])
def test_history_is_read_only_for_everyone(as_role: SignIn, room: Resource, role: str) -> None:
    booking = confirmed(room)
    hold = place(room, 14)
    paid = payment(booking)
    browser = as_role(role)
    for row in (booking, hold, paid, paid.checkout):
        version = row.version
        assert browser.get(change(row)).status_code == 200
        sent = {"state": "cancelled", "version": 9, "total_minor": 1, "amount_minor": 1}
        assert browser.post(change(row), sent).status_code == 403
        assert browser.get(delete(row)).status_code == 403
        assert browser.get(add(type(row))).status_code == 403
        row.refresh_from_db()
        assert row.version == version
    assert browser.get(delete(room.workspace)).status_code == 403


HOURS_FORMS = {
    f"{name}-{count}_FORMS": "0"
    for name in ("openingexceptions", "seasons", "holidaycalendars")
    for count in ("TOTAL", "INITIAL")
}
RESOURCE = {
    "is_active": "on",
    "mode": "exclusive",
    "visibility": "public",
    "capacity": "1",
    "seats": "",
    "position": "0",
    "description": "",
    "picture_alt": "",
    "step_seconds": "30",
    "min_seconds": "60",
    "max_seconds": "480",
    "buffer_before_seconds": "0",
    "buffer_after_seconds": "0",
    "notice_seconds": "0",
    "horizon_days": "90",
    "approval_ttl_seconds": "1440",
    "hold_ttl_seconds": "",
    "opening_hours-TOTAL_FORMS": "0",
    "opening_hours-INITIAL_FORMS": "0",
    "allowed_groups-TOTAL_FORMS": "0",
    "allowed_groups-INITIAL_FORMS": "0",
    **HOURS_FORMS,
    "booking_unit": "time",
    "day_starts_at": "15:00",
    "day_ends_at": "11:00",
    "min_days": "1",
    "max_days": "14",
    "price_rules-TOTAL_FORMS": "0",
    "add_ons-TOTAL_FORMS": "0",
    "add_ons-INITIAL_FORMS": "0",
    "units-TOTAL_FORMS": "0",
    "units-INITIAL_FORMS": "0",
    "price_rules-INITIAL_FORMS": "0",
}
