"""Moving and extending a confirmed booking as one outcome (design.md §4).

What costs more is held until the difference is paid for, with a due and a Checkout of its own; what
costs the same or less is made at once, and the difference given back. Or nothing changes at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse

from bookings import mails, policy
from bookings.changes import MovedLine
from bookings.links import absolute
from bookings.models import Booking, Change, Line
from bookings.rules import Rules, Window
from config.kernel import clock, rows
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput
from config.kernel.locks import require_transaction
from config.kernel.money import Money, smallest_charge
from holds import changing
from holds.changing import Asked, NewWindow
from holds.models import Hold
from holds.subjects import Claimant
from payments import cancelling, connect, refunding
from payments.errors import (
    ApprovedByStaff,
    NothingChanges,
    PaymentInProgress,
    PriceChanged,
    TooLateToChange,
    Unpaid,
)
from payments.lock_objects import lock_money
from payments.models import Due, Refund
from payments.shares import Split, split
from payments.standing import standing_of_booking

BY_PRICE = "price"
NONE = "none"
CHOICES = [BY_PRICE, NONE]


@dataclass(frozen=True, slots=True)
class Settling:
    """What becomes of the difference: it is paid or given back (`price`), or left (`none`).

    `to` is where what is given back goes. `expects_minor` is the difference that was shown.
    """

    how: str = BY_PRICE
    to: str = Refund.To.CARD
    expects_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """Which lines of a booking are to go where, and on what terms.

    `version` is the booking's as its reader had it; `ttl_seconds` how long to hold what has to be
    paid for (60 to 7200; default by resource and workspace).
    """

    booking_id: UUID
    windows: Sequence[NewWindow]
    settling: Settling = Settling()
    reason: str = ""
    version: int | None = None
    ttl_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The change; `hold` is what keeps its time until it is paid for, None when it is made."""

    change: Change
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """The money of a change, to the cent: what it costs then, and what moves because of it.

    `taken` is the index of the first window of which somebody else seems to have some. What came by
    something else than a card goes back by hand.
    """

    before: Money
    after: Money
    difference: Money
    to_pay: Money
    to_card: Money
    to_hand: Money
    to_credit: Money
    taken: int | None = None


def preview(
    booking: Booking, windows: Sequence[NewWindow], settling: Settling | None = None
) -> Preview:
    """What a change would cost and give back, asked without a lock: `reschedule` decides.

    Raises what breaks the rules of the windows, as `changing.ask` does, InvalidTransition for a
    booking that is not confirmed, and NothingChanges.
    """
    how = settling or Settling()
    changing.refuse_unless_confirmed(booking)
    asked = changing.looked_up(booking, windows, now=clock.now())
    _refuse_nothing(asked)
    parts = _parts(booking, asked.difference_minor, how)
    by_hand = standing_of_booking(booking).by_hand_of(parts.card_minor)
    to_pay = asked.difference_minor if _is_to_be_paid(asked, how) else 0

    def money(minor: int) -> Money:
        return Money(minor, booking.currency)

    return Preview(
        before=booking.total,
        after=money(booking.total_minor + asked.difference_minor),
        difference=money(asked.difference_minor),
        to_pay=money(to_pay),
        to_card=money(parts.card_minor - by_hand),
        to_hand=money(by_hand),
        to_credit=money(parts.as_credit_minor),
        taken=changing.first_taken(asked),
    )


def reschedule(wish: Wish, *, actor: Actor, claimant: Claimant | None = None) -> Outcome:
    """Move lines of a confirmed booking to other windows or resources: all of them, or none.

    Must run inside a transaction, that of its idempotency record, itself within `holding.placed`.
    A difference too small for a card to be charged is not asked for. Raises what `changing.ask`
    raises, SlotTaken (409) with the index of the window, PaymentInProgress, Unpaid, PriceChanged,
    ChargesNotEnabled (409), NothingChanges (422).
    """
    return _settled(_asked(wish, actor, claimant), wish, actor)


def offer(wish: Wish, *, actor: Actor) -> Outcome:
    """Staff's own: the member gets a mail with the link to pay, in the same transaction.

    A booking without an e-mail is not told. Raises what `reschedule` raises.
    """
    outcome = reschedule(wish, actor=actor)
    hold = outcome.hold
    if hold is not None:
        rows.insert(
            mails.pay_for_change(
                hold.booking,
                outcome.change,
                amount=outcome.change.difference,
                until=hold.expires_at,
                url=pay_url(hold),
                reason=wish.reason,
            )
        )
    return outcome


def pay_url(hold: Hold) -> str:
    """Where a change that is held is paid for, by whoever has the link."""
    return absolute(reverse("holds:hold", args=[hold.token]))


def reschedule_own(wish: Wish, *, actor: Actor, claimant: Claimant) -> Outcome:
    """A member's own change: while cancelling is free, or one that only adds time.

    Raises TooLateToChange and ApprovedByStaff (409) beside what `reschedule` raises.
    """
    asked = _asked(wish, actor, claimant)
    for moved in asked.moved:
        refuse_unapproved(asked.rules[moved.resource_id], moved.line, moved.window)
    if not all(may_move(asked.booking, moved, asked.now) for moved in asked.moved):
        raise TooLateToChange
    return _settled(asked, wish, actor)


def refuse_unapproved(rules: Rules, line: Line, window: Window) -> None:
    """Where staff approve bookings, a member may give up time, and take none besides.

    Raises ApprovedByStaff.
    """
    had = Window(line.starts_at, line.ends_at)
    if rules.approval_ttl_seconds is not None and not had.contains(window):
        raise ApprovedByStaff


def may_move(booking: Booking, moved: MovedLine, now: datetime) -> bool:
    """Whether members may do this by themselves: it gives up nothing, or nothing is lost by it.

    What is over already is not made longer: that would be another booking.
    """
    return (moved.is_longer and moved.line.ends_at > now) or is_movable(booking, moved.line, now)


def is_movable(booking: Booking, line: Line, now: datetime) -> bool:
    """Whether a line can be given up without loss: cancelling it now would be free."""
    return policy.is_free(booking.policy, line.position, starts_at=line.starts_at, now=now)


def _asked(wish: Wish, actor: Actor, claimant: Claimant | None) -> Asked:
    require_transaction()
    asked = changing.ask(
        booking_id=wish.booking_id,
        windows=wish.windows,
        actor=actor,
        claimant=claimant,
        version=wish.version,
    )
    if cancelling.is_being_paid(asked.booking):
        raise PaymentInProgress
    if Due.objects.filter(booking=asked.booking, pay_again_until__isnull=False).exists():
        raise Unpaid
    if wish.settling.how not in CHOICES:
        raise InvalidInput(f"One of {', '.join(CHOICES)}.", field="difference")
    _refuse_nothing(asked)
    expects = wish.settling.expects_minor
    if expects is not None and expects != asked.difference_minor:
        raise PriceChanged(difference_minor=asked.difference_minor)
    return asked


def _settled(asked: Asked, wish: Wish, actor: Actor) -> Outcome:
    if not _is_to_be_paid(asked, wish.settling):
        return Outcome(_made(asked, wish.settling, actor, wish.reason))
    connect.refuse_unless_charging(asked.booking.workspace, asked.difference_minor)
    hold = changing.place(asked, actor=actor, ttl_seconds=wish.ttl_seconds, reason=wish.reason)
    return Outcome(change_of(hold), hold)


def _is_to_be_paid(asked: Asked, how: Settling) -> bool:
    least = max(1, smallest_charge(asked.booking.currency))
    return how.how == BY_PRICE and asked.difference_minor >= least


def _refuse_nothing(asked: Asked) -> None:
    if not any(_moves(moved) for moved in asked.moved):
        raise NothingChanges


def _moves(moved: MovedLine) -> bool:
    line = moved.line
    had = Window(line.starts_at, line.ends_at)
    return (moved.resource_id, moved.window) != (line.resource_id, had)


def _made(asked: Asked, how: Settling, actor: Actor, reason: str) -> Change:
    """Made at once; what it costs less is given back, the locks being those of the change."""
    booking = asked.booking
    parts = _parts(booking, asked.difference_minor, how)
    by_hand = standing_of_booking(booking).by_hand_of(parts.card_minor)
    story = {"settled": how.how, "money": _story(booking, parts, by_hand)}
    change = changing.make(asked, actor=actor, reason=reason, free=True, **story)
    if parts.total_minor:
        refunding.request(
            lock_money(booking.pk),
            amount_minor=parts.total_minor,
            cause=Refund.Cause.CHANGE,
            actor=actor,
            to=how.to,
            reason=reason,
        )
    return change


def _parts(booking: Booking, difference_minor: int, how: Settling) -> Split:
    """What goes back, and where: no more than what was paid beyond the new price.

    Who was once let off a difference, or given money back, has paid less than the price before.
    """
    left = standing_of_booking(booking).left
    beyond = left.total_minor - (booking.total_minor + difference_minor)
    back = min(beyond, -difference_minor)
    if how.how != BY_PRICE or back <= 0:
        return Split(0, 0, 0)
    return split(back, left, to=how.to)


def _story(booking: Booking, parts: Split, by_hand_minor: int) -> dict[str, Any] | None:
    """What history and the mail keep of the money; None when none moves."""
    if not parts.total_minor:
        return None
    return {
        "currency": booking.currency,
        "to_card_minor": parts.card_minor - by_hand_minor,
        "to_hand_minor": by_hand_minor,
        "to_credit_minor": parts.as_credit_minor,
    }


def change_of(hold: Hold) -> Change:
    """The change that a hold is for. Raises ValueError for a booking's own hold."""
    if hold.change is None:
        raise ValueError("a hold without a change")
    return hold.change
