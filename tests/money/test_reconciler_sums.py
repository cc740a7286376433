"""Every due adds up in every state (INV-6), and the ledger too (INV-7)."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from bookings import services as bookings_services
from bookings.models import Booking
from config.kernel import clock
from config.kernel.context import SYSTEM
from holds.models import Hold
from holds.services import expire_lapsed
from payments import credits as ledger
from payments.models import CreditEntry, Dispute, Due, Payment, Refund
from payments.reconciler import registry
from payments.reconciler.sums import Dues
from tests.core.support import hold, lapse, line
from tests.factories import MemberFactory, make_room
from tests.money.reconciling import (
    assert_over,
    assert_told_once,
    check,
    only_finding,
    open_findings,
    past_the_guards,
)
from tests.money.support import heal, pay, payment_of, settle, start
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


def paid(sandbox: SandboxClient) -> Hold:
    """A booking of 45.00 that is confirmed and captured."""
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"
    assert payment_of(checkout).state == "captured"
    return held


def due_of(held: Hold) -> Due:
    return Due.objects.get(booking_id=held.booking_id)


def refund(held: Hold, amount_minor: int, **columns: Any) -> Refund:
    """A refund of a booking's captured payment that has arrived, unless told otherwise."""
    payment = Payment.objects.get(due=due_of(held), state="captured")
    state = columns.pop("state", "succeeded")
    row = Refund.objects.create(
        due=payment.due,
        payment=payment,
        amount_minor=amount_minor,
        currency=payment.currency,
        actor_kind="staff",
        created_at=clock.now(),
        **({"cause": "staff"} | columns),
    )
    if state != "requested":
        Refund.objects.filter(pk=row.pk).update(state=state, version=1)
    return row


def cancel(held: Hold, hours_before: float = 48) -> None:
    """Cancel so long before the start: the booking's times move there first."""
    ahead = Booking.objects.get(pk=held.booking_id).starts_at - clock.now()
    past_the_guards(
        "UPDATE bookings_line SET starts_at = starts_at - %(by)s, ends_at = ends_at - %(by)s"
        " WHERE booking_id = %(id)s",
        by=ahead - timedelta(hours=hours_before),
        id=held.booking_id,
    )
    past_the_guards(
        "UPDATE bookings_occupancy SET during = tstzrange(lower(during) - %(by)s,"
        " upper(during) - %(by)s) WHERE booking_id = %(id)s",
        by=ahead - timedelta(hours=hours_before),
        id=held.booking_id,
    )
    bookings_services.cancel(booking_id=held.booking_id, actor=SYSTEM)


def quiet() -> None:
    assert check("dues").found == 0
    assert open_findings() == []


# --- All is well --------------------------------------------------------------------------------


def test_silent_through_an_ordinary_life(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    quiet()
    checkout = start(held)
    quiet()
    pay(sandbox, checkout)
    quiet()
    assert settle(checkout) == "confirmed"
    quiet()
    refund(held, 1000)
    quiet()
    refund(held, 500, state="requested")
    quiet()
    assert check("dues").looked_at == 1


def test_silent_while_a_capture_is_under_way_and_when_a_late_payment_is_given_up(
    sandbox: SandboxClient,
) -> None:
    room = make_room()
    held = hold(line(room))
    checkout = start(held)
    pay(sandbox, checkout)
    sandbox.fault("error_500_before", match={"operation": "payment_intents.capture"}, times=None)
    settle(checkout)
    assert payment_of(checkout).state == "capturing"
    quiet()
    sandbox.clear()
    heal()
    quiet()

    late = hold(line(room, 12, 13))
    second = start(late)
    pay(sandbox, second)
    lapse(late)
    expire_lapsed()
    hold(line(room, 12, 13))
    assert settle(second) == "voided"
    quiet()


@pytest.mark.parametrize(
    ("hours_before", "given_back"), [(48, 4300), (12, 2050), (1, 0)], ids=["free", "half", "none"]
)
def test_a_cancelled_booking_keeps_what_its_frozen_policy_says(
    sandbox: SandboxClient, hours_before: float, given_back: int
) -> None:
    held = paid(sandbox)
    terms = (
        '{"lines": [{"free_hours": 24, "partial_hours": 2,'
        ' "partial_percent": 50, "fee_minor": 200}]}'
    )
    past_the_guards(
        "UPDATE bookings_booking SET policy = %s::jsonb WHERE id = %s", terms, held.booking_id
    )
    cancel(held, hours_before)
    if given_back:
        finding = assert_told_once("dues", "sum_differs")
        assert finding.evidence["sum"]["retained"] == 4500 - given_back
        assert finding.evidence["sum"]["difference"] == given_back
        refund(held, given_back, cause="policy")
        assert_over("dues", finding)
    quiet()


def test_staff_gave_some_back_before_the_policy_did(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    refund(held, 1000)
    cancel(held)
    finding = assert_told_once("dues", "sum_differs")
    assert finding.evidence["sum"]["difference"] == 3500
    refund(held, 3500, cause="policy")
    assert_over("dues", finding)


def test_more_by_the_policy_than_its_share(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    past_the_guards(
        "UPDATE bookings_booking SET policy = %s::jsonb WHERE id = %s",
        '{"lines": [{"free_hours": 24, "partial_hours": 0,'
        ' "partial_percent": 50, "fee_minor": 0}]}',
        held.booking_id,
    )
    cancel(held, hours_before=1)
    refund(held, 2250, cause="policy")
    quiet()
    refund(held, 50, cause="policy")
    finding = assert_told_once("dues", "sum_differs")
    assert finding.evidence["sum"]["difference"] == -50


def test_staff_may_keep_it_all(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    cancel(held)
    assert check("dues").found == 1
    past_the_guards(
        "UPDATE bookings_bookingevent SET data = jsonb_build_object('refund', 'none')"
        " WHERE booking_id = %s AND kind = 'cancelled'",
        held.booking_id,
    )
    quiet()
    refund(held, 4500)
    quiet()


def test_credit_spent_and_given_back(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    member = MemberFactory()
    due = due_of(held)

    def enter(kind: str, amount: int, **about: Any) -> CreditEntry:
        with transaction.atomic():
            account = ledger.lock_account(workspace=held.workspace, member=member)
            return ledger.enter(
                account=account,
                kind=kind,
                amount_minor=amount,
                source="test",
                key=f"{kind} {amount}",
                actor=SYSTEM,
                **about,
            )

    enter("goodwill", 9000, due=due)  # what a due gave cause for is not spent on it
    enter("spend", -4500, due=due)
    quiet()  # a payment under way
    lapse(held)
    expire_lapsed()
    finding = assert_told_once("dues", "captured_without_booking")
    enter("returned", 4500, due=due)
    assert_over("dues", finding)
    assert check("credit_ledger").found == 0


# --- Broken -------------------------------------------------------------------------------------


def test_captured_without_a_confirmed_booking(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    past_the_guards("UPDATE bookings_booking SET state = 'expired' WHERE id = %s", held.booking_id)

    finding = assert_told_once("dues", "captured_without_booking")
    assert (finding.severity, finding.subject_id) == ("high", str(due_of(held).pk))
    assert "NZ$45.00 taken, and the booking is expired" in finding.summary
    assert finding.evidence["sum"]["captured"] == 4500
    assert finding.evidence["payments"][0]["settled_by"] == "self_heal"
    assert finding.evidence["code_version"]

    refund(held, 4500, cause="reconciler")
    assert_over("dues", finding)


def test_confirmed_without_money(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    past_the_guards("UPDATE payments_payment SET state = 'voided', verdict = 'void'")

    finding = assert_told_once("dues", "confirmed_without_money")
    assert finding.evidence["sum"]["difference"] == -4500
    past_the_guards("UPDATE payments_payment SET state = 'captured', verdict = 'capture'")
    assert_over("dues", finding)
    assert held.booking_id


def test_nothing_owed_is_no_trouble(sandbox: SandboxClient) -> None:
    held = hold(line(make_room(price=0)))
    from payments import checkouts

    checkouts.start(hold_id=held.pk, success_url="x", cancel_url="x", actor=SYSTEM)
    quiet()


def test_too_much_given_back(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    cancel(held)
    refund(held, 4500, cause="policy")
    quiet()
    payment = Payment.objects.get(due=due_of(held))
    Dispute.objects.create(
        payment=payment,
        stripe_dispute_id="dp_1",
        amount_minor=4500,
        currency="NZD",
        status="lost",
        opened_at=clock.now(),
        is_lost=True,
    )
    assert_told_once("dues", "sum_differs")
    assert "less than the cancelled booking explains" in only_finding("sum_differs").summary


def lose(held: Hold) -> None:
    """The cardholder's bank has taken all of it back."""
    Dispute.objects.create(
        payment=Payment.objects.get(due=due_of(held)),
        stripe_dispute_id="dp_2",
        amount_minor=4500,
        currency="NZD",
        status="lost",
        opened_at=clock.now(),
        is_lost=True,
    )


def test_a_lost_dispute_alone_is_not_a_wrong_sum(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    lose(held)
    quiet()


@pytest.mark.parametrize("state", ["needs_attention", "failed"])
def test_a_refund_that_never_arrived_is_moot_when_the_bank_took_it(
    sandbox: SandboxClient, state: str
) -> None:
    """Stripe refuses to refund what is disputed; neither is anything on its way any more."""
    stands, ended = paid(sandbox), paid(sandbox)
    refund(stands, 2000, state=state)
    cancel(ended)
    refund(ended, 4500, cause="policy", state=state)
    quiet()

    lose(stands)
    quiet()


def test_a_refund_in_part_is_moot_when_the_bank_took_it_all(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    cancel(held)
    refund(held, 4500, cause="policy", state="needs_attention")
    lose(held)
    quiet()


def test_a_dismissed_cause_stays_silent_until_it_changes(sandbox: SandboxClient) -> None:
    from config.kernel.context import Actor
    from payments import findings

    held = paid(sandbox)
    past_the_guards("UPDATE bookings_booking SET state = 'expired' WHERE id = %s", held.booking_id)
    check("dues")
    finding = only_finding("captured_without_booking")
    findings.resolve(
        finding, resolution="dismissed", actor=Actor("staff", label="Sam"), note="Known"
    )
    quiet()
    refund(held, 1000, cause="policy")
    assert check("dues").found == 1
    again = only_finding("captured_without_booking")
    assert again.evidence["sum"]["difference"] == 3500


def test_it_goes_on_where_it_stopped(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from payments.reconciler import runner

    for _ in range(3):
        hold(line(make_room()))
    monkeypatch.setattr(Dues, "batch", 2)
    first = runner.run(registry.check_named("dues"), seconds=0)
    assert first is not None
    assert (first.looked_at, first.is_complete) == (2, False)
    assert "dues" in {each.name for each in registry.due()}
    second = runner.run(registry.check_named("dues"), seconds=0)
    assert second is not None
    assert (second.looked_at, second.is_complete) == (1, True)
    assert "dues" not in {each.name for each in registry.due()}


def test_a_balance_that_its_entries_do_not_add_up_to(sandbox: SandboxClient) -> None:
    room = make_room()
    with transaction.atomic():
        account = ledger.lock_account(workspace=room.workspace, member=MemberFactory())
        ledger.enter(
            account=account, kind="goodwill", amount_minor=500, source="t", key="k", actor=SYSTEM
        )
    assert check("credit_ledger").found == 0
    past_the_guards("UPDATE payments_creditaccount SET balance_minor = 700")
    finding = assert_told_once("credit_ledger", "ledger_differs")
    assert finding.evidence["entries_minor"] == 500
    past_the_guards("UPDATE payments_creditaccount SET balance_minor = 500")
    assert_over("credit_ledger", finding)
