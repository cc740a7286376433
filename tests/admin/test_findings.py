"""Findings in the admin, and the standing page: 0, or unknown, and what can be done."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings.models import Booking, Occupancy, Resource
from config.kernel import clock
from config.kernel.context import SYSTEM
from holds.models import Hold
from members.models import Workspace
from payments import findings
from payments.models import CheckRun, CreditEntry, Due, Finding, Payment
from payments.reconciler import registry
from tests.admin.conftest import SignIn
from tests.admin.support import change, changelist, confirmed, deed, payment, place
from tests.factories import MemberFactory, WorkspaceFactory

pytestmark = pytest.mark.django_db
PAGE = "/admin/money-and-slots/"
DEEDS = ("rebook", "attach", "record", "refund", "credit", "dismiss")


def finding(workspace: Workspace | None, **columns: Any) -> Finding:
    return findings.file(
        workspace=workspace,
        **(
            {
                "kind": "sum_differs",
                "severity": "high",
                "subject_type": "due",
                "subject_id": "018f0000-0000-7000-8000-000000000000",
                "summary": "K7QM2XPD: NZ$5.00 more than the booking explains",
                "evidence": {"sum": {"difference": 500}, "fingerprint": "x"},
            }
            | columns
        ),
    )


def all_checked(minutes_ago: int = 0, **columns: Any) -> None:
    at = clock.now() - timedelta(minutes=minutes_ago)
    for check in registry.CHECKS:
        CheckRun.objects.create(
            name=check.name,
            started_at=at,
            finished_at=at,
            **({"is_complete": True} | columns),
        )


def standing(browser: Client) -> dict[str, Any]:
    response = browser.get(PAGE)
    assert response.status_code == 200
    found: dict[str, Any] = response.context["standing"]
    return found


# --- Money and slots ----------------------------------------------------------------------------


def test_before_any_run_all_is_unknown(as_role: SignIn) -> None:
    found = standing(as_role("clerk"))
    assert (found["overlaps"].said, found["money"].said) == ("unknown", "unknown")
    assert "never ended a whole run" in found["overlaps"].because


def test_zero_is_said_when_everything_was_looked_at(as_role: SignIn) -> None:
    all_checked()
    found = standing(as_role("clerk"))
    assert (found["overlaps"].said, found["money"].said) == ("0", "0")
    assert found["overlaps"].is_good
    assert found["full_run"]


@pytest.mark.parametrize(("minutes", "said"), [(5, "0"), (300, "unknown")])
def test_a_stale_run_is_unknown(as_role: SignIn, minutes: int, said: str) -> None:
    all_checked(minutes)
    assert standing(as_role("clerk"))["overlaps"].said == said


def test_a_resumed_pass_is_as_fresh_as_its_beginning(as_role: SignIn) -> None:
    all_checked(5)
    now = clock.now()
    began = (now - timedelta(minutes=300)).isoformat()
    CheckRun.objects.create(
        name="dues", started_at=now, finished_at=now, is_complete=True, cursor={"began": began}
    )
    found = standing(as_role("clerk"))
    assert (found["overlaps"].said, found["money"].said) == ("0", "unknown")


def test_a_refund_that_failed_is_unexplained_money(as_role: SignIn, room: Resource) -> None:
    all_checked()
    finding(room.workspace, kind="refund_failed", subject_type="refund", subject_id="x")
    assert standing(as_role("clerk"))["money"].said == "1"


def test_a_run_that_failed_or_never_ended_is_unknown(as_role: SignIn) -> None:
    all_checked(5)
    CheckRun.objects.create(name="dues", started_at=clock.now(), error="no such table")
    found = standing(as_role("clerk"))
    assert (found["overlaps"].said, found["money"].said) == ("0", "unknown")
    CheckRun.objects.all().delete()
    all_checked(is_complete=False)
    assert standing(as_role("clerk"))["money"].said == "unknown"


def test_the_figures_count_what_is_open_in_ones_own_workspaces(
    as_role: SignIn, room: Resource
) -> None:
    all_checked()
    finding(room.workspace)
    finding(room.workspace, kind="sold_twice", subject_type="lines", subject_id="1:2")
    finding(WorkspaceFactory(), subject_id="another")
    finding(None, kind="effects_overdue", subject_type="table", subject_id="x")
    own = standing(as_role("clerk"))
    assert (own["overlaps"].said, own["money"].said, own["open_count"]) == ("1", "1", 2)
    every = standing(as_role("superuser"))
    assert (every["overlaps"].said, every["money"].said, every["open_count"]) == ("1", "2", 4)


def test_the_queue_has_its_buttons_and_the_week_its_figures(
    as_role: SignIn, room: Resource
) -> None:
    all_checked()
    row = finding(room.workspace)
    healed = finding(room.workspace, kind="capture_stuck", subject_id="2", done="It is captured.")
    findings.resolve(healed, resolution=Finding.Resolution.CAUSE_GONE, actor=SYSTEM)
    paid = payment(confirmed(room), settled_by="success_page", decided_at=clock.now())
    Payment.objects.filter(pk=paid.pk).update(captured_at=clock.now())
    finding(room.workspace, kind="sold_twice", subject_type="lines", subject_id="1:2")

    browser = as_role("manager")
    page = browser.get(PAGE).content.decode()
    assert change(row) in page
    assert deed(row, "dismiss") in page
    assert deed(row, "refund") not in page  # its due is none of ours
    found = standing(browser)
    assert found["healed"]["kinds"] == [{"what": "Capture stuck", "many": 1}]
    assert healed.closed_at is None
    assert {s["name"]: s["many"] for s in found["sources"]}["Success page"] == 1
    assert [week["found"] for week in found["trend"]] == [1] + [0] * 7
    assert found["trend"][0]["runs"] == 1


def test_its_queries_do_not_grow(as_role: SignIn, room: Resource) -> None:
    all_checked()
    finding(room.workspace, subject_id=str(confirmed(room, 9).dues.get().pk))
    browser = as_role("manager")
    standing(browser)
    with CaptureQueriesContext(connection) as before:
        standing(browser)
    for hour in range(5):
        due = confirmed(room, hour).dues.get()
        finding(room.workspace, subject_id=str(due.pk))
    with CaptureQueriesContext(connection) as after:
        standing(browser)
    assert len(after) == len(before)


def test_strangers_do_not_see_it(client: Client, as_role: SignIn) -> None:
    assert client.get(PAGE).status_code == 302
    nobody = Client()
    nobody.force_login(MemberFactory(), backend="django.contrib.auth.backends.ModelBackend")
    assert nobody.get(PAGE).status_code == 302
    other = finding(WorkspaceFactory())
    browser = as_role("owner")
    assert browser.get(deed(other, "dismiss")).status_code == 404
    assert browser.get(change(other)).status_code == 302


# --- Deeds --------------------------------------------------------------------------------------


def test_dismissing_asks_for_a_note_and_keeps_it(as_role: SignIn, room: Resource) -> None:
    row = finding(room.workspace)
    browser = as_role("manager")
    page = browser.get(deed(row, "dismiss")).content.decode()
    assert row.summary in page
    assert browser.post(deed(row, "dismiss"), {"reason": " "}).status_code == 422
    assert browser.post(deed(row, "dismiss"), {"reason": "Known to us"}).status_code == 302
    row.refresh_from_db()
    assert (row.resolution, row.note) == ("dismissed", "Known to us")
    assert row.closed_by
    assert browser.post(deed(row, "dismiss"), {"reason": "Again"}).status_code == 302
    row.refresh_from_db()
    assert row.note == "Known to us"
    assert change(row) not in browser.get(changelist(Finding)).content.decode()
    assert "Known to us" in browser.get(change(row)).content.decode()


def test_a_clerk_reads_and_does_nothing(as_role: SignIn, room: Resource) -> None:
    row = finding(room.workspace)
    browser = as_role("clerk")
    page = browser.get(change(row))
    assert page.status_code == 200
    assert "difference" in page.content.decode()
    answer = browser.post(deed(row, "dismiss"), {"reason": "No"})
    assert answer.status_code in {403, 404}
    row.refresh_from_db()
    assert row.closed_at is None


def lost_but_paid(room: Resource) -> tuple[Booking, Finding]:
    """Captured, and its booking has expired."""
    booking = place(room).booking
    paid = payment(booking)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    Occupancy.objects.filter(booking=booking).update(released_at=clock.now())
    Hold.objects.filter(booking=booking).update(state="expired", version=1)
    Booking.objects.filter(pk=booking.pk).update(state="expired", version=1)
    row = finding(
        room.workspace,
        kind="captured_without_booking",
        subject_id=str(paid.due_id),
        evidence={"sum": {"difference": paid.amount_minor}},
    )
    return booking, row


def test_rebooking_confirms_what_was_paid_for(as_role: SignIn, room: Resource) -> None:
    booking, row = lost_but_paid(room)
    answer = as_role("manager").post(deed(row, "rebook"), {"reason": "They paid"})
    assert answer.status_code == 302
    booking.refresh_from_db()
    row.refresh_from_db()
    assert (booking.state, row.resolution) == ("confirmed", "rebooked")
    assert Occupancy.objects.filter(booking=booking, released_at=None, lapses_at=None).count() == 1
    event = booking.events.get(kind="confirmed")
    assert (event.actor_kind, event.data["reason"]) == ("staff", "They paid")


def test_rebooking_never_takes_somebody_elses_slot(as_role: SignIn, room: Resource) -> None:
    booking, row = lost_but_paid(room)
    theirs = confirmed(room)
    answer = as_role("manager").post(deed(row, "rebook"), {"reason": "They paid"})
    assert answer.status_code == 422
    booking.refresh_from_db()
    row.refresh_from_db()
    assert (booking.state, row.closed_at) == ("expired", None)
    assert theirs.state == "confirmed"


def test_a_payment_at_stripe_is_attached_to_the_booking_that_lacks_it(
    as_role: SignIn, room: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(intent_id: str, *, account: str) -> dict[str, Any]:
        told = {"amount_received": 4500, "currency": "nzd", "livemode": False}
        return {"id": intent_id, "status": "succeeded", **told}

    monkeypatch.setattr("payments.stripe_api.fetch_intent_fully", fetched)
    booking, cheap = confirmed(room), confirmed(room, 15)
    Due.objects.filter(booking=cheap).update(amount_minor=100)
    row = finding(
        room.workspace,
        kind="unexplained_payment",
        subject_type="payment_intent",
        subject_id="pi_lost",
        evidence={"status": "succeeded", "account": "", "metadata": {}},
    )
    browser = as_role("manager")
    for wrong in ("NOSUCH", cheap.reference):
        answer = browser.post(deed(row, "attach"), {"reference": wrong, "reason": "Theirs"})
        assert answer.status_code == 422
    assert not Payment.objects.exists()

    said = {"reference": booking.reference.lower(), "reason": "Paid by link"}
    assert browser.post(deed(row, "attach"), said).status_code == 302
    paid = Payment.objects.get()
    assert (paid.payment_intent_id, paid.state, paid.verdict) == ("pi_lost", "captured", "capture")
    assert paid.due.booking_id == booking.pk
    assert paid.due.settled_at is not None
    row.refresh_from_db()
    assert (row.resolution, row.note) == ("attached", f"{booking.reference}: Paid by link")


def test_what_is_offered_for_what_only_stripe_knows(as_role: SignIn, room: Resource) -> None:
    paid = payment(confirmed(room))
    told = {"account": "", "metadata": {}, "amount": 700, "currency": "nzd"}
    subject = {"kind": "unexplained_payment", "subject_type": "payment_intent"}
    taken, promised, moving = (
        finding(room.workspace, **subject, subject_id=status, evidence=told | {"status": status})
        for status in ("succeeded", "requires_capture", "processing")
    )
    refund = finding(
        room.workspace,
        kind="refund_not_ours",
        subject_type="stripe_refund",
        subject_id="re_1",
        evidence={"due": str(paid.due_id), "payment_intent": paid.payment_intent_id},
    )
    browser = as_role("manager")
    offered = {
        row.pk: [name for name in DEEDS if deed(row, name) in browser.get(PAGE).content.decode()]
        for row in (taken, promised, moving, refund)
    }
    assert offered == {
        taken.pk: ["attach", "refund", "dismiss"],
        promised.pk: ["refund", "dismiss"],
        moving.pk: ["dismiss"],
        refund.pk: ["record", "dismiss"],
    }
    assert "Stripe gives NZ$7.00 back" in browser.get(deed(taken, "refund")).content.decode()
    assert "The booking stays as it is" in browser.get(deed(refund, "record")).content.decode()


def test_refunding_what_nothing_explains(as_role: SignIn, room: Resource) -> None:
    booking, row = lost_but_paid(room)
    browser = as_role("manager")
    assert "Refund NZ$45.00" in browser.get(PAGE).content.decode()
    assert browser.post(deed(row, "refund"), {"reason": "Sorry"}).status_code == 302
    refund = booking.dues.get().refunds.get()
    assert (refund.amount_minor, refund.cause, refund.reason) == (4500, "reconciler", "Sorry")
    row.refresh_from_db()
    assert row.resolution == "refunded"


def test_another_amount_than_was_shown_is_never_paid_out(as_role: SignIn, room: Resource) -> None:
    booking, row = lost_but_paid(room)
    browser = as_role("manager")
    page = browser.get(deed(row, "refund")).content.decode()
    assert re.search(r'type="hidden" name="expects" value="4500"', page)
    said = {"reason": "Sorry", "expects": "4400"}
    assert browser.post(deed(row, "refund"), said).status_code == 422
    assert not booking.dues.get().refunds.exists()
    assert browser.post(deed(row, "refund"), said | {"expects": "4500"}).status_code == 302
    assert booking.dues.get().refunds.get().amount_minor == 4500


def test_giving_credit_for_it(as_role: SignIn, room: Resource) -> None:
    member = MemberFactory(email="ana@example.test")
    _, row = lost_but_paid(room)
    said = {"amount": "12.50", "reason": "Sorry"}
    assert as_role("manager").post(deed(row, "credit"), said).status_code == 302
    entry = CreditEntry.objects.get()
    assert (entry.account.member, entry.amount_minor, entry.reason) == (member, 1250, "Sorry")
    row.refresh_from_db()
    assert row.resolution == "credited"


def test_a_fraction_of_a_cent_is_refused_and_nothing_given(as_role: SignIn, room: Resource) -> None:
    MemberFactory(email="ana@example.test")
    _, row = lost_but_paid(room)
    said = {"amount": "1.239", "reason": "Sorry"}
    response = as_role("manager").post(deed(row, "credit"), said)
    assert response.status_code == 422
    assert not CreditEntry.objects.exists()
    row.refresh_from_db()
    assert row.closed_at is None


def test_the_addresses_are_what_the_page_links(as_role: SignIn) -> None:
    assert reverse("payments_admin:money_and_slots") == PAGE
