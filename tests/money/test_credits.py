"""The ledger: issued, reversed, corrected, expired; its balance is its sum, always."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.models import Resource
from config.kernel import clock
from config.kernel.context import SYSTEM, Actor, request_id
from config.kernel.errors import InvalidInput, NotFound
from config.kernel.ids import new_id
from members.idempotency import IdempotencyKeyReused
from members.models import Member, Workspace
from payments import credits as ledger
from payments import tasks
from payments.credits import CreditNotReversible, NotEnoughCredit
from payments.models import CreditAccount, CreditEntry
from tests.core.raw import connect
from tests.core.threads import together
from tests.factories import MemberFactory, make_room

pytestmark = pytest.mark.django_db(transaction=True)
MIA = Actor("staff", id="7", label="Mia")


@pytest.fixture
def room(transactional_db: None) -> Resource:
    return make_room()


@pytest.fixture
def workspace(room: Resource) -> Workspace:
    return room.workspace


@pytest.fixture
def ana(room: Resource) -> Member:
    return MemberFactory(name="Ana")


def give(workspace: Workspace, member: Member, minor: int, **options: Any) -> CreditEntry:
    common = {"reason": "Sorry", "source": "admin", "key": str(new_id()), "actor": MIA}
    return ledger.issue(
        workspace=workspace, member=member, amount_minor=minor, **(common | options)
    )


def correct(workspace: Workspace, member: Member, minor: int, **options: Any) -> CreditEntry:
    common = {"reason": "Miscounted", "source": "admin", "key": str(new_id()), "actor": MIA}
    return ledger.correct(
        workspace=workspace, member=member, amount_minor=minor, **(common | options)
    )


def reverse(entry: CreditEntry) -> CreditEntry:
    return ledger.reverse(entry_id=entry.pk, reason="A mistake", source="admin", actor=MIA)


def left(workspace: Workspace, member: Member) -> int:
    assert not ledger.unbalanced().exists()
    return ledger.balance(workspace=workspace, member=member).amount_minor


def soon(seconds: float = 3600) -> datetime:
    return clock.now() + timedelta(seconds=seconds)


def moves(member: Member) -> list[tuple[str, int]]:
    entries = CreditEntry.objects.filter(account__member=member).order_by("created_at", "id")
    return list(entries.values_list("kind", "amount_minor"))


# --- Issued -------------------------------------------------------------------------------------


def test_an_entry_says_who_why_and_whence(workspace: Workspace, ana: Member) -> None:
    token = request_id.set("req-1")
    entry = give(workspace, ana, 1000, key="k1")
    request_id.reset(token)
    assert (entry.kind, entry.amount_minor, entry.reason) == ("goodwill", 1000, "Sorry")
    assert (entry.source, entry.idempotency_key, entry.request_id) == ("admin", "k1", "req-1")
    assert (entry.actor_kind, entry.actor_id, entry.actor_label) == ("staff", "7", "Mia")
    assert entry.expires_at is None
    assert left(workspace, ana) == 1000


def test_a_key_gives_once(workspace: Workspace, ana: Member) -> None:
    assert give(workspace, ana, 1000, key="k") == give(workspace, ana, 1000, key="k")
    assert left(workspace, ana) == 1000


def test_a_key_gives_once_at_once(workspace: Workspace, ana: Member) -> None:
    results = together([lambda: give(workspace, ana, 1000, key="k")] * 8)
    assert len(set(results)) == 1, results
    assert left(workspace, ana) == 1000


def test_the_workspace_says_how_long_it_is_good(workspace: Workspace, ana: Member) -> None:
    workspace.credit_valid_days = 30
    workspace.save()
    entry = give(workspace, ana, 1000)
    assert entry.expires_at is not None
    assert abs(entry.expires_at - entry.created_at - timedelta(days=30)) < timedelta(seconds=5)
    other = soon()
    assert give(workspace, ana, 1000, expires_at=other).expires_at == other


@pytest.mark.parametrize("minor", [0, -5, ledger.MAX_MINOR + 1])
def test_an_amount_is_positive_and_bounded(workspace: Workspace, ana: Member, minor: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        give(workspace, ana, minor)
    assert caught.value.field == "amount_minor"
    assert not CreditEntry.objects.exists()


def test_it_cannot_have_expired_already(workspace: Workspace, ana: Member) -> None:
    with pytest.raises(InvalidInput) as caught:
        give(workspace, ana, 100, expires_at=soon(-1))
    assert caught.value.field == "expires_at"


def test_credit_stays_in_its_workspace(workspace: Workspace, ana: Member) -> None:
    give(workspace, ana, 1000)
    assert left(make_room().workspace, ana) == 0
    assert left(workspace, MemberFactory()) == 0


def test_the_account_is_locked_before_it_is_read(workspace: Workspace, ana: Member) -> None:
    give(workspace, ana, 1000)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        give(workspace, ana, 1000)
    statements = [q["sql"] for q in queries]
    locked = next(i for i, q in enumerate(statements) if "FOR NO KEY UPDATE" in q)
    assert "payments_creditaccount" in statements[locked]
    assert all("payments_creditentry" not in q for q in statements[:locked])


def test_no_entry_outside_a_transaction(workspace: Workspace, ana: Member) -> None:
    account = give(workspace, ana, 1000).account
    with pytest.raises(transaction.TransactionManagementError):
        ledger.enter(
            account=account, kind="goodwill", amount_minor=1, source="x", key="x", actor=SYSTEM
        )


# --- Reversed and corrected ---------------------------------------------------------------------


def test_an_entry_is_reversed_once(workspace: Workspace, ana: Member) -> None:
    entry = give(workspace, ana, 1000)
    results = together([lambda: reverse(entry)] * 4)
    assert len(set(results)) == 1, results
    assert moves(ana) == [("goodwill", 1000), ("reversal", -1000)]
    assert (CreditEntry.objects.get(kind="reversal").reverses, left(workspace, ana)) == (entry, 0)


def test_what_has_been_spent_is_not_reversed(workspace: Workspace, ana: Member) -> None:
    entry = give(workspace, ana, 1000)
    correct(workspace, ana, -1)
    with pytest.raises(NotEnoughCredit):
        reverse(entry)
    assert left(workspace, ana) == 999


def test_what_has_expired_is_not_reversed(workspace: Workspace, ana: Member) -> None:
    """It would be taken from credit that is still good."""
    entry = give(workspace, ana, 1000, expires_at=soon())
    give(workspace, ana, 1000)
    ledger.expire_due(now=soon(7200))
    with pytest.raises(CreditNotReversible):
        reverse(entry)
    assert left(workspace, ana) == 1000


def test_a_reversed_expiry_gives_credit_that_stays(workspace: Workspace, ana: Member) -> None:
    give(workspace, ana, 1000, expires_at=soon())
    ledger.expire_due(now=soon(7200))
    reverse(CreditEntry.objects.get(kind="expiry"))
    assert left(workspace, ana) == 1000
    assert ledger.expire_due(now=soon(10**6)) == 0
    assert left(workspace, ana) == 1000


def test_a_reversal_is_not_reversed(workspace: Workspace, ana: Member) -> None:
    undone = reverse(give(workspace, ana, 1000))
    with pytest.raises(CreditNotReversible):
        reverse(undone)
    with pytest.raises(NotFound):
        ledger.reverse(entry_id=new_id(), reason="x", source="x", actor=MIA)


def test_a_correction_goes_both_ways_and_not_below_zero(workspace: Workspace, ana: Member) -> None:
    correct(workspace, ana, 500)
    correct(workspace, ana, -200)
    with pytest.raises(NotEnoughCredit):
        correct(workspace, ana, -301)
    with pytest.raises(InvalidInput):
        correct(workspace, ana, 0)
    assert left(workspace, ana) == 300


# --- Expired ------------------------------------------------------------------------------------


def test_what_expires_first_is_spent_first(workspace: Workspace, ana: Member) -> None:
    give(workspace, ana, 100)
    give(workspace, ana, 300, expires_at=soon(7200))
    give(workspace, ana, 200, expires_at=soon(3600))
    correct(workspace, ana, -250)  # all of the second hour's and 50 of the other's
    assert ledger.expire_due(now=soon(5000)) == 0
    assert ledger.expire_due(now=soon(8000)) == 1
    assert moves(ana)[-1] == ("expiry", -250)
    assert left(workspace, ana) == 100


def test_expiring_again_or_at_once_expires_nothing_more(workspace: Workspace, ana: Member) -> None:
    members = [MemberFactory() for _ in range(5)]
    for member in members:
        give(workspace, member, 100, expires_at=soon())
        give(workspace, member, 100, expires_at=soon(60))
        give(workspace, member, 50)
    moment = soon(7200)
    results = together([lambda: ledger.expire_due(now=moment)] * 4)
    assert sum(results) == 10, results  # type: ignore[arg-type]
    assert ledger.expire_due(now=moment) == 0
    assert [left(workspace, member) for member in members] == [50] * 5
    assert CreditEntry.objects.filter(kind="expiry").count() == 10
    assert CreditAccount.objects.filter(next_expiry_at__isnull=False).count() == 0


def test_a_run_is_bounded_and_the_next_goes_on(workspace: Workspace, ana: Member) -> None:
    for _ in range(3):
        give(workspace, MemberFactory(), 100, expires_at=soon())
    assert ledger.expire_due(now=soon(7200), limit=2) == 2
    assert ledger.expire_due(now=soon(7200), limit=2) == 1


def test_one_account_that_fails_does_not_keep_the_others(
    workspace: Workspace, ana: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = give(workspace, ana, 100, expires_at=soon(10)).account_id
    give(workspace, MemberFactory(), 100, expires_at=soon(20))
    real = ledger.expire_locked

    def fails(account: CreditAccount, now: datetime) -> int:
        if account.pk == broken:
            raise RuntimeError
        return real(account, now)

    monkeypatch.setattr(ledger, "expire_locked", fails)
    assert ledger.expire_due(now=soon(60)) == 1
    monkeypatch.undo()
    assert ledger.expire_due(now=soon(60)) == 1


def test_the_beat_task_expires_by_the_databases_clock(workspace: Workspace, ana: Member) -> None:
    give(workspace, ana, 100, expires_at=soon(1))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1.1)")
    assert left(workspace, ana) == 0, "what has just expired is not offered any more"
    assert CreditAccount.objects.get().balance_minor == 100
    assert tasks.expire_credit() == 1
    assert CreditAccount.objects.get().balance_minor == 0


# --- The check that can fail --------------------------------------------------------------------


def test_a_balance_that_is_not_the_sum_is_found(workspace: Workspace, ana: Member) -> None:
    """The trigger off, as only an administrator can: the check sees what it let through."""
    account = give(workspace, ana, 1000).account
    give(workspace, MemberFactory(), 700)
    assert not ledger.unbalanced().exists()
    set_balance(account, 1100)
    found = ledger.unbalanced().get()
    set_balance(account, 1000)
    assert (found.pk, found.balance_minor, found.entered_minor) == (account.pk, 1100, 1000)  # type: ignore[attr-defined]
    assert not ledger.unbalanced().exists()


def set_balance(account: CreditAccount, minor: int) -> None:
    with connect() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE payments_creditaccount SET balance_minor = %s WHERE id = %s",
            [minor, account.pk],
        )


def test_a_key_of_another_amount_is_not_answered_with_the_old_entry(
    workspace: Workspace, ana: Member
) -> None:
    first = give(workspace, ana, 1000, key="once")
    assert give(workspace, ana, 1000, key="once") == first
    with pytest.raises(IdempotencyKeyReused):
        give(workspace, ana, 9000, key="once")
    assert ledger.balance(workspace=workspace, member=ana).amount_minor == 1000
