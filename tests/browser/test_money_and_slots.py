"""The standing page and a finding's pages fit and can be used, on a desk and on a phone."""

import pytest
from django.test import Client
from playwright.sync_api import expect

from config.kernel import clock
from payments.models import Payment
from tests.admin.support import change, confirmed, deed, payment
from tests.admin.test_findings import PAGE, all_checked, finding
from tests.browser.conftest import DESKTOP, PHONE, NewPage
from tests.browser.support import assert_fits, assert_usable
from tests.factories import MemberFactory, make_room

pytestmark = pytest.mark.long


def test_money_and_slots_on_a_desk_and_on_a_phone(open_page: NewPage) -> None:
    room = make_room()
    all_checked(3)
    paid = payment(confirmed(room), settled_by="success_page", decided_at=clock.now())
    Payment.objects.filter(pk=paid.pk).update(captured_at=clock.now())
    row = finding(
        room.workspace,
        kind="sold_twice",
        subject_type="lines",
        subject_id="1:2",
        summary="The unreasonably long-named Pōhutukawa auditorium with gallery was sold twice",
    )
    boss = Client()
    boss.force_login(
        MemberFactory(is_staff=True, is_superuser=True),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    session = boss.cookies["sessionid"].value
    for viewport, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        page = open_page(viewport=viewport, color_scheme=scheme)
        page.goto("/healthz")
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": page.url}])
        for address in (PAGE, change(row), deed(row, "dismiss")):
            page.goto(address)
            assert_fits(page)
        page.goto(PAGE)
        assert_usable(page)
        expect(page.locator(".sh-figure").first).to_have_text("1")
        page.get_by_role("link", name="Dismiss…").click()
        expect(page.get_by_role("heading", level=1).first).to_be_visible()
