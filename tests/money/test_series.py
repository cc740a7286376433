"""Booking a series: all or some of it, paid at once or each by its deadline."""

from datetime import timedelta

import pytest
from django.db import transaction

from bookings.errors import SlotTaken
from bookings.models import Booking, Line, Occupancy, Resource, Series
from bookings.rules import Window
from bookings.series import Repeat
from config.kernel import clock
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput
from holds.claims import Claimant, LineRequest
from holds.models import Hold
from members.models import Notification
from payments import pay_again, pay_later, series
from payments.dropping import cancel_lines
from payments.models import Due, Finding
from payments.reconciler.sums import seen_of
from payments.selectors import money_of_many, verdict_page
from payments.series import Placed, SeriesConflict, Wish
from tests.core.support import hold
from tests.factories import WorkspaceFactory, at, make_room

pytestmark = pytest.mark.django_db

ANA = Actor("member", label="Ana")
WHO = Claimant(email="ana@example.test", name="Ana")


def room(**workspace: object) -> Resource:
    return make_room(workspace=WorkspaceFactory(**workspace))


def wish(resource: Resource, count: int = 4, **options: object) -> Wish:
    """So many weeks from a week from now, an hour each."""
    first = Window(at(10), at(11))
    return Wish(resource, Repeat(f"FREQ=WEEKLY;COUNT={count}", first), **options)  # type: ignore[arg-type]


def place(wanted: Wish, who: Claimant = WHO) -> Placed:
    with transaction.atomic():
        return series.place(wanted, claimant=who, actor=ANA)


def taken(resource: Resource, days: int) -> Hold:
    return hold(LineRequest(resource.pk, at(10, days=days), at(11, days=days)))


def test_paid_at_once_it_is_one_booking_of_many_lines() -> None:
    placed = place(wish(room(), 4, expects_minor=4 * 4500))
    (held,) = placed.holds
    booking = held.booking
    assert (booking.state, booking.total_minor, booking.series) == (
        "pending_payment", 4 * 4500, placed.series,
    )  # fmt: skip
    found = booking.lines.order_by("position").values_list("starts_at", flat=True)
    assert list(found) == [at(10, days=days) for days in (7, 14, 21, 28)]
    assert Occupancy.objects.filter(booking=booking, lapses_at=held.lapses_at).count() == 4
    assert booking.dues.get().amount_minor == 4 * 4500
    assert placed.left_out == []


def test_all_or_none_takes_none_when_one_is_taken() -> None:
    mine = room()
    taken(mine, 21)
    with pytest.raises(SeriesConflict):
        place(wish(mine, 4))
    assert not Series.objects.exists()
    assert Line.objects.count() == 1


def test_conflicts_are_left_out_where_one_wants_that() -> None:
    mine = room()
    taken(mine, 14)
    placed = place(wish(mine, 4, skips_conflicts=True, expects_minor=3 * 4500))
    assert placed.holds[0].booking.lines.count() == 3
    assert [(o.problem, o.window.start) for o in placed.left_out if o.window] == [
        ("taken", at(10, days=14))
    ]


def test_what_was_shown_is_what_is_taken_or_nothing() -> None:
    mine = room()
    taken(mine, 14)
    with pytest.raises(SeriesConflict):
        place(wish(mine, 4, skips_conflicts=True, expects_minor=4 * 4500))
    assert not Series.objects.exists()


def test_fewer_than_two_are_no_series() -> None:
    mine = room()
    taken(mine, 14)
    with pytest.raises(SeriesConflict):
        place(wish(mine, 2, skips_conflicts=True))


def somebody_is_quicker(monkeypatch: pytest.MonkeyPatch, resource: Resource, days: int) -> None:
    """Between the look and the claim another one takes a time."""
    looked = series.preview

    def then_taken(**options: object) -> object:
        seen = looked(**options)  # type: ignore[arg-type]
        taken(resource, days)
        return seen

    monkeypatch.setattr(series, "preview", then_taken)


@pytest.mark.parametrize("each", [False, True])
def test_who_comes_between_look_and_claim_keeps_what_they_got(
    monkeypatch: pytest.MonkeyPatch, each: bool
) -> None:
    mine = room(series_paid_each=each)
    somebody_is_quicker(monkeypatch, mine, 21)
    placed = place(wish(mine, 4, skips_conflicts=True))
    assert [o.window.start for o in placed.left_out if o.window] == [at(10, days=21)]
    live = Occupancy.objects.filter(released_at=None).order_by("during")
    assert [o.during.lower for o in live] == [at(10, days=days) for days in (7, 14, 21, 28)]
    assert Booking.objects.filter(series=placed.series).count() == (3 if each else 1)


@pytest.mark.parametrize("each", [False, True])
def test_all_or_none_is_none_then(monkeypatch: pytest.MonkeyPatch, each: bool) -> None:
    mine = room(series_paid_each=each)
    somebody_is_quicker(monkeypatch, mine, 21)
    with pytest.raises(SlotTaken):
        place(wish(mine, 4))
    assert not Series.objects.exists()


def test_a_series_may_have_more_lines_than_another_claim() -> None:
    mine = make_room(workspace=WorkspaceFactory(), horizon_days=365)
    placed = place(wish(mine, 40))
    assert placed.holds[0].booking.lines.count() == 40
    lines = [LineRequest(mine.pk, at(12, days=d), at(13, days=d)) for d in range(7, 28)]
    with pytest.raises(InvalidInput, match="At most 20"):
        hold(*lines)


# --- Paid each ----------------------------------------------------------------------------------


def each_of(**workspace: object) -> list[Booking]:
    placed = place(wish(room(series_paid_each=True, **workspace), 3))
    return [held.booking for held in placed.holds]


def owed(booking: Booking) -> Due:
    return Due.objects.get(booking=booking)


def test_paid_each_they_are_bookings_with_a_deadline() -> None:
    bookings = each_of(series_pay_hours=48)
    assert {b.state for b in bookings} == {"confirmed"}
    assert [owed(b).pay_again_until for b in bookings] == [
        b.starts_at - timedelta(hours=48) for b in bookings
    ]
    assert {owed(b).settled_at for b in bookings} == {None}
    assert {h.state for h in Hold.objects.all()} == {"confirmed"}
    # What is awaited is explained, and told as such.
    assert [seen_of(owed(b).pk) for b in bookings] == [None] * 3
    assert {verdict_page(b) for b in bookings} == {"pay_again"}
    money = money_of_many(bookings)
    assert [money[b.pk].pay_again_until for b in bookings] == [
        owed(b).pay_again_until for b in bookings
    ]
    assert not any(money[b.pk].was_refused for b in bookings)


def test_one_mail_tells_of_all_of_them() -> None:
    bookings = each_of()
    (mail,) = Notification.objects.all()
    assert mail.kind == "series"
    assert mail.payload["text"].count("pay by") == len(bookings)


def test_soon_there_is_an_hour_at_least_and_never_after_it_begins() -> None:
    bookings = each_of(series_pay_hours=24 * 30)
    for booking in bookings:
        left = owed(booking).pay_again_until - booking.created_at  # type: ignore[operator]
        assert timedelta(minutes=59) < left <= timedelta(minutes=61) or (
            owed(booking).pay_again_until == booking.starts_at - timedelta(days=30)
        )


def test_free_ones_owe_nothing() -> None:
    mine = room(series_paid_each=True)
    mine.price_rules.all().delete()
    placed = place(wish(mine, 3))
    for held in placed.holds:
        due = owed(held.booking)
        assert (due.pay_again_until, due.settled_at is not None) == (None, True)


def test_nobody_to_send_the_links_to_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        place(wish(room(series_paid_each=True), 3), Claimant())
    assert refused.value.field == "email"
    assert not Booking.objects.exists()


def late(booking: Booking) -> None:
    Due.objects.filter(booking=booking).update(pay_again_until=clock.now() - timedelta(seconds=1))


def test_one_that_is_not_paid_in_time_is_cancelled_and_the_others_stand() -> None:
    first, *others = each_of()
    late(first)
    assert pay_again.overdue() == [owed(first).pk]
    assert pay_again.give_up(owed(first).pk) is True
    first.refresh_from_db()
    assert first.state == "cancelled"
    assert not Occupancy.objects.filter(booking=first, released_at=None).exists()
    for booking in others:
        booking.refresh_from_db()
        assert booking.state == "confirmed"
    assert not Finding.objects.exists()  # as agreed, not an incident
    assert Notification.objects.filter(kind="cancellation").count() == 1
    assert [seen_of(owed(b).pk) for b in (first, *others)] == [None] * 3


def test_before_the_deadline_they_are_reminded_once() -> None:
    first, *_ = each_of(series_pay_hours=48)
    assert pay_later.to_remind() == []
    now = clock.now()
    Due.objects.filter(booking=first).update(
        created_at=now - timedelta(days=9), pay_again_until=now + timedelta(hours=70)
    )
    assert pay_later.to_remind() == [owed(first).pk]
    assert pay_later.remind(owed(first).pk) is True
    assert pay_later.to_remind() == []
    assert Notification.objects.filter(kind="pay_soon").count() == 1


def test_lines_of_a_held_series_cannot_be_given_up_before_they_are_paid() -> None:
    placed = place(wish(room(), 3))
    with pytest.raises(Exception, match="confirmed"):
        cancel_lines(booking_id=placed.holds[0].booking_id, positions=[1], actor=ANA)


def test_the_rest_is_cancelled_and_what_is_before_it_stands() -> None:
    first, second, third = each_of()
    assert series.rest_of(second) == [second, third]
    assert series.cancel_rest(second, actor=ANA, expects_minor=0) == []
    states = [Booking.objects.get(pk=b.pk).state for b in (first, second, third)]
    assert states == ["confirmed", "cancelled", "cancelled"]
    assert [seen_of(owed(b).pk) for b in (first, second, third)] == [None] * 3


def test_one_that_cannot_be_cancelled_is_told_and_the_others_are() -> None:
    first, second, third = each_of()
    begun = clock.now() - timedelta(minutes=1)
    Booking.objects.filter(pk=first.pk).update(starts_at=begun)
    first.refresh_from_db()
    ((failed, error),) = series.cancel_rest(first, actor=ANA, expects_minor=0)
    assert (failed, error.code) == (first, "too_late_to_cancel")
    states = [Booking.objects.get(pk=b.pk).state for b in (first, second, third)]
    assert states == ["confirmed", "cancelled", "cancelled"]
