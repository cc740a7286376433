"""Cancelling a part of a booking: some of its lines, and what of their price is given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from bookings import dropping, policy
from bookings.dropping import Dropped
from bookings.models import Booking, Line
from bookings.services import Move, locked_booking
from bookings.states import CONFIRMED
from config.kernel import clock
from config.kernel.context import Actor
from config.kernel.errors import InvalidInput, InvalidTransition, VersionMismatch
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import Money
from holds import changing
from payments import refunding
from payments.cancelling import FULL, NONE, POLICY, Back, is_being_paid
from payments.errors import PaymentInProgress, RefundChanged, TooLateToCancel, Unpaid
from payments.lock_objects import lock_money
from payments.models import Due, Refund
from payments.shares import Split, split
from payments.standing import Standing, standing_of_booking

CHOICES = [POLICY, NONE, FULL]


@dataclass(frozen=True, slots=True)
class Preview:
    """The money of giving up some lines, to the cent: what the booking costs before and after,
    what is kept of those lines, and what moves because of it. What came by something else than a
    card goes back by hand.
    """

    before: Money
    after: Money
    given_back: Money
    to_card: Money
    to_hand: Money
    to_credit: Money
    kept: Money


def preview(
    booking: Booking,
    positions: Sequence[int],
    back: Back | None = None,
    *,
    now: datetime | None = None,
) -> Preview:
    """What cancelling these lines now would give back; `cancel_lines` gives exactly that.

    Raises InvalidInput for lines that are not there, are cancelled already, or are all that is
    left; InvalidTransition unless the booking is confirmed.
    """
    _refuse_unless_confirmed(booking)
    asked = back or Back()
    dropped = _dropped(booking, positions, asked, now or clock.now())
    standing = standing_of_booking(booking)
    parts = _parts(booking, dropped, asked, standing)
    return _preview(booking, dropped, parts, standing.by_hand_of(parts.card_minor))


@retried_on_deadlock
def cancel_lines(
    *,
    booking_id: UUID,
    positions: Sequence[int],
    actor: Actor,
    reason: str = "",
    back: Back | None = None,
    expects_minor: int | None = None,
    version: int | None = None,
) -> Booking:
    """Cancel some lines of a confirmed booking, free their time and give back their share.

    Lines that were all cancelled before stay so, and nothing more is given back. `expects_minor` is
    what was shown: RefundChanged (409) when that is no longer so. Raises what `preview` raises,
    VersionMismatch (412), Unpaid and PaymentInProgress (409), and CheckoutOpen while a change of
    the booking can be paid for: callers come through `holding.placed`.
    """
    asked = back or Back()
    with transaction.atomic():
        changing.give_up_pending(locked_booking(booking_id), actor)
        money = lock_money(booking_id)
        booking = money.booking
        if _are_cancelled(booking, positions):
            return booking
        _refuse_unless_confirmed(booking)
        if version is not None and version != booking.version:
            raise VersionMismatch
        _refuse_while_paying(booking)
        dropped = _dropped(booking, positions, asked, money.now)
        standing = standing_of_booking(booking)
        parts = _parts(booking, dropped, asked, standing)
        if expects_minor is not None and expects_minor != parts.total_minor:
            raise RefundChanged(given_back_minor=parts.total_minor)
        by_hand = standing.by_hand_of(parts.card_minor)
        story = {"refund": asked.how, "money": _story(booking, dropped, parts, by_hand)}
        dropping.drop(booking, dropped, Move(CONFIRMED, money.now, actor, reason, story))
        if parts.total_minor:
            refunding.request(
                lock_money(booking_id),
                amount_minor=parts.total_minor,
                cause=Refund.Cause.CHANGE,
                actor=actor,
                to=asked.to,
                reason=reason,
            )
        return booking


def cancel_own_lines(
    *,
    booking_id: UUID,
    positions: Sequence[int],
    actor: Actor,
    reason: str = "",
    expects_minor: int | None = None,
) -> Booking:
    """A member's own: by the policy, and only lines that have not begun.

    Raises TooLateToCancel (409) beside what `cancel_lines` raises.
    """
    begun = Line.objects.filter(
        booking_id=booking_id, position__in=positions, starts_at__lte=clock.now()
    )
    if begun.exists():
        raise TooLateToCancel
    return cancel_lines(
        booking_id=booking_id,
        positions=positions,
        actor=actor,
        reason=reason,
        expects_minor=expects_minor,
    )


def _refuse_unless_confirmed(booking: Booking) -> None:
    if booking.state != CONFIRMED:
        raise InvalidTransition("Only parts of a confirmed booking can be cancelled.")


def _refuse_while_paying(booking: Booking) -> None:
    if is_being_paid(booking):
        raise PaymentInProgress
    if Due.objects.filter(booking=booking, pay_again_until__isnull=False).exists():
        raise Unpaid


def _are_cancelled(booking: Booking, positions: Sequence[int]) -> bool:
    lines = {line.position: line for line in booking.lines.all()}
    known = [lines[position] for position in positions if position in lines]
    return bool(known) and all(line.cancelled_at is not None for line in known)


def _dropped(
    booking: Booking, positions: Sequence[int], back: Back, now: datetime
) -> list[Dropped]:
    """The lines with what is kept of each; a fee is taken from them in their order."""
    if back.how not in CHOICES:
        raise InvalidInput(f"One of {', '.join(CHOICES)}.", field="refund")
    lines = _chosen(booking, positions)
    shares = [_share(booking, line, back, now) for line in lines]
    fee = _fee(booking, lines) if back.how == POLICY else 0
    dropped = []
    for line, share in zip(lines, shares, strict=True):
        taken = min(fee, share)
        fee -= taken
        dropped.append(Dropped(line, line.amount_minor - share + taken))
    return dropped


def _chosen(booking: Booking, positions: Sequence[int]) -> list[Line]:
    standing = {
        line.position: line
        for line in booking.lines.order_by("position")
        if line.cancelled_at is None
    }
    wanted = _with_add_ons(standing, set(positions))
    if not wanted or not wanted <= standing.keys():
        raise InvalidInput("The booking has no such line any more.", field="lines")
    if wanted == standing.keys():
        raise InvalidInput("That is all that is left: cancel the booking instead.", field="lines")
    return [line for position, line in standing.items() if position in wanted]


def _with_add_ons(standing: dict[int, Line], wanted: set[int]) -> set[int]:
    """Add-ons are given up with their line, and not by themselves."""
    chosen = {standing[position].pk for position in wanted if position in standing}
    for position, line in standing.items():
        if line.parent_id in chosen:
            wanted = wanted | {position}
        elif line.parent_id is not None and position in wanted:
            raise InvalidInput("An add-on goes with its line.", field="lines")
    return wanted


def _share(booking: Booking, line: Line, back: Back, now: datetime) -> int:
    """Minor units of a line's price that are given back, fees aside."""
    if back.how == NONE:
        return 0
    if back.how == FULL:
        return line.amount_minor
    return policy.share_of(
        booking.policy,
        line.position,
        (line.starts_at, line.amount_minor),
        now=now,
        currency=booking.currency,
    )


def _fee(booking: Booking, lines: Sequence[Line]) -> int:
    terms = policy.terms_of(booking.policy)
    positions = {line.position for line in lines}
    return max((t.fee_minor for n, t in enumerate(terms) if n in positions), default=0)


def _parts(booking: Booking, dropped: Sequence[Dropped], back: Back, standing: Standing) -> Split:
    """What goes back, and where: no more than was paid beyond what the booking costs then."""
    after = booking.total_minor - sum(each.less_minor for each in dropped)
    beyond = standing.left.total_minor - after
    amount = min(beyond, booking.total_minor - after)
    return split(amount, standing.left, to=back.to) if amount > 0 else Split(0, 0, 0)


def _preview(
    booking: Booking, dropped: Sequence[Dropped], parts: Split, by_hand_minor: int
) -> Preview:
    def money(minor: int) -> Money:
        return Money(minor, booking.currency)

    return Preview(
        before=booking.total,
        after=money(booking.total_minor - sum(each.less_minor for each in dropped)),
        given_back=money(parts.total_minor),
        to_card=money(parts.card_minor - by_hand_minor),
        to_hand=money(by_hand_minor),
        to_credit=money(parts.as_credit_minor),
        kept=money(sum(each.kept_minor for each in dropped)),
    )


def _story(
    booking: Booking, dropped: Sequence[Dropped], parts: Split, by_hand_minor: int
) -> dict[str, int | str]:
    """What history and the mail keep of the money."""
    return {
        "currency": booking.currency,
        "given_back_minor": parts.total_minor,
        "to_card_minor": parts.card_minor - by_hand_minor,
        "to_hand_minor": by_hand_minor,
        "to_credit_minor": parts.as_credit_minor,
        "kept_minor": sum(each.kept_minor for each in dropped),
    }
