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
from bookings.models import Booking, Line
from bookings.pricing import frozen
from bookings.taxes import Tax, tax_part
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

    return {
        "number": receipt.number,
        "title": receipt.get_kind_display(),
        "is_refund": receipt.kind == Receipt.Kind.REFUND,
        "issued": moment_text(receipt.issued_at, ZoneInfo(content["zone"])),
        "issuer": content["issuer"],
        "to": content["to"],
        "reference": content["reference"],
        "reason": content.get("reason", ""),
        "lines": [
            line
            | {
                "amount": money(line["amount_minor"]),
                "parts": [
                    {"label": part["label"], "amount": money(part["amount_minor"])}
                    for part in line.get("parts", [])
                ],
            }
            for line in content["lines"]
        ],
        "parts": [
            {"by": _by(receipt.kind, part["by"]), "amount": money(part["amount_minor"])}
            for part in content["parts"]
        ],
        "taxes": [
            {
                "label": Tax(tax["name"], tax["basis_points"]).label,
                "amount": money(tax["amount_minor"]),
                "net": money(tax["net_minor"]),
            }
            for tax in _taxes_in(content)
        ],
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
        "taxes": _taxes(booking, total),
    }


def _taxes(booking: Booking, total_minor: int) -> list[dict[str, Any]]:
    """By rate, the tax in an amount that was paid or given back: its share of what was frozen."""
    if "taxes" not in booking.price:
        return _as_before(booking.workspace, total_minor)
    whole = booking.total_minor
    return [_share(tax, total_minor, whole) for tax in booking.price["taxes"] if whole]


def _share(tax: dict[str, Any], amount_minor: int, whole_minor: int) -> dict[str, Any]:
    """Of tax and net, as much as an amount is of the whole booking; the two share a rounding."""
    gross = tax["amount_minor"] + tax["net_minor"]
    covered = round_half_up(Decimal(gross * amount_minor) / whole_minor)
    within = round_half_up(Decimal(tax["amount_minor"] * amount_minor) / whole_minor)
    return tax | {"amount_minor": within, "net_minor": covered - within}


def _as_before(workspace: Workspace, total_minor: int) -> list[dict[str, Any]]:
    """A booking held before taxes were frozen: its workspace's rate, within the price."""
    if not workspace.tax_basis_points:
        return []
    tax = Tax(workspace.tax_name or "Tax", workspace.tax_basis_points)
    said: dict[str, Any] = tax_part(tax, total_minor)["tax"]
    return [said]


def _taxes_in(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The taxes that a receipt says; an older one said one or none."""
    if "taxes" in content:
        return list(content["taxes"])
    return [content["tax"]] if content.get("tax") else []


def _shown(line: Line) -> list[dict[str, Any]]:
    """The parts of a line, where there is more to tell than its amount."""
    parts = [
        {"label": part["label"], "amount_minor": part["amount_minor"]}
        for part in frozen(line.price, line.booking.currency).shown
    ]
    return parts if len(parts) > 1 else []


def _lines(booking: Booking) -> list[dict[str, Any]]:
    return [
        {
            "what": line.resource.name,
            "quantity": line.quantity,
            "when": window_text(
                line.starts_at, line.ends_at, ZoneInfo(line.resource.location.timezone)
            ),
            "amount_minor": line.amount_minor,
            "parts": _shown(line),
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
