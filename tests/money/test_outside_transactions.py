"""Nothing slow happens under a lock: no HTTP, no mail, no broker inside a transaction (§3)."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction

from config.celery import app
from config.kernel import effects
from members import mail
from members.models import Notification
from payments import checkouts, stripe_api
from payments.models import Payment
from tests.core.support import hold, lapse, line, state_of
from tests.factories import make_room
from tests.money.support import latest, pay, payment_of, settle, start
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)

OF_CHECKOUTS = [stripe_api.create_session, stripe_api.fetch_session, stripe_api.expire_session]
OF_PAYMENTS = [stripe_api.fetch_intent, stripe_api.capture, stripe_api.void]


@pytest.mark.parametrize("call", [*OF_CHECKOUTS, *OF_PAYMENTS])
def test_stripe_is_refused_inside_a_transaction(
    sandbox: SandboxClient, call: Callable[[Any], Any]
) -> None:
    held = hold(line(make_room()))
    checkout = start(held)
    pay(sandbox, checkout)
    settle(checkout)
    subject = checkout if call in OF_CHECKOUTS else payment_of(checkout)
    before = len(sandbox.requests())

    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        call(subject)

    assert len(sandbox.requests()) == before, "nothing was sent"


@pytest.mark.parametrize("case", ["start", "close", "settle", "settle with what is known"])
def test_use_cases_that_ask_stripe_refuse_a_callers_transaction(
    sandbox: SandboxClient, case: str
) -> None:
    held = hold(line(make_room()))
    known = None
    if case != "start":
        pay(sandbox, start(held))
    if case == "settle with what is known":
        known = stripe_api.fetch_session(latest(held))
    before = len(sandbox.requests())

    ask = {
        "start": lambda: start(held),
        "close": lambda: checkouts.close(latest(held).pk),
    }.get(case, lambda: settle(latest(held), known))
    with pytest.raises(RuntimeError, match="inside a transaction"):
        transaction.atomic(ask)()

    assert len(sandbox.requests()) == before, "nothing was sent"
    assert state_of(held) == ("active", "pending_payment"), "all of it was rolled back"
    assert not Payment.objects.exists()


class Watchful(BaseEmailBackend):
    """Sends nothing, and knows where it was asked to."""

    seen: list[bool] = []

    def send_messages(self, messages: Any) -> int:
        Watchful.seen.append(connection.in_atomic_block)
        return len(messages)


def test_mail_goes_out_outside_any_transaction(sandbox: SandboxClient, settings: Any) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Watchful"
    Watchful.seen = []
    held = hold(line(make_room()))
    start(held)
    pay(sandbox, latest(held))
    settle(latest(held))
    assert Watchful.seen == [], "settling writes a row; a worker sends it"

    assert mail.send(Notification.objects.get().pk) is True
    assert Watchful.seen == [False]


def test_the_broker_hears_of_work_only_after_the_commit(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, bool]] = []
    monkeypatch.setattr(effects, "_broker_paused_until", 0.0)
    monkeypatch.setattr(
        app, "send_task", lambda name, **_: heard.append((name, connection.in_atomic_block))
    )
    room = make_room()
    held = hold(line(room))
    start(held)
    pay(sandbox, latest(held))
    lapse(held)
    hold(line(room))
    settle(latest(held))

    names = {name for name, _ in heard}
    assert {"payments.close_ended", "members.send_notification"} <= names
    assert {inside for _, inside in heard} == {False}


def test_a_rollback_is_heard_of_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(effects, "_broker_paused_until", 0.0)
    monkeypatch.setattr(app, "send_task", lambda name, **_: heard.append(name))

    with transaction.atomic():
        effects.kick("payments.sweep")
        transaction.set_rollback(True)

    assert heard == []
