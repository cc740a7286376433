"""The whole way from the workspace's home to "It is yours", as people go it."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bookings.models import Booking
from holds.models import Hold
from payments.models import Checkout, Payment
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import a_room, assert_fits, assert_usable, local_noon
from tests.pages.support import at_param
from tests.support.sandbox import SandboxClient

DEVICES = {
    "desktop light": {"viewport": DESKTOP, "color_scheme": "light"},
    "phone dark": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
}


def look(page: Page) -> None:
    """What is asked of every page on the way."""
    assert_fits(page)
    assert_usable(page)


def choose_noon(page: Page) -> None:
    """The way that the width offers: a grid, or days and then starts."""
    button = page.locator(f"button[value='{at_param(local_noon())}']:visible")
    if not button.count():
        page.locator(".strip a").nth(3).click()
        expect(button).to_have_count(1)
    button.click()


@pytest.mark.parametrize("device", DEVICES)
def test_the_whole_journey(device: str, open_page: NewPage, sandbox: SandboxClient) -> None:
    a_room()
    page = open_page(**DEVICES[device])
    page.goto("/")
    look(page)
    page.get_by_role("link", name="Tōtara room").click()
    page.wait_for_load_state()
    page.select_option("#minutes", "90")
    page.wait_for_url("**minutes=90*")
    choose_noon(page)
    expect(page.locator("#picked")).to_contain_text("12:00")
    expect(page.locator("#picked")).to_contain_text("NZ$67.50")
    look(page)
    page.get_by_role("button", name="Hold it for 15 minutes").click()

    expect(page.locator(".clock")).to_have_text(re.compile(r"1[45]:\d\d"))
    look(page)
    page.get_by_role("button", name="Pay NZ$67.50").click()
    expect(page.locator(".errors")).to_be_focused()
    look(page)
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_label("Name").fill("Ada Kōwhai")
    page.get_by_role("button", name="Pay NZ$67.50").dblclick()
    page.wait_for_url(f"{sandbox.url}/**")
    page.get_by_role("button", name=re.compile("^Pay ")).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    look(page)
    booking = Booking.objects.get()
    assert (booking.state, booking.email) == ("confirmed", "ada@example.test")
    assert Payment.objects.get().state == "captured"
    assert Checkout.objects.count() == 1
    page.get_by_role("link", name="Manage the booking").click()
    expect(page.locator(".timeline")).to_contain_text("Confirmed")
    look(page)
    page.get_by_role("link", name="My bookings").click()
    look(page)


def test_without_javascript(open_page: NewPage, sandbox: SandboxClient) -> None:
    a_room()
    page = open_page(viewport=PHONE, java_script_enabled=False)
    page.goto("/w/kauri-house/totara/")
    page.select_option("#minutes", "120")
    page.get_by_role("button", name="Show times").click()
    choose_noon(page)
    page.get_by_role("button", name="Hold it for 15 minutes").click()
    expect(page.get_by_text("is when your hold ends")).to_be_visible()
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_label("Name").fill("Ada")
    page.get_by_role("button", name="Pay NZ$90.00").click()
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    assert Hold.objects.get().state == "confirmed"


def test_keys_and_mouse_choose_a_window(open_page: NewPage) -> None:
    """Tab to the week, arrows to the start, Enter, Shift and arrow; then the same by dragging."""
    a_room()
    page = open_page()
    page.goto(f"/w/kauri-house/totara/?from={local_noon():%Y-%m-%d}")
    page.locator("#minutes").focus()
    focused = page.locator("*:focus")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("Boolean(document.activeElement?.closest('.col'))"):
            break
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    chosen = focused.get_attribute("value") or ""
    page.keyboard.press("Enter")
    expect(page.locator(".col .a")).to_have_attribute("value", chosen)
    expect(page.locator(".col .a")).to_be_focused()
    page.keyboard.press("Shift+ArrowDown")
    expect(page.locator("#picked .sum dt")).to_have_text("1 h 30 min")
    expect(page.locator("#say")).to_contain_text("NZ$67.50")

    _drag(page, page.locator(".col").nth(5).locator("button").nth(4), rows=6)
    expect(page.locator("#picked .sum dt")).to_have_text("3 h")

    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.textContent.startsWith('Hold it')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".clock")).to_be_visible()
    held = Hold.objects.get().booking
    assert (held.ends_at - held.starts_at).total_seconds() == 3 * 3600


def _drag(page: Page, first: Any, *, rows: int) -> None:
    first.scroll_into_view_if_needed()
    box = first.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] + box["height"] * (rows - 1) + 8, steps=6)
    page.mouse.up()
