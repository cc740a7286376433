"""Stripe's webhooks, taken in by dj-stripe: a hint is written down, and followed by a task.

dj-stripe checks the signature, logs the event and drops repeats; our receivers run in its
transaction and only write a Signal. Its own synchronisation of objects is switched off for these
events, since it would call Stripe inside that transaction.
"""

import logging
from typing import Any
from uuid import UUID

from djstripe.event_handlers import (
    djstripe_receiver,
    handle_account_updated_event,
    handle_other_event,
)
from djstripe.models import Event
from djstripe.signals import WEBHOOK_SIGNALS

from config.kernel import rows
from payments import connect, disputes, refunding
from payments.event_names import ACCOUNT_EVENTS, ALL_EVENTS, DISPUTE_EVENTS, EVENTS, REFUND_EVENTS
from payments.models import Checkout, Payment, Refund, Signal
from payments.states import FAILED, SUCCEEDED

log = logging.getLogger(__name__)

for _name in ALL_EVENTS:
    WEBHOOK_SIGNALS[_name].disconnect(handle_other_event, sender=Event)
WEBHOOK_SIGNALS["account.updated"].disconnect(handle_account_updated_event, sender=Event)


@djstripe_receiver(list(ACCOUNT_EVENTS))
def take_account_hint(sender: type[Event], event: Event, **kwargs: Any) -> None:
    """Write down that an account is to be looked at; it comes through the Connect endpoint."""
    data = event.stripe_data
    if not connect.is_of_other_mode(data) and data.get("account"):
        connect.take_account_hint(data["account"])


@djstripe_receiver([name for name in EVENTS if name not in ACCOUNT_EVENTS])
def take_hint(sender: type[Event], event: Event, **kwargs: Any) -> None:
    """Write down that a Checkout may have moved. What is not ours is left alone."""
    data = event.stripe_data
    if connect.is_of_other_mode(data):
        return
    checkout = _checkout(data["data"]["object"])
    if checkout is None:
        log.info("event %s is about nothing of ours", event.id)
        return
    account = data.get("account") or ""
    if account != checkout.account or bool(data["livemode"]) != checkout.livemode:
        log.warning("event %s is of another account or mode than its checkout", event.id)
        return
    source = Signal.Source.CONNECT if account else Signal.Source.PLATFORM
    about = data["data"]["object"]
    signal = Signal(
        checkout=checkout,
        source=source,
        event_id=event.id,
        event_type=event.type,
        session_id=about["id"] if about["object"] == "checkout.session" else "",
    )
    rows.insert([signal])


@djstripe_receiver(list(REFUND_EVENTS))
def take_refund_hint(sender: type[Event], event: Event, **kwargs: Any) -> None:
    """A refund may have moved: ours are looked at again, and one that is not is a finding."""
    data = event.stripe_data
    found = data["data"]["object"]
    payment = _payment(data)
    if payment is None:
        return
    if found["object"] == "charge":
        mine = payment.refunds.exclude(state=FAILED).exclude(state=SUCCEEDED)
        refunding.look_again(mine.values_list("pk", flat=True))
        return
    named = (found.get("metadata") or {}).get("refund", "")
    refunds = Refund.objects.filter(payment=payment)
    ours = next((refund for refund in refunds if str(refund.pk) == named), None)
    if ours is not None and refunding.explains(ours, found["id"]):
        refunding.look_again([ours.pk])
    else:
        refunding.file_foreign(payment, found)


@djstripe_receiver(list(DISPUTE_EVENTS))
def take_dispute(sender: type[Event], event: Event, **kwargs: Any) -> None:
    """Write down a cardholder's objection, or what has become of it."""
    data = event.stripe_data
    payment = _payment(data)
    if payment is not None:
        disputes.note(payment, data["data"]["object"])


def _payment(data: dict[str, Any]) -> Payment | None:
    """The Payment that an event's object is about, if it is of the event's account and mode."""
    intent = data["data"]["object"].get("payment_intent")
    payment = Payment.objects.filter(payment_intent_id=intent).first() if intent else None
    if payment is None:
        log.info("event %s is about nothing of ours", data["id"])
        return None
    if (data.get("account") or "", bool(data["livemode"])) != (payment.account, payment.livemode):
        log.warning("event %s is of another account or mode than its payment", data["id"])
        return None
    return payment


def _checkout(found: dict[str, Any]) -> Checkout | None:
    """The Checkout that a session or an intent names, by our id in its metadata."""
    try:
        ours = UUID((found.get("metadata") or {}).get("checkout", ""))
    except ValueError:
        return None
    checkout = Checkout.objects.filter(pk=ours).first()
    if checkout is None or found.get("object") != "checkout.session":
        return checkout
    return checkout if checkout.session_id in {None, found["id"]} else None
