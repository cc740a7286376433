"""Asking no money for what is held: staff's decision, with a reason that is kept.

The price stays as it was frozen; the due says that it was waived (`waived_minor`), whole, so that
its sum comes out even (INV-6) and reports can tell what was given away from what was free.
"""

from uuid import UUID

from django.db import transaction

from bookings.models import Booking, BookingEvent
from bookings.services import note
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.errors import NotFound
from config.kernel.locks import retried_on_deadlock
from config.kernel.money import Money
from holds import services as holds_services
from holds.models import Hold
from payments import unpaid
from payments.external import AwaitingApproval, refuse_while_paying
from payments.holding import placed
from payments.lock_objects import LockedMoney, lock_money

WAIVED = "waived"


def waive(*, hold_id: UUID, actor: Actor, reason: str) -> Booking:
    """Confirm what is held without money; or ask no more for a booking whose payment failed.

    A payment page that is open is closed first, and its credit comes back. Raises NotFound,
    HoldExpired (410), AlreadyPaid and PaymentInProgress (409), TemporarilyUnavailable (503) when
    Stripe does not answer.
    """
    hold = Hold.objects.filter(pk=hold_id).first()
    if hold is None:
        raise NotFound("There is no such hold.")
    return placed(lambda: _waived(hold, actor, reason))


@retried_on_deadlock
def _waived(hold: Hold, actor: Actor, reason: str) -> Booking:
    with transaction.atomic():
        money = lock_money(hold.booking_id, hold.change_id)
        if money.booking.needs_approval:
            raise AwaitingApproval
        refuse_while_paying(money)
        waive_locked(money, actor, reason)
        return money.booking


def waive_locked(money: LockedMoney, actor: Actor, reason: str) -> None:
    """The same under money's locks. Raises HoldExpired (410)."""
    due = money.due
    is_theirs = unpaid.owes_again(money)
    due.waived_minor, due.settled_at, due.pay_again_until = due.amount_minor, money.now, None
    due.save(update_fields=["waived_minor", "settled_at", "pay_again_until"])
    if due.amount_minor:  # what is free has nothing to be waived
        rows.insert([_story(money, actor, reason)])
    if not is_theirs:
        holds_services.confirm_unpaid(money.held, actor)


def _story(money: LockedMoney, actor: Actor, reason: str) -> BookingEvent:
    due = money.due
    return note(
        money.booking, kind=WAIVED, at=money.now, actor=actor, reason=reason,
        **Money(due.amount_minor, due.currency).as_json(),
    )  # fmt: skip
