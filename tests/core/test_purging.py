"""Purging: what is over and was never paid goes after its time; nothing else can be deleted."""

import pytest
from django.db import connection

from bookings import services as bookings_services
from bookings.models import Booking, BookingEvent, Line, Occupancy
from holds import services
from holds.models import Hold
from members import purging as answers
from payments import purging
from payments.models import Checkout, Due
from tests.core.raw import RESTRICT, refused, sql
from tests.core.support import SOMEBODY, hold, lapse, line
from tests.factories import make_room

pytestmark = pytest.mark.django_db


def aged(held: Hold, days: int) -> None:
    """It ended so long ago."""
    for table, columns in (
        ("holds_hold", ("created_at", "expires_at", "lapses_at", "ended_at")),
        ("bookings_occupancy", ("released_at",)),
    ):
        moved = ", ".join(f"{c} = {c} - make_interval(days => %(days)s)" for c in columns)
        key = "id" if table == "holds_hold" else "booking_id"
        value = held.pk if table == "holds_hold" else held.booking_id
        with connection.cursor() as cursor:
            statement = f"UPDATE {table} SET {moved} WHERE {key} = %(key)s"
            cursor.execute(statement, {"days": days, "key": value})


def released(room, start: int, days: int) -> Hold:
    held = hold(line(room, start, start + 1))
    services.release(hold_id=held.pk, actor=SOMEBODY)
    aged(held, days)
    return held


def expired(room, start: int, days: int) -> Hold:
    held = hold(line(room, start, start + 1))
    lapse(held)
    services.expire_lapsed()
    aged(held, days)
    return held


def test_ended_holds_go_after_a_week_with_what_they_had_and_the_story_stays():
    room = make_room()
    old = [released(room, 8, 8), expired(room, 9, 8)]
    young, live = released(room, 10, 6), hold(line(room, 11, 12))
    assert purging.ended_holds() == 2
    assert set(Hold.objects.values_list("pk", flat=True)) == {young.pk, live.pk}
    gone = [held.booking_id for held in old]
    assert not Occupancy.objects.filter(booking__in=gone).exists()
    assert Occupancy.objects.count() == 2
    assert Booking.objects.count() == Line.objects.values("booking").distinct().count() == 4
    assert BookingEvent.objects.filter(booking__in=gone).count() == 4
    assert purging.ended_holds() == 0


def test_what_money_was_attached_to_is_never_purged():
    room = make_room()
    held = expired(room, 9, 400)
    due = Due.objects.get(booking_id=held.booking_id)
    Checkout.objects.create(
        due=due, livemode=False, amount_minor=due.amount_minor, currency=due.currency,
        title="Room", success_url="https://a.test", cancel_url="https://a.test",
        created_at=held.created_at, expires_at=held.expires_at,
    )  # fmt: skip
    assert purging.ended_holds() == 0
    assert Hold.objects.filter(pk=held.pk).exists()


def test_a_confirmed_booking_keeps_its_hold_and_its_slot():
    room = make_room()
    held = hold(line(room, 9, 10))
    sql(
        "UPDATE holds_hold SET state = 'confirmed', version = version + 1,"
        " ended_at = clock_timestamp() WHERE id = %s",
        held.pk,
    )
    booking = Booking.objects.get(pk=held.booking_id)
    move = bookings_services.Move("confirmed", held.created_at, SOMEBODY)
    bookings_services.confirm(booking, at=move.at, actor=SOMEBODY)
    aged(held, 400)
    assert purging.ended_holds() == 0
    assert Occupancy.objects.filter(released_at=None).count() == 1


@pytest.mark.parametrize("permitted", [False, True])
def test_the_trigger_lets_nothing_else_go(permitted):
    room = make_room()
    young, live = released(room, 9, 0), hold(line(room, 10, 11))
    old = released(room, 11, 8)
    if permitted:
        sql("SELECT set_config('surehold.purging', 'on', true)")
    for held in (young, live, *([] if permitted else [old])):
        with refused("hold_is_history", RESTRICT):
            sql("DELETE FROM holds_hold WHERE id = %s", held.pk)
    with refused("occupancy_is_history", RESTRICT):
        sql("DELETE FROM bookings_occupancy WHERE booking_id = %s", live.booking_id)
    assert Hold.objects.count() == 3


def test_idempotency_keys_go_after_their_time_and_never_before_a_week(settings):
    settings.IDEMPOTENCY_KEYS_KEPT_DAYS = 1
    for days in (6, 8, 30):
        sql(
            "INSERT INTO members_idempotencykey"
            " (id, scope, operation, key, fingerprint, status, body, created_at) VALUES"
            " (gen_random_uuid(), 'key:1', 'x', %s, '', 201, '{}',"
            "  clock_timestamp() - make_interval(days => %s))",
            str(days), days,
        )  # fmt: skip
    assert answers.idempotency_keys() == 2
    assert sql("SELECT key FROM members_idempotencykey") == [("6",)]
    settings.IDEMPOTENCY_KEYS_KEPT_DAYS = 5
    assert answers.idempotency_keys() == 0


def test_the_pages_of_a_purged_booking_still_tell(client):
    from bookings.links import manage_token

    held = released(make_room(), 9, 8)
    purging.ended_holds()
    token = manage_token(Booking.objects.get(pk=held.booking_id))
    assert client.get(f"/b/{token}/").status_code == 200
    assert client.get(f"/return/{token}/", follow=True).status_code == 200
