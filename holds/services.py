"""What can be done with a hold. Claiming is in `claims.py`."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from bookings import freshness
from bookings import services as bookings_services
from bookings.calendars import meanwhile
from bookings.models import Booking, Occupancy
from config.kernel import rows
from config.kernel.context import Actor
from config.kernel.errors import InvalidTransition, NotFound
from config.kernel.locks import retried_on_deadlock
from holds import ending
from holds.claims import Claimant, LineRequest, claim
from holds.errors import CheckoutOpen, HoldExpired, HoldNotExtendable, TooManyHolds
from holds.lapsing import expire_lapsed
from holds.lock_objects import LockedHold, lock_hold
from holds.models import Hold
from holds.states import ACTIVE, CONFIRMED

__all__ = [
    "CheckoutOpen",
    "Claimant",
    "HoldExpired",
    "HoldNotExtendable",
    "LineRequest",
    "TooManyHolds",
    "claim",
    "confirm_unpaid",
    "expire_lapsed",
    "extend",
    "release",
]


@retried_on_deadlock
def release(
    *, hold_id: UUID, actor: Actor, reason: str = "", checkout_closed: bool = False
) -> Hold:
    """Give up an active hold. One that has ended already stays as it ended.

    Raises NotFound, InvalidTransition when it is confirmed, and CheckoutOpen when a Checkout is
    open: `payments.holding.let_go` closes it at Stripe, which takes the mark off the hold, and
    asks again. `checkout_closed` is for a caller who knows that no session is open any more.
    """
    with transaction.atomic():
        found = _locked(hold_id)
        hold = found.hold
        if hold.state == CONFIRMED:
            raise InvalidTransition("The booking is confirmed; cancel it instead.")
        if hold.state != ACTIVE:
            return hold
        if hold.has_open_checkout and not checkout_closed and hold.lapses_at > found.now:
            raise CheckoutOpen(hold.pk)
        ending.release_locked(hold, found.now, actor, reason)
        return hold


@retried_on_deadlock
def extend(*, hold_id: UUID, actor: Actor) -> Hold:
    """Add the workspace's extension to a live hold, once.

    Raises NotFound, HoldExpired (410), HoldNotExtendable (409).
    """
    with transaction.atomic():
        found = _locked(hold_id)
        hold, now = found.hold, found.now
        if hold.state != ACTIVE or hold.expires_at <= now:
            raise HoldExpired
        seconds = hold.workspace.hold_extension_seconds
        if hold.extended_at is not None or not seconds or found.booking.requested_at is not None:
            raise HoldNotExtendable
        more = timedelta(seconds=seconds)
        hold.expires_at += more
        hold.lapses_at += more
        hold.extended_at = now
        hold.save(update_fields=["expires_at", "lapses_at", "extended_at"])
        _keep_until(hold)
        rows.insert([bookings_services.note(found.booking, kind="extended", at=now, actor=actor)])
        return hold


def keep_for_checkout(found: LockedHold, grace: timedelta) -> None:
    """A Checkout is about to be opened: the slot stays its grace longer than promised."""
    hold = found.hold
    hold.has_open_checkout = True
    hold.lapses_at = hold.expires_at + grace
    hold.save(update_fields=["has_open_checkout", "lapses_at"])
    _keep_until(hold)


def keep_for_payment(found: LockedHold, until: datetime) -> None:
    """A payment is under way that is answered later: the slot stays until then, as promised.

    It counts as an open Checkout, so that nobody lets go of what is being paid.
    """
    hold = found.hold
    hold.has_open_checkout = True
    hold.expires_at = hold.lapses_at = until
    hold.save(update_fields=["has_open_checkout", "expires_at", "lapses_at"])
    _keep_until(hold)


def keep_for_approval(found: LockedHold, until: datetime) -> None:
    """A request is sent: the slot stays until staff have to have answered, paid for or not.

    As with a payment under way, nobody replaces it by mistake; `payments.approval` lets go of it.
    """
    keep_for_payment(found, until)


def keep_to_pay(found: LockedHold, until: datetime) -> None:
    """What is held stays until then for somebody to pay; nothing is open that could be closed."""
    keep_for_payment(found, until)
    found.hold.has_open_checkout = False
    found.hold.save(update_fields=["has_open_checkout"])


def checkout_gone(hold: Hold) -> None:
    """No Checkout is open any more (caller holds the locks): the grace ends with it."""
    hold.has_open_checkout = False
    hold.lapses_at = hold.expires_at
    hold.save(update_fields=["has_open_checkout", "lapses_at"])
    _keep_until(hold)
    freshness.booking_changed(hold.booking_id)


def confirm_unpaid(found: LockedHold, actor: Actor) -> Booking:
    """Confirm a hold that owes nothing more. The caller has seen to the due, under the locks.

    Raises HoldExpired when its time is up, and SlotTaken (409) where a connected calendar is busy
    by now.
    """
    if found.hold.state != ACTIVE or found.hold.expires_at <= found.now:
        raise HoldExpired
    meanwhile.refuse_taken(found.booking.pk, found.hold.change_id)
    ending.win_locked(found.hold, found.now, actor, free=True)
    return found.booking


def _locked(hold_id: UUID) -> LockedHold:
    try:
        return lock_hold(hold_id)
    except Hold.DoesNotExist:
        raise NotFound("There is no such hold.") from None


def _keep_until(hold: Hold) -> None:
    Occupancy.objects.filter(
        booking_id=hold.booking_id, change=hold.change_id, released_at=None
    ).update(lapses_at=hold.lapses_at)
