"""Any sequence of what can happen to credit keeps the balance its sum, and expires oldest first."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookings.models import Resource
from config.kernel.context import SYSTEM
from config.kernel.ids import new_id
from payments import credits as ledger
from payments.credit_rules import grants, overdue, spendable_minor, usable_minor
from payments.credits import CreditNotReversible, NotEnoughCredit
from payments.models import CreditAccount, CreditEntry, Due
from tests.core.support import hold, line
from tests.factories import MemberFactory, make_room

START = timezone.now()
_TICKS = count()


@dataclass
class Row:
    """An entry that is in no database."""

    kind: str
    amount_minor: int
    expires_at: datetime | None = None
    due_id: Any = None
    checkout_id: Any = None
    reverses_id: Any = None

    def __post_init__(self) -> None:
        self.id = new_id()
        self.created_at = START + timedelta(microseconds=next(_TICKS))


def hours(count: int) -> datetime:
    return START + timedelta(hours=count)


def told(*rows: Row) -> list[tuple[int, int]]:
    return [(grant.left_minor, grant.expired_minor) for grant in grants(rows)]


# --- The pure function --------------------------------------------------------------------------


def test_spending_takes_what_expires_first_and_what_never_does_last() -> None:
    assert told(
        Row("refund", 100),
        Row("goodwill", 100, hours(2)),
        Row("goodwill", 100, hours(1)),
        Row("spend", -150),
    ) == [(100, 0), (50, 0), (0, 0)]


def test_what_comes_back_is_no_younger_than_it_was() -> None:
    rows = [
        Row("goodwill", 100, hours(1)),
        Row("goodwill", 100, hours(2)),
        Row("spend", -150, due_id="a"),
        Row("returned", 60, due_id="a"),
    ]
    assert told(*rows) == [(10, 0), (100, 0)], "the last taken comes back first"
    assert told(*rows, Row("returned", 90, due_id="a")) == [(100, 0), (100, 0)]


def test_what_comes_back_over_time_expires() -> None:
    rows = [Row("goodwill", 100, hours(1)), Row("spend", -100, due_id="a")]
    assert overdue(grants(rows), hours(2)) == []
    over = overdue(grants([*rows, Row("returned", 100, due_id="a")]), hours(2))
    assert [grant.left_minor for grant in over] == [100]


def test_a_reversal_takes_its_own_grant_first() -> None:
    first, later = Row("goodwill", 100, hours(1)), Row("goodwill", 100, hours(2))
    assert told(first, later, Row("reversal", -100, reverses_id=later.id)) == [(100, 0), (0, 0)]


def test_an_expiry_is_remembered() -> None:
    assert told(Row("goodwill", 100, hours(1)), Row("goodwill", 100), Row("expiry", -100)) == [
        (0, 100),
        (100, 0),
    ]


@pytest.mark.parametrize(
    ("spendable", "owed", "usable"),
    [(1000, 4500, 1000), (9000, 4500, 4500), (4499, 4500, 4450), (4450, 4500, 4450), (30, 40, 0)],
)
def test_a_card_can_always_pay_the_rest(spendable: int, owed: int, usable: int) -> None:
    assert usable_minor(spendable, owed, "NZD") == usable


# --- The ledger, against a model that is written another way ------------------------------------


class Model:
    """Credit unit by unit: each cent knows when it expires and where it is."""

    def __init__(self) -> None:
        self.free: list[int] = []  # the hour at which each unit expires
        self.spent: dict[Any, list[int]] = {}

    def take(self, minor: int) -> list[int]:
        self.free.sort()
        taken, self.free = self.free[:minor], self.free[minor:]
        return taken

    def expire(self, hour: int) -> int:
        over = [unit for unit in self.free if unit <= hour]
        self.free = [unit for unit in self.free if unit > hour]
        return len(over)


_NEVER = 10**6
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("issue"), st.integers(1, 40), st.sampled_from([1, 2, 3, 5, 8, _NEVER])),
        st.tuples(st.just("spend"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("return"), st.integers(1, 60), st.integers(0, 3)),
        st.tuples(st.just("expire"), st.integers(1, 9), st.just(0)),
        st.tuples(st.just("reverse"), st.integers(0, 9), st.just(0)),
    ),
    min_size=3,
    max_size=14,
)


@pytest.fixture
def room(db: None) -> Resource:
    return make_room()


@pytest.fixture
def dues(room: Resource) -> list[Due]:
    """Enough dues to spend on."""
    booked = [hold(line(room, hour, hour + 1)).booking_id for hour in range(4)]
    return list(Due.objects.filter(booking_id__in=booked).order_by("pk"))


@pytest.mark.django_db
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_any_sequence_keeps_the_balance_and_expires_oldest_first(
    room: Resource, dues: list[Due], steps: list[tuple[str, int, int]]
) -> None:
    """Spends, returns and expiries of the ledger are those of the model, step by step."""
    member, model, rows = MemberFactory(), Model(), []
    with transaction.atomic():
        account = ledger.lock_account(workspace=room.workspace, member=member)
        for number, (what, first, second) in enumerate(steps):
            _step(account, dues, model, rows, what, first, second, str(number))
            account.refresh_from_db()
            assert account.balance_minor == len(model.free) >= 0
            found = grants(account.entries.all())
            assert sum(g.left_minor for g in found) == account.balance_minor
            for hour in range(10):
                good = [unit for unit in model.free if unit > hour]
                assert spendable_minor(found, hours(hour)) == len(good)
        assert not ledger.unbalanced().exists()


def _step(
    account: CreditAccount,
    dues: list[Due],
    model: Model,
    issued: list[tuple[CreditEntry, int]],
    what: str,
    first: int,
    second: int,
    key: str,
) -> None:
    common: dict[str, Any] = {"account": account, "source": "t", "key": key, "actor": SYSTEM}
    before = account.balance_minor
    if what == "issue":
        expires_at = None if second == _NEVER else hours(second)
        entry = ledger.enter(kind="goodwill", amount_minor=first, expires_at=expires_at, **common)
        model.free += [second] * first
        issued.append((entry, second))
    elif what == "spend":
        due = dues[int(key) % len(dues)]
        _spend(model, due, first, before, common)
    elif what == "return":
        _return(model, dues[second], first, common)
    elif what == "expire":
        ledger.expire_locked(account, hours(first))
        assert before - account.balance_minor == model.expire(first)
    elif issued:
        _reverse(model, *issued[first % len(issued)], before)


def _spend(model: Model, due: Due, minor: int, before: int, common: dict[str, Any]) -> None:
    if minor > before:
        with pytest.raises(NotEnoughCredit), transaction.atomic():
            ledger.enter(kind="spend", amount_minor=-minor, due=due, **common)
        return
    ledger.enter(kind="spend", amount_minor=-minor, due=due, **common)
    model.spent.setdefault(due.pk, []).extend(model.take(minor))


def _return(model: Model, due: Due, minor: int, common: dict[str, Any]) -> None:
    spent = model.spent.get(due.pk, [])
    minor = min(minor, len(spent))
    if minor:
        ledger.enter(kind="returned", amount_minor=minor, due=due, **common)
        model.free += [spent.pop() for _ in range(minor)]


def _reverse(model: Model, entry: CreditEntry, expires: int, before: int) -> None:
    """Only one that is whole: the model does not know whose a cent was otherwise."""
    own = {g.id: g for g in grants(entry.account.entries.all())}[entry.pk]
    again = CreditEntry.objects.filter(reverses=entry).exists()
    if own.expired_minor and not again:
        with pytest.raises(CreditNotReversible):
            ledger.reverse(entry_id=entry.pk, reason="t", source="t", actor=SYSTEM)
        return
    if again or own.left_minor < entry.amount_minor:
        return
    assert before >= entry.amount_minor
    ledger.reverse(entry_id=entry.pk, reason="t", source="t", actor=SYSTEM)
    for _ in range(entry.amount_minor):
        model.free.remove(expires)
