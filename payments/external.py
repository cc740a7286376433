"""Money that does not come by Stripe: cash, a transfer, an invoice, another payment provider.

It is a Payment like any other, with a provider and a reference in place of a PaymentIntent: one is
accepted per due (INV-5), it counts in the due's sum (INV-6), and it goes back by hand. Who reports
it is sure that it came; so there is nothing to authorise, and it is captured when it is written.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction

from bookings.models import Booking
from bookings.services import note
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.database_errors import constraint_of
from config.kernel.errors import DomainError, InvalidInput, InvalidTransition, NotFound
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import Money
from holds.errors import CheckoutOpen, HoldExpired
from holds.models import Hold
from payments import carrying, findings, reacquire, refunding, unpaid, winning
from payments.errors import AlreadyPaid, PaymentInProgress
from payments.holding import placed
from payments.lock_objects import LockedMoney, lock_money
from payments.models import Finding, Payment, Refund
from payments.moves import move_payment
from payments.states import AUTHORISED, CAPTURE, CAPTURED, COMPLETE, CREATING, OPEN, REFUND

SOURCE = "external"
REFUSED = "external_payment_refused"
METHODS = {"cash": "Cash", "bank_transfer": "Bank transfer", "invoice": "Invoice"}
# A payment that is on its way by another road: its outcome comes first.
_UNDER_WAY = {"created", "processing", "authorised", "capturing"}

_Refuse = Callable[[LockedMoney, "Received", str, Actor], Payment]


class AmountDiffers(DomainError):
    code = "amount_differs"
    status = 422
    detail = "That is not what is owed."


class AwaitingApproval(DomainError):
    code = "awaiting_approval"
    status = 409
    detail = "Staff approve this booking first."


class ReferenceUsed(DomainError):
    code = "reference_used"
    status = 409
    detail = "This payment has been used for something else."


@dataclass(frozen=True, slots=True)
class Received:
    """What came: by which provider, which payment it is there, and how much."""

    provider: str
    reference: str
    amount: Money

    def check(self) -> None:
        """Raises InvalidInput for what does not name a payment."""
        for field, most in [("provider", 40), ("reference", 120)]:
            if not 0 < len(getattr(self, field)) <= most:
                raise InvalidInput(f"Give 1 to {most} characters.", field=field)


def confirm_external(
    *, hold_id: UUID, received: Received, actor: Actor, reason: str = ""
) -> Booking:
    """Confirm what is held with money that another system has taken (reserve, then confirm).

    Idempotent by provider and reference. A slot that is gone and cannot be won again: the payment
    is recorded as one to be given back by hand, with a finding, and HoldExpired (410) is raised,
    now and when asked again. Raises NotFound, AlreadyPaid (409) for a second reference,
    ReferenceUsed and AwaitingApproval (409), AmountDiffers (422), InvalidInput, and
    PaymentInProgress (409) and TemporarilyUnavailable (503) while a payment page is open that
    cannot be closed.
    """
    payment = _confirmed(hold_id, received, actor, reason, refuse=_record_refused)
    if payment.verdict == REFUND:
        raise HoldExpired("The slot was gone when the payment was reported. Give the money back.")
    return payment.due.booking


def record_offline(*, hold_id: UUID, received: Received, actor: Actor, reason: str = "") -> Booking:
    """Staff have been paid by hand. Where the slot is gone they are told so: nothing is recorded.

    Raises HoldExpired (410) then, and what `confirm_external` raises.
    """
    return _confirmed(hold_id, received, actor, reason, refuse=_tell).due.booking


def _confirmed(
    hold_id: UUID, received: Received, actor: Actor, reason: str, *, refuse: _Refuse
) -> Payment:
    """Payment pages in the way are closed at Stripe, newer holds of the same person let go."""
    received.check()
    hold = Hold.objects.filter(pk=hold_id).first()
    if hold is None:
        raise NotFound("There is no such hold.")
    for _ in range(3):
        try:
            return placed(lambda: _decide(hold, received, actor, reason, refuse, gives_up=False))
        except reacquire.OwnHoldInTheWay as mine:
            with suppress(PaymentInProgress, InvalidTransition):
                mine.make_way()
    return placed(lambda: _decide(hold, received, actor, reason, refuse, gives_up=True))


@retried_on_deadlock
def _decide(
    hold: Hold, received: Received, actor: Actor, reason: str, refuse: _Refuse, *, gives_up: bool
) -> Payment:
    with transaction.atomic():
        money = lock_money(hold.booking_id, hold.change_id)
        known = _known(money, received)
        if known is not None:
            return known
        if money.booking.needs_approval and winning.is_live(money):
            raise AwaitingApproval
        refuse_while_paying(money)
        if received.amount != money.due.amount:
            raise AmountDiffers(f"{money.due.amount} is owed.", field="amount_minor")
        if not unpaid.owes_again(money):
            refusal = winning.win(money, None, SOURCE, gives_up=gives_up)
            if refusal:
                return refuse(money, received, refusal, actor)
        payment = _written(money, received, verdict=CAPTURE)
        carrying.captured(money, payment, actor=actor, reason=reason)
        return payment


def refuse_while_paying(money: LockedMoney) -> None:
    """What is owed can be settled in another way only while nobody is paying it by card.

    Raises AlreadyPaid and PaymentInProgress (409), and CheckoutOpen, upon which `holding.placed`
    closes the payment page and tries again.
    """
    if money.due.settled_at is not None or unpaid.accepted(money.payments) is not None:
        raise AlreadyPaid
    decided = {p.checkout_id for p in money.payments if p.verdict or p.state == "failed"}
    if any(p.state in _UNDER_WAY and not p.verdict for p in money.payments) or any(
        c.state == COMPLETE and c.pk not in decided for c in money.checkouts.values()
    ):
        raise PaymentInProgress
    if any(
        c.state in {CREATING, OPEN} and c.close_requested_at is None
        for c in money.checkouts.values()
    ):
        raise CheckoutOpen(money.hold.pk)


def _known(money: LockedMoney, received: Received) -> Payment | None:
    """The payment that was reported before under this reference. Raises ReferenceUsed."""
    found = Payment.objects.filter(
        workspace=money.booking.workspace_id,
        provider=received.provider,
        reference=received.reference,
    ).first()
    if found is None:
        return None
    if found.due_id != money.due.pk or found.amount != received.amount:
        raise ReferenceUsed
    found.due = money.due
    found.due.booking = money.booking
    return found


def _written(money: LockedMoney, received: Received, *, verdict: str, because: str = "") -> Payment:
    """The row, through its states to the last: all that was to happen has happened elsewhere."""
    payment = Payment(
        due=money.due,
        workspace_id=money.booking.workspace_id,
        provider=received.provider,
        reference=received.reference,
        livemode=True,
        amount_minor=received.amount.amount_minor,
        currency=received.amount.currency,
        created_at=money.now,
    )
    payment.due.booking = money.booking
    _insert(payment)
    move_payment(payment, AUTHORISED)
    move_payment(
        payment,
        CAPTURED,
        verdict=verdict,
        verdict_because=because,
        decided_at=money.now,
        captured_at=money.now,
        settled_by=SOURCE,
    )
    money.payments.append(payment)
    return payment


def _insert(payment: Payment) -> None:
    """Raises ReferenceUsed for one that is being reported for something else at this moment."""
    try:
        rows.insert([payment])
    except IntegrityError as error:
        if constraint_of(error) == "payment_external_once":
            raise ReferenceUsed from error
        raise


def _tell(money: LockedMoney, received: Received, because: str, actor: Actor) -> Payment:
    raise HoldExpired("The slot is gone, so nothing was recorded. Hand the money back.")


def _record_refused(money: LockedMoney, received: Received, because: str, actor: Actor) -> Payment:
    """The money came for nothing: it is to go back, and somebody has to see to it.

    The member is told by whoever took the money: they have been told that it was refused. Nothing
    came for what was free.
    """
    if not received.amount.amount_minor:
        raise HoldExpired
    payment = _written(money, received, verdict=REFUND, because=because)
    refunding.request_of(
        money,
        payment,
        amount_minor=payment.amount_minor,
        cause=Refund.Cause.LATE,
        actor=actor,
        reason="Nothing was bought with it",
    )
    findings.file(
        kind=REFUSED,
        severity=Finding.Severity.HIGH,
        subject_type="payment",
        subject_id=payment.pk,
        summary=f"{money.booking.reference}: {payment.amount} came by {payment.name}, and the slot"
        " was gone",
        workspace=money.booking.workspace,
        evidence={
            "due": str(money.due.pk),
            "provider": payment.provider,
            "reference": payment.reference,
            "because": because,
        },
        done="It was not accepted, and is to be given back by hand.",
        fingerprint=because,
    )
    refused = note(
        money.booking,
        kind="payment_refused",
        at=money.now,
        actor=actor,
        payment=str(payment.pk),
        provider=payment.provider,
        because=because,
        **payment.amount.as_json(),
    )
    rows.insert([refused])
    return payment
