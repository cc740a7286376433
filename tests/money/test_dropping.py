"""Cancelling a part of a booking: its time is free, its share comes back, the rest stands."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from bookings import ics
from bookings.models import Booking, Line, Occupancy, Resource
from config.kernel import clock
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput, InvalidTransition, VersionMismatch
from holds.claims import Claimant, LineRequest, claim
from holds.lock_objects import lock_hold
from holds.services import confirm_unpaid
from payments import cancelling, dropping
from payments.cancelling import Back
from payments.errors import RefundChanged, TooLateToCancel
from payments.models import Refund
from payments.reconciler.slots import audit_booking
from payments.reconciler.sums import seen_of
from tests.admin.support import payment
from tests.factories import WorkspaceFactory, at, make_room

pytestmark = pytest.mark.django_db

ANA = Actor("member", label="Ana")
POLICY = {
    "cancel_free_hours": 48,
    "cancel_partial_hours": 24,
    "cancel_partial_percent": 50,
    "cancel_fee_minor": 0,
}


def booked(
    resource: Resource | None = None, days: Sequence[int] = (7, 8, 9), **policy: int
) -> Booking:
    """Three hours of NZ$45 on three days, paid, the first a week from now."""
    room = resource or make_room(workspace=WorkspaceFactory(**(POLICY | policy)))
    wanted = [LineRequest(room.pk, at(10, days=day), at(11, days=day)) for day in days]
    with transaction.atomic():
        hold = claim(
            workspace=room.workspace,
            lines=wanted,
            claimant=Claimant(email="ana@example.test", name="Ana"),
            actor=ANA,
        )
        booking = confirm_unpaid(lock_hold(hold.pk), ANA)
    payment(booking)
    return booking


def drop(booking: Booking, *positions: int, how: str = "policy", **options: object) -> Booking:
    return dropping.cancel_lines(
        booking_id=booking.pk, positions=positions, actor=ANA, back=Back(how=how), **options
    )


def live(booking: Booking) -> list[int]:
    found = Occupancy.objects.filter(booking=booking, released_at=None)
    return sorted(found.values_list("line__position", flat=True))


def refunds(booking: Booking) -> list[int]:
    found = Refund.objects.filter(due__booking=booking).order_by("created_at")
    return list(found.values_list("amount_minor", flat=True))


def at_once() -> None:
    """What is looked at when a transaction commits is looked at now."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def is_even(booking: Booking) -> bool:
    return seen_of(booking.dues.get().pk) is None


def test_a_line_is_given_up_and_the_others_stand() -> None:
    booking = booked()
    room = booking.lines.first().resource
    drop(booking, 1)
    booking.refresh_from_db()
    assert (booking.state, booking.total_minor, booking.version) == ("confirmed", 9000, 2)
    assert live(booking) == [0, 2]
    assert refunds(booking) == [4500]
    assert is_even(booking)
    gone = booking.lines.get(position=1)
    assert (gone.amount_minor, gone.price) == (0, [])
    assert gone.cancelled_at is not None
    event = booking.events.get(kind="lines_cancelled")
    assert [line["kept_minor"] for line in event.data["lines"]] == [0]
    # Its time is anybody's again, and the audit that works from lines agrees.
    other = booked(room, days=[8])
    assert audit_booking(other.pk) == audit_booking(booking.pk) == 0


def test_the_first_line_given_up_moves_the_bookings_start() -> None:
    booking = booked()
    drop(booking, 0)
    booking.refresh_from_db()
    assert (booking.starts_at, booking.ends_at) == (at(10, days=8), at(11, days=9))


def test_by_policy_a_share_is_kept_and_stays_the_bookings_price() -> None:
    booking = booked(cancel_free_hours=24 * 30)
    told = dropping.preview(booking, [0, 1])
    assert [m.amount_minor for m in (told.before, told.after, told.given_back, told.kept)] == [
        13500, 9000, 4500, 4500,
    ]  # fmt: skip
    drop(booking, 0, 1, expects_minor=4500)
    booking.refresh_from_db()
    assert booking.total_minor == 9000
    assert [line.amount_minor for line in booking.lines.order_by("position")] == [2250, 2250, 4500]
    assert is_even(booking)


def test_a_fee_is_kept_once() -> None:
    booking = booked(cancel_fee_minor=700)
    drop(booking, 0, 1)
    assert refunds(booking) == [9000 - 700]
    assert is_even(booking)


def test_what_was_kept_of_a_line_is_kept_when_the_rest_is_cancelled() -> None:
    booking = booked(cancel_free_hours=24 * 30)
    drop(booking, 0)
    told = cancelling.preview(booking := Booking.objects.get(pk=booking.pk))
    assert (told.given_back.amount_minor, told.kept.amount_minor) == (4500, 6750)
    cancelling.cancel(booking_id=booking.pk, actor=ANA)
    assert refunds(booking) == [2250, 4500]
    assert live(booking) == []
    assert is_even(booking)


@pytest.mark.parametrize(("how", "back", "total"), [("none", [], 13500), ("full", [4500], 9000)])
def test_staff_decide_otherwise(how: str, back: list[int], total: int) -> None:
    booking = booked(cancel_free_hours=24 * 30)
    drop(booking, 2, how=how)
    booking.refresh_from_db()
    assert (refunds(booking), booking.total_minor) == (back, total)
    assert is_even(booking)


def test_twice_is_once() -> None:
    booking = booked()
    drop(booking, 1)
    drop(booking, 1)
    assert refunds(booking) == [4500]
    assert booking.events.filter(kind="lines_cancelled").count() == 1


@pytest.mark.parametrize("positions", [(), (7,), (0, 1, 2)])
def test_what_cannot_be_given_up_changes_nothing(positions: tuple[int, ...]) -> None:
    booking = booked()
    with pytest.raises(InvalidInput):
        drop(booking, *positions)
    assert live(booking) == [0, 1, 2]
    assert refunds(booking) == []


def test_what_was_shown_is_what_happens_or_nothing() -> None:
    booking = booked()
    with pytest.raises(RefundChanged):
        drop(booking, 1, expects_minor=1)
    with pytest.raises(VersionMismatch):
        drop(booking, 1, version=99)
    assert live(booking) == [0, 1, 2]


def test_members_do_not_give_up_what_has_begun() -> None:
    booking = booked()
    begun = clock.now() - timedelta(minutes=1)
    first = booking.occupancies.get(line__position=0)
    Occupancy.objects.filter(pk=first.pk).update(during=(begun, first.during.upper))
    Line.objects.filter(booking=booking, position=0).update(starts_at=begun)
    with pytest.raises(TooLateToCancel):
        dropping.cancel_own_lines(booking_id=booking.pk, positions=[0], actor=ANA)
    assert live(booking) == [0, 1, 2]


def test_only_of_a_confirmed_booking() -> None:
    booking = booked()
    cancelling.cancel(booking_id=booking.pk, actor=ANA)
    with pytest.raises(InvalidTransition):
        drop(booking, 1)


def test_the_calendar_file_cancels_that_line_alone() -> None:
    booking = booked()
    drop(booking, 1)
    said = ics.for_booking(Booking.objects.get(pk=booking.pk)).decode()
    assert said.count("STATUS:CANCELLED") == 1
    assert said.count("STATUS:CONFIRMED") == 2


def test_the_database_refuses_a_cancelled_line_that_holds_time() -> None:
    booking = booked()
    with pytest.raises(IntegrityError, match="holds nothing"), transaction.atomic():  # noqa: PT012
        Line.objects.filter(booking=booking, position=1).update(cancelled_at=clock.now())
        at_once()


def test_the_database_refuses_a_booking_of_cancelled_lines_alone() -> None:
    booking = booked()
    with pytest.raises(IntegrityError, match="has lines"), transaction.atomic():  # noqa: PT012
        Occupancy.objects.filter(booking=booking).update(released_at=clock.now())
        Line.objects.filter(booking=booking).update(cancelled_at=clock.now())
        at_once()
