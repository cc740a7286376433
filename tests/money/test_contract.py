"""Every request the product sends and every object it is sent, against Stripe's description."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe
from django.core.management import call_command

from bookings.models import Resource
from payments import checkouts, connect, stripe_api
from tests.core.support import hold, lapse, line
from tests.factories import WorkspaceFactory
from tests.money.support import (
    heal,
    impatient,
    latest,
    pay,
    room_charging,
    second_checkout,
    settle,
    start,
)
from tests.sandbox.stripe_contract import require, validate_object, validate_request
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Wire:
    """What went over the wire between the product and Stripe."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    got: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Listens in stripe-python's own HTTP client; what it sends and gets is left as it is."""
    kept, request = Wire(), stripe.RequestsClient.request

    def listening(self: Any, method: str, url: str, headers: Any, *rest: Any, **more: Any) -> Any:
        kept.asked.append((method, url))
        kept.headers.append(dict(headers))
        content, status, answered = request(self, method, url, headers, *rest, **more)
        kept.got.append((status, json.loads(content)))
        return content, status, answered

    monkeypatch.setattr(stripe.RequestsClient, "request", listening)
    return kept


def slow_room(sandbox: SandboxClient, charges: str) -> Resource:
    """A room that can be paid by methods which are answered days later."""
    room = room_charging(sandbox, charges)
    room.workspace.takes_delayed_methods = True
    room.workspace.save()
    return room


def everything(sandbox: SandboxClient, charges: str) -> None:
    """A run through every call the product makes, the refused ones included."""
    room = room_charging(sandbox, charges)
    paid = hold(line(room, 9, 10))
    both = [start(paid), second_checkout(paid)]
    for checkout in both:
        pay(sandbox, checkout)
        settle(checkout)
    stripe_api.fetch_intent(both[0].payments.get())
    let_go = hold(line(room, 10, 11))
    start(let_go)
    checkouts.close_all(let_go)
    declined = hold(line(room, 11, 12))
    pay(sandbox, start(declined), "decline")
    settle(latest(declined))
    challenged = hold(line(room, 12, 13))
    pay(sandbox, start(challenged), "start_authentication")
    settle(latest(challenged))
    late = hold(line(room, 13, 14))
    pay(sandbox, start(late))
    lapse(late)
    hold(line(room, 13, 14))
    heal()
    slow = hold(line(slow_room(sandbox, charges)))
    pay(sandbox, start(slow), "pay_later")
    settle(latest(slow))
    connect.onboarding_link(
        workspace_id=WorkspaceFactory().pk,
        return_url="https://book.test/back/",
        refresh_url="https://book.test/again/",
    )
    broken = hold(line(room, 14, 15))
    sandbox.fault("error_500_before", match={"operation": "checkout.sessions.create"})
    with pytest.raises(stripe_api.StripeDown):
        start(broken)


@pytest.mark.parametrize("charges", ["platform", "direct", "destination"])
def test_what_we_send_and_what_we_get(sandbox: SandboxClient, wire: Wire, charges: str) -> None:
    require()
    before = {request["id"] for request in sandbox.requests()}

    everything(sandbox, charges)

    mine = [r for r in sandbox.requests() if r["id"] not in before and r.get("operation")]
    assert {
        "checkout.sessions.create",
        "checkout.sessions.retrieve",
        "checkout.sessions.expire",
        "payment_intents.capture",
        "payment_intents.cancel",
        "payment_intents.retrieve",
    } <= {request["operation"] for request in mine}
    for request in mine:
        validate_request(request["method"], request["path"], request["params"])
    assert {status for status, _ in wire.got} >= {200, 400, 500}
    for status, body in wire.got:
        check(status, body)


def check(status: int, body: dict[str, Any]) -> None:
    """One answer, and the intent in it where it was asked for."""
    if status >= 400:
        validate_object("error", body)
        return
    validate_object(body["object"], body)
    if isinstance(body.get("payment_intent"), dict):
        validate_object("payment_intent", body["payment_intent"])


def test_registering_webhook_endpoints(sandbox: SandboxClient, wire: Wire, settings: Any) -> None:
    require()
    before = {request["id"] for request in sandbox.requests()}
    settings.SITE_URL = "https://book.test"
    call_command("ensure_webhook_endpoints", verbosity=0)
    settings.SITE_URL = "https://moved.test"
    call_command("ensure_webhook_endpoints", verbosity=0)

    made = [r for r in sandbox.requests() if r["id"] not in before]
    operations = [r["operation"] for r in made]
    assert operations.count("webhook_endpoints.create") == 2
    assert operations.count("webhook_endpoints.update") == 2
    for request in made:
        validate_request(request["method"], request["path"], request["params"])
    for status, body in wire.got:
        check(status, body)


def test_a_writing_call_carries_a_key_of_our_row(sandbox: SandboxClient, wire: Wire) -> None:
    held = hold(line(room_charging(sandbox, "direct")))
    checkout = start(held)
    pay(sandbox, checkout)
    settle(checkout)
    payment = checkout.payments.get()

    sent = {
        urlsplit(url).path.rpartition("/")[2]: headers.get("Idempotency-Key")
        for (method, url), headers in zip(wire.asked, wire.headers, strict=True)
        if method == "post"
    }

    assert sent == {"sessions": f"checkout:{checkout.pk}", "capture": f"capture:{payment.pk}:1"}
    assert {headers["Stripe-Account"] for headers in wire.headers} == {
        held.workspace.stripe_account_id
    }


def test_a_repeated_creation_is_the_same_request(sandbox: SandboxClient) -> None:
    """Parameters come from the committed row: the same key with other ones would be an error."""
    held = hold(line(room_charging(sandbox, "destination")))
    sandbox.fault("hang_after", match={"operation": "checkout.sessions.create"})
    before = {request["id"] for request in sandbox.requests()}
    with impatient():
        with pytest.raises(stripe_api.StripeDown):
            start(held)
        checkout = start(held)

    first, second = [
        r
        for r in sandbox.requests()
        if r["id"] not in before and r.get("operation") == "checkout.sessions.create"
    ]
    assert first["params"] == second["params"]
    assert first["idempotency_key"] == second["idempotency_key"] == f"checkout:{checkout.pk}"
    assert second["replayed"] is True


def test_our_ids_are_on_the_session_and_on_the_intent(sandbox: SandboxClient) -> None:
    held = hold(line(room_charging(sandbox, "direct")))
    checkout = start(held)
    pay(sandbox, checkout)
    headers = {"Stripe-Account": checkout.account}
    path = f"/v1/checkout/sessions/{checkout.session_id}?expand[]=payment_intent"
    session = sandbox.api("GET", path, headers=headers).json()

    assert session["client_reference_id"] == str(checkout.pk)
    ours = {"checkout": str(checkout.pk), "due": str(checkout.due_id)}
    assert session["metadata"] == session["payment_intent"]["metadata"] == ours
    assert session["payment_intent"]["capture_method"] == "manual"
