"""Changing a booking, as somebody at a screen sees it: what costs more is paid, what does not is
given back.
"""

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bookings.links import manage_token
from bookings.models import Line, Resource
from holds.claims import LineRequest
from holds.models import Hold
from members.models import Workspace
from payments.models import Payment, Refund
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import a_room, assert_fits, assert_usable, local_noon
from tests.core.support import hold
from tests.money.support import latest, pay, settle, start
from tests.pages.support import at_param
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.long

DEVICES = [
    {"viewport": DESKTOP},
    {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
    {"viewport": PHONE, "java_script_enabled": False},
]


@pytest.mark.parametrize("device", DEVICES, ids=["desktop", "phone, dark", "no JavaScript"])
def test_longer_is_paid_for_and_shorter_gives_money_back(
    open_page: NewPage, sandbox: SandboxClient, device: dict[str, Any]
) -> None:
    held = a_paid_booking(sandbox, room := a_room())
    page = open_page(**device)
    page.goto(f"/b/{manage_token(held.booking)}/")
    page.get_by_role("link", name="Change the time").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Change booking")
    look(page, device)
    page.get_by_role("link", name="By 1 h until 14:00").click()
    picked = page.locator("#picked")
    expect(picked).to_be_in_viewport()
    expect(picked).to_contain_text("Pay NZ$45.00 more and it becomes longer.")
    look(page, device)
    page.get_by_role("button", name="Hold it and go on to pay NZ$45.00").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Changing booking")
    expect(page.locator("main")).to_contain_text("Until you have paid, your booking stays as it is")
    look(page, device)
    page.get_by_role("button", name="Pay NZ$45.00").click()
    page.wait_for_url(f"{sandbox.url}/**")
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Changed. It is yours.")
    expect(page.locator("main")).to_contain_text("paid NZ$45.00 more")
    look(page, device)
    assert hours(held, room) == (0, 2)

    page.get_by_role("link", name="Manage the booking").click()
    expect(page.locator(".timeline")).to_contain_text("Moved from")
    look(page, device)
    page.get_by_role("link", name="Change the time").click()
    page.select_option("#minutes", "60")
    page.get_by_role("button", name="Show times").click()
    page.locator(f"button[value='{at_param(local_noon() + timedelta(hours=3))}']").click()
    expect(picked).to_contain_text("NZ$45.00 goes back")
    look(page, device)
    page.get_by_label("as credit with Kauri House, at once").check()
    page.get_by_role("button", name="Move it and get NZ$45.00 back").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Booking")
    expect(page.locator("main")).to_contain_text("Refunded")
    assert hours(held, room) == (3, 4)
    assert [(r.amount_minor, r.to, r.state) for r in Refund.objects.all()] == [
        (4500, "credit", "succeeded")
    ]
    assert Payment.objects.filter(state="captured").count() == 2


def a_paid_booking(sandbox: SandboxClient, room: Resource) -> Hold:
    """At noon in three days, for an hour, paid; free to cancel until a day before."""
    Workspace.objects.filter(pk=room.workspace_id).update(
        cancel_free_hours=24, cancel_partial_hours=24
    )
    held = hold(LineRequest(room.pk, local_noon(), local_noon() + timedelta(hours=1)))
    pay(sandbox, start(held))
    assert settle(latest(held)) == "confirmed"
    return held


def hours(held: Hold, room: Resource) -> tuple[float, float]:
    """When the booking is, in hours after noon."""
    line = Line.objects.get(booking_id=held.booking_id, resource=room)
    hour = timedelta(hours=1)
    return (line.starts_at - local_noon()) / hour, (line.ends_at - local_noon()) / hour


def look(page: Page, device: dict[str, Any]) -> None:
    """What is asked of every page; asking takes JavaScript."""
    if device.get("java_script_enabled", True):
        assert_fits(page)
        assert_usable(page)
