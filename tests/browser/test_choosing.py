"""Bikes with helmets, a consultant elsewhere, a code, a series: what a visitor chooses and sees."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from bookings.models import Booking, Discount, Line
from holds.claims import LineRequest
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import AUCKLAND, a_room, assert_fits, assert_usable, local_noon
from tests.core.support import hold
from tests.factories import make_add_on, make_pool
from tests.pages.support import at_param

DEVICES = {
    "desktop": {"viewport": DESKTOP, "color_scheme": "light"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
}


def look(page: Page) -> None:
    assert_fits(page)
    assert_usable(page)


@pytest.mark.long
@pytest.mark.parametrize("device", DEVICES)
def test_bikes_with_helmets_and_a_code(device: str, open_page: NewPage) -> None:
    """The price follows each choice; what is left is shown; the hold has all of it."""
    bikes = a_room(name="Bike", slug="bike", mode="pooled", capacity=11)
    helmets = make_pool(
        workspace=bikes.workspace, location=bikes.location, name="Helmet", capacity=40
    )
    make_add_on(bikes, helmets, amount_minor=300)
    Discount.objects.create(workspace=bikes.workspace, code="WELCOME10", percent=10)
    noon = local_noon()
    hold(LineRequest(bikes.pk, noon, noon + timedelta(hours=1), 8))
    page = open_page(**DEVICES[device])
    page.goto(f"/w/kauri-house/bike/?day={noon.astimezone(AUCKLAND):%Y-%m-%d}")
    start = page.locator(f"button[value='{at_param(noon)}']:visible")
    expect(start).to_contain_text("3 left")
    start.click()
    picked = page.locator("#picked")
    expect(picked.locator(".sum dd")).to_have_text("NZ$45.00")
    page.get_by_label("How many").fill("2")
    page.keyboard.press("Tab")
    expect(picked.locator(".sum dd")).to_have_text("NZ$90.00")
    expect(page.locator(".htmx-added, .htmx-settling")).to_have_count(0)
    page.get_by_label("Helmet").select_option("2")
    expect(picked.locator(".sum dd")).to_have_text("NZ$96.00")
    expect(picked).to_contain_text("Helmet × 2")
    look(page)
    page.get_by_role("button", name=re.compile("^Hold it")).click()
    expect(page.locator("dl.facts")).to_contain_text("with 2 × Helmet")
    page.get_by_text("Have a discount code?").click()
    page.get_by_label("Discount code").fill("welcome10")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("button", name="Pay NZ$86.40")).to_be_visible()
    look(page)
    mine = Line.objects.filter(quantity=2).order_by("position")
    assert list(mine.values_list("resource__name", flat=True)) == ["Bike", "Helmet"]


def test_a_consultant_elsewhere_is_seen_in_both_zones(open_page: NewPage) -> None:
    a_room()
    page = open_page(**DEVICES["phone"] | {"timezone_id": "Europe/Lisbon"})
    noon = local_noon()
    page.goto(f"/w/kauri-house/totara/?at={at_param(noon)}")
    expect(page.locator("#picked .zone")).to_contain_text("in Lisbon, where you seem to be")
    expect(page.locator(".turn .zone")).to_contain_text("In Lisbon, where you seem to be, it is")
    theirs = noon.astimezone(ZoneInfo("Europe/Lisbon"))
    expect(page.locator(f".starts [value='{at_param(noon)}'] .mine")).to_contain_text(
        f"{theirs:%H:%M}"
    )
    look(page)


def test_the_same_time_every_week(open_page: NewPage) -> None:
    a_room()
    page = open_page(**DEVICES["desktop"])
    page.goto(f"/w/kauri-house/totara/?at={at_param(local_noon())}")
    page.get_by_role("link", name="Repeat it every week…").click()
    page.get_by_label("How many times").fill("3")
    page.get_by_role("button", name="Show the times").click()
    expect(page.locator(".occurrences li")).to_have_count(3)
    look(page)
    page.get_by_role("button", name="Hold these 3 times").click()
    expect(page.locator("dl.prices")).to_contain_text("3 times")
    look(page)
    assert Booking.objects.get().lines.count() == 3
