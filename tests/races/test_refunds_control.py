"""The control: with the trigger off, two refunds at once give back more than was paid."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from payments.models import Payment
from tests.admin.support import confirmed, payment
from tests.core.raw import connect
from tests.core.threads import together
from tests.factories import make_room

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 8
SCHEMA = "control_without_trigger"
GIVEN = "SELECT coalesce(sum(amount_minor), 0) FROM payments_refund WHERE payment_id = %s"
GIVE = """
    INSERT INTO payments_refund
        (id, due_id, payment_id, "to", cause, amount_minor, currency, reason, actor_kind, actor_id,
         actor_label, request_id, state, version, refunds_fee, reverses_transfer, created_at, tries,
         attempt, last_error)
    SELECT %s, due_id, id, 'card', 'staff', %s, currency, '', 'staff', '', '', '', 'requested', 0,
           false, false, clock_timestamp(), 0, 1, ''
    FROM public.payments_payment WHERE id = %s
"""


@pytest.fixture
def unprotected() -> Iterator[str]:
    """A schema with a copy of the table that has its columns and nothing else."""
    with connect() as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        admin.execute(f"CREATE SCHEMA {SCHEMA}")
        admin.execute(f"CREATE TABLE {SCHEMA}.payments_refund (LIKE public.payments_refund)")
    yield f"{SCHEMA}, public"
    with connect() as admin:
        admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@contextmanager
def _inside(path: str) -> Iterator[psycopg.Connection]:
    with connect() as conn:
        conn.execute(f"SET search_path TO {path}")
        conn.commit()
        yield conn


def _naive_race(path: str, paid: Payment, amount_minor: int) -> list[bool]:
    """All look before any gives, as two members of staff do; who was told "refunded"?"""
    looked = threading.Barrier(CLIENTS)

    def one() -> bool:
        with _inside(path) as conn:
            (given,) = conn.execute(GIVEN, [paid.pk]).fetchone()  # type: ignore[misc]
            looked.wait(30)
            if given + amount_minor > paid.amount_minor:
                return False
            try:
                conn.execute(GIVE, [uuid4(), amount_minor, paid.pk])
                conn.commit()
            except psycopg.errors.CheckViolation as error:
                if error.diag.constraint_name != "refund_within_payment":
                    raise
                return False
            return True

    works: list[Callable[[], bool]] = [one] * CLIENTS
    found = together(works)
    assert all(isinstance(won, bool) for won in found), found
    return found  # type: ignore[return-value]


def _given(path: str, payment_id: UUID) -> int:
    with _inside(path) as conn:
        (given,) = conn.execute(GIVEN, [payment_id]).fetchone()  # type: ignore[misc]
    return int(given)


def test_without_the_trigger_money_is_given_back_many_times(unprotected: str) -> None:
    paid = payment(confirmed(make_room()))
    assert sum(_naive_race(unprotected, paid, 3000)) == CLIENTS
    assert _given(unprotected, paid.pk) == CLIENTS * 3000 > paid.amount_minor


def test_with_it_the_same_race_gives_back_what_there_is() -> None:
    paid = payment(confirmed(make_room()))
    assert sum(_naive_race("public", paid, 1500)) == 3
    assert _given("public", paid.pk) == paid.amount_minor
