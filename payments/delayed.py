"""Payments that are answered days later: bank debits and the like (design.md §6).

While one is under way it keeps its slot, up to a limit. Then the slot is free, and whatever comes
after that ends cleanly: won back, or given back.
"""

from datetime import timedelta

from bookings import mails
from bookings.effects import PAYMENT_FAILED
from bookings.services import note
from config.kernel import rows
from config.kernel.context import SYSTEM, request_id
from holds import ending
from holds import services as holds_services
from holds.states import ACTIVE
from members.models import Workspace
from payments import unpaid
from payments.lock_objects import LockedMoney
from payments.models import Checkout, Payment, Refund
from payments.states import COMPLETE, CREATING, FAILED, OPEN, PROCESSING
from payments.stripe_api import DELAYED_METHODS


def are_taken(workspace: Workspace, currency: str) -> bool:
    """Whether a workspace takes them, and there are any in this currency."""
    return workspace.takes_delayed_methods and currency in DELAYED_METHODS


def may_pay(money: LockedMoney) -> bool:
    """Whether one may pay for what is held. A change waits for no bank: the slot it leaves is
    somebody else's as soon as it is made.
    """
    is_held = money.hold.state == ACTIVE and money.change is None
    if money.booking.needs_approval:
        return False  # what is not captured later cannot wait for staff to decide
    return is_held and are_taken(money.booking.workspace, money.due.currency)


def follow(money: LockedMoney, checkout: Checkout, payment: Payment, before: str) -> None:
    """What follows when a payment begins to be processed, or fails after its session is over.

    `before` is the state it was in: one that never was under way kept no slot, so a hold that is
    still live stays as it was promised, and can be paid in another way.
    """
    if payment.state == PROCESSING:
        _keep_slot(money, payment)
    elif payment.state == FAILED and checkout.state == COMPLETE:
        is_live = money.hold.state == ACTIVE and money.hold.lapses_at > money.now
        if before == PROCESSING or not is_live:
            _failed(money, payment)


def refund_of(money: LockedMoney, checkout: Checkout, payment: Payment) -> Refund:
    """All of a payment that was taken and bought nothing, on its way back. Not yet written."""
    is_duplicate = payment.verdict_because == "duplicate"
    workspace = money.booking.workspace
    return Refund(
        due=money.due,
        payment=payment,
        to=Refund.To.CARD,
        cause=Refund.Cause.DUPLICATE if is_duplicate else Refund.Cause.LATE,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        reason="Nothing was bought with it",
        actor_kind=SYSTEM.kind,
        actor_id=SYSTEM.id,
        actor_label=SYSTEM.label,
        request_id=request_id.get(),
        refunds_fee=bool(checkout.application_fee_minor) and workspace.refund_application_fee,
        reverses_transfer=bool(checkout.destination),
        created_at=money.now,
        next_try_at=money.now,
    )


def _keep_slot(money: LockedMoney, payment: Payment) -> None:
    """From now the slot is kept up to the workspace's limit, and never into its own time."""
    hold, booking = money.hold, money.booking
    if hold.state != ACTIVE or hold.lapses_at <= money.now:
        return
    limit = timedelta(seconds=booking.workspace.processing_limit_seconds)
    until = max(hold.lapses_at, min(money.now + limit, booking.starts_at))
    holds_services.keep_for_payment(money.held, until)
    told = mails.processing(booking, amount=payment.amount, payment=str(payment.pk), until=until)
    begun = note(
        booking,
        kind="payment_processing",
        at=money.now,
        actor=SYSTEM,
        payment=str(payment.pk),
        until=until.isoformat(),
    )
    rows.insert([begun, *told])


def _failed(money: LockedMoney, payment: Payment) -> None:
    """The bank said no: the slot is free at once, unless something else still pays for it."""
    booking = money.booking
    failed = note(
        booking, kind="payment_failed", at=money.now, actor=SYSTEM, payment=str(payment.pk)
    )
    rows.insert([failed])
    if unpaid.accepted(money.payments) is not None or _is_still_paying(money, payment):
        return
    if money.hold.state == ACTIVE:
        ending.fail_locked(money.hold, money.now, PAYMENT_FAILED)
    rows.insert(mails.payment_failed(booking, amount=payment.amount, payment=str(payment.pk)))


def _is_still_paying(money: LockedMoney, failed: Payment) -> bool:
    """Whether another page is open or another payment on its way."""
    if any(
        c.state in {CREATING, OPEN} and c.close_requested_at is None
        for c in money.checkouts.values()
    ):
        return True
    return any(p.state == PROCESSING for p in money.payments if p.pk != failed.pk)
