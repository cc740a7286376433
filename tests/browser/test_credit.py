"""Paying with credit, as somebody at a screen sees it."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from config.kernel.context import Actor
from holds.models import Hold
from members.sign_in import link_for
from payments import credits as ledger
from payments.models import Checkout
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import a_room, assert_fits, assert_usable, local_noon
from tests.factories import MemberFactory
from tests.pages.support import at_param

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "device",
    [
        {"viewport": DESKTOP},
        {"viewport": PHONE, "color_scheme": "dark", "java_script_enabled": False},
    ],
    ids=["desktop", "phone, dark, no JavaScript"],
)
def test_ticking_the_box_says_what_is_paid_and_books_it(
    open_page: NewPage, device: dict[str, Any]
) -> None:
    room = a_room()
    ada = MemberFactory(email="ada@example.test", name="Ada Kōwhai")
    ledger.issue(
        workspace=room.workspace,
        member=ada,
        amount_minor=6000,
        reason="The heating was off",
        source="admin",
        key="k",
        actor=Actor("staff", label="Mia"),
    )
    page = open_page(**device)
    page.goto(re.sub(r"^https?://[^/]+", "", link_for(ada, "/my/")))
    page.get_by_role("main").get_by_role("button").first.click()
    expect(page.get_by_role("heading", name="Your credit")).to_be_visible()
    look(page, device)
    page.goto(f"/w/kauri-house/totara/?at={at_param(local_noon())}&minutes=60")
    page.get_by_role("button", name=re.compile("^Hold it")).click()

    box = page.get_by_label("Use NZ$45.00 of your credit")
    expect(box).not_to_be_checked()
    expect(page.get_by_role("button", name="Pay NZ$45.00")).to_be_visible()
    box.check()
    button = page.get_by_role("button", name="Book it with NZ$45.00 of credit")
    expect(button).to_be_visible()
    expect(page.get_by_role("button", name="Pay NZ$45.00")).to_have_count(0)
    look(page, device)
    button.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    expect(page.locator("main")).to_contain_text("paid NZ$45.00 with credit")
    assert Hold.objects.get().state == "confirmed"
    assert not Checkout.objects.exists()
    page.goto("/my/")
    page.get_by_text("History").click()
    expect(page.locator("main")).to_contain_text("NZ$15.00")
    expect(page.locator("main")).to_contain_text("Credit given: The heating was off")


def look(page: Page, device: dict[str, Any]) -> None:
    """What is asked of every page; asking takes JavaScript."""
    if device.get("java_script_enabled", True):
        assert_fits(page)
        assert_usable(page)
