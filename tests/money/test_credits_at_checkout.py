"""Credit at checkout: debited with the row, given back once, never spent twice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from bookings.models import Resource
from config.kernel import clock
from config.kernel.context import SYSTEM, Actor
from holds.claims import Claimant
from holds.models import Hold
from holds.services import expire_lapsed
from members.models import Member
from payments import checkouts, stripe_api
from payments.credit_spending import MoreCreditThanOwed, RestTooSmall, return_spent
from payments.credits import NotEnoughCredit, balance, issue, unbalanced
from payments.errors import CheckoutReplaced, PaymentInProgress
from payments.models import Checkout, CreditEntry, Due, Payment
from tests.core.support import hold, lapse, line, state_of
from tests.core.threads import together
from tests.factories import MemberFactory, ResourceFactory, make_room
from tests.money.support import (
    CANCEL,
    SUCCESS,
    booking_of,
    heal,
    history,
    intents_of,
    latest,
    mails,
    pay,
    payment_of,
    room_charging,
    sessions,
    settle,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
STAFF = Actor("staff", label="Mia")


@pytest.fixture
def room(transactional_db: None) -> Resource:
    return make_room()


@pytest.fixture
def ana(room: Resource) -> Member:
    """Somebody with NZ$10.00 of credit."""
    ana = MemberFactory(email="ana@example.test")
    give(room, ana, 1000)
    return ana


def spent_on(due: Due) -> int:
    """Credit that pays for a due, in minor units: spent and not given back."""
    rows = CreditEntry.objects.filter(due=due, kind__in=["spend", "returned"])
    return -sum(rows.values_list("amount_minor", flat=True))


def give(room: Resource, member: Member, minor: int, **options: Any) -> CreditEntry:
    count = CreditEntry.objects.count()
    options = {"reason": "Sorry", "source": "test", "key": f"g{count}", "actor": STAFF} | options
    return issue(workspace=room.workspace, member=member, amount_minor=minor, **options)


def held_by(member: Member, room: Resource, start: int = 9, end: int = 10) -> Hold:
    return hold(line(room, start, end), claimant=Claimant(member=member, email=member.email))


def start(held: Hold, credit_minor: int = 0, **options: Any) -> checkouts.Started:
    return checkouts.start(
        hold_id=held.pk,
        success_url=SUCCESS,
        cancel_url=CANCEL,
        actor=SYSTEM,
        credit_minor=credit_minor,
        **options,
    )


def left(room: Resource, member: Member) -> int:
    assert not unbalanced().exists()
    return balance(workspace=room.workspace, member=member).amount_minor


def moves(member: Member) -> list[tuple[str, int]]:
    entries = CreditEntry.objects.filter(account__member=member).order_by("created_at")
    return list(entries.values_list("kind", "amount_minor"))


# --- Paid with credit ---------------------------------------------------------------------------


def test_a_part_is_paid_with_credit_and_the_card_asked_for_the_rest(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    start(held, 1000)
    checkout = latest(held)
    assert (checkout.amount_minor, checkout.credit_minor) == (3500, 1000)
    assert left(room, ana) == 0

    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"
    assert state_of(held) == ("confirmed", "confirmed")
    assert [i["amount_received"] for i in intents_of(sandbox, held)] == [3500]
    due = Due.objects.get(booking_id=held.booking_id)
    assert due.settled_at is not None
    assert spent_on(due) == 1000
    assert mails(held) == ["confirmation"]
    spent = CreditEntry.objects.get(kind="spend")
    assert (spent.due_id, spent.checkout_id) == (due.pk, checkout.pk)
    assert spent.idempotency_key == f"spend:{checkout.pk}"


def test_all_of_it_confirms_without_stripe(room: Resource, ana: Member) -> None:
    """No sandbox runs here: any call to Stripe would fail."""
    give(room, ana, 3500)
    held = held_by(ana, room)
    started = start(held, 4500)
    assert started.url is None
    assert state_of(held) == ("confirmed", "confirmed")
    due = Due.objects.get(booking_id=held.booking_id)
    assert due.settled_at is not None
    assert spent_on(due) == 4500
    assert left(room, ana) == 0
    assert mails(held) == ["confirmation"]
    assert history(held) == ["held", "paid", "confirmed"]
    assert not Checkout.objects.exists()


def test_a_guests_booking_becomes_the_members_whose_credit_pays(
    room: Resource, ana: Member
) -> None:
    give(room, ana, 3500)
    held = hold(line(room), claimant=Claimant(email="other@example.test"))
    start(held, 4500, credit_of=ana)
    assert booking_of(held).member == ana


def test_the_members_by_the_bookings_address(room: Resource, ana: Member) -> None:
    give(room, ana, 3500)
    held = hold(line(room), claimant=Claimant(email=ana.email))
    assert start(held, 4500).url is None
    assert left(room, ana) == 0


@pytest.mark.parametrize(
    ("minor", "error"),
    [(1001, NotEnoughCredit), (4501, MoreCreditThanOwed), (4460, RestTooSmall)],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    room: Resource, ana: Member, minor: int, error: type[Exception]
) -> None:
    held = held_by(ana, room)
    with pytest.raises(error) as caught:
        start(held, minor)
    assert caught.value.field == "credit_minor"  # type: ignore[attr-defined]
    assert left(room, ana) == 1000
    assert not Checkout.objects.exists()
    assert state_of(held) == ("active", "pending_payment")


def test_what_is_free_takes_no_credit(room: Resource, ana: Member) -> None:
    held = held_by(ana, ResourceFactory(workspace=room.workspace, price=0))
    with pytest.raises(MoreCreditThanOwed):
        start(held, 100)
    assert start(held).url is None


def test_nobodys_credit_pays_for_nobody(room: Resource, ana: Member) -> None:
    held = hold(line(room), claimant=Claimant(visitor="a browser"))
    with pytest.raises(NotEnoughCredit):
        start(held, 500)


def test_credit_of_another_workspace_is_not_spent(ana: Member) -> None:
    held = held_by(ana, make_room())
    with pytest.raises(NotEnoughCredit):
        start(held, 500)
    assert [kind for kind, _ in moves(ana)] == ["goodwill"]


# --- Repeated and replaced ----------------------------------------------------------------------


def test_again_with_the_same_credit_is_the_same_session(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    assert start(held, 1000) == start(held, 1000)
    assert moves(ana) == [("goodwill", 1000), ("spend", -1000)]


@pytest.mark.parametrize("other", [0, 400])
def test_another_amount_replaces_the_session(
    sandbox: SandboxClient, room: Resource, ana: Member, other: int
) -> None:
    held = held_by(ana, room)
    first = start(held, 1000)
    second = start(held, other)
    assert second.url != first.url
    assert [s["status"] for s in sessions(sandbox, held)].count("open") == 1
    assert latest(held).amount_minor == 4500 - other
    assert left(room, ana) == 1000 - other
    spent = [("spend", -other)] if other else []
    assert moves(ana) == [("goodwill", 1000), ("spend", -1000), ("returned", 1000), *spent]


def test_covering_it_closes_the_open_session_first(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    start(held, 1000)
    give(room, ana, 3500)
    assert start(held, 4500).url is None
    assert [s["status"] for s in sessions(sandbox, held)] == ["expired"]
    assert left(room, ana) == 0


def test_a_paid_session_is_not_replaced(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    start(held, 1000)
    pay(sandbox, latest(held))
    with pytest.raises(PaymentInProgress):
        start(held, 500)
    assert booking_of(held).state == "confirmed"
    assert left(room, ana) == 0


def test_two_tabs_at_once_spend_once(sandbox: SandboxClient, room: Resource, ana: Member) -> None:
    held = held_by(ana, room)
    results = together([lambda: start(held, 1000)] * 2)
    assert len({result.url for result in results if isinstance(result, checkouts.Started)}) == 1
    assert moves(ana) == [("goodwill", 1000), ("spend", -1000)]


def test_two_tabs_that_want_different_things_spend_at_most_once(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    """Whichever wins: one page is open, and what is left of the credit is what it leaves."""
    held = held_by(ana, room)
    wishes = [1000, 0, 400, 700]
    results = together([lambda minor=minor: start(held, minor) for minor in wishes])
    expected = (checkouts.Started, CheckoutReplaced, PaymentInProgress)
    assert all(isinstance(result, expected) for result in results), results
    heal()
    still_open = Checkout.objects.filter(state="open")
    assert [s["status"] for s in sessions(sandbox, held)].count("open") == len(still_open) <= 1
    assert left(room, ana) == 1000 - sum(checkout.credit_minor for checkout in still_open)
    assert state_of(held) == ("active", "pending_payment")


# --- Given back ---------------------------------------------------------------------------------


def test_an_abandoned_checkout_gives_it_back_once(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    start(held, 1000)
    lapse(held)
    heal(2)
    expire_lapsed()
    heal()
    assert state_of(held) == ("expired", "expired")
    assert left(room, ana) == 1000
    assert moves(ana) == [("goodwill", 1000), ("spend", -1000), ("returned", 1000)]
    returned = CreditEntry.objects.get(kind="returned")
    assert returned.idempotency_key == f"return:{latest(held).pk}"


def test_closing_and_sweeping_at_once_give_it_back_once(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    start(held, 1000)
    checkout = latest(held)
    lapse(held)
    works: list[Any] = [lambda: checkouts.close(checkout.pk), lambda: settle(checkout), heal]
    for result in together(works * 2):
        assert not isinstance(result, Exception), result
    assert moves(ana) == [("goodwill", 1000), ("spend", -1000), ("returned", 1000)]
    assert left(room, ana) == 1000


def test_a_page_that_never_opened_gives_it_back(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    sandbox.fault("error_500_before", match={"operation": "checkout.sessions.create"})
    held = held_by(ana, room)
    with pytest.raises(stripe_api.StripeDown):
        start(held, 1000)
    assert latest(held).state == "abandoned"
    assert left(room, ana) == 1000


def test_money_that_the_bank_took_back_gives_it_back(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    """The slot stays theirs for a while; they can pay again, with their credit or without."""
    held = held_by(ana, room)
    start(held, 1000)
    pay(sandbox, latest(held))
    sandbox.fault("capture_fails", match={"operation": "payment_intents.capture"})
    assert settle(latest(held)) == "confirmed"
    assert payment_of(latest(held)).state == "capture_failed"
    assert left(room, ana) == 1000


def test_a_payment_whose_slot_is_gone_gives_it_back(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    start(held, 1000)
    pay(sandbox, latest(held))
    lapse(held)
    hold(line(room))
    assert settle(latest(held)) == "voided"
    assert settle(latest(held)) == "repeated"
    assert payment_of(latest(held)).verdict_because == "slot_gone"
    assert moves(ana) == [("goodwill", 1000), ("spend", -1000), ("returned", 1000)]
    assert left(room, ana) == 1000


# --- Late payments ------------------------------------------------------------------------------


def paid_after_giving_back(
    sandbox: SandboxClient, held: Hold, meanwhile: Callable[[], Any] = lambda: None
) -> Checkout:
    """Its page opened without our knowing (a 500 after the effect), and is paid all the same."""
    sandbox.fault("error_500_after", match={"operation": "checkout.sessions.create"})
    with pytest.raises(stripe_api.StripeDown):
        start(held, 1000)
    checkout = latest(held)
    assert checkout.state == "abandoned"
    (unknown,) = sessions(sandbox, held)
    meanwhile()
    assert sandbox.pay(unknown["id"]).status_code == 303
    checkouts.adopt(checkout.pk, unknown["id"])
    checkout.refresh_from_db()
    return checkout


@pytest.mark.parametrize("late", [False, True])
def test_a_late_payment_debits_it_again(
    sandbox: SandboxClient, room: Resource, ana: Member, late: bool
) -> None:
    held = held_by(ana, room)
    checkout = paid_after_giving_back(sandbox, held)
    assert left(room, ana) == 1000
    if late:
        lapse(held)
        expire_lapsed()
    assert settle(checkout) == "confirmed"
    assert state_of(held) == ("confirmed", "confirmed")
    assert payment_of(checkout).state == "captured"
    assert left(room, ana) == 0
    assert moves(ana)[1:] == [("spend", -1000), ("returned", 1000), ("spend", -1000)]
    assert settle(checkout) == "repeated"
    assert left(room, ana) == 0


@pytest.mark.parametrize("late", [False, True])
def test_credit_spent_elsewhere_counts_as_the_slot_gone(
    sandbox: SandboxClient, room: Resource, ana: Member, late: bool
) -> None:
    held = held_by(ana, room)
    checkout = paid_after_giving_back(sandbox, held)
    start(held_by(ana, ResourceFactory(workspace=room.workspace, price=1000)), 1000)
    if late:
        lapse(held)
        expire_lapsed()
    assert settle(checkout) == "voided"
    payment = payment_of(checkout)
    assert (payment.state, payment.verdict_because) == ("voided", "credit_gone")
    assert state_of(held) == (("expired", "expired") if late else ("active", "pending_payment"))
    assert mails(held).count("not_charged") == 1
    assert "confirmation" not in mails(held)
    assert left(room, ana) == 0


def test_a_payment_for_what_credit_has_settled_is_a_duplicate(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    give(room, ana, 3500)
    checkout = paid_after_giving_back(sandbox, held, lambda: start(held, 4500))
    assert settle(checkout) == "voided"
    assert payment_of(checkout).verdict_because == "duplicate"
    assert (booking_of(held).state, left(room, ana)) == ("confirmed", 0)
    assert mails(held) == ["confirmation", "paid_twice"]


def test_another_amount_than_asked_for_is_never_accepted(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    held = held_by(ana, room)
    start(held, 1000)
    checkout = latest(held)
    pay(sandbox, checkout)
    Checkout.objects.filter(pk=checkout.pk).update(credit_minor=900, amount_minor=3600)
    assert settle(checkout) == "voided"
    assert payment_of(checkout).verdict_because == "amount_differs"


# --- At once ------------------------------------------------------------------------------------


def test_sixteen_bookings_share_credit_for_five(room: Resource, ana: Member) -> None:
    give(room, ana, 5 * 4500 - 1000)
    holds = [held_by(ana, ResourceFactory(workspace=room.workspace)) for _ in range(16)]
    results = together([lambda held=held: start(held, 4500) for held in holds])
    confirmed = [r for r in results if isinstance(r, checkouts.Started)]
    refused = [r for r in results if isinstance(r, NotEnoughCredit)]
    assert (len(confirmed), len(refused)) == (5, 11), results
    assert left(room, ana) == 0
    states = [state_of(held) for held in holds]
    assert states.count(("confirmed", "confirmed")) == 5
    assert states.count(("active", "pending_payment")) == 11
    assert Payment.objects.count() == 0


# --- Given back by decision ---------------------------------------------------------------------


def test_what_was_spent_is_given_back_by_decision_once(room: Resource, ana: Member) -> None:
    give(room, ana, 3500)
    held = held_by(ana, room)
    start(held, 4500)
    due = Due.objects.get(booking_id=held.booking_id)

    def decide(minor: int, key: str = "cancel:1") -> list[CreditEntry]:
        return return_spent(due=due, amount_minor=minor, key=key, actor=STAFF, source="cancel")

    with transaction.atomic():
        assert [e.amount_minor for e in decide(2000)] == [2000]
    with transaction.atomic():
        assert [e.amount_minor for e in decide(2000)] == [2000]
    assert left(room, ana) == 2000
    assert spent_on(due) == 2500
    with pytest.raises(NotEnoughCredit), transaction.atomic():
        decide(2501, "cancel:2")
    assert left(room, ana) == 2000


def test_respent_credit_comes_back_when_the_capture_fails(
    sandbox: SandboxClient, room: Resource, ana: Member
) -> None:
    """Given back once already, when its session seemed never to have been made."""
    held = held_by(ana, room)
    sandbox.fault("error_500_after", match={"operation": "checkout.sessions.create"})
    with pytest.raises(stripe_api.StripeDown):
        start(held, 1000)
    checkout = latest(held)
    assert (checkout.state, left(room, ana)) == ("abandoned", 1000)
    listed = sandbox.api("GET", "/v1/checkout/sessions?limit=10").json()["data"]
    (made,) = [s for s in listed if (s["metadata"] or {}).get("checkout") == str(checkout.pk)]
    assert sandbox.pay(made["url"]).status_code == 303
    checkouts.adopt(checkout.pk, made["id"], made["url"])
    sandbox.fault("capture_fails", match={"operation": "payment_intents.capture"})
    assert settle(checkout) == "confirmed"
    heal()
    assert payment_of(checkout).state == "capture_failed"
    assert left(room, ana) == 1000


def test_credit_comes_back_from_an_account_that_cut_us_off(sandbox: SandboxClient) -> None:
    room = room_charging(sandbox, "direct")
    ana = MemberFactory(email="ana@example.test")
    give(room, ana, 1000)
    held = held_by(ana, room)
    start(held, 1000)
    sandbox.switch_account(room.workspace.stripe_account_id, authorised=False)
    lapse(held)
    expire_lapsed()
    heal()
    assert left(room, ana) == 0, "its session may still be paid"
    Checkout.objects.update(expires_at=clock.now() - timedelta(days=3))
    heal()
    assert latest(held).state == "expired"
    assert left(room, ana) == 1000
