"""Paying again for a booking whose capture failed, and giving it up at its deadline (design.md §4).

Which bookings those are, and until when, says `unpaid`.
"""

import logging
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from bookings import services as bookings_services
from bookings.states import CONFIRMED, WITHOUT_OCCUPANCIES
from bookings.words import moment_text
from config.kernel import clock
from config.kernel.context import SYSTEM
from config.kernel.errors import TemporarilyUnavailable
from config.kernel.locks import retried_on_deadlock
from payments import checkouts, connect, credit_spending, findings, refunding, unpaid
from payments.errors import AlreadyPaid, PayAgainOver, PaymentInProgress
from payments.lock_objects import LockedMoney, lock_due, lock_money
from payments.models import Checkout, Due, Finding, Refund
from payments.standing import standing_of_booking
from payments.states import CAPTURE_FAILED, COMPLETE, CREATING, OPEN

log = logging.getLogger(__name__)


def start(*, booking_id: UUID, success_url: str, cancel_url: str) -> str:
    """The address of the payment page for a booking that is to be paid again.

    However often it is asked for, one page is open. Raises AlreadyPaid and PaymentInProgress (409),
    PayAgainOver (410), TemporarilyUnavailable (503).
    """
    checkout = checkouts.open_at_stripe(_prepared(booking_id, success_url, cancel_url))
    if checkout.state == COMPLETE:
        raise PaymentInProgress
    if checkout.state != OPEN or checkout.close_requested_at is not None:
        raise PayAgainOver
    return checkout.url


@retried_on_deadlock
def _prepared(booking_id: UUID, success_url: str, cancel_url: str) -> Checkout:
    owing = Due.objects.filter(booking_id=booking_id, pay_again_until__isnull=False).first()
    with transaction.atomic():
        money = lock_money(booking_id, owing.change_id if owing else None)
        if unpaid.accepted(money.payments) is not None:
            raise AlreadyPaid
        until = money.due.pay_again_until
        if not unpaid.owes_again(money) or until is None or until <= money.now:
            raise PayAgainOver
        connect.refuse_unless_charging(money.booking.workspace, money.due.amount_minor)
        return checkouts.next_for(money, success_url, cancel_url)


def overdue(*, limit: int = 100) -> list[UUID]:
    """Dues whose deadline has passed."""
    late = Due.objects.filter(pay_again_until__lte=clock.now()).order_by("pay_again_until")
    return list(late.values_list("pk", flat=True)[:limit])


def give_up(due_id: UUID) -> bool:
    """Cancel a booking that was not paid again in time, free its slot, tell, and file a finding.

    Where it is a change that nobody paid for, what was paid for the booking before is given back in
    full: the slot that it was for is gone.

    Its open payment page is closed at Stripe first; one that turns out to be paid is settled
    instead. A Stripe that does not answer is waited for as long as the workspace's grace. True when
    the booking was given up.
    """
    try:
        _close_pages(due_id)
    except TemporarilyUnavailable:
        if not _is_out_of_grace(due_id):
            raise
    return _given_up(due_id)


def _close_pages(due_id: UUID) -> None:
    of_booking = Due.objects.filter(pk=due_id).values("booking_id")
    pages = Checkout.objects.filter(due__booking_id__in=of_booking, state__in=[CREATING, OPEN])
    for checkout_id in pages.order_by("attempt").values_list("pk", flat=True):
        checkouts.close(checkout_id)


def _is_out_of_grace(due_id: UUID) -> bool:
    due = Due.objects.select_related("workspace").get(pk=due_id)
    grace = timedelta(seconds=due.workspace.checkout_grace_seconds)
    return due.pay_again_until is not None and due.pay_again_until + grace <= clock.now()


@retried_on_deadlock
def _given_up(due_id: UUID) -> bool:
    with transaction.atomic():
        money = lock_due(due_id)
        until = money.due.pay_again_until
        if until is None or until > money.now or unpaid.accepted(money.payments) is not None:
            return False
        money.due.pay_again_until = None
        money.due.save(update_fields=["pay_again_until"])
        if money.booking.state in WITHOUT_OCCUPANCIES:
            return False  # cancelled meanwhile
        is_theirs = money.booking.state == CONFIRMED
        if is_theirs:
            said = moment_text(until, ZoneInfo(money.booking.workspace.timezone))
            bookings_services.cancel(
                booking_id=money.booking.pk,
                actor=SYSTEM,
                reason=f"It was not paid by {said}",
                data={"refund": "full"},
            )
            money.booking.refresh_from_db()
            _give_back(money)
        if not is_theirs or any(p.state == CAPTURE_FAILED for p in money.payments):
            _file(money, cancelled=is_theirs)
        return is_theirs


def _give_back(money: LockedMoney) -> None:
    """What credit had paid of what is given up is the member's again, and what was paid before."""
    _return_credit(money)
    standing = standing_of_booking(money.booking)
    if standing.left.total_minor:
        refunding.request(
            money,
            amount_minor=standing.left.total_minor,
            cause=Refund.Cause.RECONCILER,
            actor=SYSTEM,
            reason="Its change was not paid for",
            standing=standing,
        )


def _return_credit(money: LockedMoney) -> None:
    paid = sum(part.minor for part in credit_spending.parts(due_ids=[money.due.pk]))
    if paid:
        credit_spending.return_spent(
            due=money.due,
            amount_minor=paid,
            key=f"unpaid:{money.due.pk}",
            actor=SYSTEM,
            source="unpaid",
        )


def _file(money: LockedMoney, *, cancelled: bool) -> None:
    """Staff look at both: a slot given up for want of money, and an hour had without paying."""
    booking = money.booking
    reference, owed = booking.reference, money.due.amount
    has_failed = any(p.state == CAPTURE_FAILED for p in money.payments)
    why = f"the capture of {owed} failed and nobody paid again" if has_failed else (
        f"{owed} was to be paid and was not paid"
    )  # fmt: skip
    findings.file(
        kind="cancelled_unpaid" if cancelled else "taken_place_unpaid",
        severity=Finding.Severity.MEDIUM if cancelled else Finding.Severity.HIGH,
        subject_type="booking",
        subject_id=booking.pk,
        summary=f"{reference}: {why} in time",
        workspace=booking.workspace,
        evidence={
            "payments": [
                {"intent": p.payment_intent_id, "state": p.state, "error": p.last_error}
                for p in money.payments
            ]
        },
        done="The booking was cancelled and its slot is free." if cancelled else "",
    )
