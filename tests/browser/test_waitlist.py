"""From a time that someone else has to "it is your turn"."""

import os
import re
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from config.kernel.context import SYSTEM
from holds import offering, services
from holds.claims import LineRequest
from tests.browser.conftest import PHONE, NewPage
from tests.browser.support import a_room, assert_fits, assert_usable, local_noon
from tests.core.support import hold as claim
from tests.pages.support import at_param

ADDRESS = "/w/kauri-house/totara/"


def looked_at(page: Page, name: str) -> None:
    """Usable and no wider than the screen; kept as a picture where somebody wants to look."""
    assert_usable(page)
    assert_fits(page)
    if folder := os.environ.get("SUREHOLD_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_the_loser_waits_and_is_offered_it(open_page: NewPage) -> None:
    room, start = a_room(), local_noon()
    held = claim(LineRequest(room.pk, start, start + timedelta(hours=1)))
    page = open_page(viewport=PHONE)
    page.goto(f"{ADDRESS}?at={at_param(start)}&minutes=60")
    page.get_by_role("link", name="Tell me when it frees").click()
    looked_at(page, "wait-form-phone")
    expect(page.get_by_label("Not before")).to_have_value("12:00")
    page.get_by_role("button", name="Put me on the list").click()
    expect(page.get_by_role("alert")).to_contain_text("the address that we write to")
    looked_at(page, "wait-errors-phone")
    page.get_by_label("E-mail").fill("ana@example.test")
    page.get_by_label("Name").fill("Ana with a very long name that goes on and on for a while")
    page.get_by_role("button", name="Put me on the list").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are on the list")
    looked_at(page, "waiting-phone")
    place = page.url
    page.goto("/my/")
    looked_at(page, "my-guest-phone")
    page.goto(place)

    wide = open_page(color_scheme="dark")
    wide.goto(place)
    looked_at(wide, "waiting-desktop-dark")
    wide.goto(f"{ADDRESS}wait/")
    looked_at(wide, "wait-form-desktop-dark")

    services.release(hold_id=held.pk, actor=SYSTEM)
    assert offering.offer(room.pk) == 1
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("It is your turn")
    looked_at(page, "offered-phone")
    wide.goto(place)
    looked_at(wide, "offered-desktop-dark")
    page.get_by_role("link", name="Take it").click()
    expect(page.locator(".clock")).to_be_visible()
    looked_at(page, "hold-phone")
    page.get_by_role("link", name="your place on the list").click()
    page.get_by_role("button", name=re.compile("leave the list")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You left the list")
    looked_at(page, "left-phone")
