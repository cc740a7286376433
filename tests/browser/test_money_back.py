"""Money that goes back, at a screen: staff refund, cancel and settle findings; members cancel."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from bookings.links import manage_token, rebook_token
from bookings.models import Booking, Resource
from holds.models import Hold
from members.models import Staff, Workspace
from payments.models import CreditAccount, Finding, Payment, Refund
from tests.admin.support import change, deed
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import a_room, assert_fits, assert_usable
from tests.browser.test_making_good import sign_in
from tests.factories import StaffFactory, make_room
from tests.money.refunds_support import paid
from tests.money.support import intents_of, return_path
from tests.money.test_ladder import lost
from tests.money.test_pay_again import broken
from tests.support.instances import Fleet, Instance
from tests.support.sandbox import SandboxClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]
AFTERNOON = 1  # o'clock in UTC, in Auckland


@pytest.fixture(scope="module")
def _web(django_db_setup: None, sandbox_process: SandboxClient) -> Iterator[Instance]:
    """One web process for all of these: starting it is what costs."""
    fleet = Fleet()
    try:
        yield fleet.start("web", 1)[0]
    finally:
        fleet.close()


@pytest.fixture
def site(chromium: Browser, transactional_db: None, sandbox: SandboxClient, _web: Instance) -> str:
    return _web.url


def look(page: Page) -> None:
    """What is asked of every page, on a phone and on a desk."""
    page.set_viewport_size(PHONE)
    assert_fits(page)
    page.set_viewport_size(DESKTOP)
    assert_fits(page)
    assert_usable(page)


def fits(page: Page) -> None:
    """What is asked of the admin's pages, whose frame is not ours."""
    page.set_viewport_size(PHONE)
    assert_fits(page)
    page.set_viewport_size(DESKTOP)
    assert_fits(page)


def desk(open_page: NewPage, site: str, held: Hold) -> Page:
    """A manager's browser."""
    page = open_page()
    manager = StaffFactory(workspace=held.workspace, role=Staff.Role.MANAGER).member
    sign_in(page, site, manager)
    return page


def half_back() -> Resource:
    """A room whose cancellation gives half of the price back, less a fee of NZ$2.50."""
    hours = {"cancel_free_hours": 240, "cancel_partial_hours": 0}
    room = a_room()
    Workspace.objects.update(cancel_partial_percent=50, cancel_fee_minor=250, **hours)
    return room


def test_staff_refund_a_part_to_the_card_and_a_part_as_credit(
    open_page: NewPage, site: str, sandbox: SandboxClient
) -> None:
    held = paid(sandbox, a_room(), AFTERNOON)
    page = desk(open_page, site, held)
    for to, amount in (("To the card", "12.50"), ("As credit", "2.50")):
        page.goto(change(held.booking))
        page.get_by_role("link", name="Refund…").click()
        fits(page)
        page.locator("#id_amount").fill(amount)
        page.locator("#id_to").select_option(label=to)
        page.locator("#id_reason").fill("The projector was broken")
        page.get_by_role("button", name="Give it back").dblclick()
        expect(page.get_by_text("The refund is under way.").first).to_be_visible()
    found = Refund.objects.order_by("created_at").values_list("to", "amount_minor")
    assert list(found) == [("card", 1250), ("credit", 250)]
    assert CreditAccount.objects.get().balance_minor == 250
    page.goto(deed(held.booking, "refund"))
    expect(page.locator(".sh-effects")).to_contain_text("Up to NZ$30.00 can be given back")
    assert Booking.objects.get().state == "confirmed"


def test_staff_see_what_cancelling_gives_back_and_cancel(
    open_page: NewPage, site: str, sandbox: SandboxClient
) -> None:
    held = paid(sandbox, half_back(), AFTERNOON)
    page = desk(open_page, site, held)
    page.goto(change(held.booking))
    page.get_by_role("link", name="Cancel…").click()
    told = page.locator(".sh-effects")
    expect(told).to_contain_text("NZ$45.00 was paid.")
    expect(told).to_contain_text("By the policy NZ$20.00 goes back and NZ$25.00 is kept.")
    fits(page)
    assert Booking.objects.get().state == "confirmed"
    page.locator("#id_refund").select_option(label="The amount below")
    page.locator("#id_amount").fill("20")
    page.locator("#id_reason").fill("Burst pipe")
    page.get_by_role("button", name="Cancel the booking and free the slot").click()
    expect(page.get_by_text("is cancelled and its slot is free").first).to_be_visible()
    fits(page)
    assert Booking.objects.get().state == "cancelled"
    assert Refund.objects.get().amount_minor == 2000


def test_the_finding_of_a_strange_payment_is_given_back_by_a_button(
    open_page: NewPage, site: str, sandbox: SandboxClient
) -> None:
    held = paid(sandbox, a_room(), AFTERNOON)
    strange = Finding.objects.create(
        kind="unexplained_payment",
        severity="high",
        subject_type="payment_intent",
        subject_id=Payment.objects.get().payment_intent_id,
        workspace=held.workspace,
        summary="NZ$45.00 on the platform (succeeded) belongs to no payment of ours",
        evidence={"status": "succeeded", "account": "", "amount": 4500, "currency": "nzd"},
        seen_at=held.created_at,
        last_seen_at=held.created_at,
    )
    page = desk(open_page, site, held)
    page.goto("/admin/money-and-slots/")
    expect(page.get_by_role("link", name="Attach…")).to_be_visible()
    fits(page)
    page.get_by_role("link", name="Refund NZ$45.00…").click()
    expect(page.locator(".sh-effects")).to_contain_text("Nobody is told by Surehold")
    fits(page)
    page.get_by_label("Note").fill("Paid by mistake")
    page.get_by_role("button", name="Refund NZ$45.00").click()
    expect(page.get_by_text("NZ$45.00 is on its way back.").first).to_be_visible()
    strange.refresh_from_db()
    assert (strange.resolution, strange.note) == ("refunded", "Paid by mistake")
    charges = sandbox.api("GET", f"/v1/refunds?payment_intent={strange.subject_id}").json()["data"]
    assert [refund["amount"] for refund in charges] == [4500]


def test_a_member_sees_the_money_to_the_cent_and_cancels(
    open_page: NewPage, sandbox: SandboxClient
) -> None:
    held = paid(sandbox, half_back(), AFTERNOON)
    page = open_page()
    page.goto(f"/b/{manage_token(held.booking)}/")
    page.get_by_role("link", name="Cancel it…").click()
    expect(page.locator(".prices .sum")).to_contain_text("NZ$20.00")
    expect(page.locator(".prices")).to_contain_text("Kept by Kauri House")
    look(page)
    page.get_by_role("button", name="Cancel it and get NZ$20.00 back").dblclick()
    expect(page.locator("main")).to_contain_text("On its way back to you")
    look(page)
    assert Booking.objects.get().state == "cancelled"
    assert Refund.objects.get().amount_minor == 2000


def test_a_member_whose_bank_withdrew_pays_again(
    open_page: NewPage, sandbox: SandboxClient
) -> None:
    held = broken(sandbox)
    page = open_page()
    page.goto(return_path(held))
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("pay again"))
    look(page)
    page.get_by_role("button", name=re.compile("^Pay ")).dblclick()
    page.wait_for_url(f"{sandbox.url}/**")
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirmed. It is yours.")
    assert [i["amount_received"] for i in intents_of(sandbox, held)].count(4500) == 1


def test_the_lost_slot_is_booked_again_by_the_button_alone(
    open_page: NewPage, sandbox: SandboxClient
) -> None:
    held = lost(sandbox, make_room())
    before = Hold.objects.count()
    page = open_page()
    page.goto(f"/rebook/{rebook_token(held.booking)}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Book it again")
    look(page)
    page.reload()
    assert Hold.objects.count() == before
    page.get_by_role("button", name=re.compile("Hold")).first.dblclick()
    expect(page.locator(".clock")).to_be_visible()
    look(page)
    assert Hold.objects.count() == before + 1
    assert urlsplit(page.url).path.startswith("/hold/")
