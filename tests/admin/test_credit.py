"""Credit in the admin: clerks read, managers issue and reverse, with a reason, once."""

from typing import Any

import pytest

from bookings.models import Resource
from config.kernel.context import Actor
from members.models import Member, Workspace
from payments import credits as ledger
from payments.models import CreditAccount, CreditEntry
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, changelist, deed, delete, place
from tests.factories import MemberFactory, make_room
from tests.pages.support import forms, text

pytestmark = pytest.mark.django_db
ISSUE_TO = "/admin/payments/creditaccount/issue-to/"


def give(room: Resource, member: Member, minor: int = 1000) -> CreditEntry:
    return ledger.issue(
        workspace=room.workspace,
        member=member,
        amount_minor=minor,
        reason="Noise",
        source="test",
        key=f"k{CreditEntry.objects.count()}",
        actor=Actor("staff", label="Mia"),
    )


@pytest.fixture
def account(room: Resource) -> CreditAccount:
    return give(room, MemberFactory(name="Ana", email="ana@example.test")).account


def filled(browser: Any, url: str, **typed: str) -> dict[str, str]:
    """What the form at an address sends."""
    (form,) = [f for f in forms(browser.get(url)) if "request_id" in f.fields]
    workspace = str(Workspace.objects.get().pk)
    typed = {"amount": "12.50", "reason": "Broken chair", "workspace": workspace} | typed
    return form.fields | typed


def issue(browser: Any, url: str, **typed: str) -> Any:
    return browser.post(url, filled(browser, url, **typed))


@pytest.mark.parametrize("role", ["clerk", "manager", "owner", "superuser"])
def test_everybody_reads(as_role: SignIn, account: CreditAccount, role: str) -> None:
    browser = as_role(role)
    assert b"NZ$10.00" in browser.get(changelist(CreditAccount)).content
    page = browser.get(change(account)).content
    assert b"Noise" in page
    assert b"Mia" in page
    entry = account.entries.get()
    assert browser.get(change(entry)).status_code == 200
    assert browser.get(changelist(CreditEntry)).status_code == 200


def test_nothing_is_typed_into_the_ledger(as_role: SignIn, account: CreditAccount) -> None:
    browser, entry = as_role("superuser"), account.entries.get()
    for model in (CreditAccount, CreditEntry):
        assert browser.get(add(model)).status_code == 403
    for row in (account, entry):
        assert browser.post(delete(row), {"post": "yes"}).status_code == 403
        assert browser.post(change(row), {"amount_minor": "5"}).status_code == 403
    assert list(CreditEntry.objects.values_list("amount_minor", flat=True)) == [1000]


def test_a_manager_issues_more(as_role: SignIn, account: CreditAccount) -> None:
    browser = as_role("manager")
    url = f"/admin/payments/creditaccount/{account.pk}/issue/"
    typed = filled(browser, url)
    for _ in range(2):  # a double click
        assert browser.post(url, typed)["Location"] == change(account)
    entry = account.entries.get(kind="goodwill", reason="Broken chair")
    assert (entry.amount_minor, entry.source, entry.actor_kind) == (1250, "admin", "staff")
    account.refresh_from_db()
    assert account.balance_minor == 2250


def test_a_manager_issues_to_somebody_who_booked_here(as_role: SignIn, room: Resource) -> None:
    place(room)  # Ana's, a guest's
    browser = as_role("manager")
    assert issue(browser, ISSUE_TO, email="Ana@example.test").status_code == 302
    account = CreditAccount.objects.get()
    assert (account.member.email, account.balance_minor) == ("ana@example.test", 1250)
    MemberFactory(email="stranger@example.test")
    for address in ("stranger@example.test", "nobody@example.test"):
        answer = issue(browser, ISSUE_TO, email=address)
        assert answer.status_code == 422
        assert "Nobody with this address has booked here." in text(answer)
    assert CreditAccount.objects.count() == 1
    assert not Member.objects.filter(email="nobody@example.test").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"amount": "0"}, "Amount: Ensure this value is greater"),
        ({"amount": "12.505"}, "Amount: NZD has 2 decimals."),
        ({"amount": "99999999"}, "Amount: At most"),
        ({"reason": "  "}, "Reason: This field is required."),
        ({"request_id": "mine"}, "This form is not one of ours"),
    ],
)
def test_what_is_wrong_is_said(
    as_role: SignIn, account: CreditAccount, typed: dict[str, str], said: str
) -> None:
    url = f"/admin/payments/creditaccount/{account.pk}/issue/"
    answer = issue(as_role("manager"), url, **typed)
    assert answer.status_code == 422
    assert said in text(answer)
    assert CreditEntry.objects.count() == 1


def test_an_entry_is_reversed_with_a_reason(as_role: SignIn, account: CreditAccount) -> None:
    browser, entry = as_role("manager"), account.entries.get()
    page = browser.get(change(entry))
    assert "Reverse…" in text(page)
    assert "An entry of −NZ$10.00 is added" in text(browser.get(deed(entry, "reverse")))
    assert browser.post(deed(entry, "reverse"), {"reason": "Twice"}).status_code == 302
    reversal = CreditEntry.objects.get(kind="reversal")
    assert (reversal.amount_minor, reversal.reason, reversal.reverses) == (-1000, "Twice", entry)
    assert "Reverse…" not in text(browser.get(change(entry)))
    assert "Reverse…" not in text(browser.get(change(reversal)))


def test_what_was_spent_is_not_reversed(as_role: SignIn, account: CreditAccount) -> None:
    entry = account.entries.get()
    ledger.correct(
        workspace=account.workspace, member=account.member, amount_minor=-1, reason="x",
        source="x", key="x", actor=Actor("staff"),
    )  # fmt: skip
    answer = as_role("owner").post(deed(entry, "reverse"), {"reason": "Twice"})
    assert answer.status_code == 422
    assert "There is not that much credit." in text(answer)


def test_clerks_neither_issue_nor_reverse(as_role: SignIn, account: CreditAccount) -> None:
    browser, entry = as_role("clerk"), account.entries.get()
    urls = [ISSUE_TO, f"/admin/payments/creditaccount/{account.pk}/issue/", deed(entry, "reverse")]
    for url in urls:
        assert browser.get(url).status_code == 403
        assert browser.post(url, {"amount": "1", "reason": "x"}).status_code == 403
    assert "Issue credit" not in text(browser.get(changelist(CreditAccount)))
    assert CreditEntry.objects.count() == 1


def test_other_workspaces_credit_does_not_exist(as_role: SignIn, room: Resource) -> None:
    there = make_room()
    entry = give(there, MemberFactory(name="Secret Bo"))
    browser = as_role("owner")
    assert "Secret Bo" not in text(browser.get(changelist(CreditAccount)))
    assert "Secret Bo" not in text(browser.get(changelist(CreditEntry)))
    for row in (entry, entry.account):
        assert browser.get(change(row)).status_code in {302, 404}
    urls = [f"/admin/payments/creditaccount/{entry.account_id}/issue/", deed(entry, "reverse")]
    for url in urls:
        assert browser.post(url, {"amount": "1", "reason": "x"}).status_code == 404
    place(there)
    answer = browser.post(
        ISSUE_TO,
        {"workspace": str(there.workspace_id), "email": "ana@example.test", "amount": "1",
         "reason": "x"},
    )  # fmt: skip
    assert answer.status_code == 422
    assert CreditEntry.objects.count() == 1
