"""Refunds at Stripe beside ours: those that nobody here asked for, and those that differ."""

from typing import Any

from config.kernel.money import Money
from payments import refunding
from payments.models import Finding, Payment, Refund
from payments.reconciler.at_stripe import FOR_FINDING, STRIPE_DIFFERS, said, uuids, workspace_of
from payments.reconciler.base import HIGH, MEDIUM, Seen
from payments.refunding import FOREIGN
from payments.states import FAILED, NEEDS_ATTENTION, SUCCEEDED

SUBJECT = "stripe_refund"
_CAME_TO_NOTHING = {"failed", "canceled"}


def judged(account: str, items: list[dict[str, Any]]) -> list[Seen]:
    """What is wrong with these refunds of an account."""
    by_id, named = _rows(items)
    paid = {
        payment.payment_intent_id: payment
        for payment in Payment.objects.select_related("due__booking").filter(
            payment_intent_id__in=[item.get("payment_intent") or "" for item in items]
        )
    }
    seen, for_findings = [], _for_findings(items)
    for item in items:
        if (item.get("metadata") or {}).get(FOR_FINDING) in for_findings:
            continue
        refund = by_id.get(item["id"]) or _explaining(item, named)
        if refund is not None:
            seen.append(_differing(account, item, refund))
        elif item["status"] not in _CAME_TO_NOTHING:
            seen.append(_foreign(account, item, paid.get(item.get("payment_intent") or "")))
    return [each for each in seen if each is not None]


def _rows(items: list[dict[str, Any]]) -> tuple[dict[str, Refund], dict[str, Refund]]:
    """Our rows by Stripe's id, and by our own id as objects name it."""
    rows = Refund.objects.select_related("payment", "due__booking")
    by_id = rows.filter(stripe_refund_id__in=[item["id"] for item in items])
    named = rows.filter(pk__in=uuids(_name(item) for item in items))
    return {row.stripe_refund_id or "": row for row in by_id}, {str(row.pk): row for row in named}


def _for_findings(items: list[dict[str, Any]]) -> set[str]:
    """The findings of ours for which staff have given something back."""
    named = [(item.get("metadata") or {}).get(FOR_FINDING, "") for item in items]
    found = Finding.objects.filter(pk__in=uuids(named)).values_list("pk", flat=True)
    return {str(pk) for pk in found}


def _name(item: dict[str, Any]) -> str:
    return str((item.get("metadata") or {}).get("refund", ""))


def _explaining(item: dict[str, Any], named: dict[str, Refund]) -> Refund | None:
    """The row that an object names, unless that has another refund at Stripe already."""
    row = named.get(_name(item))
    if row is None or not refunding.explains(row, item["id"]):
        return None
    return row if row.payment.payment_intent_id == item.get("payment_intent") else None


def _differing(account: str, item: dict[str, Any], refund: Refund) -> Seen | None:
    """Both sides of one refund; what is on its way here is followed up, and not judged."""
    came, amount = item["status"] not in _CAME_TO_NOTHING, item["amount"]
    wrong = ""
    if amount != refund.amount_minor:
        wrong = f"is one of {Money(amount, item['currency'].upper())} at Stripe"
    elif refund.state == FAILED and came:
        wrong = f"has failed or was given up here and is {item['status']} at Stripe"
    elif refund.state == NEEDS_ATTENTION and came:
        wrong = f"was refused here and is {item['status']} at Stripe"
    elif refund.state == SUCCEEDED and not came:
        wrong = f"has arrived here and is {item['status']} at Stripe"
    if not wrong:
        return None
    booking = refund.due.booking
    return Seen(
        kind=STRIPE_DIFFERS,
        severity=HIGH,
        subject_type=SUBJECT,
        subject_id=item["id"],
        workspace_id=refund.due.workspace_id,
        summary=f"{booking.reference}: a refund of {refund.amount} {wrong}",
        evidence=said(account, item)
        | {
            "refund": str(refund.pk),
            "state": refund.state,
            "amount_minor": refund.amount_minor,
            "due": str(refund.due_id),
        },
        fingerprint=f"{refund.state} {item['status']} {amount}",
    )


def _foreign(account: str, item: dict[str, Any], payment: Payment | None) -> Seen:
    money = Money(item["amount"], item["currency"].upper())
    about = payment.due.booking.reference if payment else (account or "the platform")
    return Seen(
        kind=FOREIGN,
        severity=HIGH if payment else MEDIUM,
        subject_type=SUBJECT,
        subject_id=item["id"],
        workspace_id=payment.due.workspace_id if payment else workspace_of(account, item),
        summary=f"{about}: {money} was refunded at Stripe, and not by us",
        evidence=said(account, item)
        | {"payment_intent": item.get("payment_intent")}
        | ({"due": str(payment.due_id)} if payment else {}),
        fingerprint=item["status"],
    )


def caught_up(seen: Seen) -> str:
    """Follow what has become of a refund at Stripe, where ours can still move; else empty."""
    before = seen.evidence.get("state")
    if seen.kind != STRIPE_DIFFERS or before not in {SUCCEEDED, NEEDS_ATTENTION}:
        return ""
    refund = Refund.objects.get(pk=seen.evidence["refund"])
    refunding.look_again([refund.pk])
    refunding.carry_out(refund.pk)
    refund.refresh_from_db()
    return f"It is {refund.state} here as well now." if refund.state != before else ""


def is_gone(finding: Finding) -> bool:
    """Whether both sides say the same by now. Raises what a call to Stripe raises."""
    if finding.kind == FOREIGN:
        return Refund.objects.filter(stripe_refund_id=finding.subject_id).exists()
    refund = Refund.objects.select_related("payment").get(pk=finding.evidence["refund"])
    if finding.evidence["amount"] != refund.amount_minor:
        return False
    found = refunding.find_at_stripe(refund)
    came = found is not None and found.status not in _CAME_TO_NOTHING
    return came == (refund.state != FAILED)
