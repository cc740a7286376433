"""Pages that are open go on telling the truth."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from holds.claims import LineRequest
from holds.models import Hold
from tests.browser.conftest import PHONE, NewPage
from tests.browser.support import a_room, assert_usable, local_noon
from tests.core.support import hold as claim
from tests.core.support import lapse
from tests.pages.support import at_param
from tests.support.sandbox import SandboxClient

ADDRESS = "/w/kauri-house/totara/"


def look_again(page: Page) -> None:
    """What coming back to a tab does."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def hold_through_page(page: Page) -> Hold:
    page.goto(f"{ADDRESS}?at={at_param(local_noon())}&minutes=60")
    page.get_by_role("button", name=re.compile("^Hold it")).click()
    expect(page.locator(".clock")).to_be_visible()
    return Hold.objects.get()


@pytest.mark.long
def test_a_slot_that_goes_fades_to_taken_and_its_choice_says_so(open_page: NewPage) -> None:
    room = a_room()
    start = local_noon()
    page = open_page(timezone_id="Europe/Berlin")
    page.goto(f"{ADDRESS}?at={at_param(start)}&minutes=60")
    expect(page.locator("#picked .zone")).to_contain_text("in Berlin")
    claim(LineRequest(room.pk, start, start + timedelta(hours=1)))
    look_again(page)
    expect(page.locator("#picked h2")).to_have_text("That time is not free")
    expect(page.locator(".col .t")).to_have_count(2)
    expect(page.locator("#say")).to_contain_text("Someone else has just taken")
    assert_usable(page)


def test_two_browsers_one_slot_and_the_loser_is_helped(open_page: NewPage) -> None:
    a_room()
    start = local_noon()
    first, second = open_page(), open_page(viewport=PHONE, color_scheme="dark")
    for page in (first, second):
        page.goto(f"{ADDRESS}?at={at_param(start)}&minutes=60")
    first.get_by_role("button", name=re.compile("^Hold it")).dblclick()
    expect(first.locator(".clock")).to_be_visible()
    second.get_by_role("button", name=re.compile("^Hold it")).click()
    expect(second.get_by_role("heading", level=1)).to_have_text("Someone else was quicker")
    assert_usable(second)
    second.locator(".alts button").first.click()
    expect(second.locator(".clock")).to_be_visible()
    assert Hold.objects.count() == 2


@pytest.mark.long
def test_the_countdown_speaks_and_at_zero_tells_what_happened(open_page: NewPage) -> None:
    a_room()
    page = open_page(color_scheme="dark")
    held = hold_through_page(page)
    _ends_in(held, seconds=122)
    look_again(page)
    expect(page.locator("#say")).to_have_text("2 minutes left to pay.")
    expect(page.locator("#countdown.soon")).to_be_visible()
    assert_usable(page)
    lapse(held)
    page.wait_for_timeout(1000)  # two questions within a second are one
    look_again(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Your hold ended at")
    assert_usable(page)
    page.get_by_role("button", name="Hold it again").click()
    expect(page.locator(".clock")).to_be_visible()


@pytest.mark.long
def test_processing_refreshes_itself_until_it_is_settled(
    open_page: NewPage, sandbox: SandboxClient
) -> None:
    a_room()
    page = open_page(viewport=PHONE)
    hold_through_page(page)
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_label("Name").fill("Ada")
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    page.wait_for_url(f"{sandbox.url}/**")
    sandbox.fault("error_500_before", times=None)
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Your payment is still processing")
    assert_usable(page)
    sandbox.clear()
    expect(heading).to_have_text("Confirmed. It is yours.")
    assert_usable(page)


def test_signing_in_by_the_mailed_link_and_my_bookings(
    open_page: NewPage, sandbox: SandboxClient
) -> None:
    from members.sign_in import link_for
    from tests.factories import MemberFactory

    a_room()
    page = open_page()
    page.goto("/sign-in/")
    assert_usable(page)
    page.get_by_label("E-mail").fill("ada@example.test")
    page.get_by_role("button", name="Mail me a link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your mail")
    assert_usable(page)
    link = link_for(MemberFactory(email="grace@example.test"))
    page.goto(re.sub(r"^https?://[^/]+", "", link))
    assert_usable(page)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My bookings")
    hold_through_page(page)
    expect(page.get_by_label("E-mail")).to_have_value("grace@example.test")
    page.get_by_role("link", name="My bookings").click()
    expect(page.locator(".booking")).to_contain_text("Not paid yet")
    assert_usable(page)
    page.get_by_role("button", name="Let it go").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("You let it go")
    assert_usable(page)


def _ends_in(held: Hold, *, seconds: int) -> None:
    """Bring a hold's end near."""
    ends: Any = timezone.now() + timedelta(seconds=seconds)
    Hold.objects.filter(pk=held.pk).update(expires_at=ends, lapses_at=ends)
    held.booking.occupancies.update(lapses_at=ends)
    held.refresh_from_db()
