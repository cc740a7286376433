"""The end of a run: time passes, everything comes round again, and both sides are asked."""

from datetime import datetime
from typing import Any

from holds.models import Hold
from holds.tasks import tidy_lapsed
from payments.models import CheckRun, Finding
from payments.reconciler import registry, runner
from payments.reconciler.stripe_objects import PerAccount
from tests.core.raw import sql
from tests.core.support import lapse
from tests.money.support import heal
from tests.properties import money_checks, slot_checks, stripe_side, world
from tests.properties.deeds import Deeds
from tests.properties.webhooks import deliver
from tests.properties.world import World
from tests.support.sandbox import SandboxClient

# Events of which no sweep asks Stripe: they come in the end, as Stripe promises.
LAST_WORDS = ("charge.dispute.closed", "charge.dispute.created", "charge.dispute.updated",
              "refund.failed")  # fmt: skip
# What heals comes first, what adds up last. Undelivered events are taken in by a rule.
_AUDITS = ("refunds_stuck", "overlaps", "dues", "credit_ledger")
_HEALERS = tuple(
    check.name
    for check in registry.CHECKS
    if check.name not in {*_AUDITS, "undelivered_events", "effects_overdue"}
)
_MOST_ROUNDS = 6
_DUE = """
    SELECT 'payment', count(*) FROM payments_payment p JOIN payments_due d ON d.id = p.due_id
    WHERE d.workspace_id = ANY(%s) AND p.next_try_at IS NOT NULL
    UNION ALL
    SELECT 'refund', count(*) FROM payments_refund r JOIN payments_due d ON d.id = r.due_id
    WHERE d.workspace_id = ANY(%s) AND r.next_try_at IS NOT NULL
    UNION ALL
    SELECT 'checkout', count(*) FROM payments_checkout c JOIN payments_due d ON d.id = c.due_id
    WHERE d.workspace_id = ANY(%s) AND c.next_look_at IS NOT NULL
    UNION ALL
    SELECT 'signal', count(*) FROM payments_signal s
    JOIN payments_checkout c ON c.id = s.checkout_id JOIN payments_due d ON d.id = c.due_id
    WHERE d.workspace_id = ANY(%s) AND s.followed_at IS NULL
    UNION ALL
    SELECT 'hold', count(*) FROM holds_hold WHERE workspace_id = ANY(%s) AND state = 'active'
    UNION ALL
    SELECT 'due', count(*) FROM payments_due
    WHERE workspace_id = ANY(%s) AND pay_again_until IS NOT NULL
"""


def settle_down(here: World, sandbox: SandboxClient) -> None:
    """Banks answer, holds and deadlines run out, and sweeps and checks run until nothing is due."""
    _banks_answer(here, sandbox)
    for hold in Hold.objects.filter(workspace__in=here.workspace_ids, state="active"):
        lapse(hold)
    _until_nothing_is_due(here)
    world.minutes_pass(here)
    for name in _HEALERS:
        run_check(here, name)
    _banks_answer(here, sandbox)
    _last_words(here, sandbox)
    for hold in Hold.objects.filter(workspace__in=here.workspace_ids, state="active"):
        lapse(hold)
    _until_nothing_is_due(here)
    for name in _AUDITS:
        run_check(here, name)
    if Finding.objects.filter(workspace__in=here.workspace_ids, closed_at=None).exists():
        for name in _HEALERS:  # what is over by now closes itself
            run_check(here, name)


def check(here: World, deeds: Deeds, sandbox: SandboxClient) -> None:
    """INV-1 to INV-10, every cent, and every finding."""
    slot_checks.check(here, deeds)
    money_checks.check(here, deeds, stripe_side.books(sandbox, here))


def run_check(here: World, name: str, *, may_fail: bool = False) -> CheckRun | None:
    """One of the reconciler's checks over all that Stripe has of this run."""
    check = registry.check_named(name)
    since = datetime.fromtimestamp(here.began).astimezone() if _is_windowed(check) else None
    _give_up_leases(name)
    row = runner.run(check, since=since, seconds=60)
    assert row is not None, f"{name} is running elsewhere"
    assert may_fail or (row.error == "" and row.is_complete), f"{name}: {row.error}"
    return row


def _is_windowed(check: Any) -> bool:
    return isinstance(check, PerAccount)


def _give_up_leases(name: str) -> None:
    """A run that a power cut ended holds its lease for minutes: they are over."""
    CheckRun.objects.filter(name=name, finished_at=None).update(started_at="2020-01-01T00:00:00Z")


def _banks_answer(here: World, sandbox: SandboxClient) -> None:
    """What was pending is not for ever: payments come in, refunds arrive."""
    for intent in stripe_side.processing(sandbox, here):
        sandbox.answer_payment(intent, "succeed")
    pending = sql(
        "SELECT r.stripe_refund_id FROM payments_refund r JOIN payments_due d ON d.id = r.due_id"
        " WHERE d.workspace_id = ANY(%s) AND r.state = 'submitted'",
        here.workspace_ids,
    )
    for (refund,) in pending:
        stripe_side.end_refund(sandbox, refund, "succeeded")


def _last_words(here: World, sandbox: SandboxClient) -> None:
    for event in stripe_side.events(sandbox, here):
        if event["type"] in LAST_WORDS:
            deliver(event)


def _until_nothing_is_due(here: World) -> None:
    for _ in range(_MOST_ROUNDS):
        world.deadlines_pass(here)
        heal()
        tidy_lapsed()
        due = {what: many for what, many in sql(_DUE, *[here.workspace_ids] * 6) if many}
        if not due:
            return
    raise AssertionError(f"it does not settle down: {due}")
