"""Following signals, and the self-heal that finds what no signal told (design.md §6)."""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from celery import shared_task

from config.kernel import clock
from config.kernel.errors import DomainError
from holds.models import Hold
from members import purging as answers
from payments import (
    carrying,
    checkouts,
    connect,
    pay_again,
    pay_later,
    purging,
    refunding,
    settlement,
)
from payments.credits import expire_due
from payments.making_good import services as making_good
from payments.models import Checkout, Incident, Signal
from payments.reconciler import registry, runner, slots
from payments.states import ABANDONED, COMPLETE, CREATING, OPEN
from payments.stripe_api import StripeDown, is_unreachable

log = logging.getLogger(__name__)

_BATCH = 100
_LONGEST_PAUSE_SECONDS = 300
_LONGEST_SWEEP_SECONDS = 20
_PROCESSING_PAUSE_SECONDS = 3600
_LOOKED_AT = (CREATING, OPEN, COMPLETE)
_LONGEST_RECONCILE_SECONDS = 90


@shared_task(name="payments.follow_signal")
def follow_signal(signal_id: str) -> str:
    """Settle what a webhook hinted at; its outcome is kept, whatever it was."""
    signal = Signal.objects.select_related("checkout").filter(pk=signal_id).first()
    if signal is None or signal.followed_at is not None:
        return "followed"
    # Should this try fail, others' turns come before its next one.
    pause = min(_LONGEST_PAUSE_SECONDS, 10 * 2 ** min(signal.tries, 6))
    Signal.objects.filter(pk=signal.pk).update(
        tries=signal.tries + 1, next_try_at=clock.now() + timedelta(seconds=pause)
    )
    if signal.session_id and not signal.checkout.session_id:
        # The answer to its creation never reached us; the event tells.
        checkouts.adopt(signal.checkout_id, signal.session_id)
    outcome = settlement.settle(checkout_id=signal.checkout_id, source=signal.source)
    Signal.objects.filter(pk=signal.pk).update(
        followed_at=clock.now(), outcome=_ignored(signal, outcome)
    )
    return outcome.name


def _ignored(signal: Signal, outcome: settlement.Outcome) -> str:
    """A late or repeated hint is recorded as ignored."""
    return "ignored" if outcome.name == "repeated" else outcome.name


@shared_task(name="payments.carry_out_refund")
def carry_out_refund(refund_id: str) -> bool:
    """Give money back, or see what has become of it; kicked when it is asked for and by hints."""
    return refunding.carry_out(UUID(refund_id))


@shared_task(name="payments.close_ended")
def close_ended(checkout_id: str) -> str:
    """At a hold's end: close its session at Stripe, then free the slot. Kicked with an ETA."""
    checkout = Checkout.objects.select_related("due").filter(pk=checkout_id).first()
    if checkout is None or checkout.state not in {CREATING, OPEN}:
        return "ended"
    if _payable_until(checkout) > clock.now() and not checkout.close_requested_at:
        return "extended"
    return checkouts.close(checkout.pk)


@shared_task(name="payments.look_at_account")
def look_at_account(workspace_id: str) -> bool:
    """A webhook hinted at a workspace's account: ask how it stands."""
    return connect.look(UUID(workspace_id))


@shared_task(name="payments.sweep")
def sweep() -> dict[str, int]:
    """The self-heal: what a kick, a webhook or a crash left undone, in bounded batches.

    Each kind has its share of the time that is left, and one try at least: no flood of one keeps
    the others waiting.
    """
    kinds: dict[str, tuple[Callable, Callable[[], Iterable]]] = {
        "signals": (follow_signal, _open_signals),
        "checkouts": (_look_at, _due_looks),
        "payments": (carrying.carry_out, partial(carrying.due_for_a_try, limit=_BATCH)),
        "refunds": (refunding.carry_out, partial(refunding.due_for_a_try, limit=_BATCH)),
        "accounts": (connect.look, partial(connect.due_for_a_look, limit=_BATCH)),
        "soon": (pay_later.remind, partial(pay_later.to_remind, limit=_BATCH)),
        "unpaid": (pay_again.give_up, partial(pay_again.overdue, limit=_BATCH)),
    }
    end, done = time.monotonic() + _LONGEST_SWEEP_SECONDS, {}
    for before, (name, (work, waiting)) in enumerate(kinds.items()):
        begun = time.monotonic()
        share = (end - begun) / (len(kinds) - before)
        done[name] = _each(work, waiting(), begun + share)
    return done


@shared_task(name="payments.make_good")
def make_good(incident_id: str) -> int:
    """Tell everybody of an incident who has not been told."""
    return making_good.carry_out(UUID(incident_id))


@shared_task(name="payments.sweep_incidents")
def sweep_incidents() -> int:
    """Incidents that a crash or a dead broker left unfinished."""
    waiting = Incident.objects.filter(next_try_at__lte=clock.now())
    until = time.monotonic() + _LONGEST_SWEEP_SECONDS
    return _each(making_good.carry_out, waiting.values_list("pk", flat=True)[:10], until)


@shared_task(name="payments.expire_credit")
def expire_credit() -> int:
    """Expire credit whose time is over; what a run does not reach is the next one's."""
    return expire_due()


def _open_signals() -> list[str]:
    now = clock.now()
    waiting = Signal.objects.filter(
        followed_at=None, next_try_at__lte=now, received_at__lte=now - timedelta(seconds=5)
    ).order_by("next_try_at")
    return [str(pk) for pk in waiting.values_list("pk", flat=True)[:_BATCH]]


def _due_looks() -> list[UUID]:
    waiting = Checkout.objects.filter(state__in=_LOOKED_AT, next_look_at__lte=clock.now())
    return list(waiting.order_by("next_look_at").values_list("pk", flat=True)[:_BATCH])


def _look_at(checkout_id: UUID) -> None:
    """See to one Checkout: settle it if it was paid, close it if its hold is over.

    Looked at again later unless that ended it; the pause grows.
    """
    checkout = Checkout.objects.select_related("due").get(pk=checkout_id)
    now = clock.now()
    pause = min(_LONGEST_PAUSE_SECONDS, 10 * 2 ** min(checkout.looks, 6))
    until = _payable_until(checkout)
    next_look_at = now + timedelta(seconds=pause)
    if now < until < next_look_at:
        next_look_at = until
    # One that has ended meanwhile is looked at no more, whatever becomes of this look.
    Checkout.objects.filter(pk=checkout_id, state__in=_LOOKED_AT).update(
        looks=checkout.looks + 1, next_look_at=next_look_at
    )
    over = checkout.close_requested_at is not None or until <= now
    if checkout.state != COMPLETE and over:
        checkouts.close(checkout_id)
    elif checkout.state == CREATING:
        checkouts.open_at_stripe(checkout)
    else:
        outcome = settlement.settle(checkout_id=checkout_id, source=Signal.Source.SELF_HEAL)
        settlement.record(checkout_id, Signal.Source.SELF_HEAL, outcome.name)
        if outcome.name in {
            "processing",
            "awaiting",
        }:  # staff, or a bank that takes days is not asked every few minutes
            later = now + timedelta(seconds=_PROCESSING_PAUSE_SECONDS)
            Checkout.objects.filter(pk=checkout_id, state=COMPLETE).update(next_look_at=later)
    _rest_when_done(checkout_id)


def _payable_until(checkout: Checkout) -> datetime:
    """When its page is to be closed: at the hold's end, or when paying again is over."""
    due = checkout.due
    hold = Hold.objects.get(booking_id=due.booking_id, change=due.change_id)
    return due.pay_again_until or hold.expires_at


def _rest_when_done(checkout_id: UUID) -> None:
    """A Checkout whose payments all have a verdict, or that ended unpaid, needs no more looks."""
    checkout = Checkout.objects.get(pk=checkout_id)
    payments = list(checkout.payments.all())
    decided = bool(payments) and all(p.verdict or p.state == "failed" for p in payments)
    if checkout.state in {"expired", ABANDONED} or (checkout.state == COMPLETE and decided):
        Checkout.objects.filter(pk=checkout_id).update(next_look_at=None)


def _each(work: Callable, items: Iterable, until: float) -> int:
    """Do each by itself: one that fails is logged and tried again by a later sweep.

    Stops when time is up (`until`, monotonic seconds), after one at least, and when Stripe does not
    answer at all: waiting for it a hundred times over would keep the worker from everything else.
    """
    done = 0
    for tried, item in enumerate(items):
        if tried and time.monotonic() >= until:
            break
        try:
            work(item)
            done += 1
        except StripeDown as error:
            log.warning("%s %s: %s", getattr(work, "__name__", work), item, error)
            if is_unreachable(error):
                break
        except DomainError as error:
            log.warning("%s %s: %s", getattr(work, "__name__", work), item, error)
        except Exception:
            log.exception("%s %s", getattr(work, "__name__", work), item)
    return done


# --- The reconciler -----------------------------------------------------------------------------


@shared_task(name="payments.reconcile")
def reconcile() -> dict[str, str]:
    """Every minute: run the checks that are due, the hourly ones when their hour has come."""
    outcomes = runner.run_all(registry.due(), seconds=_LONGEST_RECONCILE_SECONDS)
    registry.forget_old()
    return outcomes


@shared_task(name="payments.audit_overlaps")
def audit_overlaps(booking_id: str) -> int:
    """Kicked by every confirmation: was this slot promised to somebody else?"""
    return slots.audit_booking(UUID(booking_id))


@shared_task(name="payments.purge")
def purge() -> int:
    """Ended holds without money, and idempotency keys, that are past their time."""
    return purging.ended_holds() + answers.idempotency_keys()
