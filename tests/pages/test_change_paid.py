"""Paying for a change through the pages against the sandbox: where it is held, and what came of it.

Whatever goes wrong, the booking stays where it was, and the pages say so.
"""

from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from bookings.links import manage_token
from bookings.models import Booking, Change, Resource
from holds.models import Hold
from holds.services import expire_lapsed
from members.models import Workspace
from payments import holding, rescheduling
from payments.credits import issue
from payments.models import Checkout, Due, Payment, Receipt
from payments.rescheduling import Wish
from tests.core.support import hold as claim
from tests.core.support import lapse, line, tomorrow
from tests.factories import MemberFactory, make_room
from tests.money.changes_support import hours, window
from tests.money.refunds_support import STAFF, paid
from tests.money.support import booking_of, heal, latest
from tests.pages.support import at_param, form_to, send, text
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def room(transactional_db: None) -> Resource:
    """Free to cancel until it starts."""
    room = make_room(name="Rimu", workspace__timezone="UTC", workspace__name="Kauri House")
    free = {"cancel_free_hours": 0, "cancel_partial_hours": 0}
    Workspace.objects.filter(pk=room.workspace_id).update(**free)
    return room


@pytest.fixture
def held(sandbox: SandboxClient, room: Resource) -> Hold:
    """The hold of a booking for tomorrow from nine to ten, paid NZ$45."""
    return paid(sandbox, room)


@pytest.fixture
def waiting(client: Client, held: Hold) -> str:
    """The page of a hold that makes it an hour longer for NZ$45 more."""
    return longer(client, held)


def longer(client: Client, held: Hold, minutes: int = 120) -> str:
    query = {"start": at_param(tomorrow(9)), "minutes": str(minutes)}
    page = client.get(f"{manage(held)}change/", query)
    answer = send(client, form_to(page, "/change/"))
    assert answer.status_code == 303, text(answer)[:400]
    return str(answer.url)


def manage(held: Hold) -> str:
    return f"/b/{manage_token(held.booking)}/"


def the_hold() -> Hold:
    return (
        Hold.objects.select_related("change", "booking")
        .filter(change__isnull=False)
        .latest("created_at")
    )


def after() -> str:
    return f"/return/change/{the_hold().token}/"


def to_pay(client: Client, page: str, **chosen: str) -> str:
    """Press Pay: the payment page's address."""
    answer = send(client, form_to(client.get(page), "/pay/"), **chosen)
    assert answer.status_code == 303, text(answer)[:400]
    return str(answer.url)


def stays(held: Hold) -> None:
    """The booking is where it was, at what it cost."""
    booking = booking_of(held)
    assert (booking.state, booking.total_minor, booking.version) == ("confirmed", 4500, 1)
    assert hours(held.booking_id) == [(9, 10)]


# --- Held ---------------------------------------------------------------------------------------


def test_the_hold_says_what_changes_and_what_it_costs_more(
    client: Client, held: Hold, waiting: str
) -> None:
    answer = client.get(waiting)
    words = text(answer)
    for part in (
        f"Changing booking {held.booking.reference}",
        "09:00–10:00, UTC To",
        "09:00–11:00, UTC Where Rimu",
        "The booking now NZ$45.00 Then NZ$90.00 To pay NZ$45.00",
        "Until you have paid, your booking stays as it is.",
        "Pay NZ$45.00",
        "Let it go: the booking stays as it was",
        "nobody else can take it",
    ):
        assert part in words, part
    assert "NZ$90.00" not in form_to(answer, "/pay/").text
    assert 'name="email"' not in answer.content.decode()
    assert client.get(f"{waiting}clock/").json()["state"] == "active"
    stays(held)


def test_opening_its_addresses_changes_nothing(client: Client, held: Hold, waiting: str) -> None:
    for ending in ("pay/", "let-go/", "extend/"):
        assert client.get(waiting + ending).headers["Location"] == waiting
    assert "You have not paid yet" in text(client.get(after()))
    assert the_hold().state == "active"
    assert not Checkout.objects.filter(due__change__isnull=False).exists()
    stays(held)


def test_letting_it_go_leaves_the_booking_where_it_was(
    client: Client, held: Hold, waiting: str
) -> None:
    url = to_pay(client, waiting)
    form = form_to(client.get(waiting), "/let-go/")
    for _ in range(2):
        assert send(client, form).url == waiting
    answer = client.get(waiting)
    words = text(answer)
    assert "Your booking stays as it was You let the change go at" in words
    assert "Nothing was charged for it." in words
    assert f'href="{manage(held)}">See the booking' in answer.content.decode()
    assert latest(the_hold()).state == "expired", url
    again = client.get(f"{manage(held)}change/", {"start": at_param(tomorrow(9)), "minutes": "120"})
    assert f"start={at_param(tomorrow(9))}&amp;minutes=120" in answer.content.decode()
    assert "Pay NZ$45.00 more and it becomes longer." in text(again)
    assert "The other time let go: it stayed as it was" in text(client.get(manage(held)))
    stays(held)


@pytest.mark.parametrize("tidied", [True, False])
def test_one_that_lapsed_leaves_the_booking_where_it_was(
    client: Client, held: Hold, waiting: str, tidied: bool
) -> None:
    lapse(the_hold())
    if tidied:
        expire_lapsed()
    words = text(client.get(waiting))
    assert "Your booking stays as it was The change was not paid by" in words
    assert "Choose again" in words
    assert "See what became of your payment." in words
    assert client.get(f"{waiting}clock/").json()["state"] == "expired"
    told = text(client.get(after()))
    assert "Your booking stays as it was Nobody paid for the change before its hold ended" in told
    assert "A change waits" not in text(client.get(manage(held)))
    stays(held)


def test_one_of_a_cancelled_booking_says_that(client: Client, held: Hold, waiting: str) -> None:
    form = form_to(client.get(f"{manage(held)}cancel/"), "/cancel/")
    assert send(client, form).status_code == 303
    words = text(client.get(waiting))
    assert "This change was not made" in words
    assert "was cancelled. Nothing was charged for the change." in words
    assert "stays as it was" not in words.split("Kauri House", 1)[1]
    assert client.get(after()).url == manage(held)


# --- Paid ---------------------------------------------------------------------------------------


def test_paid_is_changed_on_its_own_return_page(
    client: Client, sandbox: SandboxClient, room: Resource, held: Hold, waiting: str
) -> None:
    page = after()
    url = to_pay(client, waiting)
    assert url.startswith(sandbox.url)
    assert latest(the_hold()).amount_minor == 4500
    assert sandbox.pay(url).headers["Location"].endswith(page)
    answer = client.get(page)
    words = text(answer)
    assert "Changed. It is yours." in words
    assert f"{held.booking.reference} · paid NZ$45.00 more · a mail is on its way" in words
    assert "09:00–11:00, UTC" in words
    assert "09:00–10:00 to" in words
    receipt = Receipt.objects.get(due__change__isnull=False)
    html = answer.content.decode()
    assert f'href="{manage(held)}receipts/{receipt.pk}/"' in html
    assert f'href="{manage(held)}calendar.ics"' in html
    assert text(client.get(page)) == words
    assert hours(held.booking_id) == [(9, 11)]
    assert "This change is made" in text(client.get(waiting))
    told = text(client.get(manage(held)))
    assert "Total NZ$90.00" in told
    assert "Paid NZ$90.00" in told
    assert "Moved from" in told


def test_the_bookings_own_return_page_tells_of_the_booking(
    client: Client, held: Hold, waiting: str
) -> None:
    words = text(client.get(f"/return/{manage_token(held.booking)}/"))
    assert "Confirmed. It is yours." in words
    assert client.get(f"/return/change/{held.token}/").url == (
        f"/return/{manage_token(held.booking)}/"
    )
    assert client.get("/return/change/made-up/").status_code == 404


def test_coming_back_unpaid_leads_back_to_the_hold(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    url = to_pay(client, waiting)
    assert sandbox.pay(url, "abandon").headers["Location"].endswith(waiting)
    answer = client.get(after())
    assert "You have not paid yet Nothing was charged, and your booking is where it was." in text(
        answer
    )
    assert f'href="{waiting}">Back to your hold' in answer.content.decode()
    stays(held)


def test_pressed_twice_it_is_paid_once(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    form = form_to(client.get(waiting), "/pay/")
    url = {send(client, form).url for _ in range(2)}
    sandbox.pay(url.pop())
    assert not url
    assert "Changed. It is yours." in text(client.get(after()))
    assert send(client, form).url == after()
    assert Payment.objects.filter(due__change__isnull=False).count() == 1


def test_letting_go_after_paying_tells_what_became_of_it(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    form = form_to(client.get(waiting), "/let-go/")
    sandbox.pay(to_pay(client, waiting))
    assert send(client, form).url == after()
    assert "Changed. It is yours." in text(client.get(after()))
    assert hours(held.booking_id) == [(9, 11)]


def test_still_processing_says_so_and_offers_no_second_payment(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    sandbox.pay(to_pay(client, waiting))
    sandbox.fault("error_500_before", times=None)
    answer = client.get(after())
    words = text(answer)
    assert "Your payment is still processing" in words
    assert "Please do not pay a second time." in words
    assert "Pay NZ$" not in words
    assert f'hx-get="{after()}"' in answer.content.decode()
    stays(held)
    sandbox.clear()
    part = client.get(after(), headers={"HX-Request": "true"})
    assert "Changed. It is yours." in text(part)
    assert "<html" not in part.content.decode()


def test_paid_late_and_gone_it_stays_and_the_card_is_not_charged(
    client: Client, sandbox: SandboxClient, room: Resource, held: Hold, waiting: str
) -> None:
    url = to_pay(client, waiting)
    lapse(the_hold(), seconds=60)
    claim(line(room, 10, 11))
    sandbox.pay(url)
    answer = client.get(after())
    words = text(answer)
    assert "Your booking stays as it was Your card was not charged." in words
    assert "Someone else got the other time while your hold had ended" in words
    assert "your payment of NZ$45.00 back before it was taken" in words
    assert "Choose again" in words
    assert Payment.objects.get(due__change__isnull=False).state == "voided"
    stays(held)


def test_paid_late_and_still_free_it_is_changed(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    url = to_pay(client, waiting)
    lapse(the_hold(), seconds=60)
    sandbox.pay(url)
    assert "Changed. It is yours." in text(client.get(after()))
    assert hours(held.booking_id) == [(9, 11)]


def test_a_capture_that_fails_asks_for_the_difference_again(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    sandbox.pay(to_pay(client, waiting))
    fault = sandbox.fault("error_500_before", match={"operation": "payment_intents.capture"})
    client.get(after())
    sandbox.clear(fault)
    intent = Payment.objects.get(due__change__isnull=False).payment_intent_id
    assert sandbox.api("POST", f"/v1/payment_intents/{intent}/cancel").status_code == 200
    heal()
    for page in (after(), f"/return/{manage_token(held.booking)}/"):
        answer = client.get(page)
        assert "Please pay again Your bank had promised the money for the change of" in text(answer)
        assert "You were not charged for it." in text(answer)
        assert "Pay NZ$45.00" in form_to(answer, "/pay-again/").text
    told = client.get(manage(held))
    assert "Your bank did not hand the money for its change over." in text(told)
    assert "Change the time" not in text(told)
    url = send(client, form_to(answer, "/pay-again/")).url
    assert latest(the_hold()).amount_minor == 4500
    sandbox.pay(url)
    assert "Confirmed. It is yours." in text(client.get(f"/return/{manage_token(held.booking)}/"))
    assert "Changed. It is yours." in text(client.get(after()))


# --- What stands in the way ---------------------------------------------------------------------


def test_stripe_away_keeps_the_hold_and_the_booking(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    sandbox.fault("error_500_before", times=None)
    answer = send(client, form_to(client.get(waiting), "/pay/"))
    assert answer.status_code == 503
    assert "We cannot reach the payment service just now." in text(answer)
    assert "Pay NZ$45.00" in text(answer)
    assert the_hold().state == "active"
    stays(held)


def test_choosing_anew_while_stripe_is_away_keeps_what_waits(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    to_pay(client, waiting)
    query = {"start": at_param(tomorrow(14)), "minutes": "60"}
    form = form_to(client.get(f"{manage(held)}change/", query), "/change/")
    sandbox.fault("error_500_before", times=None)
    answer = send(client, form)
    assert answer.status_code == 503
    assert "We cannot reach the payment service just now." in text(answer)
    assert "Your booking stays as it is, and no money has moved." in text(answer)
    assert the_hold().state == "active"
    sandbox.clear()
    assert send(client, form).url == manage(held)
    assert hours(held.booking_id) == [(14, 15)]
    assert latest(the_hold()).state == "expired", "closed at Stripe before"


def test_choosing_anew_after_paying_meets_the_payment(
    client: Client, sandbox: SandboxClient, held: Hold, waiting: str
) -> None:
    query = {"start": at_param(tomorrow(14)), "minutes": "60"}
    form = form_to(client.get(f"{manage(held)}change/", query), "/change/")
    sandbox.pay(to_pay(client, waiting))
    answer = send(client, form)
    assert answer.status_code == 409
    assert "A payment for this booking is being settled." in text(answer)
    assert hours(held.booking_id) == [(9, 11)], "the payment won"


# --- Credit, and guests -------------------------------------------------------------------------


@pytest.mark.parametrize(("credit", "words"), [(6000, "NZ$45.00 more with credit"), (2000, "")])
def test_credit_pays_for_all_of_it_or_a_part(
    client: Client, sandbox: SandboxClient, room: Resource, held: Hold, credit: int, words: str
) -> None:
    ana = MemberFactory(email="ana@example.test")
    given: dict[str, Any] = {"reason": "Sorry", "source": "test", "key": "g", "actor": STAFF}
    issue(workspace=room.workspace, member=ana, amount_minor=credit, **given)
    client.force_login(ana, backend="django.contrib.auth.backends.ModelBackend")
    waiting = longer(client, held)
    usable = min(credit, 4500)
    shown = text(client.get(waiting))
    assert f"Use NZ${usable / 100:.2f} of your credit" in shown
    url = to_pay(client, waiting, credit_minor=str(usable))
    if url != after():
        assert latest(the_hold()).amount_minor == 2500
        sandbox.pay(url)
    told = text(client.get(after()))
    assert f"paid {words or 'NZ$25.00 more and NZ$20.00 with credit'}" in told
    assert hours(held.booking_id) == [(9, 11)]


def test_a_guest_pays_for_what_staff_hold_for_them_by_the_link_alone(
    another: Client, sandbox: SandboxClient, room: Resource, held: Hold
) -> None:
    wish = Wish(held.booking_id, [window(14, 16)], reason="Painters")
    with transaction.atomic():
        waiting = rescheduling.reschedule(wish, actor=STAFF).hold
    assert waiting is not None
    page = f"/hold/{waiting.token}/"
    assert "Pay NZ$45.00" in text(another.get(page))
    sandbox.pay(to_pay(another, page))
    assert "Changed. It is yours." in text(another.get(after()))
    assert hours(held.booking_id) == [(14, 16)]


def test_one_that_staff_take_back_says_who_and_why(another: Client, held: Hold) -> None:
    with transaction.atomic():
        outcome = rescheduling.reschedule(Wish(held.booking_id, [window(14, 16)]), actor=STAFF)
    assert outcome.hold is not None
    holding.let_go(hold_id=outcome.hold.pk, actor=STAFF, reason="The painters came early")
    words = text(another.get(f"/hold/{outcome.hold.token}/"))
    assert "The change was taken back at" in words
    assert "Kauri House says: The painters came early." in words
    assert Change.objects.get().state == "released"
    assert Booking.objects.get(pk=held.booking_id).state == "confirmed"
    assert Due.objects.get(purpose="change").settled_at is None


def test_asking_for_what_one_has_booked_gives_no_waiting_change_up(
    client: Client, room: Resource, held: Hold, waiting: str
) -> None:
    to_pay(client, waiting)
    page = client.get(f"/w/{room.workspace.slug}/{room.slug}/", {"at": at_param(tomorrow(14))})
    own = {"start": tomorrow(9).isoformat(), "end": tomorrow(10).isoformat()}
    assert send(client, form_to(page, "/hold/"), **own).status_code == 409
    assert the_hold().state == "active"
    assert latest(the_hold()).state == "open"
    stays(held)
