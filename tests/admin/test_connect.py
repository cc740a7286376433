"""Connecting a workspace to Stripe from its admin page."""

import pytest

from bookings.models import Resource
from members.models import Workspace
from tests.admin.conftest import SignIn
from tests.admin.support import change, changelist, deed
from tests.factories import WorkspaceFactory
from tests.pages.support import text
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


def accounts(sandbox: SandboxClient) -> int:
    return len([r for r in sandbox.requests() if r.get("operation") == "accounts.create"])


def test_opening_the_page_asks_nothing_of_stripe(
    as_role: SignIn, room: Resource, sandbox: SandboxClient
) -> None:
    before = accounts(sandbox)

    page = as_role("owner").get(deed(room.workspace, "connect"))

    assert "A Stripe account is made for the workspace" in text(page)
    assert "Go to Stripe" in text(page)
    assert accounts(sandbox) == before


def test_the_button_leads_to_stripe_and_back(
    as_role: SignIn, room: Resource, sandbox: SandboxClient
) -> None:
    sandbox.control("accounts", new_accounts="onboarding")
    browser = as_role("owner")
    try:
        answer = browser.post(deed(room.workspace, "connect"), {"reason": ""})
    finally:
        sandbox.control("accounts", new_accounts="ready")
    assert answer.status_code == 302
    assert answer.url.startswith(f"{sandbox.url}/connect/")
    page = text(browser.get(change(room.workspace)))
    assert "It cannot take payments;" in page
    assert "questions are not all answered (" in page
    assert "missing: " in page

    sandbox.http.get(answer.url)
    back = sandbox.http.post(answer.url, data={"outcome": "complete"}, follow_redirects=False)
    assert back.headers["Location"].endswith(deed(room.workspace, "ask_stripe"))
    page = browser.get(deed(room.workspace, "ask_stripe"), follow=True)

    assert f"{room.workspace.name} can take payments." in text(page)
    assert "It can take payments;" in text(page)
    assert "questions are answered. Seen" in text(page)
    again = sandbox.http.get(answer.url, follow_redirects=False)
    assert again.headers["Location"].endswith(deed(room.workspace, "connect")), "a used link"


def test_a_workspace_that_cannot_be_paid_is_told_so(as_role: SignIn, room: Resource) -> None:
    Workspace.objects.filter(pk=room.workspace_id).update(
        charges="direct", stripe_account_id="acct_x", stripe_charges_enabled=False
    )

    page = text(as_role("owner").get(change(room.workspace)))

    assert "nothing that costs money can be booked" in page


def test_stripe_away_says_so(as_role: SignIn, room: Resource, sandbox: SandboxClient) -> None:
    sandbox.fault("error_500_before", times=None)

    page = as_role("owner").post(deed(room.workspace, "connect"), {"reason": ""})

    assert page.status_code == 422
    assert "does not answer" in text(page)
    room.workspace.refresh_from_db()
    assert room.workspace.stripe_account_id == ""


@pytest.mark.parametrize("role", ["clerk", "manager"])
@pytest.mark.parametrize("name", ["connect", "ask_stripe"])
def test_only_owners_may(as_role: SignIn, room: Resource, role: str, name: str) -> None:
    Workspace.objects.filter(pk=room.workspace_id).update(stripe_account_id="acct_x")

    assert as_role(role).get(deed(room.workspace, name)).status_code in {403, 404}


def test_another_workspaces_owner_may_not(as_role: SignIn, room: Resource) -> None:
    other = WorkspaceFactory()
    assert as_role("owner").get(deed(other, "connect")).status_code == 404
    assert as_role("owner").get(changelist(Workspace)).status_code == 200


def test_another_account_by_hand_is_not_trusted_before_it_was_seen(
    as_role: SignIn, room: Resource
) -> None:
    workspace = room.workspace
    Workspace.objects.filter(pk=workspace.pk).update(
        stripe_account_id="acct_a", stripe_charges_enabled=True
    )
    browser = as_role("superuser")
    form = browser.get(change(workspace)).context["adminform"].form
    data = {k: v for k, v in form.initial.items() if v is not None and k in form.fields}
    for name, field in form.fields.items():
        value = field.prepare_value(form.initial.get(name))
        if value is not None:
            data[name] = value
    data.pop("logo", None)

    answer = browser.post(change(workspace), data | {"stripe_account_id": "acct_b"})

    assert answer.status_code == 302, text(answer)[:2000]
    workspace.refresh_from_db()
    assert (workspace.stripe_account_id, workspace.stripe_charges_enabled) == ("acct_b", False)
    assert workspace.stripe_seen_at is None
