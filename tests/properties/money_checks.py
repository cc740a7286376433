"""INV-5, 6, 7 and 8, and every cent at Stripe against our rows: once a run has settled down."""

from collections import Counter
from typing import Any
from uuid import UUID

from tests.core.raw import sql
from tests.properties import money
from tests.properties.deeds import Deeds
from tests.properties.money import Sums
from tests.properties.stripe_side import Books
from tests.properties.world import World

STANDS = {"confirmed", "completed", "no_show"}
_PAYMENTS = """
    SELECT p.payment_intent_id, p.due_id, p.state, p.verdict, p.amount_minor, p.account
    FROM payments_payment p JOIN payments_due d ON d.id = p.due_id WHERE d.workspace_id = ANY(%s)
"""
_REFUNDS = """
    SELECT r.id, r.due_id, d.booking_id, r.stripe_refund_id, r.state, r.amount_minor, r."to",
           p.payment_intent_id
    FROM payments_refund r JOIN payments_due d ON d.id = r.due_id
    JOIN payments_payment p ON p.id = r.payment_id WHERE d.workspace_id = ANY(%s)
"""
_CHECKOUTS = """
    SELECT c.id, c.session_id, c.state FROM payments_checkout c
    JOIN payments_due d ON d.id = c.due_id WHERE d.workspace_id = ANY(%s)
"""
_LEDGER = """
    SELECT a.id, a.balance_minor, coalesce(sum(e.amount_minor), 0)
    FROM payments_creditaccount a LEFT JOIN payments_creditentry e ON e.account_id = a.id
    WHERE a.workspace_id = ANY(%s) GROUP BY a.id
"""
# Whose booking it is about stands in one place or another.
_FINDINGS = """
    SELECT f.kind, f.severity, f.subject_type, f.subject_id, f.summary, (
        SELECT b.id FROM bookings_booking b JOIN payments_due d ON d.booking_id = b.id
        WHERE b.workspace_id = ANY(%s) AND f.summary || f.subject_id || f.evidence::text
          LIKE ANY(ARRAY['%%' || b.reference || '%%', '%%' || b.id || '%%', '%%' || d.id || '%%'])
        LIMIT 1
    )
    FROM payments_finding f
    WHERE f.closed_at IS NULL AND (f.workspace_id = ANY(%s) OR f.workspace_id IS NULL)
      AND f.subject_id <> 'members_notification'
"""


def check(here: World, deeds: Deeds, books: Books) -> None:
    """Everything about money, and what is still open."""
    payments, refunds = sql(_PAYMENTS, here.workspace_ids), sql(_REFUNDS, here.workspace_ids)
    _payments(payments, books)
    _refunds(refunds, deeds, books)
    _sessions(here, books)
    _disputes(here, books)
    for account, balance, entered in sql(_LEDGER, here.workspace_ids):
        assert balance == entered >= 0, f"account {account}: {balance}, entries {entered}"
    for sums in money.sums_of(here.bookings):
        _misfortunes(sums, payments, deeds)
        _sum(sums, [row for row in payments if row[1] == sums.due_id], books)
    for booking_id in here.bookings:
        _promises(booking_id, deeds)
    _findings(here, deeds)


# --- Row by row ---------------------------------------------------------------------------------

# What an intent is at Stripe when our payment has come to rest.
_AT_STRIPE = {
    "captured": {"succeeded"},
    "voided": {"canceled"},
    "capture_failed": {"canceled", "requires_payment_method"},
    "failed": {"requires_payment_method", "canceled"},
    "created": {"requires_payment_method", "requires_action", "canceled"},
}
_NO_MONEY = {"requires_payment_method", "requires_action", "requires_confirmation", "canceled"}


def _payments(rows: list[tuple], books: Books) -> None:
    """INV-5: every payment at Stripe is a row and the other way round; one is accepted per due."""
    known = {row[0]: row for row in rows}
    for intent in books.intents.values():
        if intent["id"] not in known:
            assert intent["status"] in _NO_MONEY, f"nobody knows of {intent}"
            assert intent["amount_received"] == 0, intent
    for intent_id, _, state, verdict, amount, account in rows:
        intent = books.intents[intent_id]
        assert intent["status"] in _AT_STRIPE[state], (state, intent["status"])
        assert intent["account"] == account
        assert intent["amount_received"] == (amount if state == "captured" else 0), intent
        assert (verdict == "") == (state in {"created", "failed"}), (state, verdict)
    accepted = Counter(r[1] for r in rows if r[3] == "capture" and r[2] != "capture_failed")
    assert all(many == 1 for many in accepted.values()), accepted


def _refunds(rows: list[tuple], deeds: Deeds, books: Books) -> None:
    """Each row is at most one refund at Stripe, and the other way round (INV-8); both agree."""
    named = Counter(each["metadata"].get("refund") for each in books.refunds.values())
    assert all(many == 1 for many in named.values()), f"given back twice: {named}"
    to_card = {str(row[0]): row for row in rows if row[6] == "card"}
    assert set(named) <= set(to_card), "a refund at Stripe that no row asked for"
    for refund_id, row in to_card.items():
        _, _, booking_id, stripe_id, state, amount, _, intent = row
        trouble = deeds.misfortunes[booking_id] & {"refund trouble", "dispute"}
        assert state == "succeeded" or (trouble and state in {"failed", "needs_attention"}), row
        if stripe_id is None:
            assert state != "succeeded", row
            assert refund_id not in named, row
            continue
        there = books.refunds[stripe_id]
        assert there["metadata"]["refund"] == refund_id
        assert (there["amount"], there["payment_intent"]) == (amount, intent)
        assert there["status"] == state, (there["status"], row)


def _sessions(here: World, books: Books) -> None:
    """A Checkout is one session (INV-8); none can be paid any more; both know how it ended."""
    rows = sql(_CHECKOUTS, here.workspace_ids)
    named = Counter(each["metadata"]["checkout"] for each in books.sessions.values())
    assert set(named) <= {str(pk) for pk, _, _ in rows}
    assert all(many == 1 for many in named.values()), f"opened twice: {named}"
    assert "open" not in {each["status"] for each in books.sessions.values()}
    for _, session_id, state in rows:
        if session_id is None:
            assert state == "abandoned", state
        else:
            assert books.sessions[session_id]["status"] == state


def _disputes(here: World, books: Books) -> None:
    """What a bank says stands here as it stands there."""
    rows = sql(
        "SELECT x.stripe_dispute_id, x.status, x.amount_minor FROM payments_dispute x"
        " JOIN payments_payment p ON p.id = x.payment_id JOIN payments_due d ON d.id = p.due_id"
        " WHERE d.workspace_id = ANY(%s)",
        here.workspace_ids,
    )
    there = {each["id"]: (each["status"], each["amount"]) for each in books.disputes.values()}
    assert {dispute_id: (status, amount) for dispute_id, status, amount in rows} == there


# --- Due by due ---------------------------------------------------------------------------------


def _misfortunes(sums: Sums, payments: list[tuple], deeds: Deeds) -> None:
    """What banks have taken back, by rows on which the sandbox has agreed above."""
    if any(row[1] == sums.due_id and row[2] == "capture_failed" for row in payments):
        deeds.befalls(sums.booking_id, "capture trouble")
    if sums.taken and sums.arrived + sums.taken > sums.captured:
        deeds.befalls(sums.booking_id, "taken twice")


def _promises(booking_id: UUID, deeds: Deeds) -> None:
    """What somebody was told they get back is what was asked for, no more and no less.

    What went back by itself, since nobody paid again for a change, was promised by the mail.
    """
    promised = deeds.promised.get(booking_id, 0)
    dues = money.sums_of([booking_id])
    asked = sum(sums.asked + sums.returned for sums in dues) - _given_up(booking_id)
    assert asked == promised, (dues, promised)


def _given_up(booking_id: UUID) -> int:
    (found,) = sql(
        "SELECT coalesce(sum(amount), 0) FROM (SELECT r.amount_minor AS amount"
        " FROM payments_refund r JOIN payments_due d ON d.id = r.due_id WHERE d.booking_id = %s"
        " AND r.reason = 'Its change was not paid for' UNION ALL SELECT e.amount_minor"
        " FROM payments_creditentry e JOIN payments_due d ON d.id = e.due_id"
        " WHERE d.booking_id = %s AND e.kind = 'returned' AND e.source = 'refund'"
        " AND e.reason = 'Its change was not paid for') back",
        booking_id, booking_id,
    )[0]  # fmt: skip
    return int(found)


def _sum(sums: Sums, payments: list[tuple], books: Books) -> None:
    """INV-6, from Stripe's own books and the ledger: what was kept is what should be.

    What was paid less what was promised back; nothing where there is no booking. What Stripe
    refused to give back is still here, and is a finding.
    """
    kept = sum(books.taken(books.intents[row[0]]) for row in payments)
    not_arrived = _not_arrived(sums)
    has = kept + sums.credit - sums.credited
    assert has == expected(sums) + not_arrived, (sums, has, not_arrived)
    if sums.state not in STANDS | {"cancelled"}:
        assert has == not_arrived, f"charged without a booking: {sums}"
        assert not sums.is_settled, sums
    for row in payments:
        if row[3] != "capture":
            left = books.taken(books.intents[row[0]])
            assert left == 0 or left <= not_arrived, f"taken and not accepted: {row}"


def expected(sums: Sums) -> int:
    """What should have been kept of a due."""
    return sums.owed - sums.arrived - sums.returned if sums.is_settled else 0


def _not_arrived(sums: Sums) -> int:
    """Refunds of payments that bought nothing and could not be carried out."""
    (found,) = sql(
        "SELECT coalesce(sum(r.amount_minor), 0) FROM payments_refund r"
        " JOIN payments_payment p ON p.id = r.payment_id WHERE r.due_id = %s"
        " AND p.verdict <> 'capture' AND r.state IN ('failed', 'needs_attention')",
        sums.due_id,
    )[0]
    return int(found)


# --- What is still open -------------------------------------------------------------------------


def _findings(here: World, deeds: Deeds) -> None:
    """Nothing stays open that the run's own misfortunes do not explain."""
    open_ones: list[Any] = sql(_FINDINGS, here.workspace_ids, here.workspace_ids)
    for kind, severity, subject_type, subject_id, summary, booking_id in open_ones:
        said = (kind, severity, subject_type, subject_id, summary)
        assert booking_id is not None, said
        assert kind in deeds.explained(UUID(str(booking_id))), said
        assert severity in {"high", "medium"}, said
