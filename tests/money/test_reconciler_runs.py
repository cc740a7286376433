"""Runs are bounded in time, resumed where they stopped, and leave no gap."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from config.kernel import clock
from payments import tasks
from payments.models import Checkout, CheckRun, Finding
from payments.reconciler import runner
from payments.reconciler.base import Check, Cursor, Page, Seen
from payments.reconciler.slots import Overlaps
from payments.reconciler.stripe_objects import StripePayments
from payments.stripe_api import StripeBroke, StripeDown
from tests.core.support import hold, line
from tests.factories import make_room
from tests.money.reconciling import check, open_findings, past_the_guards
from tests.money.support import SELF_HEAL, make_due, signal_for, start
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


class Stuck(Check):
    """Sees so many things that are stuck, and says what it tried and asked about."""

    name = "stuck"
    looks_for = "things"
    kinds = ("thing_stuck",)
    heals = "tries"

    def __init__(self, many: int, outcome: Callable[[str], str] = lambda _: "") -> None:
        self.many = many
        self.outcome = outcome
        self.tried: list[str] = []
        self.healed: set[str] = set()
        self.asked: list[str] = []

    def look(self, cursor: Cursor) -> Page:
        ids = [str(n) for n in range(self.many) if str(n) not in self.healed]
        return Page(self.many, [Seen("thing_stuck", "medium", "thing", n, n) for n in ids])

    def heal(self, seen: Seen) -> str:
        self.tried.append(seen.subject_id)
        done = self.outcome(seen.subject_id)
        self.healed |= {seen.subject_id} if done else set()
        return done

    def is_gone(self, finding: Finding) -> bool:
        self.asked.append(finding.subject_id)
        return bool(self.outcome(finding.subject_id))


def run(check: Check, **options: Any) -> CheckRun:
    found = runner.run(check, **options)
    assert found is not None
    return found


def told() -> set[str]:
    return {finding.subject_id for finding in open_findings("thing_stuck")}


def unreachable(_: str) -> str:
    raise StripeDown from stripe.APIConnectionError("refused")


def broken(_: str) -> str:
    raise StripeBroke from stripe.APIError("500")


# --- Healing --------------------------------------------------------------------------------------


def test_a_run_whose_time_is_up_is_gone_on_with_by_the_next(db: None) -> None:
    stuck = Stuck(3, lambda n: "Done." if n == "1" else "")
    outcomes = [run(stuck, seconds=0) for _ in range(3)]
    assert stuck.tried == ["0", "1", "2"], "one in each run, none of them twice"
    assert [each.is_complete for each in outcomes] == [False, False, True]
    assert [each.healed for each in outcomes] == [0, 1, 0]
    assert [each.looked_at for each in outcomes] == [0, 0, 3]
    assert told() == {"0", "2"}
    run(stuck, seconds=0)
    assert stuck.tried[3:] == ["0"], "a new pass tries again"


def test_while_stripe_is_out_of_reach_nothing_more_is_tried_and_all_is_told(db: None) -> None:
    stuck = Stuck(3, unreachable)
    assert run(stuck).is_complete
    assert stuck.tried == ["0"]
    assert told() == {"0", "1", "2"}


def test_one_that_stripe_answers_with_a_500_does_not_keep_the_others(db: None) -> None:
    stuck = Stuck(3, broken)
    assert run(stuck).is_complete
    assert stuck.tried == ["0", "1", "2"]


# --- Closing --------------------------------------------------------------------------------------


def unseen(many: int, outcome: Callable[[str], str], asks: int = 500) -> Stuck:
    """So many were told of, and the next pass sees none of them."""
    stuck = Stuck(many)
    run(stuck)
    stuck.many, stuck.outcome, stuck.asks = 0, outcome, asks  # type: ignore[misc]
    return stuck


def test_what_is_asked_about_one_by_one_is_bounded_and_takes_turns(db: None) -> None:
    stuck = unseen(3, lambda n: "Gone." if n == "2" else "", asks=2)
    run(stuck)
    assert stuck.asked == ["0", "1"]
    run(stuck)
    assert stuck.asked == ["0", "1", "2", "0"], "who was not asked for longest comes first"
    assert told() == {"0", "1"}


def test_no_time_left_asks_about_one(db: None) -> None:
    stuck = unseen(3, lambda _: "Gone.")
    assert run(stuck, seconds=0).is_complete
    assert stuck.asked == ["0"]
    assert told() == {"1", "2"}


@pytest.mark.parametrize(("outcome", "asked"), [(unreachable, 1), (broken, 3)])
def test_what_stripe_does_not_answer_stays_told(
    db: None, outcome: Callable[[str], str], asked: int
) -> None:
    stuck = unseen(3, outcome)
    assert run(stuck).is_complete
    assert len(stuck.asked) == asked
    assert told() == {"0", "1", "2"}


# --- Looking back ---------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [1, 24 * 60])
def test_looking_back_leaves_no_gap(hours: int) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    covered = int((now - timedelta(days=3)).timestamp())
    since = now - timedelta(hours=hours)
    for before in ({"to": covered}, {}):
        usual = StripePayments().start(now=now, before=before, since=None)["from"]
        began = StripePayments().start(now=now, before=before, since=since)
        assert began["from"] == min(usual, int(since.timestamp()))
    usual_since = now - timedelta(days=7)
    looked_at = Overlaps().start(now=now, before={}, since=since)["since"]
    assert looked_at == min(usual_since, since).isoformat()


# --- The sweep ------------------------------------------------------------------------------------


def test_each_kind_has_its_share_of_a_sweep(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make_room()
    for hour in (9, 11):
        signal_for(start(hold(line(room, hour, hour + 1))), source=SELF_HEAL)
    make_due()
    monkeypatch.setattr(tasks, "_LONGEST_SWEEP_SECONDS", 0)
    swept = tasks.sweep()
    assert (swept["signals"], swept["checkouts"]) == (1, 1), "one of each at least, and no more"


def test_a_checkout_that_has_ended_meanwhile_waits_for_no_look(sandbox: SandboxClient) -> None:
    """It had ended just before a look at it, and Stripe does not answer."""
    checkout = start(hold(line(make_room())))
    past_the_guards(
        "UPDATE payments_checkout SET state = 'expired', next_look_at = NULL WHERE id = %s",
        checkout.pk,
    )
    sandbox.fault("error_500_before", times=None)
    with pytest.raises(StripeDown):
        tasks._look_at(checkout.pk)
    checkout.refresh_from_db()
    assert (checkout.next_look_at, checkout.looks) == (None, 0)

    Checkout.objects.update(next_look_at=clock.now() - timedelta(hours=2))
    assert check("effects_overdue").found == 0, "no sweep takes it, and nothing is to be done"
