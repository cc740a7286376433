"""Secrets are changed while members pay: no event is lost, none counts twice, nobody pays twice."""

from typing import Any

import pytest
from django.core.management import call_command
from djstripe.models import Event, WebhookEndpoint

from payments import checkouts, stripe_api
from payments.models import Payment, Signal
from tests.core.support import hold, line, state_of
from tests.factories import make_room
from tests.money.conftest import Stack
from tests.money.support import (
    Hooks,
    assert_paid_once,
    heal,
    intents_of,
    payment_of,
    room_charging,
    settle,
    start,
)
from tests.money.support import pay as pay_page
from tests.support.sandbox import SandboxClient, eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.mark.parametrize("charges", ["platform", "direct"])
def test_old_and_new_endpoint_side_by_side_settle_once(
    stack: Stack, sandbox: SandboxClient, hooks: Hooks, charges: str
) -> None:
    old = hooks.connect if charges == "direct" else hooks.platform
    held = hold(line(room_charging(sandbox, charges)))
    checkout = start(held)
    call_command("ensure_webhook_endpoints", "--rotate", verbosity=0)
    role = old.metadata["surehold"]
    new = WebhookEndpoint.objects.filter(metadata__surehold=role).latest("djstripe_created")
    assert new.secret != old.secret

    pay_page(sandbox, checkout, "pay_without_returning")
    eventually(lambda: Payment.objects.filter(checkout=checkout, state="captured").exists())
    about = hooks.events(checkout.account, str(checkout.session_id))
    (event,) = [e for e in about if e["type"] == "checkout.session.completed"]
    both = {old.id, new.id}
    eventually(lambda: _endpoints(hooks, event["id"]) == both)
    assert hooks.send(old, event) == hooks.send(new, event) == 200
    assert Event.objects.filter(id=event["id"]).count() == 1
    assert Signal.objects.filter(event_id=event["id"]).count() == 1
    assert_paid_once(sandbox, held)

    call_command("ensure_webhook_endpoints", "--retire", verbosity=0)
    assert hooks.send(old, event) == 404
    assert hooks.send(new, event, secret=old.secret) == 400
    assert hooks.send(new, event) == 200


def _endpoints(hooks: Hooks, event_id: str) -> set[str]:
    return {d["endpoint"] for d in hooks.deliveries([event_id]) if d["state"] == "succeeded"}


def test_while_a_key_is_refused_nothing_is_lost(sandbox: SandboxClient, settings: Any) -> None:
    """Revoked before the new one is deployed: paying waits, what was paid is settled after."""
    room = make_room()
    paid, other = hold(line(room, 9, 10)), hold(line(room, 11, 12))
    checkout = start(paid)
    pay_page(sandbox, checkout)
    key = settings.STRIPE_SECRET_KEY
    settings.STRIPE_SECRET_KEY = "sk_test_0123456789revoked0123456789"
    stripe_api.client.cache_clear()
    try:
        with pytest.raises(stripe_api.StripeDown):
            settle(checkout)
        with pytest.raises(stripe_api.StripeDown):
            start(other)
        heal()
        assert state_of(paid) == state_of(other) == ("active", "pending_payment")
        assert not Payment.objects.exists()
    finally:
        settings.STRIPE_SECRET_KEY = key
        stripe_api.client.cache_clear()
    heal()
    assert_paid_once(sandbox, paid)
    assert payment_of(checkout).settled_by == "self_heal"
    assert state_of(other) == ("active", "pending_payment")
    assert intents_of(sandbox, other) == []
    assert checkouts.close(other.booking.dues.get().checkouts.get().pk) == "expired"
