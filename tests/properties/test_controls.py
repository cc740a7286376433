"""The controls: each check fails when what it looks for is there."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from bookings.models import Occupancy
from holds.models import Hold
from payments.models import CreditEntry, Payment
from tests.money.reconciling import past_the_guards
from tests.properties import money_checks, slot_checks, stripe_side
from tests.properties.any_order import AnyOrder

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def machine(stage: Callable[[], type[AnyOrder]]) -> Iterator[AnyOrder]:
    """A machine by hand: one booking paid by card and credit, one that is held."""
    machine = stage()()
    machine.begin([(0, 1, [(0, 9, 1, 1)], "confirmed"), (1, 1, [(0, 11, 1, 1)], "held")])
    yield machine
    machine.stumbles.rest()


def confirmed(machine: AnyOrder) -> Hold:
    return Hold.objects.get(booking_id=machine.world.bookings[0])


def money_is_checked(machine: AnyOrder) -> None:
    books = stripe_side.books(machine.sandbox, machine.world)
    money_checks.check(machine.world, machine.deeds, books)


def slots_are_checked(machine: AnyOrder) -> None:
    slot_checks.check(machine.world, machine.deeds)


def test_nothing_is_wrong(machine: AnyOrder) -> None:
    slots_are_checked(machine)
    money_is_checked(machine)


def test_a_confirmed_booking_without_its_slot(machine: AnyOrder) -> None:
    past_the_guards(
        "UPDATE bookings_occupancy SET released_at = now() WHERE booking_id = %s",
        confirmed(machine).booking_id,
    )
    with pytest.raises(AssertionError, match="without its slot"):
        slots_are_checked(machine)


def test_a_slot_sold_twice_by_its_lines(machine: AnyOrder) -> None:
    """The occupancies, which are what the database constrains, do not show it."""
    first, second = machine.world.bookings
    past_the_guards("UPDATE bookings_booking SET state = 'confirmed' WHERE id = %s", second)
    past_the_guards(
        "UPDATE bookings_line l SET starts_at = m.starts_at, ends_at = m.ends_at"
        " FROM bookings_line m WHERE m.booking_id = %s AND l.booking_id = %s",
        first,
        second,
    )
    assert Occupancy.objects.filter(released_at=None).count() == 2
    with pytest.raises(AssertionError, match="the same slot"):
        slots_are_checked(machine)


def test_a_pool_overdrawn_by_its_lines(machine: AnyOrder) -> None:
    """As add-ons, of which the occupancies know nothing."""
    pool = machine.world.places[0][-1]
    past_the_guards(
        "INSERT INTO bookings_line (id, booking_id, position, resource_id, starts_at, ends_at,"
        " quantity, parent_id, amount_minor, price) SELECT gen_random_uuid(), booking_id, 7, %s,"
        " starts_at, ends_at, 3, id, 0, '[]' FROM bookings_line WHERE booking_id = %s",
        pool.pk,
        confirmed(machine).booking_id,
    )
    with pytest.raises(AssertionError, match="3 of 2"):
        slots_are_checked(machine)


def test_a_refund_at_stripe_that_no_row_asked_for(machine: AnyOrder) -> None:
    payment = Payment.objects.get(due__booking_id=confirmed(machine).booking_id)
    machine.sandbox.api(
        "POST",
        "/v1/refunds",
        data={"payment_intent": payment.payment_intent_id, "amount": 100},
        headers={"Stripe-Account": machine.account},
    ).raise_for_status()
    with pytest.raises(AssertionError, match="no row asked for"):
        money_is_checked(machine)


def test_a_payment_at_stripe_that_is_no_row(machine: AnyOrder) -> None:
    past_the_guards("DELETE FROM payments_receipt")
    past_the_guards("DELETE FROM payments_payment")
    with pytest.raises(AssertionError, match="nobody knows of"):
        money_is_checked(machine)


def test_money_kept_for_a_booking_that_ended(machine: AnyOrder) -> None:
    past_the_guards(
        "UPDATE payments_due SET settled_at = NULL WHERE booking_id = %s",
        confirmed(machine).booking_id,
    )
    with pytest.raises(AssertionError, match=r"Sums\("):
        money_is_checked(machine)


def test_credit_that_is_not_given_back(machine: AnyOrder) -> None:
    spent = CreditEntry.objects.get(kind="spend")
    past_the_guards("UPDATE payments_creditentry SET amount_minor = -1 WHERE id = %s", spent.pk)
    with pytest.raises(AssertionError, match="entries"):
        money_is_checked(machine)


def test_a_promise_that_is_not_kept(machine: AnyOrder) -> None:
    machine.deeds.promise(confirmed(machine).booking_id, 100)
    with pytest.raises(AssertionError, match=r"Sums\("):
        money_is_checked(machine)


def test_a_finding_that_nothing_explains(machine: AnyOrder) -> None:
    booking = confirmed(machine).booking
    past_the_guards(
        "INSERT INTO payments_finding (id, kind, severity, subject_type, subject_id, summary,"
        " evidence, done, seen_at, last_seen_at, seen, resolution, note, closed_by, workspace_id)"
        " VALUES (%s, 'sum_differs', 'high', 'booking', %s, %s, '{}', '', now(), now(), 1, '', '',"
        " '', %s)",
        uuid4(),
        str(booking.pk),
        f"{booking.reference}: too little",
        booking.workspace_id,
    )
    with pytest.raises(AssertionError, match="sum_differs"):
        money_is_checked(machine)


def test_a_state_that_cannot_follow(machine: AnyOrder) -> None:
    past_the_guards(
        "UPDATE bookings_booking SET state = 'released', version = version + 1 WHERE id = %s",
        confirmed(machine).booking_id,
    )
    with pytest.raises(AssertionError, match="a booking moved from"):
        machine.nothing_impossible_has_happened()
