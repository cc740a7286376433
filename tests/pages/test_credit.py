"""Credit on the pages: offered to whoever has some, spent as they see it, with its history."""

from typing import Any

import pytest
from django.test import Client

from bookings.links import manage_token
from bookings.models import Resource
from config.kernel.context import Actor
from holds.models import Hold
from members.models import Member
from payments import credits as ledger
from payments.models import Checkout, CreditEntry
from tests.core.support import lapse
from tests.factories import MemberFactory, at, make_room
from tests.money.support import heal
from tests.pages.support import form_to, hold, send, text
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
CONTACT = {"email": "ada@example.test", "name": "Ada Kōwhai"}


@pytest.fixture
def room(transactional_db: None) -> Resource:
    return make_room()


@pytest.fixture
def ada(client: Client, room: Resource) -> Member:
    """A member who is signed in."""
    member = MemberFactory(email="ada@example.test", name="Ada Kōwhai")
    client.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    return member


def give(room: Resource, member: Member, minor: int) -> CreditEntry:
    return ledger.issue(
        workspace=room.workspace,
        member=member,
        amount_minor=minor,
        reason="The heating was off",
        source="admin",
        key=f"k{CreditEntry.objects.count()}",
        actor=Actor("staff", label="Mia"),
    )


def left(room: Resource, member: Member) -> int:
    return ledger.balance(workspace=room.workspace, member=member).amount_minor


def after(held: Hold) -> str:
    return f"/return/{manage_token(held.booking)}/"


def the_hold() -> Hold:
    return Hold.objects.select_related("booking").latest("created_at")


def pay(client: Client, page: str, **typed: str) -> Any:
    """Press Pay; the parser of forms takes a box for ticked, so it is said here each time."""
    form = form_to(client.get(page), "/pay/")
    form.fields.pop("credit_minor", None)
    return send(client, form, **(CONTACT | typed))


def test_who_has_none_is_offered_none(client: Client, ada: Member, room: Resource) -> None:
    page = hold(client, room, at(10))
    assert "of your credit" not in text(client.get(page))
    give(make_room(), ada, 1000)
    assert "of your credit" not in text(client.get(page)), "that is another workspace's"


def test_a_part_is_offered_and_the_card_pays_the_rest(
    client: Client, ada: Member, room: Resource, sandbox: SandboxClient
) -> None:
    give(room, ada, 1000)
    page = hold(client, room, at(10))
    answer = client.get(page)
    words = text(answer)
    assert "Use NZ$10.00 of your credit" in words
    assert "Pay NZ$35.00 and use NZ$10.00 of credit" in words
    assert "checked" not in answer.content.decode().split('name="credit_minor"')[1].split(">")[0]
    url = pay(client, page, credit_minor="1000").url
    assert Checkout.objects.get().amount_minor == 3500
    back = client.get(page)
    assert "Use NZ$10.00 of your credit" in text(back), "what the open page spends is still theirs"
    assert "checked" in back.content.decode().split('name="credit_minor"')[1].split(">")[0]
    sandbox.pay(url)
    words = text(client.get(after(the_hold())))
    assert "Confirmed. It is yours." in words
    assert "paid NZ$35.00 and NZ$10.00 with credit" in words
    assert "Paid with credit NZ$10.00" in text(
        client.get(f"/b/{manage_token(the_hold().booking)}/")
    )


def test_without_the_tick_the_card_pays_all(
    client: Client, ada: Member, room: Resource, sandbox: SandboxClient
) -> None:
    give(room, ada, 1000)
    pay(client, hold(client, room, at(10)))
    assert Checkout.objects.get().amount_minor == 4500
    assert left(room, ada) == 1000


def test_all_of_it_is_booked_at_once(client: Client, ada: Member, room: Resource) -> None:
    give(room, ada, 5000)
    page = hold(client, room, at(10))
    assert "Book it with NZ$45.00 of credit" in text(client.get(page))
    form = form_to(client.get(page), "/pay/")
    typed = CONTACT | {"credit_minor": "4500"}
    answers = [send(client, form, **typed) for _ in range(2)]
    assert [answer.url for answer in answers] == [after(the_hold())] * 2
    words = text(client.get(answers[0].url))
    assert "Confirmed. It is yours." in words
    assert "paid NZ$45.00 with credit" in words
    assert left(room, ada) == 500


def test_changing_ones_mind_gives_it_back(
    client: Client, ada: Member, room: Resource, sandbox: SandboxClient
) -> None:
    give(room, ada, 1000)
    page = hold(client, room, at(10))
    first = pay(client, page, credit_minor="1000").url
    second = pay(client, page).url
    assert first != second
    assert left(room, ada) == 1000
    assert send(client, form_to(client.get(page), "/let-go/")).status_code == 303
    assert left(room, ada) == 1000


def test_leaving_the_payment_page_gives_it_back(
    client: Client, ada: Member, room: Resource, sandbox: SandboxClient
) -> None:
    give(room, ada, 1000)
    pay(client, hold(client, room, at(10)), credit_minor="1000")
    assert left(room, ada) == 0
    lapse(the_hold())
    heal(2)
    assert left(room, ada) == 1000
    words = text(client.get("/my/"))
    assert words.index("Given back") < words.index("Spent") < words.index("Credit given")


def test_credit_that_is_gone_by_then_is_said(client: Client, ada: Member, room: Resource) -> None:
    entry = give(room, ada, 1000)
    page = hold(client, room, at(10))
    form = form_to(client.get(page), "/pay/")
    ledger.reverse(entry_id=entry.pk, reason="x", source="x", actor=Actor("staff"))
    answer = send(client, form, **(CONTACT | {"credit_minor": "1000"}))
    assert answer.status_code == 409
    words = text(answer)
    assert (
        "That much credit cannot be spent here any more. There is NZ$0.00 of credit here." in words
    )
    assert "Pay NZ$45.00" in words
    assert not Checkout.objects.exists()


def test_nobody_spends_the_credit_of_somebody_else(
    client: Client, another: Client, ada: Member, room: Resource, sandbox: SandboxClient
) -> None:
    """Whoever has the link to a hold may pay for it, with their own money."""
    give(room, ada, 1000)
    page = hold(client, room, at(10))
    pay(another, page, credit_minor="1000")
    assert Checkout.objects.get().credit_minor == 0
    bo = MemberFactory()
    another.force_login(bo, backend="django.contrib.auth.backends.ModelBackend")
    assert "of your credit" not in text(another.get(page))
    assert pay(another, page, credit_minor="1000").status_code == 409
    assert left(room, ada) == 1000


@pytest.mark.parametrize("sent", ["-1", "ten", "1e3", "9" * 30, "١٠"])
def test_an_amount_of_ones_own_making_is_refused(
    client: Client, ada: Member, room: Resource, sent: str
) -> None:
    page = hold(client, room, at(10))
    assert pay(client, page, credit_minor=sent).status_code == 400
    assert not Checkout.objects.exists()


def test_my_page_shows_balance_and_history(client: Client, ada: Member, room: Resource) -> None:
    assert "Your credit" not in text(client.get("/my/"))
    room.workspace.credit_valid_days = 30
    room.workspace.save()
    give(room, ada, 1000)
    give(room, MemberFactory(), 777)
    words = text(client.get("/my/"))
    assert "Your credit" in words
    assert f"{room.workspace.name} NZ$10.00" in words
    assert "Credit given: The heating was off" in words
    assert "The first of it expires" in words
    assert "NZ$7.77" not in words
