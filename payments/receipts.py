"""Receipts and refund notes: numbered per workspace without gaps, frozen when they are made.

The number's row is locked last of all, in the transaction of what the receipt is for: a transaction
that comes to nothing gives its number back.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.urls import reverse

from bookings.links import absolute, manage_token
from bookings.models import Booking
from bookings.words import moment_text, window_text
from config.kernel.locks import require_transaction
from config.kernel.money import Money, round_half_up
from members.models import Workspace
from payments.models import Due, Payment, Receipt, Refund
from payments.standing import credit_on

_NEXT = """
    INSERT INTO payments_receiptnumber AS n (workspace_id, last) VALUES (%s, 1)
    ON CONFLICT (workspace_id) DO UPDATE SET last = n.last + 1 RETURNING last
"""
BY_CARD = "card"
BY_CREDIT = "credit"


def for_payment(booking: Booking, due: Due, payment: Payment | None, now: datetime) -> Receipt:
    """The unsaved receipt for what was paid: by card, by credit, or by both."""
    by = payment.provider or BY_CARD if payment else BY_CARD
    parts = [(by, payment.amount_minor if payment else 0), (BY_CREDIT, credit_on(due))]
    lines = [_difference(booking, due)] if due.change_id else _lines(booking)
    content = _about(booking, due.currency, parts) | {"lines": lines}
    return _numbered(booking, due, Receipt.Kind.PAYMENT, content, now, payment=payment)


def for_refund(booking: Booking, refund: Refund, now: datetime) -> Receipt:
    """The unsaved note for a refund that has succeeded."""
    content = _about(booking, refund.currency, [(refund.to, refund.amount_minor)])
    content |= {"lines": [_given_back(booking, refund.amount_minor)], "reason": refund.reason}
    return _numbered(booking, refund.due, Receipt.Kind.REFUND, content, now, refund=refund)


def for_returned_credit(
    booking: Booking, due: Due, amount_minor: int, now: datetime, *, reason: str = ""
) -> Receipt:
    """The unsaved note for spent credit that was given back."""
    content = _about(booking, due.currency, [(BY_CREDIT, amount_minor)])
    content |= {"lines": [_given_back(booking, amount_minor)], "reason": reason}
    return _numbered(booking, due, Receipt.Kind.REFUND, content, now)


def tax_within(total_minor: int, basis_points: int) -> int:
    """The tax that a price includes, in minor units: 1500 basis points of 115.00 are 15.00."""
    return round_half_up(Decimal(total_minor * basis_points) / (10_000 + basis_points))


def of_booking(booking: Booking) -> list[Receipt]:
    """A booking's receipts, oldest first."""
    return list(Receipt.objects.filter(due__booking=booking).order_by("number"))


def address(receipt: Receipt, booking: Booking) -> str:
    """The path of its page, which the guest's link opens."""
    return reverse("payments:receipt", args=[manage_token(booking), receipt.pk])


def as_shown(receipt: Receipt, booking: Booking) -> dict[str, Any]:
    """The frozen content as pages and mails show it: money and times as words."""
    content = receipt.content
    currency = content["currency"]

    def money(amount_minor: int) -> str:
        return str(Money(amount_minor, currency))

    tax = content["tax"]
    return {
        "number": receipt.number,
        "title": receipt.get_kind_display(),
        "is_refund": receipt.kind == Receipt.Kind.REFUND,
        "issued": moment_text(receipt.issued_at, ZoneInfo(content["zone"])),
        "issuer": content["issuer"],
        "to": content["to"],
        "reference": content["reference"],
        "reason": content.get("reason", ""),
        "lines": [line | {"amount": money(line["amount_minor"])} for line in content["lines"]],
        "parts": [
            {"by": _by(receipt.kind, part["by"]), "amount": money(part["amount_minor"])}
            for part in content["parts"]
        ],
        "tax": tax
        and {
            "name": tax["name"],
            "percent": f"{tax['basis_points'] / 100:g}",
            "amount": money(tax["amount_minor"]),
            "net": money(tax["net_minor"]),
        },
        "total": money(content["total_minor"]),
        "url": absolute(address(receipt, booking)),
    }


def _by(kind: str, by: str) -> str:
    """By what money came or went: known words, else as its provider is called."""
    way = by.replace("_", " ")
    paid = f"Paid by {way}" if kind == Receipt.Kind.PAYMENT else f"Given back by {way}"
    return _WORDS[kind].get(by, paid)


_WORDS: dict[str, dict[str, str]] = {
    Receipt.Kind.PAYMENT: {BY_CARD: "Paid by card", BY_CREDIT: "Paid by credit"},
    Receipt.Kind.REFUND: {BY_CARD: "Given back to your card", BY_CREDIT: "Given back as credit"},
}


def _numbered(
    booking: Booking, due: Due, kind: str, content: dict[str, Any], now: datetime, **of: Any
) -> Receipt:
    return Receipt(
        workspace_id=booking.workspace_id,
        number=_next_number(booking.workspace_id),
        kind=kind,
        due=due,
        issued_at=now,
        content=content,
        **of,
    )


def _next_number(workspace_id: UUID) -> int:
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [workspace_id])
        (number,) = cursor.fetchone()
    return int(number)


def _about(booking: Booking, currency: str, parts: list[tuple[str, int]]) -> dict[str, Any]:
    workspace = booking.workspace
    total = sum(amount for _, amount in parts)
    return {
        "issuer": {"name": workspace.name, "email": workspace.contact_email},
        "to": {"name": booking.name, "email": booking.email},
        "reference": booking.reference,
        "currency": currency,
        "zone": workspace.timezone,
        "parts": [{"by": by, "amount_minor": amount} for by, amount in parts if amount],
        "total_minor": total,
        "tax": _tax(workspace, total),
    }


def _tax(workspace: Workspace, total_minor: int) -> dict[str, Any] | None:
    if not workspace.tax_basis_points:
        return None
    amount = tax_within(total_minor, workspace.tax_basis_points)
    return {
        "name": workspace.tax_name or "Tax",
        "basis_points": workspace.tax_basis_points,
        "amount_minor": amount,
        "net_minor": total_minor - amount,
    }


def _lines(booking: Booking) -> list[dict[str, Any]]:
    return [
        {
            "what": line.resource.name,
            "quantity": line.quantity,
            "when": window_text(
                line.starts_at, line.ends_at, ZoneInfo(line.resource.location.timezone)
            ),
            "amount_minor": line.amount_minor,
        }
        for line in booking.lines.select_related("resource__location").order_by("position")
    ]


def _difference(booking: Booking, due: Due) -> dict[str, Any]:
    return {
        "what": f"Change of booking {booking.reference}",
        "quantity": 1,
        "when": "",
        "amount_minor": due.amount_minor,
    }


def _given_back(booking: Booking, amount_minor: int) -> dict[str, Any]:
    return {
        "what": f"Given back for booking {booking.reference}",
        "quantity": 1,
        "when": "",
        "amount_minor": amount_minor,
    }
