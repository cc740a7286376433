"""Requests that staff approve first: authorised but not captured, and held while they decide.

A member holds, says who they are, and pays (or has nothing to pay by card): then the request is
*sent*, and its slot stays until the deadline, at the latest until its own start. Staff approve:
the verdict is to capture, and the booking is theirs. They decline, the member takes it back, or the
deadline passes: the slot is free and the verdict is to void; nothing was ever charged.

What follows from its end is an effect of the booking's transition, so that whoever ends it (staff,
the sweep, the next claim) lets go of the authorisation in the same transaction.
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.urls import reverse

from bookings import mails
from bookings.calendars import meanwhile
from bookings.effects import APPROVED_TO_PAY
from bookings.links import absolute
from bookings.models import Booking
from bookings.services import Move, apply, note
from bookings.states import AWAITING_APPROVAL, PENDING_PAYMENT
from config.kernel import rows
from config.kernel.context import SYSTEM, Actor
from config.kernel.errors import InvalidTransition, NotFound
from config.kernel.locks import retried_on_deadlock
from holds import ending, services
from holds.errors import HoldExpired
from holds.models import Hold
from holds.states import ACTIVE
from payments import carrying, credit_spending, receipts, stripe_api, winning
from payments.errors import PaymentInProgress
from payments.lock_objects import LockedMoney, lock_money, lock_money_behind
from payments.models import Payment
from payments.moves import move_payment
from payments.states import AUTHORISED, CAPTURE, CAPTURING, CREATING, OPEN, VOID, VOIDING

SOURCE = "approval"
GONE = "authorisation_gone"
_RETRY_AFTER = timedelta(seconds=15)
# However soon it begins, so much time there is to act on the mail.
_AT_LEAST = timedelta(minutes=15)


# --- Sending ------------------------------------------------------------------------------------


def waiting(money: LockedMoney) -> Payment | None:
    """The authorised payment that waits with a request that was sent."""
    if money.booking.requested_at is None:
        return None
    undecided = (p for p in money.payments if p.state == AUTHORISED and not p.verdict)
    return next(undecided, None)


def refuse_when_sent(money: LockedMoney) -> None:
    """Raises PaymentInProgress (409) for a request that staff are to answer: all is done."""
    if money.booking.needs_approval and money.booking.requested_at is not None:
        raise PaymentInProgress("It was sent, and waits for an answer.")


def asked_with(money: LockedMoney, payment: Payment) -> str:
    """An authorised payment sends the request; why it cannot, if so (under money's locks).

    Told again of the payment that waits already, nothing more happens.
    """
    known = waiting(money)
    if known is not None:
        return "" if known.pk == payment.pk else winning.DUPLICATE
    if money.booking.requested_at is not None:
        return winning.DUPLICATE  # it was sent without a card
    if not winning.is_live(money):
        return winning.SLOT_GONE if money.booking.state != AWAITING_APPROVAL else winning.TOO_LATE
    send(money, by_card=payment)
    return ""


def send(money: LockedMoney, *, by_card: Payment | None = None, actor: Actor | None = None) -> None:
    """Keep the slot until staff have to have answered, and tell both (under money's locks).

    Without a card for what is free, and for what credit covers, which is spent by then.
    """
    booking, now = money.booking, money.now
    assert booking.approval_ttl_seconds is not None
    until = min(now + timedelta(seconds=booking.approval_ttl_seconds), booking.starts_at)
    booking.requested_at = now
    booking.save(update_fields=["requested_at"])
    services.keep_for_approval(money.held, max(until, money.hold.expires_at))
    for other in money.checkouts.values():
        if other.state in {CREATING, OPEN}:
            other.close_requested_at = other.next_look_at = now
            other.save(update_fields=["close_requested_at", "next_look_at"])
    story = {"until": money.hold.expires_at.isoformat()}
    story |= {"payment": str(by_card.pk)} if by_card else {}
    who = actor or SYSTEM
    sent = note(booking, kind="requested", at=now, actor=who, **story)
    rows.insert(
        [sent, *mails.requested(booking, until=money.hold.expires_at, by_card=bool(by_card))]
    )


# --- Deciding -----------------------------------------------------------------------------------


def approve(*, booking_id: UUID, actor: Actor, reason: str = "") -> Booking:
    """Staff say yes: it is confirmed and its money captured.

    Where the bank has let go of the authorisation meanwhile, it is approved and still to be paid:
    the member gets a mail with the link, and the slot is kept as long as for a failed payment.
    Approved before, it stays as it is. Raises NotFound, InvalidTransition (409) for what was not
    requested or has ended, HoldExpired (410) when the deadline is over, SlotTaken (409) where a
    connected calendar has the time since, and TemporarilyUnavailable (503) when Stripe does not say
    how the authorisation stands; nothing has changed then.
    """
    meanwhile.look_again(booking_id, None)
    gone = _is_gone(_authorised(booking_id))
    booking, payment_id = _approved(booking_id, actor, reason, authorisation_gone=gone)
    if payment_id is not None:
        carrying.carry_out(payment_id)
    return booking


def let_go(*, booking_id: UUID, actor: Actor, reason: str) -> Booking:
    """Staff say no, or the member takes it back: the slot is free and the authorisation let go.

    The member is told of staff's no, with the reason. Raises NotFound, and InvalidTransition (409)
    for what is not waiting any more.
    """
    booking, voided = _let_go(booking_id, actor, reason)
    for payment_id in voided:
        carrying.carry_out(payment_id)
    return booking


def _authorised(booking_id: UUID) -> Payment | None:
    found = Payment.objects.filter(
        due__booking_id=booking_id, due__change=None, state=AUTHORISED, verdict=""
    )
    return found.order_by("created_at").first()


def _is_gone(payment: Payment | None) -> bool:
    """Whether Stripe says that there is nothing to capture any more. Asked outside of the locks."""
    return payment is not None and stripe_api.fetch_intent(payment).status == "canceled"


@retried_on_deadlock
def _approved(
    booking_id: UUID, actor: Actor, reason: str, *, authorisation_gone: bool
) -> tuple[Booking, UUID | None]:
    with transaction.atomic():
        money = _locked(booking_id)
        booking, now = money.booking, money.now
        if booking.approved_at is not None:
            return booking, None
        _refuse_unless_waiting(money)
        if not winning.is_live(money):
            raise HoldExpired("The time to answer is over, and the slot is free.")
        meanwhile.refuse_taken(booking.pk, money.hold.change_id)
        payment = waiting(money)
        booking.approved_at = now
        booking.save(update_fields=["approved_at"])
        rows.insert([note(booking, kind="approved", at=now, actor=actor, reason=reason)])
        if payment is None:
            _confirm_without_card(money, actor)
            return booking, None
        if authorisation_gone:
            _still_to_pay(money, payment, actor)
        else:
            _capture(money, payment, actor)
        return booking, payment.pk


def _capture(money: LockedMoney, payment: Payment, actor: Actor) -> None:
    """The verdict, and the booking is theirs; the mail goes out when it is captured."""
    ending.win_locked(money.hold, money.now, actor, source=SOURCE, late=False)
    move_payment(
        payment,
        CAPTURING,
        verdict=CAPTURE,
        decided_at=money.now,
        settled_by=SOURCE,
        next_try_at=money.now + _RETRY_AFTER,
    )


def _confirm_without_card(money: LockedMoney, actor: Actor) -> None:
    """Free, or all of it is credit that was spent when the request was sent."""
    due = money.due
    due.settled_at = money.now
    due.save(update_fields=["settled_at"])
    services.confirm_unpaid(money.held, actor)
    if due.amount_minor:
        story = note(
            money.booking, kind="paid", at=money.now, actor=actor, credit=True,
            **due.amount.as_json(),
        )  # fmt: skip
        rows.insert([story, receipts.for_payment(money.booking, due, None, money.now)])


def _still_to_pay(money: LockedMoney, payment: Payment, actor: Actor) -> None:
    """Approved, and the bank has let go of the money: the member pays again by the link."""
    booking, now = money.booking, money.now
    _void(payment, GONE, money)
    credit_spending.give_back(money)
    wanted = now + timedelta(seconds=booking.workspace.pay_again_seconds)
    services.keep_to_pay(money.held, max(min(wanted, booking.starts_at), now + _AT_LEAST))
    apply(booking, Move(PENDING_PAYMENT, now, actor, APPROVED_TO_PAY))
    link = absolute(reverse("holds:hold", args=[money.hold.token]))
    rows.insert(
        mails.approved_to_pay(
            booking, amount=money.due.amount, until=money.hold.expires_at, url=link
        )
    )


@retried_on_deadlock
def _let_go(booking_id: UUID, actor: Actor, reason: str) -> tuple[Booking, list[UUID]]:
    with transaction.atomic():
        money = _locked(booking_id)
        _refuse_unless_waiting(money)
        voided = [p.pk for p in money.payments if p.state == AUTHORISED and not p.verdict]
        ending.release_locked(money.hold, money.now, actor, reason)
        return money.booking, voided


def _locked(booking_id: UUID) -> LockedMoney:
    if not Hold.objects.filter(booking_id=booking_id, change=None).exists():
        raise NotFound("There is no such request.")
    return lock_money(booking_id)


def _refuse_unless_waiting(money: LockedMoney) -> None:
    if money.booking.state != AWAITING_APPROVAL or money.booking.requested_at is None:
        raise InvalidTransition("This request does not wait for an answer.")
    if money.hold.state != ACTIVE:
        raise InvalidTransition("This request is over.")


# --- What follows from its end ------------------------------------------------------------------


def end_with(booking: Booking, because: str) -> None:
    """A request has ended: its authorisation is to be let go, and its credit comes back.

    An effect of the transition, under the locks of whoever made it; money's come after those.
    """
    money = lock_money_behind(booking)
    for payment in money.payments:
        if payment.state == AUTHORISED and not payment.verdict:
            _void(payment, because, money)
    credit_spending.give_back(money)
    for part in credit_spending.parts(due_ids=[money.due.pk]):
        if part.checkout_id is None:
            credit_spending.return_spent(
                due=money.due,
                amount_minor=part.minor,
                key=f"request:{money.due.pk}",
                actor=SYSTEM,
                reason="The request has ended",
                source="checkout",
            )


def _void(payment: Payment, because: str, money: LockedMoney) -> None:
    move_payment(
        payment,
        VOIDING,
        verdict=VOID,
        verdict_because=because,
        decided_at=money.now,
        settled_by=SOURCE,
        next_try_at=money.now,
    )
