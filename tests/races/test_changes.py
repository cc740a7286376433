"""Many at once about one booking's move: never both, and its old time is never lost.

The control is the reschedule that everybody writes first: let go of the old time, then take the
new. In a schema without the product's constraints it loses both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, transaction

from bookings.models import Booking, Change, Resource
from config.kernel.database_errors import translated
from holds.claims import Claimant
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.services import confirm_unpaid
from payments import holding, rescheduling
from payments.rescheduling import NONE, Settling, Wish
from tests.core import raw
from tests.core.legality import assert_legal
from tests.core.raw import connect
from tests.core.support import SOMEBODY, hold, line
from tests.core.threads import together
from tests.factories import make_pool, make_room
from tests.money.changes_support import MEMBER, hours, taken, window

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 8
SCHEMA = "control_without_changes"


def booked(resource: Resource, quantity: int = 1) -> Booking:
    """Tomorrow from nine to ten, confirmed."""
    held = hold(line(resource, 9, 10, quantity=quantity))
    with transaction.atomic():
        return confirm_unpaid(lock_hold(held.pk), SOMEBODY)


def move(booking: Booking, start: float, end: float, **options: Any) -> str:
    """Make it at once, whatever it costs, as staff can; or what it was refused with."""
    settling = Settling(options.pop("how", NONE))
    wish = Wish(booking.pk, [window(start, end)], settling=settling, **options)

    def attempt() -> str:
        with transaction.atomic():
            return "held" if rescheduling.reschedule(wish, actor=MEMBER).hold else "moved"

    return told(lambda: holding.placed(attempt))


def claim(resource: Resource, start: int, end: int, who: int) -> str:
    """A stranger's claim."""
    claimant = Claimant(visitor=f"stranger {who}")
    return told(lambda: hold(line(resource, start, end), claimant=claimant) and "held")


def told(work: Any) -> str:
    try:
        return str(work())
    except IntegrityError as error:
        return getattr(translated(error), "code", "") or str(error)
    except Exception as error:
        return getattr(error, "code", "") or repr(error)


# --- One booking, two changes -------------------------------------------------------------------


def test_of_many_changes_of_what_they_read_one_is_made() -> None:
    room = make_room()
    booking = booked(room)
    works = [
        lambda n=n: move(booking, 10 + n, 11 + n, version=booking.version)  # type: ignore[misc]
        for n in range(CLIENTS)
    ]
    answers = [str(answer) for answer in together(works)]
    assert sorted(answers) == ["moved"] + ["version_mismatch"] * (CLIENTS - 1)
    where = 10 + answers.index("moved")
    assert hours(booking.pk) == [(where, where + 1)]
    assert taken(room) == [(where, where + 1)]
    assert Change.objects.count() == 1
    assert_legal()


def test_of_many_that_have_to_be_paid_one_waits() -> None:
    """Each replaces the one before; nothing of theirs stays behind."""
    room = make_room()
    booking = booked(room)
    works = [lambda n=n: move(booking, 9, 11 + n, how="price") for n in range(CLIENTS)]  # type: ignore[misc]
    assert {str(answer) for answer in together(works)} == {"held"}
    states = sorted(Change.objects.values_list("state", flat=True))
    assert states == ["pending"] + ["released"] * (CLIENTS - 1)
    (waiting,) = Change.objects.filter(state="pending")
    length = (waiting.ends_at - waiting.starts_at) / timedelta(hours=1)
    assert taken(room) == [(9, 10), (10, 9 + length)]
    assert Hold.objects.filter(state="active").count() == 1
    assert hours(booking.pk) == [(9, 10)]
    assert_legal()


# --- A change and strangers ---------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0, 2, 5, 7])
def test_its_new_time_is_its_own_or_a_strangers_and_its_old_time_is_never_lost(turn: int) -> None:
    room = make_room()
    booking = booked(room)
    strangers = [lambda n=n: claim(room, 13, 14, n) for n in range(CLIENTS - 1)]  # type: ignore[misc]
    works = [*strangers, lambda: move(booking, 13, 14)]
    answers = [str(a) for a in together(works[turn:] + works[:turn])]
    winners = [answer for answer in answers if answer in {"held", "moved"}]
    assert len(winners) == 1, answers
    assert answers.count("slot_taken") == CLIENTS - 1, answers
    moved = winners == ["moved"]
    assert hours(booking.pk) == [(13, 14) if moved else (9, 10)]
    assert taken(room) == ([(13, 14)] if moved else [(9, 10), (13, 14)])
    assert_legal()


@pytest.mark.parametrize("turn", [0, 1, 4])
def test_the_time_that_becomes_free_is_one_strangers_and_only_once_it_is_free(turn: int) -> None:
    room = make_room()
    booking = booked(room)
    works = [lambda n=n: claim(room, 9, 10, n) for n in range(CLIENTS - 1)]  # type: ignore[misc]
    works.insert(turn, lambda: move(booking, 13, 14))
    answers = [str(a) for a in together(works)]
    assert answers.pop(turn) == "moved"
    assert set(answers) <= {"held", "slot_taken"}, answers
    assert answers.count("held") <= 1, answers
    assert hours(booking.pk) == [(13, 14)]
    assert taken(room) == [(9, 10)] * answers.count("held") + [(13, 14)]
    assert_legal()


def test_two_bookings_that_swap_their_times_do_neither_lose_nor_lock_each_other() -> None:
    """Each wants what the other has: the constraint refuses both, and both keep what they had."""
    room = make_room()
    first = booked(room)
    move(second := booked_at(room, 13), 13, 14.5)
    answers = together([lambda: move(first, 13, 14), lambda: move(second, 9, 10)])
    assert answers == ["slot_taken", "slot_taken"]
    assert (hours(first.pk), hours(second.pk)) == ([(9, 10)], [(13, 14.5)])
    assert_legal()


def booked_at(room: Resource, start: int) -> Booking:
    held = hold(line(room, start, start + 1), claimant=Claimant(visitor="another"))
    with transaction.atomic():
        return confirm_unpaid(lock_hold(held.pk), SOMEBODY)


def test_a_pool_is_never_oversold_by_moves() -> None:
    pool = make_pool(capacity=4)
    bookings = [booked(pool) for _ in range(4)]
    hold(line(pool, 13, 14, quantity=2), claimant=Claimant(visitor="somebody"))
    works = [lambda b=b: move(b, 13, 14) for b in bookings]  # type: ignore[misc]
    answers = sorted(str(answer) for answer in together(works))
    assert answers == ["moved", "moved", "slot_taken", "slot_taken"]
    where = sorted(hours(booking.pk)[0] for booking in bookings)
    assert where == [(9, 10), (9, 10), (13, 14), (13, 14)]
    assert_legal()


# --- The control --------------------------------------------------------------------------------


@contextmanager
def unprotected() -> Iterator[str]:
    """A schema with a copy of the table as it is: its columns and rows, and nothing else."""
    with connect() as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        admin.execute(f"CREATE SCHEMA {SCHEMA}")
        admin.execute(
            f"CREATE TABLE {SCHEMA}.bookings_occupancy AS TABLE public.bookings_occupancy"
        )
    yield f"{SCHEMA}, public"
    with connect() as admin:
        admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@contextmanager
def _inside(path: str) -> Iterator[psycopg.Connection]:
    with connect() as conn:
        conn.execute(f"SET search_path TO {path}")
        conn.commit()
        yield conn


FREE = """
    SELECT NOT EXISTS (SELECT 1 FROM bookings_occupancy
                       WHERE resource_id = %s AND during && %s AND released_at IS NULL)
"""
TAKE = """
    INSERT INTO bookings_occupancy
        (id, resource_id, booking_id, line_id, during, quantity, exclusive, lapses_at)
    SELECT gen_random_uuid(), resource_id, booking_id, line_id, %s, 1, exclusive, lapses_at
    FROM public.bookings_occupancy WHERE id = %s
"""
LET_GO = "UPDATE bookings_occupancy SET released_at = now() WHERE id = %s"


def _naive_move(path: str, own: Any, stranger: Any, room: Any) -> list[bool]:
    """Let go and commit, then look and take; strangers come in between, as they do.

    Whether it has its new time, and whether its old time could be had back.
    """
    with _inside(path) as moving, _inside(path) as coming:
        moving.execute(LET_GO, [own])
        moving.commit()
        for hour in (9, 13):
            coming.execute(TAKE, [raw.span(hour, hour + 1), stranger])
        coming.commit()
        wanted = [raw.span(13, 14), raw.span(9, 10)]
        return [moving.execute(FREE, [room, each]).fetchone()[0] for each in wanted]  # type: ignore[index]


def test_the_reschedule_that_everybody_writes_first_loses_both_times() -> None:
    room = make_room()
    own, stranger = raw.taken(room, 9, 10), raw.taken(room, 6, 7)
    raw.confirm(raw.booking_of(own))
    with unprotected() as path:
        assert _naive_move(path, own, stranger, room.pk) == [False, False]
    with pytest.raises(psycopg.errors.CheckViolation) as refused:
        _naive_move("public", own, stranger, room.pk)
    assert refused.value.diag.constraint_name == "confirmed_booking_has_occupancies"
    assert raw.sql("SELECT count(*) FROM bookings_occupancy WHERE released_at IS NULL") == [(2,)]
