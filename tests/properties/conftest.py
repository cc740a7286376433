"""The stage on which the machine runs."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command

from payments.reconciler.stripe_objects import OpenSessions, StripePayments, UndeliveredEvents
from tests.money.reconciling import NO_WAIT
from tests.money.support import connected_account
from tests.properties.any_order import AnyOrder
from tests.support.sandbox import SandboxClient


@pytest.fixture
def stage(sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch) -> Callable[[], type[AnyOrder]]:
    """Prepares an empty stage: two endpoints to which nothing is delivered, one account."""
    for each in (StripePayments, OpenSessions, UndeliveredEvents):
        monkeypatch.setattr(each, "settles_within", NO_WAIT)
    monkeypatch.setattr(StripePayments, "start", _no_earlier(StripePayments.start))

    def prepared() -> type[AnyOrder]:
        cache.clear()
        sandbox.reset()
        call_command("ensure_webhook_endpoints", verbosity=0)
        sandbox.fault("drop", times=None)
        AnyOrder.sandbox, AnyOrder.account = sandbox, connected_account(sandbox)
        # The last stage's objects are not this one's: Stripe's times are whole seconds.
        time.sleep(1.1)
        return AnyOrder

    return prepared


def _no_earlier(start: Any) -> Any:
    """Passes that look back to the run's beginning and no further: others' objects lie before."""

    def begun(self: StripePayments, *, since: datetime | None, **options: Any) -> dict[str, Any]:
        cursor: dict[str, Any] = start(self, since=since, **options)
        return cursor | ({"from": int(since.timestamp())} if since is not None else {})

    return begun
