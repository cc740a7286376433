"""The whole product while the sandbox is at its worst: run by `python -m tests.races.worst`.

Not collected by the suite: it takes minutes.
"""

import io
import os
import time
from typing import Any

import pytest
from django.core.management import call_command

from config.kernel.context import SYSTEM
from members.models import Workspace
from payments.credits import issue
from tests.factories import MemberFactory, ResourceFactory, WorkspaceFactory, make_api_key
from tests.money.support import connected_account
from tests.races import worst_after as after
from tests.races.worst_habits import live
from tests.races.worst_members import TTL_SECONDS, Slot, Town
from tests.support.instances import Instance, Starter
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)

MEMBERS = int(os.environ.get("SUREHOLD_WORST_MEMBERS", "200"))
ROUNDS = int(os.environ.get("SUREHOLD_WORST_ROUNDS", "2"))
OVER_SECONDS = float(os.environ.get("SUREHOLD_WORST_OVER_SECONDS", "60"))
QUIET_WITHIN_SECONDS = float(os.environ.get("SUREHOLD_WORST_QUIET_SECONDS", "600"))

EXPIRE = "checkout.sessions.expire"
# Half of all webhooks are dropped; each of the others comes twice, late, or out of order. Pages
# that are not closed in time (`times` says how many) let members pay for what others have by then.
WORST: list[dict[str, Any]] = [
    {"kind": "drop", "share": 0.5},
    {"kind": "duplicate", "share": 0.34, "copies": 3},
    {"kind": "delay", "share": 0.5, "seconds": 7, "copies": 2},
    {"kind": "reorder", "count": 4},
    {
        "kind": "error_500_before",
        "share": 0.6,
        "match": {"operation": EXPIRE},
        "times": MEMBERS // 2,
    },
    {"kind": "error_500_after", "share": 0.05},
    {"kind": "error_500_before", "share": 0.02},
    {"kind": "cut_after", "share": 0.02},
    {"kind": "rate_limit_429", "share": 0.02},
    {"kind": "refund_pending", "share": 0.3, "seconds": 5},
    {"kind": "pay_and_expire", "share": 0.1},
]


@pytest.fixture
def site(web: Starter, worker: Starter, beat: Starter, sandbox: SandboxClient, settings: Any):
    """One web process, a worker and beat, and both webhook endpoints at the sandbox."""
    (instance,) = web()
    settings.SITE_URL = instance.url
    call_command("ensure_webhook_endpoints", verbosity=0)
    worker()
    beat()
    return instance


def _workspace(sandbox: SandboxClient, charges: str) -> Workspace:
    account = "" if charges == "platform" else connected_account(sandbox)
    return WorkspaceFactory(
        charges=charges,
        stripe_account_id=account,
        application_fee_basis_points=250,
        hold_ttl_seconds=TTL_SECONDS,
        checkout_grace_seconds=3,
        cancel_free_hours=48,
        cancel_partial_hours=24,
        cancel_partial_percent=50,
        cancel_fee_minor=500,
        goodwill_credit_minor=700,
        max_live_holds_per_address=10_000,
    )


def _town(sandbox: SandboxClient, web: str) -> Town:
    """Three workspaces that charge in the three ways; about as many slots as members want."""
    workspaces = [_workspace(sandbox, charges) for charges in ("platform", "direct", "destination")]
    rooms = [ResourceFactory(workspace=workspace) for workspace in workspaces for _ in range(2)]
    hours = max(2, MEMBERS * ROUNDS // len(rooms))
    slots = [Slot(room, hour % 24, 2 + hour // 24) for hour in range(hours) for room in rooms]
    secrets = {each.pk: make_api_key(workspace=each)[1] for each in workspaces}
    town = Town(web, slots, secrets)
    for number in range(MEMBERS):
        _give_credit(town, number)
    return town


def _give_credit(town: Town, number: int) -> None:
    """As `Member` has it: the workspace that this member goes to, and their address."""
    issue(
        workspace=town.slots[number % len(town.slots)].room.workspace,
        member=MemberFactory(email=f"worst{number}@example.test"),
        amount_minor=5000,
        reason="Welcome",
        source="worst",
        key=f"worst:{number}",
        actor=SYSTEM,
    )


def _audited() -> str:
    """Every check of the reconciler, the hourly ones too, now; it fails with a high finding."""
    said = io.StringIO()
    try:
        call_command("reconcile", stdout=said)
    except SystemExit:
        pytest.fail(said.getvalue())
    return said.getvalue()


def test_everything_settles_by_itself(site: Instance, sandbox: SandboxClient) -> None:
    town = _town(sandbox, site.url)
    for fault in WORST:
        sandbox.fault(**{"times": None} | fault)
    began = time.monotonic()
    live(town, members=MEMBERS, rounds=ROUNDS, over_seconds=OVER_SECONDS)
    busy = time.monotonic() - began
    figures: dict[str, Any] = {"members": MEMBERS, "busy for, s": round(busy)}
    try:
        quiet = after.wait_until_quiet(seconds=QUIET_WITHIN_SECONDS)
        figures["quiet after, s"] = round(quiet, 1)
    finally:
        figures |= dict(sorted(town.told.did.items()))
        figures["answers"] = after.counted(town.told.answers)
        figures |= after.told_of_faults(sandbox) | after.told_of_rows()
        print("\n" + after.table(figures))
        print(*town.told.wrong, sep="\n")
    sandbox.clear()  # what was held back comes after all, and changes nothing
    after.wait_until_listed()
    after.wait_until_quiet(seconds=60)
    print(_audited())
    after.assert_no_page_open(sandbox)
    after.assert_true_to_its_word(town)
    after.assert_slots()
    after.assert_every_cent(sandbox)
    after.assert_nothing_left_to_look_at()
