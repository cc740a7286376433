"""What became of a change that had to be paid for: what its pages say, and why."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from bookings.dropping import LINES_CANCELLED
from bookings.links import manage_token
from bookings.models import Booking, BookingEvent, Change
from bookings.moved import Moved, given_up, moved
from bookings.states import COMMITTED, WITHOUT_OCCUPANCIES
from config.kernel import clock
from config.kernel.money import Money
from holds.models import Hold
from holds.selectors import is_live
from payments.models import Due, Payment, Receipt
from payments.selectors import due_again
from payments.states import AUTHORISED, FAILED, PROCESSING, REFUND, VOID
from payments.truth import one
from payments.unpaid import accepted

MOVED = "moved"
PAY_AGAIN = "pay_again"
PROCESSING_STILL = "processing"
KEPT = "kept"
UNPAID = "failed"
CANCELLED = "cancelled"
OPEN = "open"

RESCHEDULED = "rescheduled"


def verdict_of(hold: Hold, change: Change, booking: Booking) -> str:
    """Which page tells the truth after paying for a change.

    `moved`; `pay_again`, where its capture failed; `processing`; `kept`, where the payment came to
    nothing and the booking is where it was; `failed`, where the bank said no in the end;
    `cancelled`, where there is no booking any more; or `open`: it is unpaid, and the hold says
    whether it can still be paid.
    """
    payments = payments_of(change.pk)
    if booking.state in WITHOUT_OCCUPANCIES:
        return CANCELLED
    if change.state == COMMITTED:
        return PAY_AGAIN if due_again(booking, payments) else MOVED
    if any(p.state in {PROCESSING, AUTHORISED} for p in payments):
        return PROCESSING_STILL
    if is_live(hold, clock.now()):
        return OPEN
    if any(p.verdict in {VOID, REFUND} for p in payments):
        return KEPT
    return UNPAID if any(p.state == FAILED for p in payments) else OPEN


def payments_of(change_id: UUID) -> list[Payment]:
    """The payments for a change, oldest first."""
    found = Payment.objects.select_related("due").filter(due__change=change_id)
    return list(found.order_by("created_at"))


def after_change(hold: Hold, change: Change, verdict: str) -> dict[str, Any]:
    """The page after paying for a change."""
    truth, now = one(hold.booking)
    payments = payments_of(change.pk)
    due = Due.objects.get(change=change)
    by_card = accepted(payments)
    card_minor = by_card.amount_minor if by_card else 0
    return {
        "workspace": hold.workspace,
        "shown": truth,
        "hold": hold,
        "verdict": verdict,
        "moves": moved([change.lines])[0],
        "by_card": Money(card_minor, due.currency),
        "by_credit": Money(due.amount_minor - card_minor, due.currency),
        "refused": next((p for p in payments if p.verdict in {VOID, REFUND}), None),
        "receipts": Receipt.objects.filter(due=due).order_by("number"),
        "token": manage_token(hold.booking),
        "is_live": is_live(hold, now),
        "slim": True,
    }


def story(events: Sequence[BookingEvent]) -> Iterable[tuple[BookingEvent, list[Moved] | list[str]]]:
    """A booking's history, with what each change of it moved, and what was cancelled of it."""
    moves = moved(e.data.get("lines", []) if e.kind == RESCHEDULED else [] for e in events)
    gone = given_up(e.data["lines"] if e.kind == LINES_CANCELLED else [] for e in events)
    return zip(events, [m or g for m, g in zip(moves, gone, strict=True)], strict=True)
