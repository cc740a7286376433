"""Cancelling a booking, and what of its money is given back (design.md §4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from bookings import policy, services
from bookings.models import Booking
from bookings.services import locked_booking, refuse_another_version
from bookings.states import CANCELLED
from config.kernel import clock
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import Money
from holds import changing
from payments import refunding
from payments.errors import PaymentInProgress, RefundChanged, TooLateToCancel
from payments.lock_objects import LockedMoney, lock_money
from payments.models import Payment, Refund
from payments.shares import Split, split
from payments.standing import Standing, standing_of_booking
from payments.states import AUTHORISED, CAPTURING

POLICY = "policy"
NONE = "none"
FULL = "full"
AMOUNT = "amount"
CHOICES = [POLICY, NONE, FULL]


@dataclass(frozen=True, slots=True)
class Back:
    """What is to be given back: by the `policy`, `none`, in `full`, or an `amount` of staff's."""

    how: str = POLICY
    to: str = Refund.To.CARD
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """The money of a cancellation, to the cent. `paid` counts what has been given back before;
    `before` is that, `given_back` what this cancellation adds, `kept` the rest. What came by
    something else than a card goes back by hand.
    """

    paid: Money
    before: Money
    given_back: Money
    to_card: Money
    to_hand: Money
    to_credit: Money
    kept: Money

    def as_data(self) -> dict[str, Any]:
        """What history and the mail keep of it."""
        return {
            "currency": self.paid.currency,
            "given_back_minor": self.given_back.amount_minor,
            "to_card_minor": self.to_card.amount_minor,
            "to_hand_minor": self.to_hand.amount_minor,
            "to_credit_minor": self.to_credit.amount_minor,
            "kept_minor": self.kept.amount_minor,
        }


def preview(booking: Booking, back: Back | None = None, *, now: datetime | None = None) -> Preview:
    """What cancelling now would give back; `cancel` gives exactly that.

    By policy: each line's share of its price as it was frozen when the booking was made, less what
    has been given back before. Raises RefundTooLarge and NothingToRefund for an amount of staff's.
    """
    return _preview(booking, standing_of_booking(booking), back or Back(), now or clock.now())


@retried_on_deadlock
def cancel(
    *,
    booking_id: UUID,
    actor: Actor,
    reason: str = "",
    back: Back | None = None,
    expects_minor: int | None = None,
    version: int | None = None,
) -> Booking:
    """Cancel a confirmed booking, free its slots and ask for its refunds, in one transaction.

    A booking cancelled before stays as it is, and nothing more is given back. `expects_minor` is
    what its canceller was shown: RefundChanged (409) when that is no longer so. `version` is the
    booking's as they read it: VersionMismatch (412), also where it is cancelled by now. Raises
    InvalidTransition, NotFound, PaymentInProgress (409) while a payment is being captured: its
    outcome comes first; and CheckoutOpen while a change of it can be paid for: callers come through
    `holding.placed`.
    """
    asked = back or Back()
    with transaction.atomic():
        read = locked_booking(booking_id)
        refuse_another_version(read, version)
        changing.give_up_pending(read, actor)
        money = lock_money(booking_id)
        booking = money.booking
        if booking.state == CANCELLED:
            return booking
        if is_being_paid(booking):
            raise PaymentInProgress
        told = _preview(booking, standing_of_booking(booking), asked, money.now)
        if expects_minor is not None and expects_minor != told.given_back.amount_minor:
            raise RefundChanged(given_back_minor=told.given_back.amount_minor)
        booking = services.cancel(
            booking_id=booking_id,
            actor=actor,
            reason=reason,
            data=_story(asked, told),
            at=money.now,
        )
        _give_back(money, booking, asked, told, actor, reason)
        return booking


def cancel_own(
    *, booking_id: UUID, actor: Actor, reason: str = "", expects_minor: int | None = None
) -> Booking:
    """A member's own cancellation: by the policy, and only before it begins.

    Raises TooLateToCancel (409) beside what `cancel` raises.
    """
    if has_begun(Booking.objects.get(pk=booking_id)):
        raise TooLateToCancel
    return cancel(booking_id=booking_id, actor=actor, reason=reason, expects_minor=expects_minor)


def is_being_paid(booking: Booking) -> bool:
    """Whether a payment for it is accepted and its money not here yet."""
    under_way = Payment.objects.filter(due__booking=booking, state__in=[AUTHORISED, CAPTURING])
    return under_way.exists()


def has_begun(booking: Booking) -> bool:
    """Whether its first line has begun: members cancel before that."""
    return booking.starts_at <= clock.now()


def _give_back(
    money: LockedMoney, booking: Booking, asked: Back, told: Preview, actor: Actor, reason: str
) -> None:
    """The locks are those of `money`; its booking is the one that has just been cancelled."""
    money.booking.refresh_from_db()
    if not told.given_back.amount_minor:
        return
    by_policy = asked.how == POLICY
    refunding.request(
        money,
        amount_minor=told.given_back.amount_minor,
        to=asked.to,
        cause=Refund.Cause.POLICY if by_policy else Refund.Cause.STAFF,
        actor=actor,
        reason=reason,
    )


def _story(asked: Back, told: Preview) -> dict[str, Any]:
    """Nothing was paid: nothing is said about money."""
    if not told.paid.amount_minor:
        return {}
    return {"refund": asked.how, "money": told.as_data()}


def _preview(booking: Booking, standing: Standing, back: Back, now: datetime) -> Preview:
    amount = _amount(booking, standing, back, now)
    parts = split(amount, standing.left, to=back.to) if amount else Split(0, 0, 0)
    by_hand = standing.by_hand_of(parts.card_minor)

    def money(amount_minor: int) -> Money:
        return Money(amount_minor, booking.currency)

    return Preview(
        paid=money(standing.paid_minor),
        before=money(standing.given_minor),
        given_back=money(parts.total_minor),
        to_card=money(parts.card_minor - by_hand),
        to_hand=money(by_hand),
        to_credit=money(parts.as_credit_minor),
        kept=money(standing.left.total_minor - parts.total_minor),
    )


def _amount(booking: Booking, standing: Standing, back: Back, now: datetime) -> int:
    left = standing.left.total_minor
    if back.how == FULL:
        return left
    if back.how == NONE:
        return 0
    if back.how == AMOUNT:
        if not back.amount_minor or back.amount_minor < 0:
            raise InvalidInput("More than nothing.", field="amount_minor")
        return back.amount_minor
    if back.how != POLICY:
        raise InvalidInput(f"One of {', '.join(CHOICES)}.", field="refund")
    # Of a line that was given up before, what was kept is kept.
    lines = [
        (line.starts_at, line.amount_minor if line.cancelled_at is None else 0)
        for line in booking.lines.order_by("position")
    ]
    share = policy.given_back(booking.policy, lines, now=now, currency=booking.currency)
    return min(left, max(0, share - standing.given_minor))
