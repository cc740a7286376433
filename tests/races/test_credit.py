"""One balance, sixteen spenders: the control overdraws it, the product's tables never do."""

import threading
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest
from django.db import transaction

from config.kernel.context import SYSTEM
from config.kernel.ids import new_id
from members.models import Workspace
from payments import credits as ledger
from payments.models import CreditAccount, CreditEntry, Due
from tests.core.raw import connect
from tests.core.support import hold, line
from tests.core.threads import together
from tests.factories import MemberFactory, make_pool

pytestmark = pytest.mark.django_db(transaction=True)

SPENDERS, ENOUGH_FOR = 16, 5
SCHEMA = "control_without_credit_guards"
TABLES = ("payments_creditaccount", "payments_creditentry")
BALANCE = "SELECT coalesce(sum(amount_minor), 0) FROM payments_creditentry WHERE account_id = %s"
SPEND = """
    INSERT INTO payments_creditentry
        (id, account_id, kind, amount_minor, reason, source, idempotency_key, actor_kind, actor_id,
         actor_label, request_id, created_at, due_id)
    VALUES (%s, %s, 'spend', -100, '', 'race', %s, 'system', '', '', '', clock_timestamp(), %s)
"""


@pytest.fixture
def unprotected() -> Iterator[str]:
    """A schema with copies of the tables that have their columns and nothing else."""
    with connect() as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        admin.execute(f"CREATE SCHEMA {SCHEMA}")
        for table in TABLES:
            admin.execute(f"CREATE TABLE {SCHEMA}.{table} (LIKE public.{table})")
    yield f"{SCHEMA}, public"
    with connect() as admin:
        admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture
def account(transactional_db: None) -> CreditAccount:
    """Credit for five of sixteen."""
    pool = make_pool(capacity=SPENDERS)
    entry = ledger.issue(
        workspace=Workspace.objects.get(pk=pool.workspace_id),
        member=MemberFactory(),
        amount_minor=100 * ENOUGH_FOR,
        reason="t",
        source="t",
        key="k",
        actor=SYSTEM,
    )
    for _ in range(SPENDERS):
        hold(line(pool))
    return entry.account


def race(path: str, account: UUID, dues: list[UUID]) -> list[bool]:
    """All look at the balance before any spends, as everybody writes it first; who spent?"""
    looked = threading.Barrier(len(dues))

    def one(due: UUID) -> bool:
        with connect() as conn:
            conn.execute(f"SET search_path TO {path}")
            conn.commit()
            (balance,) = conn.execute(BALANCE, [account]).fetchone()
            looked.wait(30)
            if balance < 100:
                return False
            try:
                conn.execute(SPEND, [new_id(), account, str(new_id()), due])
                conn.commit()
            except psycopg.errors.CheckViolation:
                return False
            return True

    results = together([lambda due=due: one(due) for due in dues])
    assert all(isinstance(result, bool) for result in results), results
    return results  # type: ignore[return-value]


def dues() -> list[UUID]:
    return list(Due.objects.values_list("pk", flat=True))


def test_without_the_guards_the_balance_is_overdrawn(
    unprotected: str, account: CreditAccount
) -> None:
    with connect() as admin:
        for table in TABLES:
            admin.execute(f"INSERT INTO {SCHEMA}.{table} SELECT * FROM public.{table}")
    assert race(unprotected, account.pk, dues()).count(True) == SPENDERS
    with connect() as admin:
        admin.execute(f"SET search_path TO {unprotected}")
        (left,) = admin.execute(BALANCE, [account.pk]).fetchone()
    assert left == 100 * (ENOUGH_FOR - SPENDERS), "eleven spent what was not there"


def test_with_them_the_same_race_spends_what_there_is(account: CreditAccount) -> None:
    assert race("public", account.pk, dues()).count(True) == ENOUGH_FOR
    account.refresh_from_db()
    assert account.balance_minor == 0
    assert not ledger.unbalanced().exists()
    assert CreditEntry.objects.filter(kind="spend").count() == ENOUGH_FOR


def test_the_product_refuses_the_rest_by_name(account: CreditAccount) -> None:
    def spend(due: UUID) -> None:
        with transaction.atomic():
            ledger.enter(
                account=ledger.locked_account(account.pk),
                kind="spend",
                amount_minor=-100,
                source="race",
                key=str(due),
                actor=SYSTEM,
                due_id=due,
            )

    results = together([lambda due=due: spend(due) for due in dues()])
    refused = [r for r in results if isinstance(r, ledger.NotEnoughCredit)]
    assert (results.count(None), len(refused)) == (ENOUGH_FOR, SPENDERS - ENOUGH_FOR), results
    account.refresh_from_db()
    assert account.balance_minor == 0
