"""Staff give money back: what it does is said first, done once, with a reason that is kept."""

import re

import pytest

from bookings.models import Booking, Resource
from config.kernel import clock
from payments.models import Dispute, Refund
from payments.moves import move_refund
from tests.admin.conftest import SignIn
from tests.admin.support import change, changelist, confirmed, deed, payment
from tests.factories import StaffFactory, make_room
from tests.pages.support import forms
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking(room: Resource) -> Booking:
    """Paid NZ$45."""
    found = confirmed(room)
    payment(found)
    return found


def hidden(page: object) -> dict[str, str]:
    (form,) = [f for f in forms(page) if "request_id" in f.fields]
    return {"request_id": form.fields["request_id"]}


def test_cancelling_by_the_policy_unless_staff_decide(as_role: SignIn, booking: Booking) -> None:
    browser = as_role("manager")
    page = browser.get(deed(booking, "cancel")).content.decode()
    for part in ("NZ$45.00 was paid", "By the policy NZ$45.00 goes back", "NZ$0.00 is kept"):
        assert part in page, part
    form = {"reason": "Our fault", "refund": "amount", "amount": "12.50", "to": "credit"}
    assert browser.post(deed(booking, "cancel"), form).status_code == 302
    booking.refresh_from_db()
    assert booking.state == "cancelled"
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.to, refund.state) == (1250, "credit", "succeeded")
    assert (refund.cause, refund.reason, refund.actor_kind) == ("staff", "Our fault", "staff")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"refund": "amount", "amount": "45.01"}, b"more than is left"),
        ({"refund": "amount", "amount": ""}, b"More than nothing"),
        ({"refund": "amount", "amount": "1.234"}, b"NZD has 2 decimals"),
        ({"refund": "amount", "amount": "-1"}, b"greater than or equal to 0"),
        ({"refund": "full", "reason": " "}, b"Reason: This field is required"),
    ],
)
def test_a_wrong_form_cancels_nothing(
    as_role: SignIn, booking: Booking, form: dict[str, str], said: bytes
) -> None:
    answer = as_role("manager").post(deed(booking, "cancel"), {"reason": "x", "to": "card"} | form)
    assert answer.status_code == 422
    assert said in answer.content
    booking.refresh_from_db()
    assert booking.state == "confirmed"


def test_a_refund_with_amount_destination_and_reason(as_role: SignIn, booking: Booking) -> None:
    browser = as_role("manager")
    page = browser.get(deed(booking, "refund"))
    assert b"Up to NZ$45.00 can be given back" in page.content
    form = {"amount": "10.00", "to": "card", "reason": "Cold", **hidden(page)}
    for _ in range(2):
        assert browser.post(deed(booking, "refund"), form).status_code == 302
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.to, refund.reason) == (1000, "card", "Cold")
    too_much = browser.post(deed(booking, "refund"), form | {"amount": "35.01"})
    assert too_much.status_code == 422
    assert b"more than is left" in too_much.content
    assert browser.post(deed(booking, "refund"), form | {"amount": "35"}).status_code == 302
    booking.refresh_from_db()
    assert booking.state == "confirmed"
    offered = browser.get(change(booking)).content.decode()
    assert deed(booking, "refund") not in offered, "nothing is left"
    assert "Refund" in offered
    assert "to the card, requested" in offered


def test_a_form_that_is_not_ours_moves_no_money(as_role: SignIn, booking: Booking) -> None:
    form = {"amount": "10.00", "to": "card", "reason": "Cold", "request_id": "made-up"}
    assert as_role("manager").post(deed(booking, "refund"), form).status_code == 422
    assert not Refund.objects.exists()


def test_a_payments_refund_is_its_bookings(as_role: SignIn, booking: Booking) -> None:
    paid = booking.dues.get().payments.get()
    browser = as_role("manager")
    assert b"Up to NZ$45.00" in browser.get(deed(paid, "refund")).content


def test_clerks_and_strangers_move_no_money(as_role: SignIn, booking: Booking) -> None:
    paid = booking.dues.get().payments.get()
    assert as_role("clerk").post(deed(booking, "refund"), {"reason": "x"}).status_code == 403
    assert as_role("clerk").post(deed(paid, "refund"), {"reason": "x"}).status_code == 403
    other = StaffFactory(workspace=make_room().workspace).member
    browser = as_role("clerk")
    browser.force_login(other, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(deed(booking, "refund")).status_code == 404
    assert not Refund.objects.exists()


def refused(booking: Booking) -> Refund:
    """A refund that Stripe will not make."""
    from tests.money.refunds_support import ask

    (refund,) = ask(booking.holds.get()).refunds
    move_refund(refund, "needs_attention", last_error="insufficient balance", next_try_at=None)
    return refund


def test_what_stripe_refused_is_listed_tried_again_or_given_up(
    as_role: SignIn, booking: Booking
) -> None:
    refund = refused(booking)
    browser = as_role("manager")
    listed = browser.get(changelist(Refund), {"attention": "needed"}).content.decode()
    assert change(refund) in listed
    page = browser.get(change(refund)).content.decode()
    assert deed(refund, "retry") in page
    assert "insufficient balance" in page
    assert browser.post(deed(refund, "retry"), {}).status_code == 302
    refund.refresh_from_db()
    assert (refund.state, refund.attempt) == ("requested", 2)
    again = browser.post(deed(refund, "give_up"), {"reason": "As credit"})
    assert again.status_code == 422, "it is on its way"
    assert deed(refund, "retry") not in browser.get(change(refund)).content.decode()


@pytest.mark.django_db(transaction=True)
def test_given_up(as_role: SignIn, booking: Booking, sandbox: SandboxClient) -> None:
    refund = refused(booking)
    browser = as_role("manager")
    assert browser.post(deed(refund, "give_up"), {"reason": "As credit"}).status_code == 302
    refund.refresh_from_db()
    assert refund.state == "failed"
    assert booking.events.get(kind="refund_failed").reason == "As credit"
    assert deed(booking, "refund") in browser.get(change(booking)).content.decode()


def test_a_dispute_is_flagged_on_the_booking(as_role: SignIn, booking: Booking) -> None:
    dispute = Dispute.objects.create(
        payment=booking.dues.get().payments.get(),
        stripe_dispute_id="du_1",
        amount_minor=4500,
        currency="NZD",
        reason="fraudulent",
        status="needs_response",
        opened_at=clock.now(),
    )
    browser = as_role("clerk")
    page = browser.get(change(booking)).content.decode()
    assert re.search(r"Disputed</span>.*NZ\$45.00", page)
    assert change(dispute) in page
    assert b"du_1" in browser.get(changelist(Dispute)).content
    assert b"fraudulent" in browser.get(change(dispute)).content
