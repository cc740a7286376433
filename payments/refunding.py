"""Giving money back: asked for in one transaction, carried out by Stripe, followed to its end.

A Refund's row says what is to be done; whoever comes by with its lease does it, as for captures
(`carrying.py`). A crash between the call and its answer is healed by looking for the refund that
names our row; the key of a call changes only when Stripe has said that it came to nothing.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from bookings.models import Booking
from bookings.services import Move, event_for
from config.kernel import clock, effects, rows
from config.kernel.context import SYSTEM, Actor, request_id
from config.kernel.effects import Happening, rows_for
from config.kernel.errors import InvalidInput, TemporarilyUnavailable
from config.kernel.locks import locked, require_transaction, retried_on_deadlock
from config.kernel.money import Money
from members.models import Member
from members.people import member_of_address
from payments import credit_spending, findings, stripe_api
from payments.credits import enter, lock_account
from payments.errors import NobodyToCredit, NothingToRefund, RefundTooLarge
from payments.lock_objects import LockedMoney, lock_due
from payments.models import CreditEntry, Due, Finding, Payment, Refund
from payments.moves import move_refund
from payments.shares import Split, across, split
from payments.standing import (
    BY_CHANGE,
    BY_REFUND,
    Standing,
    credit_on,
    left_of,
    standing_of_booking,
)
from payments.states import (
    CAPTURED,
    FAILED,
    NEEDS_ATTENTION,
    REFUND_STATES,
    REQUESTED,
    SUBMITTED,
    SUCCEEDED,
)
from payments.stripe_api import AccountGone, GivenBack, StripeBroke, StripeRefused

log = logging.getLogger(__name__)

NEEDS_SOMEBODY = "refund_needs_attention"
HAS_FAILED = "refund_failed"
TO_GIVE = "Give it back by hand, and say so here"
FOREIGN = "refund_not_ours"

# Longer than the calls of one try may take, so that a second never starts beside it.
_LEASE = timedelta(seconds=3 * sum(settings.STRIPE_TIMEOUT) + 5)
_LONGEST_PAUSE_SECONDS = 3600
_STATES = {
    "succeeded": SUCCEEDED,
    "pending": SUBMITTED,
    "requires_action": SUBMITTED,
    "failed": FAILED,
    "canceled": FAILED,
}


@dataclass(frozen=True, slots=True)
class Given:
    """What was asked for: the refunds, and the spent credit that is the member's again."""

    refunds: list[Refund]
    returned_minor: int

    @property
    def total_minor(self) -> int:
        return self.returned_minor + sum(refund.amount_minor for refund in self.refunds)


# --- Asking -------------------------------------------------------------------------------------


def request(
    money: LockedMoney,
    *,
    amount_minor: int,
    cause: str,
    actor: Actor,
    to: str = Refund.To.CARD,
    reason: str = "",
    standing: Standing | None = None,
) -> Given:
    """Ask for a part of what was paid for a booking, under money's locks.

    `standing` is what it is taken from: all that was paid for the booking, unless given. Mixed
    payments are split by `shares.split`. What becomes credit is the member's at once; what goes to
    the card is carried out after the commit. Raises InvalidInput, NothingToRefund,
    RefundTooLarge and NobodyToCredit (409); nothing is written then.
    """
    require_transaction()
    if amount_minor <= 0:
        raise InvalidInput("More than nothing.", field="amount_minor")
    standing = standing or standing_of_booking(money.booking)
    parts = split(amount_minor, standing.left, to=to)
    member = _member_of(money.booking) if parts.credit_minor else None
    why = _Why(cause, reason, actor)
    refunds = [
        *_ask_for(money, standing, parts.card_minor, Refund.To.CARD, why),
        *_ask_for(money, standing, parts.credit_minor, Refund.To.CREDIT, why),
    ]
    if parts.returned_minor:
        _return_credit(money, standing.dues, parts, why)
    for refund in refunds:
        if refund.to == Refund.To.CREDIT and member is not None:
            _credit(money, refund, member, actor)
    return Given(refunds, parts.returned_minor)


def request_whole(
    money: LockedMoney, payment: Payment, *, cause: str, actor: Actor = SYSTEM, reason: str = ""
) -> Refund | None:
    """Ask for all that is left of one payment to go back to its card; None when nothing is.

    For payments that were never accepted (a duplicate, one that came too late): the booking, its
    other payments and its credit are not looked at. Raises NothingToRefund for money that was
    never captured.
    """
    if payment.state != CAPTURED:
        raise NothingToRefund
    left = left_of(payment)
    if not left:
        return None
    return request_of(money, payment, amount_minor=left, cause=cause, actor=actor, reason=reason)


def request_of(
    money: LockedMoney,
    payment: Payment,
    *,
    amount_minor: int,
    cause: str,
    actor: Actor,
    to: str = Refund.To.CARD,
    reason: str = "",
) -> Refund:
    """Ask for a part of one payment, accepted or not, and of no other; under money's locks.

    Raises NothingToRefund for money that was never captured, RefundTooLarge for more than is left
    of it, and NobodyToCredit.
    """
    require_transaction()
    if payment.state != CAPTURED:
        raise NothingToRefund
    left = left_of(payment)
    if amount_minor > left:
        raise RefundTooLarge(left_minor=left)
    member = _member_of(money.booking) if to == Refund.To.CREDIT else None
    refund = _new(money, payment, amount_minor, to, _Why(cause, reason, actor))
    if member is not None:
        _credit(money, refund, member, actor)
    return refund


@dataclass(frozen=True, slots=True)
class _Why:
    cause: str
    reason: str
    actor: Actor


def _ask_for(
    money: LockedMoney, standing: Standing, amount_minor: int, to: str, why: _Why
) -> list[Refund]:
    parts = across(amount_minor, [left for _, left in standing.payments])
    payments = [payment for payment, _ in standing.payments]
    return [
        _new(money, payment, part, to, why)
        for payment, part in zip(payments, parts, strict=True)
        if part
    ]


def _new(money: LockedMoney, payment: Payment, amount_minor: int, to: str, why: _Why) -> Refund:
    checkout, workspace = payment.checkout, money.booking.workspace
    if payment.is_external and to != Refund.To.CREDIT:
        to = Refund.To.HAND  # no card is known of it
    elif to == Refund.To.HAND:
        to = Refund.To.CARD
    to_card = to == Refund.To.CARD and checkout is not None
    has_fee = bool(checkout and checkout.application_fee_minor)
    refund = Refund(
        due=payment.due,
        payment=payment,
        to=to,
        cause=why.cause,
        amount_minor=amount_minor,
        currency=payment.currency,
        reason=why.reason[:500],
        actor_kind=why.actor.kind,
        actor_id=why.actor.id,
        actor_label=why.actor.label[:200],
        request_id=request_id.get(),
        refunds_fee=to_card and has_fee and workspace.refund_application_fee,
        reverses_transfer=to_card and bool(checkout and checkout.destination),
        created_at=money.now,
        next_try_at=money.now if to_card else None,
    )
    rows.insert([refund])
    if to == Refund.To.HAND:
        move_refund(refund, NEEDS_ATTENTION, last_error=f"{TO_GIVE}: it came by {payment.name}.")
    _happened(money, refund, why.actor, kind="refund_requested")
    return refund


def _credit(money: LockedMoney, refund: Refund, member: Member, actor: Actor) -> None:
    """A refund to credit has nobody to wait for: it succeeds at once."""
    account = lock_account(
        workspace=money.booking.workspace, member=member, currency=refund.currency
    )
    enter(
        account=account,
        kind=CreditEntry.Kind.REFUND,
        amount_minor=refund.amount_minor,
        source=BY_REFUND,
        key=f"refund:{refund.pk}",
        actor=actor,
        reason=refund.reason,
        due=refund.due,
        refund=refund,
    )
    move_refund(refund, SUCCEEDED, submitted_at=money.now, ended_at=money.now)
    _happened(money, refund, actor, kind="refunded")


def _return_credit(money: LockedMoney, dues: list[Due], parts: Split, why: _Why) -> None:
    """Spent credit goes back to where it was taken from."""
    amounts = across(parts.returned_minor, [credit_on(due) for due in dues])
    for due, amount_minor in zip(dues, amounts, strict=True):
        if not amount_minor:
            continue
        before = CreditEntry.objects.filter(due=due, kind=CreditEntry.Kind.RETURNED).count()
        entries = credit_spending.return_spent(
            due=due,
            amount_minor=amount_minor,
            key=f"returned:{due.pk}:{before + 1}",
            actor=why.actor,
            reason=why.reason,
            source=BY_CHANGE if why.cause == Refund.Cause.CHANGE else BY_REFUND,
        )
        for entry in entries:
            _returned(money, entry, why)


def _returned(money: LockedMoney, entry: CreditEntry, why: _Why) -> None:
    booking = money.booking
    data = {
        "amount_minor": entry.amount_minor,
        "currency": entry.account.currency,
        "cause": why.cause,
    }
    move = Move(booking.state, money.now, why.actor, why.reason, data)
    happening = Happening(
        "credit.returned", entry, money.now, why.actor, why.reason, {"booking": booking}
    )
    event = event_for(booking, move, from_state=booking.state, kind="credit_returned")
    rows.insert([event, *rows_for(happening)])


def _member_of(booking: Booking) -> Member:
    if booking.member is not None:
        return booking.member
    if not booking.email:
        raise NobodyToCredit
    return member_of_address(booking.email)


# --- Carrying out -------------------------------------------------------------------------------


def carry_out(refund_id: UUID) -> bool:
    """Ask Stripe for a refund, or what has become of it; True when it is over (now or before).

    Never raises for Stripe's sake: a call that fails is tried again by the self-heal.
    """
    refund = _lease(refund_id)
    if refund is None:
        return Refund.objects.filter(pk=refund_id, state__in=[SUCCEEDED, FAILED]).exists()
    try:
        truth = _ask(refund)
    except TemporarilyUnavailable as error:
        _postpone(refund, str(error.__cause__ or error))
        return False
    except StripeRefused as refusal:
        return _refused(refund, str(refusal))
    return _finish(refund, truth)


def look_again(refund_ids: Iterable[UUID]) -> None:
    """A hint that Stripe may have news of these refunds: they are fetched soon (after the commit).

    For webhooks and the reconciler.
    """
    for refund_id in refund_ids:
        Refund.objects.filter(pk=refund_id, to=Refund.To.CARD).update(next_try_at=clock.now())
        effects.kick(Refund.kick_task, str(refund_id))


def due_for_a_try(*, limit: int = 100) -> list[UUID]:
    """Refunds that are to be asked for, or about, by now."""
    waiting = Refund.objects.filter(next_try_at__lte=clock.now())
    return list(waiting.order_by("next_try_at").values_list("pk", flat=True)[:limit])


def _lease(refund_id: UUID) -> Refund | None:
    """Take the right to call Stripe for this refund, unless somebody has it or nothing is due."""
    now = clock.now()
    free = Q(leased_until=None) | Q(leased_until__lte=now)
    wanted = Q(state__in=[REQUESTED, SUBMITTED]) | Q(next_try_at__lte=now)
    taken = Refund.objects.filter(free, wanted, pk=refund_id, to=Refund.To.CARD).update(
        leased_until=now + _LEASE, next_try_at=now + _LEASE, tries=F("tries") + 1
    )
    if not taken:
        return None
    return Refund.objects.select_related("payment", "due").get(pk=refund_id)


def _ask(refund: Refund) -> GivenBack:
    """Make the call, unless it was made before."""
    if refund.stripe_refund_id:
        return stripe_api.fetch_refund(refund)
    if refund.tries > 1 and (found := stripe_api.find_refund(refund)):
        return found
    if refund.state == NEEDS_ATTENTION:
        raise StripeRefused("", refund.last_error)  # a hint came; there is still nothing to see
    try:
        return stripe_api.create_refund(refund)
    except (StripeBroke, StripeRefused) as error:
        # It may have been done all the same: before a 5xx, or by an earlier try of ours.
        found = stripe_api.find_refund(refund)
        if found is not None:
            return found
        if isinstance(error, StripeBroke):
            # This call is over and came to nothing. Stripe would repeat the 5xx for its key.
            Refund.objects.filter(pk=refund.pk).update(attempt=F("attempt") + 1)
        raise


def _postpone(refund: Refund, error: str) -> None:
    log.warning("refund %s: %s", refund.pk, error)
    Refund.objects.filter(pk=refund.pk, leased_until=refund.leased_until).update(
        leased_until=None,
        next_try_at=clock.now() + _pause(refund),
        last_error=error[:2000],
    )


def _pause(refund: Refund) -> timedelta:
    return timedelta(seconds=min(_LONGEST_PAUSE_SECONDS, 2 ** min(refund.tries, 12)))


@retried_on_deadlock
def _refused(refund: Refund, error: str) -> bool:
    """Stripe will not do it: somebody has to look."""
    with transaction.atomic():
        money, fresh = _locked(refund)
        _rest(refund, fresh)
        if REFUND_STATES.allows(fresh.state, NEEDS_ATTENTION):
            move_refund(fresh, NEEDS_ATTENTION, last_error=error[:2000])
            _happened(money, fresh, SYSTEM, kind="refund_needs_attention")
            _file(
                money, fresh, NEEDS_SOMEBODY, f"Stripe refuses to give {fresh.amount} back: {error}"
            )
        return False


@retried_on_deadlock
def _finish(refund: Refund, truth: GivenBack) -> bool:
    """Write down what Stripe says has become of it; a late hint changes nothing."""
    with transaction.atomic():
        money, fresh = _locked(refund)
        _rest(refund, fresh)
        to_state = _STATES.get(truth.status, SUBMITTED)
        if REFUND_STATES.allows(fresh.state, to_state):
            _moved(money, fresh, to_state, truth)
        if fresh.state == SUBMITTED and fresh.next_try_at is None:
            Refund.objects.filter(pk=fresh.pk).update(next_try_at=money.now + _pause(fresh))
        return fresh.state in {SUCCEEDED, FAILED}


def _moved(money: LockedMoney, refund: Refund, to_state: str, truth: GivenBack) -> None:
    columns: dict[str, object] = {
        "stripe_refund_id": truth.id,
        "submitted_at": refund.submitted_at or money.now,
        "last_error": truth.failure_reason if to_state == FAILED else "",
    }
    if to_state != SUBMITTED:
        columns["ended_at"] = money.now
    move_refund(refund, to_state, **columns)
    _close(refund, NEEDS_SOMEBODY)
    if to_state == SUCCEEDED:
        _happened(money, refund, SYSTEM, kind="refunded")
    elif to_state == FAILED:
        _happened(money, refund, SYSTEM, kind="refund_failed")
        because = truth.failure_reason or "no reason given"
        _file(money, refund, HAS_FAILED, f"{refund.amount} did not reach the card: {because}")
    else:
        _happened(money, refund, SYSTEM, kind="refund_submitted")


def _locked(refund: Refund) -> tuple[LockedMoney, Refund]:
    """Money's locks, then the refund's."""
    money = lock_due(refund.due_id)
    fresh = locked(Refund.objects.select_related("payment").filter(pk=refund.pk)).get()
    fresh.due = money.due
    return money, fresh


def _rest(leased: Refund, fresh: Refund) -> None:
    """Give the lease back. A hint that came since it was taken asks for another look."""
    fresh.leased_until = None
    if fresh.next_try_at == leased.next_try_at:
        fresh.next_try_at = None
    fresh.save(update_fields=["leased_until", "next_try_at"])


# --- What staff decide when Stripe refuses ------------------------------------------------------


@retried_on_deadlock
def retry(*, refund_id: UUID, actor: Actor) -> Refund:
    """Ask Stripe again for a refund that it refused. Raises InvalidTransition for any other."""
    refund = Refund.objects.select_related("due").get(pk=refund_id)
    with transaction.atomic():
        money, fresh = _locked(refund)
        if fresh.to != Refund.To.CARD:
            raise NothingToRefund("Stripe knows nothing of this one.")
        attempt = fresh.attempt + 1
        move_refund(fresh, REQUESTED, attempt=attempt, next_try_at=money.now)
        _close(fresh, NEEDS_SOMEBODY)
        _happened(money, fresh, actor, kind="refund_requested")
        effects.kick_for(fresh)
    return fresh


@retried_on_deadlock
def given_by_hand(*, refund_id: UUID, actor: Actor, reason: str) -> Refund:
    """Staff have given it back: what came by something else than Stripe. `reason` says how.

    Said before, it stays as it is. Raises InvalidTransition for any other refund.
    """
    refund = Refund.objects.select_related("due").get(pk=refund_id)
    with transaction.atomic():
        money, fresh = _locked(refund)
        if fresh.to != Refund.To.HAND:
            REFUND_STATES.check(fresh.state, REQUESTED)
            raise NothingToRefund("Stripe gives this back, and tells when it has.")
        if fresh.state == SUCCEEDED:
            return fresh
        move_refund(fresh, SUCCEEDED, submitted_at=money.now, ended_at=money.now, last_error="")
        _close(fresh, NEEDS_SOMEBODY)
        _happened(money, fresh, actor, kind="refunded", reason=reason)
    return fresh


@retried_on_deadlock
def give_up(*, refund_id: UUID, actor: Actor, reason: str) -> Refund:
    """Let go of a refund that Stripe refused: its amount can be given back in another way.

    Stripe is asked first whether it came to something all the same. Raises InvalidTransition unless
    it needs attention, also when it turns out to be on its way, and TemporarilyUnavailable (503)
    when Stripe does not answer.
    """
    refund = Refund.objects.select_related("payment", "due").get(pk=refund_id)
    _catch_up(refund)
    with transaction.atomic():
        money, fresh = _locked(refund)
        if fresh.state != NEEDS_ATTENTION:
            REFUND_STATES.check(fresh.state, REQUESTED)
        move_refund(fresh, FAILED, ended_at=money.now, next_try_at=None)
        _close(fresh, NEEDS_SOMEBODY)
        _happened(money, fresh, actor, kind="refund_failed", reason=reason)
    return fresh


def _catch_up(refund: Refund) -> None:
    """Write down what Stripe knows of a refund that it refused, if it knows of any."""
    if refund.state != NEEDS_ATTENTION or refund.to != Refund.To.CARD:
        return
    try:
        found = find_at_stripe(refund)
    except AccountGone:
        found = None  # it has cut us off: nobody can ask
    if found is not None:
        _finish(refund, found)


def find_at_stripe(refund: Refund) -> GivenBack | None:
    """What Stripe says of a refund, by its id or by our row that it names; None if it has none."""
    if refund.stripe_refund_id:
        return stripe_api.fetch_refund(refund)
    return stripe_api.find_refund(refund)


def explains(refund: Refund, stripe_refund_id: str) -> bool:
    """Whether a refund at Stripe that names our row is the one that was made for it.

    A row has one: a second one, made by hand with the same metadata, is nobody's here.
    """
    return refund.stripe_refund_id in {None, stripe_refund_id}


# --- History, effects, findings -----------------------------------------------------------------


def _happened(
    money: LockedMoney, refund: Refund, actor: Actor, *, kind: str, reason: str = ""
) -> None:
    """The booking's history and what follows. The booking itself does not move."""
    booking = money.booking
    data = {
        "refund": str(refund.pk),
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "to": refund.to,
        "cause": refund.cause,
        "payment": str(refund.payment_id),
    }
    reason = reason or (refund.reason if kind == "refund_requested" else "")
    move = Move(booking.state, money.now, actor, reason, data)
    event = event_for(booking, move, from_state=booking.state, kind=kind)
    happening = Happening(
        f"refund.{refund.state}", refund, money.now, actor, refund.reason, {"booking": booking}
    )
    rows.insert([event, *rows_for(happening)])


def file_foreign(payment: Payment, found: dict[str, Any]) -> Finding:
    """A refund at Stripe that none of our rows asked for: made in its dashboard, say."""
    booking = payment.due.booking
    amount = Money(int(found["amount"]), str(found["currency"]).upper())
    return findings.file(
        kind=FOREIGN,
        severity=Finding.Severity.HIGH,
        subject_type="stripe_refund",
        subject_id=found["id"],
        summary=f"{amount} of {booking.reference} was given back past Surehold",
        workspace=booking.workspace,
        evidence={
            "booking": booking.reference,
            "payment_intent": payment.payment_intent_id,
            "amount_minor": amount.amount_minor,
            "currency": amount.currency,
            "due": str(payment.due_id),
        },
        fingerprint=found["status"],
    )


def _file(money: LockedMoney, refund: Refund, kind: str, summary: str) -> None:
    findings.file(
        kind=kind,
        severity=Finding.Severity.HIGH,
        subject_type="refund",
        subject_id=refund.pk,
        summary=summary,
        workspace=money.booking.workspace,
        evidence={
            "booking": money.booking.reference,
            "payment_intent": refund.payment.payment_intent_id,
            "stripe_refund": refund.stripe_refund_id or "",
            "amount_minor": refund.amount_minor,
            "currency": refund.currency,
            "error": refund.last_error,
        },
        fingerprint=fingerprint(refund.state, refund.attempt),
    )


def fingerprint(state: str, attempt: int) -> str:
    """How a refund stands that somebody has to look at; refused once more is another matter."""
    return f"{state} {attempt}" if state == NEEDS_ATTENTION else state


def _close(refund: Refund, kind: str) -> None:
    open_ones = Finding.objects.filter(
        kind=kind, subject_type="refund", subject_id=str(refund.pk), closed_at=None
    )
    for finding in open_ones:
        findings.resolve(finding, resolution=Finding.Resolution.CAUSE_GONE, actor=SYSTEM)
