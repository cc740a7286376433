"""Opening and closing Checkouts.

Each is a committed row before Stripe hears of it, so that a crash in between leaves something to
resume: the same row gives the same request under the same idempotency key.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from bookings import discounts
from bookings.models import Booking
from bookings.services import note
from bookings.words import window_text
from config.kernel import clock, effects, rows
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import NotFound
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import round_half_up
from holds import booking_limits, ending
from holds import services as holds_services
from holds.errors import HoldExpired
from holds.models import Hold
from holds.selectors import is_live
from holds.states import ACTIVE, CONFIRMED
from members.models import Member, Workspace
from payments import (
    approval,
    connect,
    credit_spending,
    delayed,
    receipts,
    settlement,
    stripe_api,
    unpaid,
)
from payments.credit_spending import Wish
from payments.errors import AlreadyPaid, CheckoutReplaced, PaymentInProgress
from payments.lock_objects import LockedMoney, lock_due, lock_money
from payments.models import Checkout, Signal
from payments.moves import move_checkout
from payments.states import ABANDONED, COMPLETE, CREATING, EXPIRED, OPEN
from payments.stripe_api import AccountGone, StripeBroke, StripeDown, StripeRefused

log = logging.getLogger(__name__)

# Stripe wants 30 minutes or more; some are gone by the time it reads the request.
_SHORTEST = timedelta(minutes=35)
_RESUME_AFTER = timedelta(seconds=30)
# Should neither page nor webhook tell of the payment, the self-heal asks.
_FIRST_LOOK_AFTER = timedelta(minutes=2)
_LONG_OVER = timedelta(hours=24)


class _OtherCredit(Exception):
    """A page is open that asks the card for another amount: it is closed first."""


@dataclass(frozen=True, slots=True)
class Started:
    """Where to send the member; `url` is None when nothing was owed and it is confirmed."""

    url: str | None
    expires_at: datetime
    booking: Booking


def start(
    *,
    hold_id: UUID,
    success_url: str,
    cancel_url: str,
    actor: Actor = SYSTEM,
    email: str = "",
    name: str = "",
    credit_minor: int = 0,
    credit_of: Member | None = None,
) -> Started:
    """Open the payment page for a live hold, or return the one that is open already.

    `credit_minor` is spent of the credit of `credit_of` (the booking's member unless given), the
    card is asked for the rest; a page that is open with another amount of credit is closed first.
    Nothing owed, or all of it covered by credit: confirms at once. Raises NotFound, HoldExpired
    (410), AlreadyPaid, PaymentInProgress, NotEnoughCredit, CheckoutReplaced and
    ChargesNotEnabled (409), DiscountUsedUp (422) where the e-mail given has used up a code,
    MoreCreditThanOwed, RestTooSmall and BookingLimitReached (422), TemporarilyUnavailable (503;
    the hold is kept).
    """
    hold = Hold.objects.select_related("booking__member", "workspace").filter(pk=hold_id).first()
    if hold is None:
        raise NotFound("There is no such hold.")
    wish = Wish()
    if credit_minor:
        wish = Wish(credit_minor, credit_of or credit_spending.owner_of(hold.booking))
    for _ in range(3):
        try:
            prepared = _prepare(hold, success_url, cancel_url, actor, email, name, wish)
            break
        except _OtherCredit:
            close_all(hold)
    else:
        raise PaymentInProgress  # somebody keeps opening new ones
    if isinstance(prepared, Started):
        return prepared
    checkout = open_at_stripe(prepared)
    if checkout.state == COMPLETE:
        raise PaymentInProgress
    hold.refresh_from_db()
    if checkout.state != OPEN or checkout.close_requested_at is not None:
        raise CheckoutReplaced if is_live(hold, clock.now()) else HoldExpired
    return Started(checkout.url, hold.expires_at, hold.booking)


@retried_on_deadlock
def _prepare(
    found: Hold,
    success_url: str,
    cancel_url: str,
    actor: Actor,
    email: str,
    name: str,
    wish: Wish,
) -> Checkout | Started:
    """First transaction: the row, and the grace that an open Checkout gives its hold."""
    with transaction.atomic():
        booking_limits.refuse_contact(found.workspace, found.booking, email)
        money = lock_money(found.booking_id, found.change_id)
        hold, now = money.hold, money.now
        if hold.state == CONFIRMED:
            return _confirmed_before(money, wish)
        if hold.state != ACTIVE or hold.expires_at <= now:
            raise HoldExpired
        wish.check(money.due)
        _contact(money.booking, email, name)
        by_card = money.due.amount_minor - wish.minor
        connect.refuse_unless_charging(money.booking.workspace, by_card)
        approval.refuse_when_sent(money)
        if not money.due.amount_minor:
            _settle_nothing(money, actor)
            return Started(None, hold.expires_at, money.booking)
        current = _live(money)
        if current is not None and wish.is_of(current):
            return current
        if current is not None or _credit_is_out(money, wish):
            raise _OtherCredit
        if wish.covers(money.due):
            _settle_by_credit(money, wish, actor)
            return Started(None, hold.expires_at, money.booking)
        checkout = _new(money, success_url, cancel_url, wish.minor)
        rows.insert([checkout])
        grace = timedelta(seconds=money.booking.workspace.checkout_grace_seconds)
        holds_services.keep_for_checkout(money.held, grace)
        remaining = (hold.expires_at - now).total_seconds()
        effects.kick("payments.close_ended", str(checkout.pk), countdown_seconds=remaining + 0.5)
        if wish.minor:
            credit_spending.spend(money, wish, checkout=checkout, actor=actor)
        return checkout


def _confirmed_before(money: LockedMoney, wish: Wish) -> Started:
    """What this very wish has confirmed without a card is answered alike, however often (INV-8: a
    crash before the answer was kept, a duplicate that came at once). Raises AlreadyPaid.
    """
    by_credit = sum(part.minor for part in credit_spending.parts(due_ids=[money.due.pk]))
    by_money = any(payment.verdict for payment in money.payments)
    if by_money or by_credit != wish.minor or not wish.covers(money.due):
        raise AlreadyPaid
    return Started(None, money.hold.expires_at, money.booking)


def _contact(booking: Booking, email: str, name: str) -> None:
    if email or name:
        booking.email, booking.name = email or booking.email, name or booking.name
        booking.save(update_fields=["email", "name"])
        discounts.contact_changed(booking)


def _settle_nothing(money: LockedMoney, actor: Actor) -> None:
    if money.booking.needs_approval:
        approval.send(money, actor=actor)
        return
    money.due.settled_at = money.now
    money.due.save(update_fields=["settled_at"])
    holds_services.confirm_unpaid(money.held, actor)


def _settle_by_credit(money: LockedMoney, wish: Wish, actor: Actor) -> None:
    """Credit pays for all of it: Stripe has no part in it."""
    if money.booking.needs_approval:
        credit_spending.spend(money, wish, checkout=None, actor=actor)
        approval.send(money, actor=actor)
        return
    amount = money.due.amount.as_json()
    paid = note(money.booking, kind="paid", at=money.now, actor=actor, credit=True, **amount)
    rows.insert([paid])
    _settle_nothing(money, actor)
    credit_spending.spend(money, wish, checkout=None, actor=actor)
    rows.insert([receipts.for_payment(money.booking, money.due, None, money.now)])


def _credit_is_out(money: LockedMoney, wish: Wish) -> bool:
    """Whether a page that is still to be closed at Stripe holds credit, or would after this."""
    still_open = [c for c in money.checkouts.values() if c.state in {CREATING, OPEN}]
    return any(wish.minor or checkout.credit_minor for checkout in still_open)


def _live(money: LockedMoney) -> Checkout | None:
    """The Checkout that is open or being opened; one that Stripe is about to close is put aside."""
    for checkout in money.checkouts.values():
        if checkout.state == COMPLETE and _undecided(money, checkout):
            raise PaymentInProgress
    for checkout in money.checkouts.values():
        if checkout.state not in {CREATING, OPEN} or checkout.close_requested_at is not None:
            continue
        if checkout.expires_at > money.now + timedelta(minutes=1):
            return checkout
        request_close(checkout, money.now)
    return None


def next_for(money: LockedMoney, success_url: str, cancel_url: str) -> Checkout:
    """The Checkout that is open or being opened, or the row of another (caller holds the locks).

    Raises PaymentInProgress while one that was completed is not decided.
    """
    current = _live(money)
    if current is not None:
        return current
    # Credit that is still spent on it stays spent; a capture that failed gave its own back.
    kept = sum(part.minor for part in credit_spending.parts(due_ids=[money.due.pk]))
    checkout = _new(money, success_url, cancel_url, kept)
    rows.insert([checkout])
    return checkout


def _undecided(money: LockedMoney, checkout: Checkout) -> bool:
    mine = [p for p in money.payments if p.checkout_id == checkout.pk]
    return not mine or any(not p.verdict and p.state not in {"failed"} for p in mine)


def _new(money: LockedMoney, success_url: str, cancel_url: str, credit_minor: int) -> Checkout:
    booking, due, now = money.booking, money.due, money.now
    amount_minor = due.amount_minor - credit_minor
    workspace = booking.workspace
    remaining = money.hold.expires_at - now
    return Checkout(
        due=due,
        attempt=len(money.checkouts) + 1,
        account=workspace.charging_account,
        destination=_destination(workspace),
        livemode=settings.STRIPE_LIVE_MODE,
        amount_minor=amount_minor,
        credit_minor=credit_minor,
        currency=due.currency,
        takes_delayed_methods=delayed.may_pay(money),
        application_fee_minor=_fee(workspace, amount_minor),
        title=_title(money),
        email=booking.email,
        success_url=success_url,
        cancel_url=cancel_url,
        created_at=now,
        expires_at=now + max(_SHORTEST, remaining + timedelta(minutes=10)),
        next_look_at=now + _RESUME_AFTER,
    )


def _destination(workspace: Workspace) -> str:
    through_platform = workspace.charges == Workspace.Charges.DESTINATION
    return workspace.stripe_account_id if through_platform else ""


def _fee(workspace: Workspace, amount_minor: int) -> int:
    if workspace.charges == Workspace.Charges.PLATFORM:
        return 0
    return round_half_up(Decimal(amount_minor * workspace.application_fee_basis_points) / 10_000)


def _title(money: LockedMoney) -> str:
    booking = money.booking
    if money.change is not None:
        return f"Change of booking {booking.reference}"
    first = booking.lines.select_related("resource__location").first()
    if first is None:
        return booking.reference
    zone = ZoneInfo(first.resource.location.timezone)
    return f"{first.resource.name}, {window_text(first.starts_at, first.ends_at, zone)}"[:250]


def open_at_stripe(checkout: Checkout) -> Checkout:
    """Create the session of a committed row, or do nothing if that was done.

    Second transaction: the answer. The hold is read again under its locks; when it is gone by
    then, the session is to be closed.
    """
    if checkout.state != CREATING:
        return checkout
    try:
        session = stripe_api.create_session(checkout)
    except (StripeBroke, StripeRefused) as error:
        # Stripe would repeat a 5xx for this key: another try needs another row. Should a session
        # have come of it, its payment names this row and is settled (and given back) through it.
        _abandon(checkout, str(error))
        raise StripeDown from error
    except AccountGone as error:
        if checkout.account:
            _abandon(checkout, str(error.__cause__))
        raise
    return adopt(checkout.pk, session.id, session.url)


@retried_on_deadlock
def adopt(checkout_id: UUID, session_id: str, url: str = "") -> Checkout:
    """Write down the session that Stripe made for a row."""
    due_id = Checkout.objects.values_list("due_id", flat=True).get(pk=checkout_id)
    with transaction.atomic():
        money = lock_due(due_id)
        checkout = money.checkouts[checkout_id]
        if checkout.session_id:
            return checkout
        until = unpaid.payable_until(money) or money.now
        wanted = checkout.state == CREATING and until > money.now
        columns: dict[str, Any] = {"session_id": session_id, "url": url}
        first_look = min(until, money.now + _FIRST_LOOK_AFTER)
        columns["next_look_at"] = first_look if wanted else money.now
        if not wanted:
            columns["close_requested_at"] = checkout.close_requested_at or money.now
        move_checkout(checkout, OPEN, **columns)
        return checkout


@retried_on_deadlock
def _abandon(checkout: Checkout, error: str) -> None:
    """No page came of it: its hold has none open any more, and can be let go without Stripe."""
    with transaction.atomic():
        money = lock_due(checkout.due_id)
        fresh = money.checkouts[checkout.pk]
        if fresh.state == CREATING:
            move_checkout(fresh, ABANDONED, last_error=error[:2000], next_look_at=None)
            settlement.after_checkout(money)


def request_close(checkout: Checkout, now: datetime) -> None:
    """Leave a row behind that says: expire this session. The sweep does (caller holds locks)."""
    checkout.close_requested_at = now
    checkout.next_look_at = now
    checkout.save(update_fields=["close_requested_at", "next_look_at"])


def close_all(hold: Hold) -> None:
    """First phase of a release: expire every open session of a hold at Stripe (design.md §5).

    Raises PaymentInProgress when one of them is complete (it is settled first), and
    TemporarilyUnavailable when Stripe does not answer; the hold is kept then.
    """
    open_ones = Checkout.objects.filter(
        due__booking_id=hold.booking_id,
        due__change=hold.change_id,
        state__in=[CREATING, OPEN],
    ).order_by("attempt")
    for checkout in open_ones:
        if close(checkout.pk) == COMPLETE:
            raise PaymentInProgress


def close(checkout_id: UUID, *, source: str = Signal.Source.SELF_HEAL) -> str:
    """Expire one session at Stripe and write down how it ended: its Checkout's state.

    `complete` means paid or authorised: it is settled, never taken for cancelled.
    """
    checkout = Checkout.objects.get(pk=checkout_id)
    if checkout.state == CREATING:
        checkout = open_at_stripe(checkout)
    if checkout.state != OPEN:
        return checkout.state
    try:
        session = stripe_api.expire_session(checkout)
    except AccountGone:
        if not _has_ended_by_itself(checkout):
            raise
        return _closed(checkout_id)
    if session.status == COMPLETE:
        settlement.settle(checkout_id=checkout_id, source=source, known=session)
        return COMPLETE
    return _closed(checkout_id)


def _has_ended_by_itself(checkout: Checkout) -> bool:
    """Whether its session is long over, of an account that does not let us look any more.

    Should it have been paid, the account has the money, and settles it once it is back.
    """
    return bool(checkout.account) and checkout.expires_at + _LONG_OVER <= clock.now()


@retried_on_deadlock
def _closed(checkout_id: UUID) -> str:
    """The session has expired at Stripe: no payment can come of it. A hold past its time ends."""
    due_id = Checkout.objects.values_list("due_id", flat=True).get(pk=checkout_id)
    with transaction.atomic():
        money = lock_due(due_id)
        checkout = money.checkouts[checkout_id]
        if checkout.state == OPEN:
            move_checkout(checkout, EXPIRED, ended_at=money.now, next_look_at=None)
        settlement.after_checkout(money)
        if money.hold.state == ACTIVE and money.hold.lapses_at <= money.now:
            ending.expire_locked([money.booking.pk])
        return checkout.state
