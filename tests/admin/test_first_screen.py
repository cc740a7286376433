"""The first screen is work; lists open on what matters; the login offers a link."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.models import Booking, Resource
from config.kernel import clock
from holds.models import Hold
from payments.models import Payment, Refund
from payments.moves import move_refund
from tests.admin.conftest import SignIn
from tests.admin.support import change, changelist, confirmed, payment, place
from tests.admin.test_deeds import failed_mail
from tests.factories import BlockFactory, at, make_pool, make_room

pytestmark = pytest.mark.django_db
AUCKLAND = ZoneInfo("Pacific/Auckland")


def screen(browser: Client, **query: str) -> str:
    response = browser.get("/admin/", query)
    assert response.status_code == 200
    return response.content.decode()


def test_with_nothing_to_do_it_says_so(as_role: SignIn) -> None:
    page = screen(as_role("clerk"))
    assert "No payment is stuck and every mail went out." in page
    assert "Nobody is holding anything." in page
    assert "no payments" in page


def test_what_needs_attention_is_linked(as_role: SignIn, room: Resource) -> None:
    stuck = payment(confirmed(room), "capture_failed", last_error="card_declined")
    mail = failed_mail(room.workspace)
    page = screen(as_role("clerk"))
    assert change(stuck) in page
    assert "card_declined" in page
    assert "/admin/payments/payment/?attention=needed" in page
    assert change(mail) in page
    assert "/admin/members/notification/?mail=failed" in page


def test_refunds_that_nobody_has_dealt_with_are_linked(as_role: SignIn, room: Resource) -> None:
    refused, failed, anew = (give_back(payment(confirmed(room, hour))) for hour in (9, 11, 13))
    move_refund(refused, "needs_attention", last_error="charge_disputed")
    for row in (failed, anew):
        move_refund(row, "failed")
    again = give_back(anew.payment)
    page = screen(as_role("clerk"))
    assert "charge_disputed" in page
    assert "/admin/payments/refund/?attention=needed" in page
    assert {row.pk: change(row) in page for row in (refused, failed, anew, again)} == {
        refused.pk: True,
        failed.pk: True,
        anew.pk: False,
        again.pk: False,
    }


def give_back(paid: Payment) -> Refund:
    return Refund.objects.create(
        due=paid.due,
        payment=paid,
        cause="staff",
        amount_minor=500,
        currency="NZD",
        actor_kind="staff",
        created_at=clock.now(),
    )


def test_the_day_shows_bookings_holds_and_blocks(as_role: SignIn, room: Resource) -> None:
    booking, hold = confirmed(room, 12), place(room, 14)
    block = BlockFactory(resource=room, during=(at(16), at(18)))
    local = at(12).astimezone(AUCKLAND)
    page = screen(as_role("clerk"), day=f"{local:%Y-%m-%d}")
    assert f"{local:%A} {local.day} {local:%B %Y}" in page
    for row in (booking, hold.booking, block):
        assert change(row) in page
    assert f"{booking.reference}: {local:%H:%M}–" in page
    before = screen(as_role("clerk"), day=f"{local - timedelta(days=2):%Y-%m-%d}")
    assert change(booking) not in before


@pytest.mark.parametrize("day", ["x", "0001-01-01", "9999-12-31", "2026-02-30"])
def test_an_absurd_day_is_no_error(as_role: SignIn, day: str) -> None:
    screen(as_role("clerk"), day=day)


def test_overlapping_bars_of_a_pool_get_lanes(as_role: SignIn, room: Resource) -> None:
    bikes = make_pool(workspace=room.workspace)
    for _ in range(3):
        place(bikes, 10)
    local = at(10).astimezone(AUCKLAND)
    response = as_role("clerk").get("/admin/", {"day": f"{local:%Y-%m-%d}"})
    rows = {row["name"]: row for row in response.context["work"]["rows"]}
    assert rows[bikes.name]["lanes"] == 3
    assert sorted(bar["lane"] for bar in rows[bikes.name]["bars"]) == [0, 1, 2]


def test_holds_running_out_come_soonest_first(as_role: SignIn, room: Resource) -> None:
    first, second = place(room, 10), place(room, 14)
    work = as_role("clerk").get("/admin/").context["work"]
    assert [row["url"] for row in work["holds"]["rows"]] == [change(first), change(second)]
    assert work["holds"]["count"] == 2


def test_yesterdays_money_is_summed_and_linked(as_role: SignIn, room: Resource) -> None:
    today = timezone.now().astimezone(AUCKLAND).replace(hour=0, minute=0, second=0, microsecond=0)
    yesterday = payment(confirmed(room, 10), captured_at=today - timedelta(hours=1))
    payment(confirmed(room, 14), captured_at=today)
    payment(confirmed(room, 16), captured_at=today - timedelta(hours=30))
    browser = as_role("clerk")
    money = browser.get("/admin/").context["work"]["money"]
    assert money["captured"] == [{"amount": "NZ$45.00", "many": 1, "by": ""}]
    listed = browser.get(money["url"])
    assert listed.status_code == 200
    assert [row.pk for row in listed.context["cl"].result_list] == [yesterday.pk]


def test_a_superuser_chooses_the_workspace(as_role: SignIn, room: Resource) -> None:
    other = make_room(name="Elsewhere")
    page = screen(as_role("superuser"), workspace=other.workspace.slug)
    assert "Elsewhere" in page
    assert room.workspace.name in page


def test_the_first_screens_queries_do_not_grow(as_role: SignIn, room: Resource) -> None:
    browser = as_role("clerk")

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            browser.get("/admin/", {"day": f"{at(10).astimezone(AUCKLAND):%Y-%m-%d}"})
        return len(found)

    payment(confirmed(room, 1), "capture_failed")
    place(room, 2)
    few = queries()
    for hour in range(3, 20, 2):
        payment(confirmed(room, hour), "capture_failed")
        place(room, hour + 1)
    assert queries() == few
    assert few <= 19


# --- Lists --------------------------------------------------------------------------------------


def listed(browser: Client, model: type, **query: str) -> list[object]:
    response = browser.get(changelist(model), query)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def test_bookings_open_on_what_takes_time_and_is_to_come(as_role: SignIn, room: Resource) -> None:
    later, sooner, given_up = confirmed(room, 14), confirmed(room, 10), place(room, 16)
    browser = as_role("clerk")
    browser.post(f"/admin/holds/hold/{given_up.pk}/release/", {"reason": "x"})
    assert listed(browser, Booking) == [sooner.pk, later.pk]
    assert listed(browser, Booking, state="released") == [given_up.booking_id]
    assert listed(browser, Booking, when="past", state="all") == []
    assert len(listed(browser, Booking, when="all", state="all")) == 3
    assert listed(browser, Booking, q=later.reference) == [later.pk]


def test_holds_open_on_live_ones(as_role: SignIn, room: Resource) -> None:
    live, done = place(room, 10), confirmed(room, 14)
    browser = as_role("clerk")
    assert listed(browser, Hold) == [live.pk]
    assert listed(browser, Hold, holds="confirmed") == [done.holds.get().pk]
    assert len(listed(browser, Hold, holds="all")) == 2


@pytest.mark.parametrize("model", [Booking, Hold])
def test_lists_take_as_many_queries_however_long(
    as_role: SignIn, room: Resource, model: type
) -> None:
    browser = as_role("clerk")

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert browser.get(changelist(model)).status_code == 200
        return len(found)

    place(room, 1)
    few = queries()
    for hour in range(2, 12):
        place(room, hour)
    assert queries() == few
    assert few <= 11  # two of them for what a list of holds is filtered by


# --- The way in ---------------------------------------------------------------------------------


def test_the_login_offers_a_link_and_a_password(room: Resource) -> None:
    page = Client().get("/admin/login/?next=/admin/bookings/booking/").content.decode()
    assert 'action="/sign-in/"' in page
    assert "Mail me a link" in page
    assert page.count('name="next" value="/admin/bookings/booking/"') == 2
    assert 'name="password"' in page


def test_a_password_still_works(as_role: SignIn, room: Resource) -> None:
    from tests.factories import StaffFactory

    member = StaffFactory(workspace=room.workspace).member
    member.set_password("a long enough password")
    member.save()
    form = {"username": member.email, "password": "a long enough password", "next": "/admin/"}
    response = Client().post("/admin/login/", form)
    assert (response.status_code, response["Location"]) == (302, "/admin/")


def test_nothing_comes_from_another_host(as_role: SignIn, room: Resource) -> None:
    page = screen(as_role("owner")).replace("http://www.w3.org", "")
    assert 'src="http' not in page
    assert 'href="http' not in page
