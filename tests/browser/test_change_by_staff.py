"""Staff move a booking in a real browser, on a desk and on a phone."""

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from bookings.models import Booking
from holds.models import Hold
from tests.admin.support import change, changelist, confirmed, deed, payment
from tests.admin.test_change import asked
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import assert_fits, assert_usable
from tests.factories import MemberFactory, ResourceFactory, make_room

pytestmark = pytest.mark.long


def test_staff_see_what_a_move_would_do_and_make_it(open_page: NewPage) -> None:
    room = make_room(name="The unreasonably long-named Pōhutukawa auditorium with gallery")
    booking = confirmed(room, 1)
    payment(booking)
    loft = ResourceFactory(workspace=room.workspace, location=room.location, name="Loft")
    boss = Client()
    boss.force_login(
        MemberFactory(is_staff=True, is_superuser=True),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    for viewport, scheme, end in ((DESKTOP, "light", 3), (PHONE, "dark", 4)):
        page = open_page(viewport=viewport, color_scheme=scheme)
        page.goto("/healthz")
        session = boss.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": page.url}])
        _move(page, booking, asked(loft, 1, end))
        expect(page.get_by_text("Link to pay:")).to_have_count(1)
        for address in (change(booking), changelist(Hold), "/admin/"):
            page.goto(address)
            assert_fits(page)
    assert Hold.objects.filter(change__isnull=False, state="active").count() == 1


def _move(page: Page, booking: Booking, form: dict[str, str]) -> None:
    page.goto(deed(booking, "move"))
    assert_fits(page)
    page.get_by_label("Resource").select_option(form["resource"])
    for name in ("start_0", "start_1", "end_0", "end_1"):
        page.fill(f"input[name={name}]", form[name])
    page.get_by_label("Reason").fill(form["reason"])
    page.get_by_role("button", name="See what it would do").click()
    expect(page.get_by_text("gets a mail with a link to pay it")).to_be_visible()
    assert_fits(page)
    assert_usable(page)
    page.get_by_role("button", name="Hold the new time and ask for the money").click()
    expect(page.get_by_text("The new time is held until").first).to_be_visible()
