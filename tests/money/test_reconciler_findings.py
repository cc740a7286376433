"""A finding says how it stands, and what staff have settled stays settled until that changes."""

import pytest

from payments import disputes, findings, refunding
from payments.models import Finding
from payments.reconciler import deeds
from tests.money.mixed_support import STAFF, room_with
from tests.money.reconciling import check, only_finding, open_findings, past_the_guards
from tests.money.refunds_support import ask, paid, payment
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)
FOUND = {"id": "re_1", "amount": 500, "currency": "nzd", "status": "succeeded"}


def test_a_sum_that_has_moved_is_told_as_it_stands(sandbox: SandboxClient) -> None:
    held = paid(sandbox, room_with())
    past_the_guards("UPDATE bookings_booking SET state = 'expired' WHERE id = %s", held.booking_id)
    check("dues")
    first = only_finding("captured_without_booking")
    ask(held, 1000)
    check("dues")
    again = only_finding("captured_without_booking")
    assert (again.pk, again.seen) == (first.pk, 2)
    assert again.evidence["sum"]["difference"] == 3500
    assert "NZ$35.00 taken" in again.summary


def test_a_foreign_refund_that_was_dismissed_is_not_told_by_its_next_webhook(
    sandbox: SandboxClient,
) -> None:
    about = payment(paid(sandbox, room_with()))
    finding = refunding.file_foreign(about, FOUND)
    deeds.dismiss(finding, actor=STAFF, note="We did that")
    assert refunding.file_foreign(about, FOUND).pk == finding.pk
    assert open_findings() == []
    refunding.file_foreign(about, FOUND | {"status": "failed"})
    assert only_finding("refund_not_ours").pk != finding.pk


def test_without_a_fingerprint_every_time_is_told(db: None) -> None:
    asked = {"kind": "livemode_mismatch", "severity": "low", "subject_type": "account"}
    first = findings.file(**asked, subject_id="acct_1", summary="A test event")
    findings.resolve(first, resolution=Finding.Resolution.DISMISSED, actor=STAFF)
    findings.file(**asked, subject_id="acct_1", summary="A test event")
    assert only_finding("livemode_mismatch").pk != first.pk


def test_a_dispute_that_is_lost_says_so(sandbox: SandboxClient) -> None:
    about = payment(paid(sandbox, room_with()))
    said = {"id": "du_1", "amount": 4500, "currency": "nzd", "reason": "fraudulent", "created": 1}
    disputes.note(about, said | {"status": "needs_response"})
    first = only_finding("dispute")
    assert first.evidence["status"] == "needs_response"
    disputes.note(about, said | {"status": "lost"})
    lost = only_finding("dispute")
    assert (lost.pk, lost.evidence["status"]) == (first.pk, "lost")
    assert "is lost" in lost.summary
