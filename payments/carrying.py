"""Carrying out a verdict: capture or void, one call in flight at a time, until it is done.

The payment's row says what is to be done and when it was last tried; whoever comes by with the
lease does it. A crash between the call and its answer is healed by asking Stripe first.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from bookings import mails
from bookings.models import Booking, BookingEvent
from bookings.services import note
from bookings.states import WITHOUT_OCCUPANCIES
from config.kernel import clock, rows
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import TemporarilyUnavailable
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import Money
from members.models import Notification
from payments import credit_spending, receipts, refunding, stripe_api, unpaid
from payments.lock_objects import LockedMoney, lock_due
from payments.models import Payment, Refund
from payments.moves import move_payment
from payments.states import CAPTURE_FAILED, CAPTURED, CAPTURING, REFUND, VOIDED, VOIDING
from payments.stripe_api import Intent, StripeRefused

log = logging.getLogger(__name__)

# Longer than the three calls of one try may take, so that a second never starts beside it.
_LEASE = timedelta(seconds=3 * sum(settings.STRIPE_TIMEOUT) + 5)
_LONGEST_PAUSE_SECONDS = 600
# What an intent is when the authorisation behind it is there no more.
_GONE = {"canceled", "requires_payment_method"}


def carry_out(payment_id: UUID) -> bool:
    """Do what the verdict says; True when it is done (now or before).

    Never raises for Stripe's sake: a call that fails is tried again by the self-heal.
    """
    payment = _lease(payment_id)
    if payment is None:
        return Payment.objects.filter(pk=payment_id, state__in=[CAPTURED, VOIDED]).exists()
    try:
        intent = _ask(payment)
    except (TemporarilyUnavailable, StripeRefused) as error:
        _postpone(payment, str(error.__cause__ or error))
        return False
    return _finish(payment, intent)


def _lease(payment_id: UUID) -> Payment | None:
    """Take the right to call Stripe for this payment, unless somebody has it or its pause is not
    over. What has just got its verdict has had no try, and need not wait.
    """
    now = clock.now()
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    is_due = Q(tries=0) | Q(next_try_at=None) | Q(next_try_at__lte=now)
    waiting = Payment.objects.filter(free, is_due, pk=payment_id, state__in=[CAPTURING, VOIDING])
    taken = waiting.update(
        leased_until=now + _LEASE, next_try_at=now + _LEASE, tries=F("tries") + 1
    )
    return Payment.objects.get(pk=payment_id) if taken else None


def _ask(payment: Payment) -> Intent:
    """Make the call; when it was made before or is refused, see what has become of it."""
    if payment.tries > 1:
        intent = stripe_api.fetch_intent(payment)
        if intent.status != "requires_capture":
            return intent
    call = stripe_api.capture if payment.state == CAPTURING else stripe_api.void
    try:
        return call(payment)
    except StripeRefused:
        return stripe_api.fetch_intent(payment)


def _postpone(payment: Payment, error: str) -> None:
    log.warning("payment %s: %s", payment.payment_intent_id, error)
    pause = min(_LONGEST_PAUSE_SECONDS, 2 ** min(payment.tries, 10))
    Payment.objects.filter(pk=payment.pk, state=payment.state).update(
        leased_until=None,
        next_try_at=clock.now() + timedelta(seconds=pause),
        last_error=error[:2000],
    )


@retried_on_deadlock
def _finish(payment: Payment, intent: Intent) -> bool:
    """Write down what Stripe says has become of it."""
    with transaction.atomic():
        money = lock_due(payment.due_id)
        fresh = next(p for p in money.payments if p.pk == payment.pk)
        if fresh.state not in {CAPTURING, VOIDING}:
            return True
        done = {"leased_until": None, "next_try_at": None, "last_error": ""}
        if fresh.state == CAPTURING and intent.status == "succeeded":
            move_payment(fresh, CAPTURED, captured_at=money.now, **done)
            captured(money, fresh)
        elif fresh.state == VOIDING and intent.status == "canceled":
            move_payment(fresh, VOIDED, voided_at=money.now, **done)
            _note(money.booking, fresh, "voided", money.now)
        elif fresh.state == VOIDING and intent.status == "succeeded":
            move_payment(fresh, CAPTURED, captured_at=money.now, **done)
            _captured_past_us(money, fresh)
        elif fresh.state == CAPTURING and intent.status in _GONE:
            done["last_error"] = "The authorisation was gone before it could be captured."
            move_payment(fresh, CAPTURE_FAILED, **done)
            _capture_failed(money, fresh)
            credit_spending.give_back(money)
            log.error("capture failed for confirmed booking %s", money.booking.reference)
        else:
            _postpone(fresh, f"Stripe says {intent.status} while we are {fresh.state}")
            return False
        return True


def captured(
    money: LockedMoney, payment: Payment, *, actor: Actor = SYSTEM, reason: str = ""
) -> None:
    """The money is here: the due is settled, and the member told. `actor` is who says so."""
    booking, due, now = money.booking, money.due, money.now
    due.settled_at, due.pay_again_until = now, None
    due.save(update_fields=["settled_at", "pay_again_until"])
    receipt = receipts.for_payment(booking, due, payment, now)
    shown = receipts.as_shown(receipt, booking)
    told = [] if booking.state in WITHOUT_OCCUPANCIES else confirmation(money, shown)
    paid = _event(booking, payment, "paid", now, actor=actor, reason=reason)
    rows.insert([paid, receipt, *told])


def _captured_past_us(money: LockedMoney, payment: Payment) -> None:
    """Somebody took at Stripe what was to be let go: it goes back, and the member is told when it
    has, since the mail before said that they were not charged.
    """
    log.error("payment %s was captured past us and is refunded", payment.payment_intent_id)
    _note(money.booking, payment, "captured_past_us", money.now)
    is_duplicate = payment.verdict_because == "duplicate"
    refunding.request_whole(
        money,
        payment,
        cause=Refund.Cause.DUPLICATE if is_duplicate else Refund.Cause.RECONCILER,
        reason="Nothing was bought with it",
    )


def confirmation(money: LockedMoney, receipt: dict[str, Any] | None) -> list[Notification]:
    """The mail that says what is theirs now."""
    if money.change is not None:
        return mails.rescheduled(money.booking, money.change, receipt)
    return mails.confirmation(money.booking, receipt)


def _capture_failed(money: LockedMoney, payment: Payment) -> None:
    """Rare: the bank withdrew its promise. The member has until a deadline to pay again."""
    booking, told = money.booking, []
    until = unpaid.ask_again(money)
    if until is not None:
        told = mails.capture_failed(
            booking, amount=money.due.amount, payment=str(payment.pk), until=until
        )
    rows.insert([_event(booking, payment, "capture_failed", money.now), *told])


def note_refused(money: LockedMoney, payment: Payment, *, goodwill: Money | None = None) -> None:
    """The verdict was to give it back. The member is told so at once, and why."""
    told = _refusal(money, payment, goodwill)
    rows.insert([_event(money.booking, payment, "payment_refused", money.now), *told])


def _refusal(money: LockedMoney, payment: Payment, goodwill: Money | None) -> list[Notification]:
    about: dict[str, Any] = {
        "amount": payment.amount,
        "payment": str(payment.pk),
        "because": payment.verdict_because,
    }
    is_duplicate = payment.verdict_because == "duplicate"
    if money.change is not None and not is_duplicate:
        return mails.not_rescheduled(money.booking, **about, given_back=payment.verdict == REFUND)
    tell = mails.given_back if payment.verdict == REFUND else mails.not_charged
    return tell(money.booking, **about, goodwill=goodwill)


def _note(booking: Booking, payment: Payment, kind: str, now: datetime) -> None:
    rows.insert([_event(booking, payment, kind, now)])


def _event(
    booking: Booking,
    payment: Payment,
    kind: str,
    now: datetime,
    *,
    actor: Actor = SYSTEM,
    reason: str = "",
) -> BookingEvent:
    by = {"provider": payment.provider} if payment.is_external else {}
    return note(
        booking,
        kind=kind,
        at=now,
        actor=actor,
        reason=reason,
        **by,
        payment=str(payment.pk),
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        because=payment.verdict_because,
        source=payment.settled_by,
    )


def due_for_a_try(*, limit: int = 100) -> list[UUID]:
    """Payments whose call is to be made (again) by now."""
    now = clock.now()
    waiting = Payment.objects.filter(state__in=[CAPTURING, VOIDING], next_try_at__lte=now)
    return list(waiting.order_by("next_try_at").values_list("pk", flat=True)[:limit])
