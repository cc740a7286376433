"""A discount code on a hold that is not paid yet: the booking and its due cost less together."""

from typing import Any
from uuid import UUID

from bookings import discounts
from bookings.discount_rules import frozen_reduction, reduced, snapshot, without_discount
from bookings.models import Booking, DiscountUse, Line
from bookings.pricing import Quote, frozen
from bookings.services import note
from config.kernel import locks, rows
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput, NotFound
from holds.errors import CheckoutOpen, HoldExpired
from holds.models import Hold
from holds.states import ACTIVE, CONFIRMED
from payments.errors import AlreadyPaid
from payments.lock_objects import LockedMoney, lock_money


def use_code(*, hold_id: UUID, code: str, actor: Actor) -> Hold:
    """Price a live hold with a code, in place of one that it has; an empty code takes it off.

    The frozen prices of its lines stay what they are made of. Must run inside a transaction, that
    of its idempotency record, itself within `holding.placed`.

    Raises DiscountRefused (422), NotFound, HoldExpired (410), AlreadyPaid (409), and CheckoutOpen
    while it can be paid for: its Checkout, which asks for another amount, is closed first.
    """
    locks.require_transaction()
    hold = Hold.objects.select_related("workspace").filter(pk=hold_id).first()
    if hold is None:
        raise NotFound("There is no such hold.")
    if hold.change_id is not None:
        raise InvalidInput("A change keeps its booking's discount.", field=discounts.FIELD)
    found = discounts.find(hold.workspace_id, code) if code.strip() else None
    locks.advisory(found.subjects if found else [])
    money = lock_money(hold.booking_id)
    _refuse_unless_open(money)
    if _has(money.booking) != (found.discount.code if found else None):
        _reprice(money, found, actor)
    return money.hold


def _refuse_unless_open(money: LockedMoney) -> None:
    hold = money.hold
    if hold.state == CONFIRMED:
        raise AlreadyPaid
    if hold.state != ACTIVE or hold.expires_at <= money.now:
        raise HoldExpired
    if hold.has_open_checkout:
        raise CheckoutOpen(hold.pk)


def _has(booking: Booking) -> str | None:
    known = frozen_reduction(booking.price)
    return known.code if known else None


def _reprice(money: LockedMoney, found: discounts.Found | None, actor: Actor) -> None:
    booking = money.booking
    lines = list(Line.objects.filter(booking=booking).order_by("position"))
    whole = [(ln.resource_id, _whole(ln, booking.currency)) for ln in lines]
    DiscountUse.objects.filter(booking=booking).delete()
    if found is None:
        quotes = [quote for _, quote in whole]
        kept = snapshot(quotes)
    else:
        discounts.refuse_unless_fit(found, whole, at=money.now, currency=booking.currency)
        quotes = reduced(whole, found.reduction)
        kept = snapshot(quotes, found.reduction)
    _write(money, lines, quotes, kept)
    event = note(
        booking,
        kind="discounted" if found else "undiscounted",
        at=money.now,
        actor=actor,
        total_minor=booking.total_minor,
    )
    with discounts.refusals():
        rows.insert([event, *([discounts.use_of(found, booking, money.now)] if found else [])])


def _whole(line: Line, currency: str) -> Quote:
    return without_discount(frozen(line.price, currency))


def _write(
    money: LockedMoney, lines: list[Line], quotes: list[Quote], kept: dict[str, Any]
) -> None:
    """Lines, booking and due say the same at every moment that anybody can see."""
    booking, due = money.booking, money.due
    for line, priced in zip(lines, quotes, strict=True):
        line.amount_minor, line.price = priced.total.amount_minor, priced.parts
    Line.objects.bulk_update(lines, ["amount_minor", "price"])
    booking.price, booking.version = kept, booking.version + 1
    booking.total_minor = due.amount_minor = sum(q.total.amount_minor for q in quotes)
    booking.save(update_fields=["price", "total_minor", "version"])
    due.save(update_fields=["amount_minor"])
