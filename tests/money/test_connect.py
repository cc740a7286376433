"""A workspace's own Stripe account: onboarded, followed, cut off, and not charged until it can."""

import time
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from config.kernel import clock
from holds.models import Hold
from members.models import IdempotencyKey, Workspace
from payments import checkouts, connect, holding, stripe_api, tasks
from payments.errors import ChargesNotEnabled
from payments.holding import Claimant
from payments.models import Checkout, Finding, Signal
from tests.api.client import Api, claim, problem
from tests.core.support import SOMEBODY, hold, line, state_of
from tests.factories import ResourceFactory, WorkspaceFactory, at, make_api_key, make_room
from tests.money.conftest import Stack
from tests.money.support import (
    CANCEL,
    SUCCESS,
    Hooks,
    connected_account,
    latest,
    pay,
    room_charging,
    settle,
    start,
)
from tests.pages.support import choose, form_to, forms, send, text
from tests.support.sandbox import SandboxClient, eventually

pytestmark = pytest.mark.django_db(transaction=True)
RETURN, REFRESH = "https://book.test/back/", "https://book.test/again/"


def closed_room(charges: str = "direct", price: int = 4500) -> Any:
    """A room whose workspace's account cannot take payments."""
    workspace = WorkspaceFactory(
        charges=charges, stripe_account_id="acct_closed", stripe_charges_enabled=False
    )
    return ResourceFactory(workspace=workspace, price=price)


def onboarding(sandbox: SandboxClient) -> Any:
    """New accounts have questions to answer first."""
    sandbox.control("accounts", new_accounts="onboarding")


@pytest.fixture(autouse=True)
def _accounts_ready_again(sandbox: SandboxClient) -> Any:
    yield
    sandbox.control("accounts", new_accounts="ready")


def link(workspace: Workspace) -> str:
    return connect.onboarding_link(
        workspace_id=workspace.pk, return_url=RETURN, refresh_url=REFRESH
    )


def status(workspace: Workspace) -> tuple[bool, bool, str]:
    workspace.refresh_from_db()
    return (
        workspace.stripe_charges_enabled,
        workspace.stripe_details_submitted,
        workspace.stripe_disabled_because,
    )


# --- Onboarding -----------------------------------------------------------------------------------


def test_an_account_is_made_once_and_its_owner_led_to_stripe(sandbox: SandboxClient) -> None:
    onboarding(sandbox)
    workspace = WorkspaceFactory()

    first, second = link(workspace), link(workspace)

    workspace.refresh_from_db()
    assert workspace.stripe_account_id.startswith("acct_")
    assert first != second, "each link serves once"
    made = [r for r in sandbox.requests() if r.get("operation") == "accounts.create"]
    mine = [r for r in made if r.get("idempotency_key") == f"account:{workspace.pk}:first"]
    assert len(mine) == 1
    charges, submitted, because = status(workspace)
    assert (charges, submitted) == (False, False)
    assert because.count("missing: ")
    assert workspace.charges == "platform", "who charges is changed by hand"


def test_a_crash_before_the_account_is_written_down_makes_no_second(
    sandbox: SandboxClient,
) -> None:
    workspace = WorkspaceFactory()
    lost = stripe_api.create_account(workspace)

    link(workspace)

    workspace.refresh_from_db()
    assert workspace.stripe_account_id == lost.id


def test_answering_stripes_questions_opens_the_workspace(sandbox: SandboxClient) -> None:
    onboarding(sandbox)
    workspace = WorkspaceFactory()
    url = link(workspace)
    Workspace.objects.filter(pk=workspace.pk).update(charges="direct")
    workspace.refresh_from_db()
    assert not workspace.takes_payments

    assert sandbox.http.get(url).status_code == 200
    answer = sandbox.http.post(url, data={"outcome": "complete"}, follow_redirects=False)
    assert answer.headers["Location"] == RETURN
    assert connect.look(workspace.pk) is True

    assert status(workspace) == (True, True, "")
    assert workspace.takes_payments
    held = hold(line(ResourceFactory(workspace=workspace)))
    pay(sandbox, start(held))
    assert settle(latest(held)) == "confirmed"


def test_under_review_is_shown_as_such(sandbox: SandboxClient) -> None:
    onboarding(sandbox)
    workspace = WorkspaceFactory()
    url = link(workspace)
    sandbox.http.get(url)
    sandbox.http.post(url, data={"outcome": "under_review"}, follow_redirects=False)

    connect.look(workspace.pk)

    assert status(workspace) == (False, True, "under_review")


def test_stripe_away_is_a_503_and_nothing_is_lost(sandbox: SandboxClient) -> None:
    workspace = WorkspaceFactory()
    sandbox.fault("error_500_before", match={"operation": "accounts.create"})

    with pytest.raises(stripe_api.StripeDown):
        link(workspace)

    workspace.refresh_from_db()
    assert workspace.stripe_account_id == ""


# --- Following it ---------------------------------------------------------------------------------


def test_an_older_answer_does_not_undo_a_newer_one(sandbox: SandboxClient) -> None:
    workspace = WorkspaceFactory(stripe_account_id=connected_account(sandbox))
    connect.look(workspace.pk)
    later = clock.now()
    Workspace.objects.filter(pk=workspace.pk).update(
        stripe_seen_at=later.replace(year=later.year + 1), stripe_charges_enabled=False
    )

    connect.look(workspace.pk)

    assert status(workspace)[0] is False


def test_a_hint_during_a_look_is_looked_at_again(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = WorkspaceFactory(stripe_account_id=connected_account(sandbox))
    fetch = stripe_api.fetch_account

    def hinted(account_id: str) -> Any:
        found = fetch(account_id)
        connect.take_account_hint(account_id)
        return found

    monkeypatch.setattr(stripe_api, "fetch_account", hinted)
    connect.look(workspace.pk)

    assert connect.due_for_a_look() == [workspace.pk]


def test_the_sweep_finds_what_no_hint_told(sandbox: SandboxClient) -> None:
    account = connected_account(sandbox)
    workspace = WorkspaceFactory(stripe_account_id=account, stripe_charges_enabled=False)
    Workspace.objects.filter(pk=workspace.pk).update(stripe_seen_at=None)

    assert tasks.sweep()["accounts"] == 1

    assert status(workspace)[0] is True
    assert tasks.sweep()["accounts"] == 0


def test_events_of_the_account_reach_its_workspace_and_no_other(
    sandbox: SandboxClient, hooks: Hooks
) -> None:
    mine = WorkspaceFactory(stripe_account_id=connected_account(sandbox))
    theirs = WorkspaceFactory(stripe_account_id=connected_account(sandbox))
    before = theirs.stripe_seen_at

    sandbox.switch_account(mine.stripe_account_id, charges_enabled=False)

    eventually(lambda: status(mine)[0] is False, 30)
    assert status(theirs)[0] is True
    assert theirs.stripe_seen_at == before, "nobody looked"

    sandbox.switch_account(mine.stripe_account_id, charges_enabled=True)
    eventually(lambda: status(mine)[0] is True, 30)


def test_an_account_that_cuts_us_off_takes_no_more_payments(
    sandbox: SandboxClient, hooks: Hooks
) -> None:
    room = room_charging(sandbox, "direct")
    workspace = room.workspace
    held = hold(line(room))
    connect.look(workspace.pk)

    sandbox.switch_account(workspace.stripe_account_id, authorised=False)

    eventually(lambda: status(workspace)[0] is False, 30)
    assert status(workspace)[2] == connect.DEAUTHORISED
    with pytest.raises(ChargesNotEnabled):
        start(held)
    assert state_of(held) == ("active", "pending_payment")
    before = workspace.stripe_account_id
    link(workspace)
    workspace.refresh_from_db()
    assert workspace.stripe_account_id not in {"", before}, "another account is made"
    assert status(workspace)[0] is True


# --- Nobody pays one that cannot charge -----------------------------------------------------------


@pytest.mark.parametrize("charges", ["direct", "destination"])
def test_a_claim_and_a_checkout_are_refused(charges: str) -> None:
    room = closed_room(charges)

    def place() -> Hold:
        with transaction.atomic():
            return holding.place(
                workspace=room.workspace,
                lines=[line(room)],
                claimant=Claimant(visitor="v"),
                actor=SOMEBODY,
            )

    with pytest.raises(ChargesNotEnabled) as refused:
        place()
    assert (refused.value.status, refused.value.code) == (409, "charges_not_enabled")
    assert room.workspace.name in refused.value.message
    assert not Hold.objects.exists()

    held = hold(line(room))
    with pytest.raises(ChargesNotEnabled):
        checkouts.start(hold_id=held.pk, success_url=SUCCESS, cancel_url=CANCEL)
    assert not Checkout.objects.exists()


def test_what_is_free_can_be_booked(client: Client) -> None:
    room = closed_room(price=0)
    answer = send(client, form_to(choose(client, room, at(10)), "/hold/"))

    assert answer.status_code == 303


def test_the_platforms_own_account_needs_no_onboarding(sandbox: SandboxClient) -> None:
    room = make_room()
    assert (room.workspace.stripe_account_id, room.workspace.takes_payments) == ("", True)
    assert start(hold(line(room))).state == "open"


def test_pages_say_so_before_anything_is_held(client: Client) -> None:
    room = closed_room()
    page = choose(client, room, at(10))
    assert "cannot take payments yet" in text(page)
    assert "cannot take payments yet" in text(client.get(f"/w/{room.workspace.slug}/"))

    answer = send(client, form_to(page, "/hold/"))

    assert answer.status_code == 409
    assert "This cannot be booked yet" in text(answer)
    assert "nothing was charged" in text(answer).lower()
    assert not [f for f in forms(answer) if f.action.endswith("/hold/")], "no offers of the same"
    assert not Hold.objects.exists()


def test_the_hold_page_keeps_the_hold_and_says_so(client: Client) -> None:
    room = closed_room()
    Workspace.objects.filter(pk=room.workspace_id).update(stripe_charges_enabled=True)
    held = send(client, form_to(choose(client, room, at(10)), "/hold/")).url
    Workspace.objects.filter(pk=room.workspace_id).update(stripe_charges_enabled=False)

    form = form_to(client.get(held), "/pay/")
    answer = send(client, form, email="ada@example.test", name="Ada")

    assert answer.status_code == 409
    assert "cannot take payments just now" in text(answer)
    assert Hold.objects.get().state == "active"
    assert not Checkout.objects.exists()


def test_the_api_says_charges_not_enabled(sandbox: SandboxClient) -> None:
    room = closed_room()
    _, secret = make_api_key(workspace=room.workspace)
    api = Api(secret)

    problem(api.post("/holds", claim(room)), 409, "charges_not_enabled")
    assert IdempotencyKey.objects.get().status == 409


# --- Of another account, of another mode ----------------------------------------------------------


def of_live_mode(hooks: Hooks, held: Hold) -> dict[str, Any]:
    """An event about a paid hold, as live mode would send it."""
    checkout = latest(held)
    events = hooks.events(checkout.account, checkout.session_id or "")
    (event,) = [e for e in events if e["type"] == "checkout.session.completed"]
    return event | {"livemode": True}


def test_events_of_the_other_mode_are_ignored_and_counted(
    stack: Stack, sandbox: SandboxClient, hooks: Hooks
) -> None:
    room = room_charging(sandbox, "direct")
    fault = sandbox.fault("drop", times=None)
    held = hold(line(room))
    pay(sandbox, start(held), "pay_without_returning")
    event = of_live_mode(hooks, held)

    for number in range(3):
        assert (
            hooks.send(hooks.connect, event | {"id": f"evt_live_{time.time_ns()}{number}"}) == 200
        )
    about_account = {
        "id": f"evt_live_account_{time.time_ns()}",
        "object": "event",
        "type": "account.updated",
        "livemode": True,
        "account": room.workspace.stripe_account_id,
        "created": int(time.time()),
        "api_version": event["api_version"],
        "pending_webhooks": 1,
        "request": None,
        "data": {"object": {"id": room.workspace.stripe_account_id, "object": "account"}},
    }
    assert hooks.send(hooks.connect, about_account) == 200

    sandbox.clear(fault)
    (finding,) = Finding.objects.all()
    assert (finding.kind, finding.severity) == ("livemode_mismatch", "low")
    assert (finding.subject_id, finding.seen) == (room.workspace.stripe_account_id, 4)
    assert finding.workspace_id == room.workspace_id
    assert not Signal.objects.exists()
    assert state_of(held) == ("active", "pending_payment")
    room.workspace.refresh_from_db()
    assert room.workspace.stripe_next_look_at is None
