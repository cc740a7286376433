"""Making good, in the admin and for the member: looked at, told, booked again by a button."""

from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Page, expect

from bookings.models import Resource
from holds.models import Hold
from members.models import Member
from payments.making_good import services
from payments.making_good.mails import token_of
from payments.models import Apology, Incident
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import a_room, assert_fits, assert_usable
from tests.factories import StaffFactory
from tests.money.test_making_good import HOUR, NINE, failed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def sign_in(page: Page, site: str, member: Member) -> None:
    """A session as signing in makes one; the admin's own door is tried elsewhere."""
    session = SessionStore()
    session[SESSION_KEY] = str(member.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = member.get_session_auth_hash()
    session.save()
    key = str(session.session_key)
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": key, "url": site}])


def fill_window(page: Page, room: Resource) -> None:
    zone = ZoneInfo(room.workspace.timezone)
    for name, moment in (("starts_at", NINE), ("ends_at", NINE + HOUR)):
        local = moment.astimezone(zone)
        page.fill(f"#id_{name}_0", f"{local:%Y-%m-%d}")
        page.fill(f"#id_{name}_1", f"{local:%H:%M:%S}")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_staff_look_and_then_tell(size: dict[str, int], open_page: NewPage, site: str) -> None:
    room = a_room()
    failed(room)
    failed(room, email="")
    page = open_page(viewport=size)
    sign_in(page, site, StaffFactory(workspace=room.workspace, role="manager").member)
    page.goto("/admin/payments/incident/add/")
    page.select_option("#id_workspace", label=str(room.workspace))
    fill_window(page, room)
    page.fill("#id_credit_percent", "20")
    page.get_by_role("button", name="See who was hit").click()
    expect(page.get_by_role("heading", name="1 to tell")).to_be_visible()
    assert_fits(page)
    page.get_by_role("button", name="Tell 1 and give the credit").click()
    expect(page.get_by_text("They are being told.")).to_be_visible()
    assert_fits(page)
    assert Incident.objects.get().people == 1


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_member_books_again(size: dict[str, int], open_page: NewPage) -> None:
    room = a_room()
    failed(room, hours=(0, 1))  # early afternoon in Auckland
    incident = services.begin(
        starts_at=NINE,
        ends_at=NINE + HOUR,
        workspace=room.workspace,
        actor=services.Actor("staff"),
    )
    services.carry_out(incident.pk)
    page = open_page(viewport=size)
    page.goto(f"/again/{token_of(Apology.objects.get())}/")
    assert_fits(page)
    assert_usable(page)
    page.get_by_role("button", name="Hold it for me").dblclick()
    expect(page.locator(".clock")).to_be_visible()
    assert Hold.objects.count() == 1
