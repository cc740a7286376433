"""What the database refuses of credit, whoever writes: tried in raw SQL (INV-7)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from bookings.models import Resource
from config.kernel.ids import new_id
from payments.models import Due
from tests.core import raw
from tests.core.raw import RESTRICT, UNIQUE, refused, sql
from tests.core.support import hold, line
from tests.factories import MemberFactory, make_room

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
KINDS = ["goodwill", "refund", "returned", "spend", "expiry", "correction"]


@pytest.fixture
def room() -> Resource:
    return make_room()


def account_in(room: Resource, **columns: Any) -> UUID:
    values = {
        "workspace_id": room.workspace_id,
        "member_id": MemberFactory().pk,
        "currency": "NZD",
        "balance_minor": 0,
        "created_at": NOW,
    }
    return raw.insert("payments_creditaccount", **(values | columns))


@pytest.fixture
def account(room: Resource) -> UUID:
    return account_in(room)


def entry(account: UUID, amount_minor: int, kind: str = "goodwill", **columns: Any) -> UUID:
    values = {
        "account_id": account,
        "kind": kind,
        "amount_minor": amount_minor,
        "reason": "",
        "source": "test",
        "idempotency_key": str(new_id()),
        "actor_kind": "system",
        "actor_id": "",
        "actor_label": "",
        "request_id": "",
        "created_at": NOW,
    }
    return raw.insert("payments_creditentry", **(values | columns))


def balance(account: UUID) -> int:
    ((found,),) = sql("SELECT balance_minor FROM payments_creditaccount WHERE id = %s", account)
    return found


def due_of(room: Resource, **options: Any) -> UUID:
    return Due.objects.get(booking_id=hold(line(room), **options).booking_id).pk


# --- The balance --------------------------------------------------------------------------------


def test_the_balance_follows_the_entries(account: UUID) -> None:
    entry(account, 1000)
    entry(account, -400, "correction")
    assert balance(account) == 600


def test_a_balance_below_zero_is_refused(account: UUID) -> None:
    entry(account, 1000)
    with refused("credit_balance_not_negative"):
        entry(account, -1001, "expiry")
    assert balance(account) == 1000
    assert sql("SELECT count(*) FROM payments_creditentry") == [(1,)]


@pytest.mark.parametrize("lie", [0, 999, 1001, 10**12])
def test_a_lie_about_the_balance_is_refused(account: UUID, lie: int) -> None:
    entry(account, 1000)
    with refused("credit_balance_is_the_sum"):
        sql("UPDATE payments_creditaccount SET balance_minor = %s", lie)
    assert balance(account) == 1000


def test_an_account_starts_empty(room: Resource) -> None:
    with refused("credit_account_starts_empty"):
        account_in(room, balance_minor=1)


def test_an_account_stays_whose_it_is(account: UUID) -> None:
    with refused("credit_balance_is_the_sum"):
        sql("UPDATE payments_creditaccount SET member_id = %s", MemberFactory().pk)
    with refused("credit_balance_is_the_sum"):
        sql("UPDATE payments_creditaccount SET currency = 'EUR'")


def test_one_account_for_each_member_workspace_and_currency(room: Resource) -> None:
    member = MemberFactory().pk
    account_in(room, member_id=member)
    account_in(room, member_id=member, currency="EUR")
    with refused("credit_account_unique", UNIQUE):
        account_in(room, member_id=member)


# --- Entries are history ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments_creditentry SET amount_minor = 2000",
        "UPDATE payments_creditentry SET reason = 'another'",
        "DELETE FROM payments_creditentry",
        "TRUNCATE payments_creditentry CASCADE",
        "TRUNCATE payments_creditentry, payments_creditaccount CASCADE",
        "DELETE FROM payments_creditaccount",
        "TRUNCATE payments_creditaccount CASCADE",
    ],
)
def test_entries_and_accounts_are_kept_as_they_are(account: UUID, statement: str) -> None:
    entry(account, 1000)
    raw.settle_constraints()
    with refused("credit_is_history", RESTRICT):
        sql(statement)
    assert sql("SELECT amount_minor, reason FROM payments_creditentry") == [(1000, "")]
    assert balance(account) == 1000


def test_a_key_is_used_once_in_an_account(account: UUID, room: Resource) -> None:
    entry(account, 1000, idempotency_key="k")
    with refused("credit_entry_once", UNIQUE):
        entry(account, 1000, idempotency_key="k")
    entry(account_in(room), 1000, idempotency_key="k")
    assert balance(account) == 1000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amount_minor", [-1, 0, 1])
def test_signs(account: UUID, room: Resource, kind: str, amount_minor: int) -> None:
    """Grants are positive, spends and expiries negative, nothing is zero."""
    due = due_of(room)
    entry(account, 100)
    entry(account, -50, "spend", due_id=due)
    about = {"due_id": due} if kind in {"spend", "returned"} else {}
    right = {1} if kind in {"goodwill", "refund", "returned"} else {-1}
    right = {-1, 1} if kind == "correction" else right
    if amount_minor in right:
        entry(account, amount_minor, kind, **about)
        return
    with pytest.raises(IntegrityError), transaction.atomic():
        entry(account, amount_minor, kind, **about)
    assert balance(account) == 50


def test_expiry_comes_after_issue(account: UUID) -> None:
    with refused("credit_entry_expires_later"):
        entry(account, 1000, expires_at=NOW - timedelta(seconds=1))


# --- What entries belong to ---------------------------------------------------------------------


def test_a_due_of_another_workspace_is_not_paid(account: UUID) -> None:
    entry(account, 1000)
    with refused("credit_within_workspace"):
        entry(account, -100, "spend", due_id=due_of(make_room()))


def test_a_due_in_another_currency_is_not_paid(room: Resource) -> None:
    euros = account_in(room, currency="EUR")
    entry(euros, 1000)
    with refused("credit_within_workspace"):
        entry(euros, -100, "spend", due_id=due_of(room))


def test_no_more_is_spent_on_a_due_than_it_is(account: UUID, room: Resource) -> None:
    due = due_of(room)
    entry(account, 9000)
    entry(account, -4500, "spend", due_id=due)
    with refused("credit_spent_once"):
        entry(account, -1, "spend", due_id=due)


def test_credit_that_pays_for_nothing_is_refused(account: UUID) -> None:
    entry(account, 9000)
    with refused("credit_spent_once"):
        entry(account, -1, "spend")


def test_no_more_is_given_back_than_was_spent(account: UUID, room: Resource) -> None:
    due = due_of(room)
    entry(account, 1000)
    entry(account, -600, "spend", due_id=due)
    entry(account, 600, "returned", due_id=due)
    with refused("credit_spent_once"):
        entry(account, 1, "returned", due_id=due)
    assert balance(account) == 1000


def test_a_reversal_undoes_one_whole_entry_of_its_account_once(
    account: UUID, room: Resource
) -> None:
    first = entry(account, 1000)
    elsewhere = entry(account_in(room), 1000)
    for amount, about in [
        (-999, {"reverses_id": first}),
        (1000, {"reverses_id": first}),
        (-1000, {}),
        (-1000, {"reverses_id": elsewhere}),
    ]:
        with refused("credit_reversal_mirrors"):
            entry(account, amount, "reversal", **about)
    with refused("credit_reversal_mirrors"):
        entry(account, -1000, "correction", reverses_id=first)
    entry(account, -1000, "reversal", reverses_id=first)
    entry(account, 1000)
    with pytest.raises(IntegrityError, match="reverses_id"), transaction.atomic():
        entry(account, -1000, "reversal", reverses_id=first)
    assert balance(account) == 1000
