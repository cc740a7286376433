"""The one way in which a payment confirms a booking, or does not (design.md §6).

`settle` is called by the success page, the platform's webhooks, the connected accounts' webhooks
and the self-heal: in any order, any number of times, at once. It fetches Stripe's truth outside any
transaction, and the calendars that the slot depends on, and decides under the locks. The verdict is
written once on the Payment and is final, however stale the truth is with which another call
arrives later.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from bookings.calendars import meanwhile
from bookings.effects import PAID_TOO_LATE
from bookings.models import Booking
from config.kernel import rows
from config.kernel.clock import now as database_now
from config.kernel.errors import InvalidTransition
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import Money
from holds import ending
from holds import services as holds_services
from holds import states as hold_states
from payments import (
    approval,
    carrying,
    credit_spending,
    delayed,
    findings,
    goodwill,
    reacquire,
    stripe_api,
    unpaid,
    winning,
)
from payments.errors import PaymentInProgress
from payments.lock_objects import LockedMoney, lock_due
from payments.models import Checkout, Finding, Payment, Signal
from payments.moves import move_checkout, move_payment
from payments.states import (
    AUTHORISED,
    CAPTURE,
    CAPTURED,
    CAPTURING,
    COMPLETE,
    CREATED,
    CREATING,
    EXPIRED,
    FAILED,
    OPEN,
    PROCESSING,
    REFUND,
    VOID,
    VOIDING,
)

log = logging.getLogger(__name__)

DIFFERS = "payment_differs"
_PAID = {"requires_capture", "succeeded"}
# The self-heal looks again when a call was not made or its answer did not come.
_RETRY_AFTER = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a signal.

    `confirmed`, `voided`, `refunded`, `processing`, `awaiting`, `unpaid`, `failed`, `expired` or
    `repeated`. `awaiting` is authorised, and staff are to approve the booking first.

    `repeated` is a late or second hint: the verdict had been written before. `refunded` is a
    payment that was taken at once, with no slot for it: its Refund row is written.
    """

    name: str
    payment_id: UUID | None = None


def settle(*, checkout_id: UUID, source: str, known: stripe_api.Session | None = None) -> Outcome:
    """Settle one Checkout by Stripe's truth, and carry out the verdict.

    `known` spares a fetch to a caller that has just been given the session. Raises
    TemporarilyUnavailable when Stripe does not answer; nothing has changed then.
    """
    checkout = Checkout.objects.select_related("due").get(pk=checkout_id)
    if not checkout.session_id:
        return Outcome("unpaid")
    truth = known or _fetched(checkout)
    if truth.intent is not None and truth.intent.status in _PAID:
        _read_calendars(checkout)
    outcome = _decided(checkout, truth, source)
    if outcome.payment_id is not None:
        carrying.carry_out(outcome.payment_id)
    return outcome


def _fetched(checkout: Checkout) -> stripe_api.Session:
    """Stripe's truth. A session that our key cannot see is for staff to look at."""
    try:
        return stripe_api.fetch_session(checkout)
    except stripe_api.StripeRefused as error:
        log.error("checkout %s cannot be read at Stripe: %s", checkout.pk, error)
        Checkout.objects.filter(pk=checkout.pk).update(last_error=str(error)[:2000])
        raise stripe_api.StripeDown from error


def _read_calendars(checkout: Checkout) -> None:
    """Before the slot is won: once, since a verdict that is written is final."""
    if not Payment.objects.filter(checkout=checkout).exclude(verdict="").exists():
        meanwhile.look_again(checkout.due.booking_id, checkout.due.change_id)


def settle_booking(*, booking_id: UUID, source: str) -> list[Outcome]:
    """Settle every Checkout of a booking that may have been paid: what the success page does."""
    return _settle_all(Checkout.objects.filter(due__booking_id=booking_id), source)


def settle_change(*, change_id: UUID, source: str) -> list[Outcome]:
    """The same for those of one change."""
    return _settle_all(Checkout.objects.filter(due__change_id=change_id), source)


def _settle_all(checkouts: "QuerySet[Checkout]", source: str) -> list[Outcome]:
    started = checkouts.filter(session_id__isnull=False, state__in=[OPEN, COMPLETE])
    outcomes = []
    for checkout_id in started.order_by("attempt").values_list("pk", flat=True):
        outcome = settle(checkout_id=checkout_id, source=source)
        # A page that is reloaded says nothing new.
        if outcome.name not in {"unpaid", "repeated", "processing", "awaiting"}:
            record(checkout_id, source, outcome.name)
        outcomes.append(outcome)
    return outcomes


def record(checkout_id: UUID, source: str, outcome: str) -> None:
    """Keep that this source came by, and what it found."""
    Signal.objects.create(
        checkout_id=checkout_id, source=source, followed_at=database_now(), outcome=outcome
    )


def _decided(checkout: Checkout, truth: stripe_api.Session, source: str) -> Outcome:
    """Decide; where the member's own newer hold is in the way, let it go first and decide again."""
    for _ in range(3):
        try:
            return _decide(checkout.pk, checkout.due_id, truth, source)
        except reacquire.OwnHoldInTheWay as mine:
            # Should the newer hold turn out to be paid, it is settled by now and has the slot.
            with suppress(PaymentInProgress, InvalidTransition):
                mine.make_way()
    return _decide(checkout.pk, checkout.due_id, truth, source, gives_up=True)


@retried_on_deadlock
def _decide(
    checkout_id: UUID,
    due_id: UUID,
    truth: stripe_api.Session,
    source: str,
    *,
    gives_up: bool = False,
) -> Outcome:
    with transaction.atomic():
        money = lock_due(due_id)
        checkout = money.checkouts[checkout_id]
        _note_session(money, checkout, truth)
        if truth.intent is None:
            return Outcome("expired" if truth.status == EXPIRED else "unpaid")
        payment = _payment(money, checkout, truth.intent)
        if payment.verdict:
            return Outcome("repeated", payment.pk)
        contact_from(money.booking, truth)
        before = payment.state
        _note_intent(checkout, payment, truth.intent)
        if payment.state != before:
            delayed.follow(money, checkout, payment, before)
        if payment.state == FAILED:
            credit_spending.give_back(money)
        if payment.state == PROCESSING or (payment.state == FAILED and before != FAILED):
            return Outcome(payment.state)
        if payment.state != AUTHORISED:
            return Outcome("unpaid")
        return _judge(money, checkout, payment, truth, source, gives_up=gives_up)


def contact_from(booking: Booking, truth: stripe_api.Session) -> None:
    """Whom to tell, where nobody said so before the payment page asked."""
    if not booking.email and 0 < len(truth.email) <= 254:
        booking.email = truth.email.lower()
        booking.name = booking.name or truth.name[:200]
        booking.save(update_fields=["email", "name"])


def _note_session(money: LockedMoney, checkout: Checkout, truth: stripe_api.Session) -> None:
    """Follow the session's own state. One that ends by itself does not release a live hold."""
    if checkout.state != OPEN or truth.status not in {COMPLETE, EXPIRED}:
        return
    looks_again = money.now + _RETRY_AFTER if truth.status == COMPLETE else None
    move_checkout(checkout, truth.status, ended_at=money.now, next_look_at=looks_again)
    if truth.status == EXPIRED:
        after_checkout(money)


def after_checkout(money: LockedMoney) -> None:
    """A Checkout has ended: its credit goes back unless it was paid. With none open any more, and
    no payment under way, an active hold loses the grace that came with it.
    """
    still_open = any(c.state in {CREATING, OPEN} for c in money.checkouts.values())
    still_open = still_open or any(p.state == PROCESSING for p in money.payments)
    still_open = still_open or approval.waiting(money) is not None
    if money.hold.state == hold_states.ACTIVE and money.hold.has_open_checkout and not still_open:
        holds_services.checkout_gone(money.hold)
    credit_spending.give_back(money)


def _payment(money: LockedMoney, checkout: Checkout, intent: stripe_api.Intent) -> Payment:
    """The one Payment of a PaymentIntent (INV-5), made when it is first heard of."""
    for payment in money.payments:
        if payment.payment_intent_id == intent.id:
            return payment
    payment = Payment(
        due=money.due,
        checkout=checkout,
        payment_intent_id=intent.id,
        account=checkout.account,
        livemode=intent.livemode,
        amount_minor=intent.amount_minor,
        currency=intent.currency,
        created_at=money.now,
    )
    rows.insert([payment])
    money.payments.append(payment)
    return payment


def _note_intent(checkout: Checkout, payment: Payment, intent: stripe_api.Intent) -> None:
    """Follow the intent as far as no verdict is needed."""
    if intent.status in _PAID and payment.state in {CREATED, PROCESSING}:
        move_payment(payment, AUTHORISED)
    elif intent.status == "processing" and payment.state == CREATED:
        move_payment(payment, PROCESSING)
    elif _has_failed(checkout, payment, intent):
        move_payment(payment, FAILED)


def _has_failed(checkout: Checkout, payment: Payment, intent: stripe_api.Intent) -> bool:
    """Once its session is complete nobody can try another card on an intent."""
    if payment.state not in {CREATED, PROCESSING}:
        return False
    is_over = payment.state == PROCESSING or checkout.state == COMPLETE
    return intent.status == "canceled" or (intent.status == "requires_payment_method" and is_over)


def _judge(
    money: LockedMoney,
    checkout: Checkout,
    payment: Payment,
    truth: stripe_api.Session,
    source: str,
    *,
    gives_up: bool,
) -> Outcome:
    """Write the verdict on an authorised payment; or leave it to staff to approve its booking."""
    refusal = _refusal(money, checkout, payment, truth)
    is_taken = truth.intent is not None and truth.intent.status == "succeeded"
    if not refusal and money.booking.needs_approval and not is_taken:
        refusal = approval.asked_with(money, payment)
        if not refusal:
            return Outcome("awaiting")
    return _verdict(money, checkout, payment, source, refusal, is_taken=is_taken, gives_up=gives_up)


def _verdict(
    money: LockedMoney,
    checkout: Checkout,
    payment: Payment,
    source: str,
    refusal: str,
    *,
    is_taken: bool,
    gives_up: bool,
) -> Outcome:
    if not refusal and not unpaid.owes_again(money):
        refusal = winning.win(money, checkout, source, gives_up=gives_up)
    if refusal:
        if is_taken:
            _refund(money, checkout, payment, refusal, source)
            return Outcome("refunded", payment.pk)
        _void(money, payment, refusal, source)
        return Outcome("voided", payment.pk)
    decided = {"verdict": CAPTURE, "decided_at": money.now, "settled_by": source}
    if is_taken:
        move_payment(payment, CAPTURED, captured_at=money.now, **decided)
        carrying.captured(money, payment)
    else:
        looks_again = money.now + _RETRY_AFTER
        move_payment(payment, CAPTURING, next_try_at=looks_again, **decided)
    for other in money.checkouts.values():
        if other.pk != checkout.pk and other.state in {CREATING, OPEN}:
            other.close_requested_at = other.next_look_at = money.now
            other.save(update_fields=["close_requested_at", "next_look_at"])
    return Outcome("confirmed", payment.pk)


def _refusal(
    money: LockedMoney, checkout: Checkout, payment: Payment, truth: stripe_api.Session
) -> str:
    """Why this payment can never be accepted, whatever the slot's fate; empty when it may be."""
    due = money.due
    if due.settled_at or unpaid.accepted(money.payments) is not None:
        return "duplicate"
    if (payment.amount_minor, payment.currency) != (checkout.amount_minor, due.currency):
        return "amount_differs"
    if checkout.amount_minor + checkout.credit_minor != due.amount_minor:
        return "amount_differs"
    if payment.livemode != checkout.livemode or truth.livemode != checkout.livemode:
        return "livemode_differs"
    if checkout.account != money.booking.workspace.charging_account:
        return "account_differs"
    return ""


def _void(money: LockedMoney, payment: Payment, because: str, source: str) -> None:
    move_payment(
        payment,
        VOIDING,
        verdict=VOID,
        verdict_because=because,
        decided_at=money.now,
        settled_by=source,
        next_try_at=money.now + _RETRY_AFTER,
    )
    carrying.note_refused(money, payment, goodwill=_refused(money, payment))


def _refund(
    money: LockedMoney, checkout: Checkout, payment: Payment, because: str, source: str
) -> None:
    """The money was taken at once and bought nothing: it goes back the way it came."""
    move_payment(
        payment,
        CAPTURED,
        verdict=REFUND,
        verdict_because=because,
        decided_at=money.now,
        captured_at=money.now,
        settled_by=source,
    )
    rows.insert([delayed.refund_of(money, checkout, payment)])
    carrying.note_refused(money, payment, goodwill=_refused(money, payment))


def _refused(money: LockedMoney, payment: Payment) -> Money | None:
    """A payment was not accepted: end a hold whose time is up. The goodwill for it, if any.

    The credit account is the last thing locked (design.md §3).
    """
    if payment.verdict_because.endswith("_differs"):
        _file_difference(money, payment)
    after_checkout(money)
    if money.hold.state == hold_states.ACTIVE and money.hold.lapses_at <= money.now:
        ending.expire_locked([money.booking.pk], reason=PAID_TOO_LATE)
        money.booking.refresh_from_db()
    elif money.hold.state == hold_states.ACTIVE and payment.verdict_because == winning.SLOT_GONE:
        ending.fail_locked(money.hold, money.now, PAID_TOO_LATE)  # a calendar has it since
    return goodwill.give(money, payment)


def _file_difference(money: LockedMoney, payment: Payment) -> None:
    """What was paid is not what was asked for: it is given back, and staff should know."""
    what = payment.verdict_because.removesuffix("_differs")
    findings.file(
        kind=DIFFERS,
        severity=Finding.Severity.HIGH,
        subject_type="payment",
        subject_id=payment.pk,
        summary=f"{money.booking.reference}: a payment of {payment.amount} came, and its {what}"
        " is not the one asked for",
        workspace=money.booking.workspace,
        evidence={
            "due": str(money.due.pk),
            "intent": payment.payment_intent_id,
            "account": payment.account,
            "livemode": payment.livemode,
            "paid": payment.amount.as_json(),
            "owed": money.due.amount.as_json(),
        },
        done="It was not accepted, and is given back.",
        fingerprint=what,
    )
