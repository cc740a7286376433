"""Lapsed holds are tidied away in batches: the same rows as one by one, and nobody is held up."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings import lock_objects, mails
from bookings.models import Booking, Resource
from config.kernel import clock, rows
from config.kernel.context import SYSTEM
from holds import lapsing, services, tasks
from holds.claims import Claimant, LineRequest
from holds.lock_objects import lock_hold
from holds.models import Hold
from payments.models import Checkout, Due
from tests.core.raw import sql
from tests.core.support import SOMEBODY, hold, lapse, line, state_of
from tests.core.threads import Aside, together
from tests.core.waiting import wait
from tests.factories import make_pool, make_room

ANA, NOBODY = Claimant(email="ana@example.test", name="Ana"), Claimant()
EXPIRED, HELD = ("expired", "expired"), ("active", "pending_payment")


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(lapsing, "BATCH", 4)


def lapsed(room: Resource, *starts: int, claimant: Claimant = ANA) -> list[Hold]:
    """Holds of an hour each that lapsed a second ago."""
    holds = [hold(line(room, start, start + 1), claimant=claimant) for start in starts]
    for held in holds:
        lapse(held)
    return holds


# --- The same as one by one ---------------------------------------------------------------------

TABLES = {
    "bookings_booking": "id",
    "bookings_line": "booking_id",
    "bookings_occupancy": "booking_id",
    "bookings_bookingevent": "booking_id",
    "holds_hold": "booking_id",
    "payments_due": "booking_id",
    "members_notification": "subject_id",
}
# What names a row, its workspace, or a moment of its own.
NAMES = {"id", "reference", "token", "booking_id", "line_id", "resource_id", "workspace_id",
         "subject_id", "once", "payload", "due_id", "stripe_id"}  # fmt: skip


def one_of_each() -> list[Hold]:
    """Holds of all kinds that end by the clock, in a workspace of their own."""
    room = make_room()
    bikes, helmets = (make_pool(workspace=room.workspace) for _ in range(2))
    both = [line(bikes, 9, 10, 3), line(helmets, 9, 10, 2)]
    paying, offered, waited_for = (hold(line(room, n, n + 1)) for n in (8, 9, 10))
    extended = hold(line(room, 11, 12))
    services.extend(hold_id=extended.pk, actor=SOMEBODY)
    _has_checkout(paying)
    _event(offered, "offered")
    late = hold(line(room, 12, 13))
    _event(late, "payment_processing")
    wait(room, "ben", 10, 11)
    alone, bundle = hold(line(bikes, 9, 10, 2), claimant=NOBODY), hold(*both)
    return [paying, offered, waited_for, extended, late, alone, bundle]


def _has_checkout(held: Hold) -> None:
    with transaction.atomic():
        services.keep_for_checkout(lock_hold(held.pk), timedelta(seconds=30))
    due = Due.objects.get(booking=held.booking_id)
    Checkout.objects.create(
        due=due,
        state="creating",
        livemode=False,
        amount_minor=due.amount_minor,
        currency=due.currency,
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(hours=1),
    )


def _event(held: Hold, kind: str) -> None:
    with transaction.atomic():
        booking = Booking.objects.get(pk=held.booking_id)
        rows.insert(
            [services.bookings_services.note(booking, kind=kind, at=clock.now(), actor=SYSTEM)]
        )


def written(held: Hold) -> list[Any]:
    """Every row of a hold and what stands behind it; of times whether they are there."""
    found = []
    for table, key in TABLES.items():
        statement = f"SELECT to_jsonb(t) FROM {table} t WHERE {key}::text = %s"
        found += [
            (table, _plain(json.loads(row))) for (row,) in sql(statement, str(held.booking_id))
        ]
    checkouts = Checkout.objects.filter(due__booking=held.booking_id)
    asked = [bool(at) for at in checkouts.values_list("close_requested_at", flat=True)]
    return [*sorted(found, key=repr), asked]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    is_time = {name for name in row if name.endswith("_at") or name in {"at", "during"}}
    said = {name: value for name, value in row.items() if name not in NAMES}
    return {name: bool(value) if name in is_time else value for name, value in said.items()}


def marks(room: Resource) -> list[tuple]:
    """Whether each mark is for less than a minute."""
    soon = "SELECT kept_until < now() + interval '1 minute' FROM holds_freedtime"
    return sql(f"{soon} WHERE resource_id = %s", room.pk)


@pytest.mark.django_db
def test_a_batch_writes_the_rows_that_one_by_one_would_write():
    alone, in_batches = one_of_each(), one_of_each()
    for held in [*alone, *in_batches]:
        lapse(held)
    for held in alone:
        assert lapsing._expire_one(held.booking_id) == 1
    assert services.expire_lapsed() == len(in_batches)
    for one, batched in zip(alone, in_batches, strict=True):
        assert written(one) == written(batched)
        assert state_of(batched) == EXPIRED
    rooms = [held.lines[0].resource for held in (alone[2], in_batches[2])]
    assert marks(rooms[0]) == marks(rooms[1]) != []
    kinds = sql("SELECT kind, count(*) FROM members_notification GROUP BY 1")
    assert dict(kinds) == {"expiry": 8, "processing_too_long": 2, "waitlist_joined": 2}


@pytest.mark.django_db
def test_mails_of_a_batch_say_what_each_would_say_alone():
    room = make_room(name="The Attic")
    lapsed(room, 9, 10)
    services.expire_lapsed()
    nine, ten = (
        text for (text,) in sql("SELECT payload ->> 'text' FROM members_notification ORDER BY 1")
    )
    assert "The Attic" in nine
    assert nine != ten


@pytest.mark.django_db
def test_a_batch_of_many_takes_as_many_statements_as_one_of_few(monkeypatch):
    monkeypatch.setattr(lapsing, "BATCH", 50)
    room, bikes = make_room(), make_pool()
    taken = {}
    for number in (2, 12):
        lapsed(room, *range(number))
        for held in [hold(line(bikes, n, n + 1)) for n in range(number)]:
            lapse(held)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert services.expire_lapsed() == 2 * number
        taken[number] = len(captured)
    assert taken[2] == taken[12] <= 22


# --- What is left as it is ----------------------------------------------------------------------


@pytest.mark.django_db
def test_one_that_was_paid_or_extended_meanwhile_is_left(monkeypatch):
    room = make_room(price=0)
    paid, extended, over = lapsed(room, 9, 10, 11)
    lock = lock_objects.lock_free_resources_of

    def meanwhile(booking_ids: list[UUID]) -> list[UUID]:
        later = clock.now() + timedelta(minutes=5)
        for held in (paid, extended):
            Hold.objects.filter(pk=held.pk).update(expires_at=later, lapses_at=later)
        with transaction.atomic():
            services.confirm_unpaid(lock_hold(paid.pk), SOMEBODY)
        return lock(booking_ids)

    monkeypatch.setattr(lock_objects, "lock_free_resources_of", meanwhile)
    assert services.expire_lapsed() == 1
    assert state_of(paid) == ("confirmed", "confirmed")
    assert state_of(extended) == HELD
    assert state_of(over) == EXPIRED


@pytest.mark.django_db
def test_one_that_cannot_be_ended_keeps_none_of_the_others(caplog):
    """Its mail was written before, under the same key: the database refuses the batch."""
    first, poisoned, last = lapsed(make_room(), 9, 10, 11)
    booking = Booking.objects.get(pk=poisoned.booking_id)
    booking.version += 1
    rows.insert(mails.expiry(booking))
    assert services.expire_lapsed() == 2
    assert [state_of(held) for held in (first, poisoned, last)] == [EXPIRED, HELD, EXPIRED]
    assert str(poisoned.booking_id) in caplog.text
    assert str(first.booking_id) not in caplog.text
    assert services.expire_lapsed() == 0


@pytest.mark.django_db
def test_a_run_begins_nothing_when_its_time_is_over(monkeypatch):
    holds = lapsed(make_room(), 9, 10)
    monkeypatch.setattr(tasks, "TIDYING_SECONDS", 0.0)
    assert tasks.tidy_lapsed() == 0
    assert [state_of(held) for held in holds] == [HELD, HELD]
    assert services.expire_lapsed(limit=1) == 1
    assert [state_of(held) for held in holds] == [EXPIRED, HELD]


@pytest.mark.django_db
def test_every_page_is_looked_at(monkeypatch):
    monkeypatch.setattr(lapsing, "PAGE", 2)
    room = make_room()
    holds = lapsed(room, *range(5))
    sql("UPDATE holds_hold SET created_at = now() - interval '2 days',"
        " expires_at = now() - interval '1 day', lapses_at = now() - interval '1 day'")  # fmt: skip
    monkeypatch.setattr(lapsing, "_expire", lambda _run, batch: seen.extend(batch))
    seen: list[lapsing._Lapsed] = []
    services.expire_lapsed()
    assert sorted(each.hold_id for each in seen) == sorted(held.pk for held in holds)


# --- With others at the same resources ----------------------------------------------------------


@contextmanager
def locked(resource: Resource) -> Iterator[None]:
    """Somebody else has the resource's lock meanwhile."""
    is_locked, let_go = Event(), Event()

    def work() -> None:
        with transaction.atomic():
            lock_objects.lock_resources([resource.pk]).get()
            is_locked.set()
            assert let_go.wait(30)

    other = Aside(work)
    assert is_locked.wait(30)
    try:
        yield
    finally:
        let_go.set()
        other.result()


@pytest.mark.django_db(transaction=True)
def test_a_resource_that_somebody_has_is_left_without_waiting(monkeypatch):
    """And what needs it together with another; the rest of the batch is ended."""
    monkeypatch.setattr(lapsing, "_expire_waiting", lambda *_: None)
    busy, free = make_room(), make_room()
    both = make_room(workspace=busy.workspace)
    stuck, over = lapsed(busy, 9)[0], lapsed(free, 9)[0]
    bundle = hold(line(busy, 11, 12), line(both, 11, 12))
    lapse(bundle)
    sql("SET lock_timeout = '1ms'")
    with locked(busy):
        assert services.expire_lapsed() == 1
    assert [state_of(held) for held in (stuck, bundle, over)] == [HELD, HELD, EXPIRED]
    monkeypatch.undo()
    assert services.expire_lapsed() == 2


@pytest.mark.django_db(transaction=True)
def test_claims_and_two_tidiers_at_the_same_resources(monkeypatch):
    """Nobody deadlocks, every lapsed hold ends once, and the claims are all had."""
    room, bikes = make_room(), make_pool(workspace=make_room().workspace)
    holds = lapsed(room, *range(8)) + lapsed(bikes, *range(8), claimant=NOBODY)

    def claims(of: Resource) -> int:
        return len([hold(LineRequest(of.pk, *window)) for window in windows[of.pk]])

    windows = {
        of.pk: [(each.start, each.end) for n in range(12) for each in [line(of, n, n + 1)]]
        for of in (room, bikes)
    }
    works = [lambda: claims(room), lambda: claims(bikes),
             services.expire_lapsed, services.expire_lapsed]  # fmt: skip
    found = together(works)
    assert found[:2] == [12, 12]
    assert all(isinstance(ended, int) for ended in found[2:]), found
    services.expire_lapsed()
    assert [state_of(held) for held in holds] == [EXPIRED] * 16
    moved = "SELECT count(*), count(DISTINCT booking_id) FROM bookings_bookingevent"
    assert sql(f"{moved} WHERE kind = 'expired'") == [(16, 16)]
    assert sql("SELECT count(*) FROM bookings_occupancy WHERE released_at IS NULL") == [(24,)]
