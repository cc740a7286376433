"""What is stuck is healed where that is safe, and told where it is not."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.kernel import clock, effects
from holds.models import Hold
from holds.services import expire_lapsed
from members.models import Notification
from payments import tasks
from payments.models import Checkout, CheckRun, Finding, Payment, Refund, Signal
from payments.reconciler import registry, runner
from payments.reconciler.base import Seen
from tests.core.support import hold, lapse, line, state_of
from tests.core.threads import together
from tests.factories import make_room
from tests.money.reconciling import (
    assert_over,
    assert_told_once,
    check,
    in_the_past,
    only_finding,
    open_findings,
    past_the_guards,
)
from tests.money.support import (
    assert_never_charged,
    assert_paid_once,
    latest,
    pay,
    payment_of,
    sessions,
    settle,
    start,
)
from tests.money.test_reconciler_sums import paid, refund
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
CAPTURE = {"operation": "payment_intents.capture"}


def healed(kind: str) -> Finding:
    """The one thing that was put right, with what was done."""
    finding = Finding.objects.get(kind=kind)
    assert (finding.resolution, finding.closed_by) == ("cause_gone", "Surehold")
    assert finding.done
    assert finding.evidence["code_version"]
    return finding


def capturing(sandbox: SandboxClient) -> Hold:
    """Confirmed, and its capture has been failing for ten minutes."""
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    sandbox.fault("error_500_before", match=CAPTURE, times=None)
    assert settle(checkout) == "confirmed"
    in_the_past("payments_payment", "decided_at", payment_of(checkout).pk, minutes=10)
    past_the_guards("UPDATE payments_payment SET leased_until = NULL, next_try_at = NULL")
    return held


# --- Payments -----------------------------------------------------------------------------------


def test_silent_when_nothing_is_stuck(sandbox: SandboxClient) -> None:
    paid(sandbox)
    hold(line(make_room()))
    for name in ("payments_stuck", "checkouts_stuck", "refunds_stuck", "effects_overdue"):
        run = check(name)
        assert (run.looked_at, run.found, run.healed) == (0, 0, 0), name


def test_a_capture_that_hangs_is_told_until_it_can_be_healed(sandbox: SandboxClient) -> None:
    held = capturing(sandbox)
    finding = assert_told_once("payments_stuck", "capture_stuck")
    assert finding.evidence["payment"]["state"] == "capturing"

    sandbox.clear()
    past_the_guards("UPDATE payments_payment SET leased_until = NULL, next_try_at = NULL")
    run = check("payments_stuck")
    assert (run.healed, run.found) == (1, 0)
    assert open_findings() == []
    assert healed("capture_stuck").pk == finding.pk
    assert_paid_once(sandbox, held, asked_at_most=3)


def test_authorised_and_nobody_decided(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    (intent,) = sandbox.api("GET", "/v1/payment_intents?limit=1").json()["data"]
    payment = Payment.objects.create(
        due=checkout.due,
        checkout=checkout,
        payment_intent_id=intent["id"],
        livemode=False,
        amount_minor=4500,
        currency="NZD",
        created_at=clock.now() - timedelta(minutes=10),
    )
    Payment.objects.filter(pk=payment.pk).update(state="authorised", version=1)

    run = check("payments_stuck")
    assert (run.healed, run.found) == (1, 0)
    assert healed("authorised_not_decided").subject_id == str(payment.pk)
    assert_paid_once(sandbox, held)


def test_a_capture_that_failed_is_told_until_it_is_paid_again(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    past_the_guards("UPDATE payments_payment SET state = 'capture_failed', captured_at = NULL")
    finding = assert_told_once("payments_stuck", "capture_failed")
    assert finding.severity == "high"
    assert check("dues").found == 0  # one cause, told once

    due = latest(held).due
    due.pay_again_until = clock.now() + timedelta(hours=1)
    due.save()
    assert_over("payments_stuck", finding)


# --- Checkouts ----------------------------------------------------------------------------------


def test_a_checkout_open_past_its_hold_is_closed_at_stripe(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    lapse(held, seconds=600)
    Checkout.objects.filter(pk=checkout.pk).update(next_look_at=None)  # forgotten by the sweep

    run = check("checkouts_stuck")
    assert (run.healed, run.found) == (1, 0)
    assert healed("checkout_stuck").subject_id == str(checkout.pk)
    assert [s["status"] for s in sessions(sandbox, held)] == ["expired"]
    assert state_of(held) == ("expired", "expired")


def test_while_stripe_is_away_it_is_told_and_then_healed(sandbox: SandboxClient) -> None:
    held = hold(line(make_room()))
    start(held)
    lapse(held, seconds=600)
    sandbox.fault("error_500_before", times=None)
    finding = assert_told_once("checkouts_stuck", "checkout_stuck")
    sandbox.clear()
    assert check("checkouts_stuck").healed == 1
    assert open_findings() == []
    assert healed("checkout_stuck").pk == finding.pk


def test_one_that_was_paid_is_settled_and_given_back(sandbox: SandboxClient) -> None:
    room = make_room()
    held = hold(line(room))
    checkout = start(held)
    pay(sandbox, checkout)
    lapse(held, seconds=600)
    expire_lapsed()
    past_the_guards("UPDATE holds_hold SET ended_at = clock_timestamp() - interval '10 minutes'")
    hold(line(room))
    assert check("checkouts_stuck").healed == 1
    assert_never_charged(sandbox, held)
    assert check("dues").found == 0


# --- Refunds and effects ------------------------------------------------------------------------


def test_refunds_that_fail_or_hang(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    row = refund(held, 1000, state="requested")
    assert check("refunds_stuck").found == 0
    in_the_past("payments_refund", "created_at", row.pk, minutes=90)
    stuck = assert_told_once("refunds_stuck", "refund_stuck")
    assert stuck.severity == "medium"

    past_the_guards("UPDATE payments_refund SET state = 'failed' WHERE id = %s", row.pk)
    check("refunds_stuck")
    failed = only_finding("refund_failed")
    assert failed.severity == "high"
    assert failed.evidence["payment"] == str(row.payment_id)
    assert check("dues").found == 0  # one cause, told once

    refund(held, 1000)
    assert_over("refunds_stuck", failed)
    assert check("dues").found == 0


def fails(row: Refund) -> None:
    """The bank sends it back now."""
    past_the_guards(
        "UPDATE payments_refund SET state = 'failed', ended_at = clock_timestamp() WHERE id = %s",
        row.pk,
    )


def test_a_failed_refund_is_not_made_good_by_another_that_was_under_way(
    sandbox: SandboxClient,
) -> None:
    held = paid(sandbox)
    row, other = refund(held, 1000), refund(held, 500)
    fails(row)

    check("refunds_stuck")
    failed = only_finding("refund_failed")
    assert failed.subject_id == str(row.pk)
    assert other.created_at > row.created_at
    assert check("dues").found == 0  # one cause, told once

    refund(held, 400)
    assert check("refunds_stuck").found == 1  # not as much as was to be given back
    assert check("dues").found == 0
    refund(held, 600)
    assert_over("refunds_stuck", failed)
    assert check("dues").found == 0


def test_a_refund_that_fails_again_is_told_once(sandbox: SandboxClient) -> None:
    held = paid(sandbox)
    fails(refund(held, 4500))
    again = refund(held, 4500)
    fails(again)

    check("refunds_stuck")
    assert only_finding("refund_failed").subject_id == str(again.pk)
    assert check("dues").found == 0
    assert open_findings("sum_differs") == []


@pytest.mark.parametrize("table", ["mail", "signal", "payment"])
def test_rows_to_be_done_that_are_overdue(
    sandbox: SandboxClient, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kicked: list[str] = []

    def note(task: str, args: tuple[str, ...], countdown: float | None) -> None:
        kicked.append(args[0])

    monkeypatch.setattr(effects, "_send", note)
    held = paid(sandbox)
    Notification.objects.all().update(state="sent", version=1)
    long_ago = clock.now() - timedelta(minutes=20)
    if table == "mail":
        Notification.objects.create(
            kind="test", once="x", to="a@example.test", payload={}, due_at=long_ago
        )
    elif table == "signal":
        Signal.objects.create(
            checkout=latest(held), source="platform_webhook", next_try_at=long_ago
        )
    else:
        Payment.objects.update(next_try_at=long_ago)
    kicked.clear()

    finding = assert_told_once("effects_overdue", "effects_overdue")
    assert (finding.subject_type, finding.evidence["many"]) == ("table", 1)
    assert len(kicked) == (0 if table == "payment" else 2)  # the sweep does payments

    past_the_guards("UPDATE members_notification SET state = 'sent'")
    Signal.objects.all().update(followed_at=clock.now())
    Payment.objects.update(next_try_at=None)
    assert_over("effects_overdue", finding)


# --- How checks run -----------------------------------------------------------------------------


def test_two_at_once_do_the_work_once(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = capturing(sandbox)
    sandbox.clear()
    past_the_guards("UPDATE payments_payment SET leased_until = NULL, next_try_at = NULL")
    stuck = registry.check_named("payments_stuck")
    heal, meanwhile = stuck.heal, []

    def heal_while_another_begins(seen: Seen) -> str:
        (another,) = together([lambda: runner.run(stuck)])
        meanwhile.append(another)
        return heal(seen)

    monkeypatch.setattr(stuck, "heal", heal_while_another_begins)
    assert check("payments_stuck").healed == 1
    assert meanwhile == [None]
    assert CheckRun.objects.count() == 1
    assert_paid_once(sandbox, held, asked_at_most=3)


def test_a_run_that_died_is_taken_over(db: None) -> None:
    died = CheckRun.objects.create(name="dues", started_at=clock.now())
    assert runner.run(registry.check_named("dues")) is None
    in_the_past("payments_checkrun", "started_at", died.pk, minutes=10)
    assert check("dues").is_complete
    died.refresh_from_db()
    assert died.finished_at is None


def test_a_failing_check_says_so_and_is_due_again(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(cursor: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(registry.check_named("dues"), "look", broken)
    run = runner.run(registry.check_named("dues"))
    assert run is not None
    assert (run.is_complete, run.error) == (False, "RuntimeError: no such thing")
    assert "dues" in {each.name for each in registry.due()}


def test_the_task_runs_what_is_due_and_is_cheap_when_nothing_is(sandbox: SandboxClient) -> None:
    outcomes = tasks.reconcile()
    assert set(outcomes) == {each.name for each in registry.CHECKS}
    assert all(said.startswith("complete") for said in outcomes.values()), outcomes
    assert registry.due() == []
    assert tasks.reconcile() == {}

    past_the_guards("UPDATE payments_checkrun SET started_at = started_at - interval '2 minutes'")
    every_minute = {"checkouts_stuck", "payments_stuck", "refunds_stuck", "effects_overdue"}
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert set(tasks.reconcile()) == every_minute
    assert len(asked) <= 100


def test_after_an_outage_everything_is_due_at_once(db: None) -> None:
    for name in ("dues", "overlaps"):
        CheckRun.objects.create(
            name=name,
            started_at=clock.now() - timedelta(hours=9),
            finished_at=clock.now() - timedelta(hours=9),
            is_complete=True,
        )
    assert {each.name for each in registry.due()} == {each.name for each in registry.CHECKS}
    check("dues")
    assert "dues" not in {each.name for each in registry.due()}


def test_quiet_runs_are_forgotten_and_others_kept(db: None) -> None:
    old = clock.now() - timedelta(days=5)

    def a_run(name: str, **columns: int) -> CheckRun:
        return CheckRun.objects.create(name=name, started_at=old, finished_at=old, **columns)

    a_run("payments_stuck")
    kept = {a_run("payments_stuck", healed=1).pk, a_run("overlaps").pk}
    assert registry.forget_old() == 1
    assert set(CheckRun.objects.values_list("pk", flat=True)) == kept


def test_kinds_belong_to_one_check_each() -> None:
    kinds = [kind for each in registry.CHECKS for kind in each.kinds]
    assert len(kinds) == len(set(kinds))
