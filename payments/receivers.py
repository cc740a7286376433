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
from payments import connect
from payments.models import Checkout, Signal

log = logging.getLogger(__name__)

ACCOUNT_EVENTS = ("account.application.deauthorized", "account.updated")
EVENTS = (
    *ACCOUNT_EVENTS,
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "payment_intent.amount_capturable_updated",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
)

for _name in EVENTS:
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
