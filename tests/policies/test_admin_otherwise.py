"""Staff book in what was not paid by card, ask for nothing, and write down what they gave back."""

import pytest
from django.test import Client
from django.urls import reverse

from bookings.models import Booking
from payments import cancelling
from payments.cancelling import FULL, Back
from payments.models import Payment, Refund
from tests.core.support import hold, line, state_of
from tests.factories import StaffFactory, make_room
from tests.policies.support import STAFF, assert_even, confirm, due_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def held():
    return hold(line(make_room()))


def desk(held, role="manager") -> Client:
    client = Client()
    staff = StaffFactory(workspace=held.workspace, role=role)
    client.force_login(staff.member)
    return client


def deed(name, row, kind="bookings_booking"):
    return reverse(f"admin:{kind}_{name}", args=[row.pk])


def test_cash_is_booked_in_with_what_is_owed_filled_in(held):
    client = desk(held)
    page = client.get(deed("paid_otherwise", held.booking)).content.decode()
    assert "NZ$45.00 is owed." in page
    assert 'value="45.00"' in page
    said = {"method": "bank_transfer", "reference": "T-77", "amount": "45", "reason": ""}
    answer = client.post(deed("paid_otherwise", held.booking), said)
    assert (answer.status_code, state_of(held)) == (302, ("confirmed", "confirmed"))
    assert Payment.objects.get().name == "bank_transfer T-77"
    paid = held.booking.events.get(kind="paid")
    assert (paid.actor_kind, paid.data["provider"]) == ("staff", "bank_transfer")
    assert_even(held)


def test_a_wrong_amount_is_said_on_the_form(held):
    said = {"method": "cash", "reference": "1", "amount": "44.50", "reason": ""}
    answer = desk(held).post(deed("paid_otherwise", held.booking), said)
    assert answer.status_code == 422
    assert "NZ$45.00 is owed." in answer.content.decode()
    assert state_of(held) == ("active", "pending_payment")


def test_complimentary_asks_for_a_reason(held):
    client = desk(held)
    assert client.post(deed("ask_nothing", held.booking), {"reason": ""}).status_code == 422
    assert "NZ$45.00 is waived" in client.get(deed("ask_nothing", held.booking)).content.decode()
    client.post(deed("ask_nothing", held.booking), {"reason": "Press"})
    assert (state_of(held), due_of(held).waived_minor) == (("confirmed", "confirmed"), 4500)
    # Nothing is owed any more: neither is offered.
    page = client.get(reverse("admin:bookings_booking_change", args=[held.booking_id]))
    assert deed("ask_nothing", held.booking) not in page.content.decode()


def test_clerks_do_neither(held):
    client = desk(held, role="clerk")
    for name in ("paid_otherwise", "ask_nothing"):
        assert client.post(deed(name, held.booking), {"reason": "x"}).status_code in {403, 404}
    assert state_of(held) == ("active", "pending_payment")


def test_money_given_back_by_hand_is_a_worklist(held):
    confirm(held)
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF, back=Back(FULL))
    refund = Refund.objects.get()
    client = desk(held)
    assert "Give it back by hand" in client.get(reverse("admin:index")).content.decode()
    page = client.get(reverse("admin:payments_refund_change", args=[refund.pk])).content.decode()
    assert deed("given", refund, "payments_refund") in page
    assert deed("retry", refund, "payments_refund") not in page
    client.post(deed("given", refund, "payments_refund"), {"reason": "Cash, signed for"})
    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert "Give it back by hand" not in client.get(reverse("admin:index")).content.decode()


def test_what_came_by_hand_stands_apart_on_the_pages(held):
    confirm(held)
    client = desk(held)
    listed = client.get(reverse("admin:payments_payment_changelist")).content.decode()
    assert "cash R-1" in listed
    booking = Booking.objects.get(pk=held.booking_id)
    shown = client.get(reverse("admin:bookings_booking_change", args=[booking.pk]))
    assert shown.status_code == 200
