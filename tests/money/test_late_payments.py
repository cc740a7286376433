"""A payment that comes late: the slot is won back, or nothing is charged (design.md §6)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bookings import services as bookings_services
from bookings.models import Booking, Occupancy, Resource
from bookings.rules import Window
from config.kernel import clock
from config.kernel.context import SYSTEM
from holds import services as holds_services
from holds.claims import Claimant
from holds.models import Hold
from holds.services import expire_lapsed
from members.models import Workspace
from payments import cancelling, tasks
from payments.errors import PaymentInProgress
from payments.models import CreditEntry, Finding, Payment
from tests.core.support import SOMEBODY, hold, lapse, line, live, state_of, tomorrow
from tests.factories import MemberFactory, ResourceFactory, make_pool, make_room
from tests.money.reconciling import past_the_guards
from tests.money.support import (
    assert_never_charged,
    assert_paid_once,
    heal,
    history,
    into_grace,
    latest,
    mails,
    pay,
    second_checkout,
    sessions,
    settle,
    start,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
ANA = Claimant(email="ana@example.test", name="Ana", visitor="ana's browser")
AFTERWARDS = pytest.mark.parametrize("tidied", [True, False], ids=["tidied", "untidied"])


def paid_late(
    sandbox: SandboxClient, resource: Resource, quantity: int = 1, end: int = 10, **options: Any
) -> Hold:
    """A hold that lapsed while its payment was on its way."""
    held = hold(line(resource, 9, end, quantity=quantity), **options)
    pay(sandbox, start(held))
    lapse(held)
    return held


def paid_later(sandbox: SandboxClient, room: Resource) -> None:
    """Somebody else holds the slot, pays for it and is confirmed."""
    other = hold(line(room))
    pay(sandbox, start(other))
    assert settle(latest(other)) == "confirmed"


def held_later(sandbox: SandboxClient, room: Resource) -> None:
    """Somebody else holds the slot, unpaid."""
    hold(line(room))


def closed(sandbox: SandboxClient, resource: Resource, quantity: int = 1) -> None:
    """The operator closes the resource, or units of it."""
    bookings_services.place_block(
        workspace=resource.workspace,
        resource=resource,
        window=Window(tomorrow(9), tomorrow(10)),
        reason="Burst pipe",
        quantity=quantity,
    )


# --- Won back -----------------------------------------------------------------------------------


def test_within_the_grace_it_is_simply_confirmed(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    pay(sandbox, start(held))
    into_grace(held)

    assert settle(latest(held)) == "confirmed"
    assert_paid_once(sandbox, held)


@AFTERWARDS
def test_units_of_a_pool_are_won_back(sandbox: SandboxClient, tidied: bool) -> None:
    pool = make_pool(capacity=3)
    held = paid_late(sandbox, pool, quantity=2)
    if tidied:
        assert expire_lapsed() == 1
    hold(line(pool))  # the third unit is somebody else's

    assert settle(latest(held)) == "confirmed"
    assert_paid_once(sandbox, held)
    mine = Occupancy.objects.filter(booking=held.booking, released_at=None)
    assert [(o.quantity, o.lapses_at) for o in mine] == [(2, None)]


def test_a_lapsed_hold_in_the_way_is_cleared_away(sandbox: SandboxClient) -> None:
    room = make_room()
    held = paid_late(sandbox, room)
    theirs = hold(line(room))
    lapse(theirs)

    assert settle(latest(held)) == "confirmed"
    assert_paid_once(sandbox, held)
    assert state_of(theirs) == ("expired", "expired")


def test_all_lines_come_back_or_none(sandbox: SandboxClient) -> None:
    one = make_room()
    two = ResourceFactory(workspace=one.workspace, location=one.location, category=one.category)
    held = hold(line(one), line(two))
    pay(sandbox, start(held))
    lapse(held)
    expire_lapsed()
    hold(line(two))

    assert settle(latest(held)) == "voided"
    assert live(held.booking) == 0
    assert_never_charged(sandbox, held)
    assert hold(line(one)).state == "active", "the other line's room is free again"


# --- Gone ---------------------------------------------------------------------------------------


@AFTERWARDS
@pytest.mark.parametrize("taken", [held_later, paid_later, closed])
def test_gone_is_voided_and_said(
    sandbox: SandboxClient, taken: Callable[..., None], tidied: bool
) -> None:
    room = make_room()
    held = paid_late(sandbox, room)
    if tidied:
        assert expire_lapsed() == 1
    taken(sandbox, room)

    assert settle(latest(held)) == "voided"
    assert state_of(held) == ("expired", "expired")
    payment = Payment.objects.get(due__booking=held.booking)
    assert (payment.state, payment.verdict_because) == ("voided", "slot_gone")
    assert_never_charged(sandbox, held)
    assert mails(held).count("not_charged") == 1
    assert live(held.booking) == 0


@AFTERWARDS
def test_a_block_over_a_pool_counts_too(sandbox: SandboxClient, tidied: bool) -> None:
    pool = make_pool(capacity=2)
    held = paid_late(sandbox, pool)
    if tidied:
        assert expire_lapsed() == 1
    closed(sandbox, pool, quantity=2)

    assert settle(latest(held)) == "voided"
    assert_never_charged(sandbox, held)
    assert state_of(held) == ("expired", "expired")


@AFTERWARDS
def test_two_late_payments_of_one_booking_are_both_given_back(
    sandbox: SandboxClient, tidied: bool
) -> None:
    room = make_room()
    held = hold(line(room))
    first = start(held)
    second = second_checkout(held)
    pay(sandbox, first)
    pay(sandbox, second)
    lapse(held)
    if tidied:
        assert expire_lapsed() == 1
    hold(line(room))

    assert [settle(first), settle(second)] == ["voided", "voided"]
    assert {p.state for p in Payment.objects.all()} == {"voided"}
    assert_never_charged(sandbox, held)
    assert mails(held).count("not_charged") == 2


def test_a_verdict_stands_when_the_slot_comes_free_again(sandbox: SandboxClient) -> None:
    room = make_room()
    held = paid_late(sandbox, room)
    other = hold(line(room))
    assert settle(latest(held)) == "voided"
    holds_services.release(hold_id=other.pk, actor=SOMEBODY)

    assert settle(latest(held)) == "repeated"
    assert state_of(held) == ("expired", "expired")
    assert_never_charged(sandbox, held)


# --- The member's own newer hold -----------------------------------------------------------------


@pytest.mark.parametrize("paying", [False, True], ids=["unpaid", "with an open Checkout"])
@AFTERWARDS
def test_ones_own_newer_hold_makes_way(sandbox: SandboxClient, tidied: bool, paying: bool) -> None:
    room = make_room()
    held = paid_late(sandbox, room, claimant=ANA)
    if tidied:
        assert expire_lapsed() == 1
    newer = hold(line(room), claimant=ANA)
    if paying:
        start(newer)

    assert settle(latest(held)) == "confirmed"
    assert_paid_once(sandbox, held)
    assert state_of(newer) == ("released", "released")
    assert [s["status"] for s in sessions(sandbox, newer)] == ["expired"] * paying


def test_a_member_is_the_same_person_on_another_device(sandbox: SandboxClient) -> None:
    room, member = make_room(), MemberFactory()
    held = paid_late(sandbox, room, claimant=Claimant(member=member, visitor="telephone"))
    newer = hold(line(room), claimant=Claimant(member=member, visitor="laptop"))

    assert settle(latest(held)) == "confirmed"
    assert state_of(newer) == ("released", "released")


def test_ones_own_newer_hold_is_kept_while_stripe_is_away(sandbox: SandboxClient) -> None:
    room = make_room()
    held = paid_late(sandbox, room, claimant=ANA)
    newer = hold(line(room), claimant=ANA)
    start(newer)
    sandbox.fault("error_500_before", match={"operation": "checkout.sessions.expire"})

    heal()
    assert state_of(newer) == ("active", "pending_payment")
    assert not Payment.objects.exclude(verdict="").exists(), "nothing is decided meanwhile"

    heal(2)
    assert_paid_once(sandbox, held)
    assert state_of(newer) == ("released", "released")


def test_paying_for_both_ones_holds_charges_once(sandbox: SandboxClient) -> None:
    room = make_room()
    held = paid_late(sandbox, room, claimant=ANA)
    newer = hold(line(room), claimant=ANA)
    pay(sandbox, start(newer))

    # The newer one turns out to be paid and is settled on the way; it has the slot.
    assert settle(latest(held)) == "voided"

    assert_paid_once(sandbox, newer)
    assert_never_charged(sandbox, held)


# --- Never revived -------------------------------------------------------------------------------


def test_a_released_booking_is_not_revived(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    pay(sandbox, start(held))
    holds_services.release(hold_id=held.pk, actor=SOMEBODY, checkout_closed=True)

    assert settle(latest(held)) == "voided"
    assert state_of(held) == ("released", "released")
    assert_never_charged(sandbox, held)
    assert mails(held).count("not_charged") == 1
    assert live(held.booking) == 0


def test_a_cancelled_booking_is_not_revived(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    first = start(held)
    second = second_checkout(held)
    pay(sandbox, first)
    pay(sandbox, second)
    assert settle(first) == "confirmed"
    bookings_services.cancel(booking_id=held.booking_id, actor=SYSTEM)

    assert settle(second) == "voided"
    assert state_of(held) == ("confirmed", "cancelled")
    assert history(held).count("confirmed") == 1
    late = Payment.objects.get(checkout=second)
    assert late.state == "voided"
    assert live(held.booking) == 0


# --- Paid in the last second ---------------------------------------------------------------------


@pytest.mark.parametrize("winner", ["pay", "expire", None])
@pytest.mark.parametrize("moves", ["the payer", "our timer"])
def test_paid_in_the_last_second_goes_one_way_only(
    sandbox: SandboxClient, winner: str | None, moves: str
) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    into_grace(held)
    sandbox.fault("pay_and_expire", winner=winner, match={"session": checkout.session_id})

    if moves == "the payer":
        sandbox.pay(checkout.url)
    tasks.close_ended(str(checkout.pk))
    heal(2)

    (session,) = sessions(sandbox, held)
    assert session["status"] == {"pay": "complete", "expire": "expired"}.get(
        winner or "", session["status"]
    )
    if session["status"] == "complete":
        assert_paid_once(sandbox, held)
    else:
        assert state_of(held) == ("expired", "expired")
        assert live(held.booking) == 0
        assert_never_charged(sandbox, held)
        assert not Payment.objects.filter(verdict="capture").exists()


# --- What must not be bought, and what must not be given up --------------------------------------


def test_an_hour_that_has_begun_is_not_sold_to_a_late_payer(sandbox: SandboxClient) -> None:
    held = paid_late(sandbox, make_room())
    Booking.objects.filter(pk=held.booking_id).update(starts_at=clock.now() - timedelta(minutes=1))

    assert settle(latest(held)) == "voided"
    assert Payment.objects.get().verdict_because == "too_late"
    assert_never_charged(sandbox, held)
    assert mails(held).count("not_charged") == 1


def test_a_newer_hold_is_kept_when_the_late_payment_loses_anyway(sandbox: SandboxClient) -> None:
    room = make_room()
    held = paid_late(sandbox, room, claimant=ANA, end=11)
    newer = hold(line(room, 9, 10), claimant=ANA)
    hold(line(room, 10, 11))

    assert settle(latest(held)) == "voided"
    assert state_of(newer) == ("active", "pending_payment")
    assert live(newer.booking) == 1


def test_cancelling_waits_for_a_capture_on_its_way(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    fault = sandbox.fault(
        "error_500_before", times=None, match={"operation": "payment_intents.capture"}
    )
    settle(checkout)
    with pytest.raises(PaymentInProgress):
        cancelling.cancel(booking_id=held.booking_id, actor=SOMEBODY)
    assert state_of(held) == ("confirmed", "confirmed")

    sandbox.clear(fault)
    heal(2)
    cancelling.cancel(booking_id=held.booking_id, actor=SOMEBODY, reason="Asked by telephone")
    assert state_of(held)[1] == "cancelled"
    assert live(held.booking) == 0


def test_goodwill_meant_in_another_currency_stops_no_settlement(sandbox: SandboxClient) -> None:
    room = make_room()
    Workspace.objects.filter(pk=room.workspace_id).update(goodwill_credit_minor=500)
    held = paid_late(sandbox, room)
    hold(line(room))
    Workspace.objects.filter(pk=room.workspace_id).update(currency="AUD")
    assert settle(latest(held)) == "voided"
    assert not CreditEntry.objects.exists()
    assert_never_charged(sandbox, held)


def test_an_amount_that_differs_is_told_to_staff(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    pay(sandbox, start(held))
    past_the_guards(
        "UPDATE payments_due SET amount_minor = 9900 WHERE booking_id = %s", held.booking_id
    )
    assert settle(latest(held)) == "voided"
    finding = Finding.objects.get()
    assert (finding.kind, finding.severity) == ("payment_differs", "high")
    assert finding.evidence["owed"]["amount_minor"] == 9900
