"""Receipts: numbered without gaps per workspace, frozen, with the tax that the price includes."""

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from bookings.links import manage_token
from bookings.models import Booking
from config.kernel import clock, rows
from members.models import Notification, Workspace
from payments import receipts
from payments.models import Receipt
from tests.admin.support import confirmed, payment
from tests.core.threads import together
from tests.factories import WorkspaceFactory, make_room
from tests.money.refunds_support import ask, give_back, paid
from tests.money.support import mails, return_path
from tests.pages.support import text
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


def taxed() -> Workspace:
    return WorkspaceFactory(tax_name="GST", tax_basis_points=1500, name="Harbour <Rooms>")


def page(client: Client, receipt: Receipt, booking: Booking) -> str:
    answer = client.get(receipts.address(receipt, booking))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    return text(answer)


def test_a_payment_has_a_receipt_and_the_mail_shows_it(
    sandbox: SandboxClient, client: Client
) -> None:
    held = paid(sandbox, make_room(workspace=taxed(), name="Rangitoto"))
    booking = Booking.objects.get(pk=held.booking_id)
    (receipt,) = receipts.of_booking(booking)
    assert (receipt.number, receipt.kind) == (1, "payment")
    assert receipt.content["taxes"] == [
        {
            "name": "GST",
            "basis_points": 1500,
            "inclusive": True,
            "amount_minor": 587,
            "net_minor": 3913,
        }
    ]
    assert receipt.content["parts"] == [{"by": "card", "amount_minor": 4500}]
    words = page(client, receipt, booking)
    for part in ("Receipt No. 1", "Rangitoto", "NZ$45.00", "GST 15%", "NZ$5.87", "NZ$39.13"):
        assert part in words, part
    assert "Harbour &lt;Rooms&gt;" in words
    assert booking.reference in words
    mail = Notification.objects.get(kind="confirmation").payload
    for kind in ("text", "html"):
        assert "Receipt No. 1" in mail[kind]
        assert "NZ$5.87" in mail[kind]
        assert receipts.address(receipt, booking) in mail[kind]
    assert mails(held).count("confirmation") == 1
    paid_page = client.get(return_path(held)).content.decode()
    assert receipts.address(receipt, booking) in paid_page


def test_a_refund_has_a_note_of_its_own(sandbox: SandboxClient, client: Client) -> None:
    held = paid(sandbox, make_room(workspace=taxed()))
    refund = give_back(held, 1500, reason="The heating was off")
    note = refund.receipt
    assert (note.number, note.kind, note.content["total_minor"]) == (2, "refund", 1500)
    assert note.content["taxes"][0]["amount_minor"] == 196
    words = page(client, note, held.booking)
    for part in ("Refund note No. 2", "NZ$15.00", "Given back to your card", "heating was off"):
        assert part in words, part
    mail = Notification.objects.get(kind="refund").payload
    assert "Refund note No. 2" in mail["text"]


def test_a_receipt_stays_as_it_was() -> None:
    booking, receipt = _issued()
    Workspace.objects.update(name="Another name", tax_basis_points=2000)
    Booking.objects.filter(pk=booking.pk).update(name="Somebody else")
    receipt.refresh_from_db()
    shown = receipts.as_shown(receipt, booking)
    assert shown["issuer"]["name"] != "Another name"
    assert (shown["to"]["name"], shown["taxes"]) == ("Ana", [])
    with pytest.raises(IntegrityError), transaction.atomic():
        Receipt.objects.filter(pk=receipt.pk).update(number=7)
    with pytest.raises(IntegrityError), transaction.atomic():
        Receipt.objects.filter(pk=receipt.pk).delete()


def _issued(booking: Booking | None = None) -> tuple[Booking, Receipt]:
    booking = booking or confirmed(make_room())
    paid_once = payment(booking)
    with transaction.atomic():
        receipt = receipts.for_payment(booking, paid_once.due, paid_once, clock.now())
        rows.insert([receipt])
    return booking, receipt


def test_numbers_have_no_gaps_whoever_comes_at_once_or_fails() -> None:
    workspace = taxed()
    bookings = [confirmed(make_room(workspace=workspace)) for _ in range(6)]
    payments = [payment(booking) for booking in bookings]

    def one(index: int) -> None:
        with transaction.atomic():
            about = bookings[index], payments[index].due, payments[index]
            rows.insert([receipts.for_payment(*about, clock.now())])
            if index % 3 == 0:
                raise ArithmeticError("the power went")

    together([lambda i=i: one(i) for i in range(6)])  # type: ignore[misc]
    numbers = Receipt.objects.filter(workspace=workspace).values_list("number", flat=True)
    assert sorted(numbers) == [1, 2, 3, 4]


def test_each_workspace_counts_by_itself() -> None:
    assert {_issued()[1].number for _ in range(2)} == {1}


def test_only_the_bookings_own_link_opens_it(client: Client) -> None:
    booking, receipt = _issued()
    other = confirmed(make_room())
    assert client.get(receipts.address(receipt, other)).status_code == 404
    assert client.get(f"/b/made-up/receipts/{receipt.pk}/").status_code == 404
    assert f"/b/{manage_token(booking)}/" in receipts.address(receipt, booking)
    shown = client.get(f"/b/{manage_token(booking)}/").content.decode()
    assert receipts.address(receipt, booking) in shown


def test_credit_that_was_spent_and_given_back_has_a_note_too() -> None:
    from tests.money.test_cancelling import mixed

    booking, _ = mixed()
    ask(booking.holds.get(), 1500, to="credit")
    (note,) = receipts.of_booking(booking)
    assert (note.kind, note.refund, note.content["parts"]) == (
        "refund",
        None,
        [{"by": "credit", "amount_minor": 1500}],
    )
