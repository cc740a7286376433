"""Beat's sweeps: one row that is stuck does not keep the others waiting for ever."""

from datetime import timedelta
from threading import Event

import pytest
from django.db import transaction

from bookings import lock_objects, mails
from bookings import tasks as booking_tasks
from bookings.models import Booking
from config.kernel import clock, rows
from holds import services, tasks
from holds.lock_objects import lock_hold
from members.models import Notification
from tests.core.raw import sql
from tests.core.support import SOMEBODY, hold, lapse, line, state_of
from tests.core.threads import Aside
from tests.factories import make_room


def confirmed(start: int, room=None) -> Booking:
    held = hold(line(room or make_room(price=0), start, start + 1))
    with transaction.atomic():
        return services.confirm_unpaid(lock_hold(held.pk), SOMEBODY)


@pytest.mark.django_db
def test_the_reminded_and_the_unreachable_do_not_keep_others_from_their_mail(monkeypatch):
    monkeypatch.setattr(booking_tasks, "_BATCH", 2)
    room, now = make_room(price=0), clock.now()
    bookings = [confirmed(start, room) for start in range(9, 15)]
    for position, booking in enumerate(bookings):
        Booking.objects.filter(pk=booking.pk).update(
            created_at=now - timedelta(days=2, minutes=position),
            starts_at=now + timedelta(hours=3, minutes=position),
            email="" if position == 4 else booking.email,
        )
    for booking in bookings[:4]:
        rows.insert(mails.reminder(booking))
    assert booking_tasks.remind() == 1
    assert booking_tasks.remind() == 0
    last = Notification.objects.filter(kind="reminder", subject_id=str(bookings[5].pk))
    assert last.count() == 1


@pytest.fixture
def locked_elsewhere():
    """Lock a booking's resources in another session until the test is over."""
    let_go, sessions = Event(), []

    def lock(booking_id):
        is_locked = Event()

        def work():
            with transaction.atomic():
                lock_objects.lock_resources_of([booking_id])
                is_locked.set()
                assert let_go.wait(30)

        sessions.append(Aside(work))
        assert is_locked.wait(30)
        sql("SET lock_timeout = '50ms'")

    yield lock
    let_go.set()
    for session in sessions:
        session.result()
    sql("RESET lock_timeout")


@pytest.mark.django_db(transaction=True)
def test_a_stuck_hold_is_left_and_the_others_expire(locked_elsewhere, caplog):
    stuck, free = hold(line(make_room())), hold(line(make_room()))
    lapse(stuck, 60)
    lapse(free)
    locked_elsewhere(stuck.booking_id)
    assert tasks.tidy_lapsed() == 1
    assert state_of(stuck) == ("active", "pending_payment")
    assert state_of(free) == ("expired", "expired")
    assert str(stuck.booking_id) in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_stuck_booking_is_left_and_the_others_are_completed(locked_elsewhere):
    stuck, free = confirmed(9), confirmed(10)
    for booking, hours in ((stuck, 2), (free, 1)):
        over = clock.now() - timedelta(hours=hours)
        Booking.objects.filter(pk=booking.pk).update(
            starts_at=over - timedelta(hours=1), ends_at=over
        )
    locked_elsewhere(stuck.pk)
    assert booking_tasks.complete_past() == 1
    stuck.refresh_from_db()
    free.refresh_from_db()
    assert (stuck.state, free.state) == ("confirmed", "completed")
