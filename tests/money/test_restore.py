"""A backup is restored and Stripe has gone on: all is healed, or found and mended by staff.

The dump and the restore are PostgreSQL's own. What happened after the backup happened in full, by
the product's own services at the sandbox; then the rows of all of it are gone.
"""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from bookings.errors import SlotTaken
from bookings.models import Booking
from config.kernel import clock
from config.kernel.context import SYSTEM
from payments import cancelling, checkouts
from payments.cancelling import FULL, Back
from payments.models import Checkout, Dispute, Finding, Payment, Receipt, Refund
from payments.reconciler import strangers
from tests.core.support import hold, lapse, line, state_of
from tests.factories import make_room
from tests.money.backups import dump, restore, rewind
from tests.money.reconciling import judge_from_now, open_findings
from tests.money.refunds_support import STAFF, ask, at_stripe, give_back, paid, refund_calls
from tests.money.support import (
    CANCEL,
    assert_paid_once,
    heal,
    intents,
    latest,
    pay,
    settle,
    start,
)
from tests.support.sandbox import SandboxClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


class Backup:
    """The moment before the disaster."""

    def __init__(self, file: Path) -> None:
        self.file, self.taken = file, clock.now()
        dump(file)

    def restored(self) -> str:
        """Put the rows back, and do what the runbook says; what the command told."""
        rewind(self.file)
        told = StringIO()
        try:
            call_command("after_restore", taken=self.taken.isoformat(), stdout=told)
        except SystemExit:
            told.write("\n(something is left for staff)")
        return told.getvalue()


@pytest.fixture
def backup(tmp_path: Path, sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch) -> Any:
    judge_from_now(monkeypatch, sandbox)
    return lambda: Backup(tmp_path / "surehold.dump")


def the_only(kind: str) -> Finding:
    (found,) = open_findings(kind)
    return found


def assert_nothing_open() -> None:
    """Another look at everything finds nothing that is left to do."""
    call_command("reconcile", stdout=StringIO())
    assert open_findings() == []


def test_what_was_under_way_is_healed(sandbox: SandboxClient, backup: Any) -> None:
    """Known, unpaid when the backup was taken, and paid after it: in time, late, or for nothing."""
    room = make_room()
    in_time, late, gone = (hold(line(room, hour, hour + 1)) for hour in (9, 11, 13))
    for held in (in_time, late, gone):
        start(held)
    before = backup()
    for held in (in_time, late, gone):
        pay(sandbox, latest(held))
        assert settle(latest(held)) == "confirmed"

    restore(before.file)
    assert state_of(in_time) == ("active", "pending_payment")
    lapse(late)
    lapse(gone)
    thief = hold(line(room, 13, 14))  # the site was opened too early
    call_command("after_restore", taken=before.taken.isoformat(), stdout=StringIO())
    heal()

    for held in (in_time, late):
        assert_paid_once(sandbox, held)
    assert state_of(gone) == ("expired", "expired")
    (refund,) = Refund.objects.all()
    assert (refund.due.booking_id, refund.state) == (gone.booking_id, "succeeded")
    assert [r["amount"] for r in at_stripe(sandbox, gone)] == [4500]
    assert state_of(thief) == ("active", "pending_payment")
    assert_nothing_open()


def test_refunds_made_since_are_recorded_and_not_made_twice(
    sandbox: SandboxClient, backup: Any
) -> None:
    room = make_room()
    cancelled, asked = paid(sandbox, room, 9), paid(sandbox, room, 11)
    (waiting,) = ask(asked, 1000).refunds
    before = backup()
    cancelling.cancel(booking_id=cancelled.booking_id, actor=STAFF, back=Back(FULL))
    heal()
    waiting.refresh_from_db()
    assert waiting.state == "succeeded"
    (lost,) = Refund.objects.filter(due__booking_id=cancelled.booking_id)

    told = before.restored()
    heal()
    waiting.refresh_from_db()
    assert waiting.state == "succeeded"
    assert refund_calls(sandbox, waiting) == [f"refund:{waiting.pk}:1"]  # before the restore
    assert [r["amount"] for r in at_stripe(sandbox, asked)] == [1000]

    assert "refund_not_ours" in told
    assert state_of(cancelled) == ("confirmed", "confirmed")
    strangers.record(the_only("refund_not_ours"), actor=STAFF, note="Cancelled on Tuesday")
    heal()
    (again,) = Refund.objects.filter(due__booking_id=cancelled.booking_id)
    assert (again.pk, again.state, again.amount_minor) == (lost.pk, "succeeded", 4500)
    cancelling.cancel(booking_id=cancelled.booking_id, actor=STAFF, back=Back(FULL))
    assert state_of(cancelled) == ("confirmed", "cancelled")
    assert Refund.objects.filter(due__booking_id=cancelled.booking_id).count() == 1
    assert len(at_stripe(sandbox, cancelled)) == 1
    assert_nothing_open()


def bought_and_forgotten(sandbox: SandboxClient, hour: int, outcome: str) -> Checkout:
    """What happens after the backup: a page is opened, and paid (and settled) or left open."""
    held = hold(line(make_room(), hour, hour + 1))
    checkout = start(held)
    if outcome != "open":
        pay(sandbox, checkout)
    if outcome == "captured":
        assert settle(checkout) == "confirmed"
    return checkout


def test_payments_that_no_row_knows_are_attached_or_given_back(
    sandbox: SandboxClient, backup: Any
) -> None:
    room = make_room()
    before = backup()
    held = paid(sandbox, room, 9)
    mine = Payment.objects.get().payment_intent_id
    other = bought_and_forgotten(sandbox, 9, "captured")
    theirs = Payment.objects.get(checkout=other).payment_intent_id
    bought_and_forgotten(sandbox, 9, "authorised")

    assert "unexplained_payment" in before.restored()
    assert not Booking.objects.exists()
    found = {f.subject_id: f for f in open_findings("unexplained_payment")}
    assert len(found) == 3
    assert room.name in found[mine].evidence["description"]
    (authorised,) = set(found) - {mine, theirs}

    anew = hold(line(room, 9, 10))  # by the member, or by staff on the public page
    strangers.attach(
        found[mine], reference=anew.booking.reference, actor=STAFF, note="Was theirs before"
    )
    strangers.give_back(found[theirs], actor=STAFF, note="Does not answer")
    strangers.give_back(found[authorised], actor=STAFF, note="Was never booked")

    assert state_of(anew) == ("confirmed", "confirmed")
    payment = Payment.objects.get()
    assert (payment.state, payment.payment_intent_id) == ("captured", mine)
    at_sandbox = intents(sandbox)
    assert at_sandbox[authorised]["status"] == "canceled"
    assert at_sandbox[mine]["status"] == at_sandbox[theirs]["status"] == "succeeded"
    assert not at_stripe(sandbox, anew)
    refunds = sandbox.api("GET", f"/v1/refunds?payment_intent={theirs}").json()["data"]
    assert [r["amount"] for r in refunds] == [4500]
    assert_nothing_open()
    assert held.booking_id != anew.booking_id


def test_a_slot_that_somebody_has_meanwhile_is_not_attached(
    sandbox: SandboxClient, backup: Any
) -> None:
    room = make_room()
    before = backup()
    paid(sandbox, room, 9)
    before.restored()
    finding = the_only("unexplained_payment")
    lost = hold(line(room, 9, 10))
    lapse(lost)
    taken = paid(sandbox, room, 9)
    with pytest.raises(SlotTaken):
        strangers.attach(
            finding, reference=Booking.objects.get(pk=lost.booking_id).reference,
            actor=STAFF, note="Theirs",
        )  # fmt: skip
    finding.refresh_from_db()
    assert finding.closed_at is None
    assert state_of(taken) == ("confirmed", "confirmed")
    assert Payment.objects.count() == 1
    strangers.give_back(finding, actor=STAFF, note="Somebody else has it")
    assert_nothing_open()


def test_pages_that_no_row_knows_are_closed_before_they_are_paid(
    sandbox: SandboxClient, backup: Any, settings: Any
) -> None:
    settings.SITE_URL = "https://book.example.com"
    before = backup()
    ours = _page("https://book.example.com/return/x")
    elsewhere = _page("https://staging.example.com/return/x")

    before.restored()
    assert _status(sandbox, ours) == "expired"
    assert _status(sandbox, elsewhere) == "open"
    finding = Finding.objects.get(kind="session_open")
    assert (finding.subject_id, finding.resolution) == (ours, "cause_gone")
    assert_nothing_open()


def _page(success_url: str) -> str:
    held = hold(line(make_room()))
    checkouts.start(hold_id=held.pk, success_url=success_url, cancel_url=CANCEL, actor=SYSTEM)
    return str(latest(held).session_id)


def _status(sandbox: SandboxClient, session: str) -> str:
    return str(sandbox.api("GET", f"/v1/checkout/sessions/{session}").json()["status"])


def test_disputes_that_were_told_before_the_restore_are_heard_again(
    sandbox: SandboxClient, backup: Any
) -> None:
    held = paid(sandbox, make_room())
    before = backup()
    opened = sandbox.dispute(payment_intent=Payment.objects.get().payment_intent_id)
    assert before.restored()
    dispute = Dispute.objects.get()
    assert (dispute.stripe_dispute_id, dispute.payment.due.booking_id) == (
        opened["id"],
        held.booking_id,
    )
    assert [f.subject_id for f in open_findings("dispute")] == [opened["id"]]


def test_receipts_leave_out_the_numbers_that_members_may_have(
    sandbox: SandboxClient, backup: Any
) -> None:
    room = make_room()
    first = paid(sandbox, room, 9)
    before = backup()
    lost = give_back(first, 500)
    assert Receipt.objects.get(refund=lost).number == 2
    before.restored()
    strangers.record(the_only("refund_not_ours"), actor=STAFF, note="As it was")
    heal()
    assert Receipt.objects.get(refund__isnull=False).number == 1002
    assert_nothing_open()
