"""Nights chosen by dates, by somebody in another zone."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import a_room, assert_fits, assert_usable, local_noon

DEVICES = {
    "desktop": {"viewport": DESKTOP, "color_scheme": "light", "timezone_id": "Europe/Berlin"},
    "phone": {"viewport": PHONE, "color_scheme": "dark", "timezone_id": "Europe/Berlin"},
}


@pytest.mark.parametrize("device", DEVICES)
def test_nights_are_chosen_by_dates_and_shown_in_both_zones(
    device: str, open_page: NewPage
) -> None:
    room = a_room(booking_unit="day", max_days=7)
    page = open_page(**DEVICES[device])
    page.goto(f"/w/kauri-house/{room.slug}/")
    first = local_noon()
    page.get_by_label("From").fill(f"{first:%Y-%m-%d}")
    page.wait_for_url("**arrive=20**")
    expect(page.locator("#picked")).to_contain_text("1 night")
    page.wait_for_load_state("networkidle")  # what is typed while the form is replaced is lost
    page.get_by_label("To").fill(f"{first + timedelta(days=3):%Y-%m-%d}")
    expect(page.locator("#picked")).to_contain_text("3 nights")
    expect(page.locator("#picked")).to_contain_text("15:00")
    expect(page.locator("#picked .zone")).to_contain_text("in Berlin, where you seem to be")
    assert_fits(page)
    assert_usable(page)
