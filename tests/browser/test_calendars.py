"""A booking's way into calendars, as somebody at a screen sees it."""

import os
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bookings.models import Booking
from members.sign_in import link_for
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import a_room, assert_fits, assert_usable, local_noon
from tests.factories import MemberFactory
from tests.pages.support import at_param

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "device",
    [{"viewport": DESKTOP}, {"viewport": PHONE, "color_scheme": "dark"}],
    ids=["desktop", "phone, dark"],
)
def test_confirmed_managed_and_subscribed_to(open_page: NewPage, device: dict[str, Any]) -> None:
    a_room(price=0)
    ada = MemberFactory(email="ada@example.test", name="Ada Kōwhai")
    page = open_page(**device)
    page.goto(re.sub(r"^https?://[^/]+", "", link_for(ada, "/my/")))
    page.get_by_role("main").get_by_role("button").first.click()
    expect(page.get_by_role("heading", name="My bookings")).to_be_visible()
    page.goto(f"/w/kauri-house/totara/?at={at_param(local_noon())}&minutes=60")
    page.get_by_role("button", name=re.compile("^Hold it")).click()
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    calendars(page)
    look(page, device, "confirmed")
    page.get_by_role("link", name="Manage the booking").click()
    calendars(page)
    look(page, device, "managed")

    page.goto("/my/")
    look(page, device, "my-without")
    page.get_by_role("button", name="Make an address").click()
    address = page.get_by_label("Secret address").input_value()
    page.get_by_text("It fell into other hands").click()
    look(page, device, "my-with")
    file = page.request.get(re.sub(r"^https?://[^/]+", "", address))
    assert file.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "set-cookie" not in file.headers
    assert Booking.objects.get().reference in file.text()


def calendars(page: Page) -> None:
    page.get_by_text("Add it in Google, Outlook or Yahoo").click()
    google = page.get_by_role("link", name="Google Calendar")
    expect(google).to_be_visible()
    expect(google).to_have_attribute("href", re.compile("ctz=Pacific%2FAuckland"))
    expect(page.get_by_role("link", name="Add to calendar")).to_be_visible()


def look(page: Page, device: dict[str, Any], name: str) -> None:
    assert_usable(page)
    assert_fits(page)
    if folder := os.environ.get("SUREHOLD_SCREENSHOTS"):
        width = device["viewport"]["width"]
        page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)
