"""Everything the sandbox returns, and every request made of it, against Stripe's description."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import stripe

from .conftest import new_shop
from .harness import KEY, ROOT, Process, Shop, line, paid_later
from .stripe_contract import ContractError, require, validate_object, validate_request


@pytest.fixture(autouse=True)
def _description() -> None:
    require()


OPERATIONS = {
    "account.retrieve",
    "accounts.retrieve",
    "balance_transactions.retrieve",
    "charges.list",
    "charges.retrieve",
    "checkout.sessions.create",
    "checkout.sessions.expire",
    "checkout.sessions.line_items",
    "checkout.sessions.list",
    "checkout.sessions.retrieve",
    "customers.create",
    "customers.list",
    "customers.retrieve",
    "customers.update",
    "disputes.list",
    "disputes.retrieve",
    "events.list",
    "events.retrieve",
    "payment_intents.cancel",
    "payment_intents.capture",
    "payment_intents.list",
    "payment_intents.retrieve",
    "payment_methods.retrieve",
    "refunds.create",
    "refunds.list",
    "refunds.retrieve",
}
PLATFORM_OPERATIONS = {
    "account_links.create",
    "accounts.create",
    "application_fees.list",
    "application_fees.retrieve",
    "webhook_endpoints.create",
    "webhook_endpoints.delete",
    "webhook_endpoints.list",
    "webhook_endpoints.retrieve",
    "webhook_endpoints.update",
}


def get(shop: Shop, path: str, **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {KEY}", "Stripe-Account": shop.account}
    answer = shop.process.http.get(path, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def lifecycle(shop: Shop) -> None:
    """Every state an object of the sandbox can be in."""
    fee = {"application_fee_amount": 90, "metadata": {"a": "b"}, "description": "Room"}
    shop.open(customer_email=None)
    shop.expire(shop.open().id)
    shop.pay(shop.open(), "decline")
    shop.pay(shop.open(), "start_authentication")
    shop.pay(shop.open(), "fail_authentication")
    shop.pay(shop.open(line_items=[line(0)]))
    shop.paid(intent=fee)
    shop.pay(shop.open(), "authenticate")
    shop.capture(shop.paid(intent=fee).payment_intent, amount_to_capture=4000)
    shop.cancel(shop.paid().payment_intent, cancellation_reason="duplicate")
    shop.paid(intent={"capture_method": "automatic"})
    refunds(shop, fee)
    answers_of_banks(shop)


def refunds(shop: Shop, intent: Any) -> None:
    """Refunds in every state, with and without the platform's fee."""
    charge = shop.captured(intent=intent)
    shop.refund(charge=charge.id, amount=1000, reason="duplicate", metadata={"a": "b"})
    for kind in ("refund_pending", "refund_fails"):
        shop.process.fault(kind, match={"account": shop.account}, seconds=0)
        shop.refund(charge=charge.id, amount=1000)
    shop.refund(payment_intent=charge.payment_intent, refund_application_fee=True)


def answers_of_banks(shop: Shop) -> None:
    """Payments answered late, and disputes in every state."""
    for outcome in ("succeed", "fail", None):
        intent = paid_later(shop).payment_intent
        if outcome:
            shop.process.tool(f"payments/{intent}", outcome=outcome)
    for ends in (["won"], ["under_review", "lost"], []):
        charge = shop.captured()
        dispute = shop.process.tool("disputes", charge=charge.id)
        for status in ends:
            shop.process.tool(f"disputes/{dispute['id']}", status=status)
    inquiry = {"charge": shop.captured().id, "status": "warning_needs_response"}
    asked = shop.process.tool("disputes", **inquiry)
    shop.process.tool(f"disputes/{asked['id']}", status="warning_closed")


LISTS = (
    "/v1/disputes",
    "/v1/refunds",
    "/v1/checkout/sessions",
    "/v1/payment_intents",
    "/v1/charges",
    "/v1/events",
    "/v1/customers",
    "/v1/webhook_endpoints",
)


def test_every_object_in_every_state(shop: Shop) -> None:
    shop.stripe.v1.customers.create({"email": "kim@example.com"}, shop.options())
    lifecycle(shop)
    kinds = set()
    for path in LISTS:
        for entry in get(shop, path, limit=100)["data"]:
            validate_object(entry["object"], entry)
            kinds.add(entry["object"])
    assert kinds == {
        "checkout.session",
        "payment_intent",
        "charge",
        "event",
        "customer",
        "refund",
        "dispute",
    }


def test_the_objects_inside_events(shop: Shop) -> None:
    lifecycle(shop)
    for event in get(shop, "/v1/events", limit=100)["data"]:
        inside = event["data"]["object"]
        validate_object(inside["object"], inside)


def test_expanded_objects(shop: Shop) -> None:
    paid = shop.paid(intent={"capture_method": "automatic", "application_fee_amount": 90})
    session = get(
        shop,
        f"/v1/checkout/sessions/{paid.id}",
        **{
            "expand[0]": "line_items",
            "expand[1]": "payment_intent.latest_charge.balance_transaction",
            "expand[2]": "payment_intent.latest_charge.application_fee",
            "expand[3]": "payment_intent.payment_method",
        },
    )
    charge = session["payment_intent"]["latest_charge"]
    validate_object("checkout.session", session)
    validate_object("payment_intent", session["payment_intent"])
    validate_object("payment_method", session["payment_intent"]["payment_method"])
    validate_object("charge", charge)
    validate_object("balance_transaction", charge["balance_transaction"])
    validate_object("application_fee", charge["application_fee"])
    for entry in session["line_items"]["data"]:
        validate_object("item", entry)
        validate_object("price", entry["price"])


def test_refunds_expanded_with_everything_around_them(shop: Shop) -> None:
    charge = shop.captured(intent={"application_fee_amount": 90})
    shop.process.fault("refund_fails", match={"account": shop.account})
    made = shop.refund(charge=charge.id, refund_application_fee=True)
    names = ("balance_transaction", "failure_balance_transaction", "charge.refunds")
    wanted: Any = {f"expand[{i}]": name for i, name in enumerate(names)}
    refund = get(shop, f"/v1/refunds/{made.id}", **wanted)
    validate_object("refund", refund)
    for name in names[:2]:
        validate_object("balance_transaction", refund[name])
    validate_object("charge", refund["charge"])
    fees = shop.stripe.v1.application_fees.list({"charge": charge.id}).data
    validate_object("application_fee", fees[0])
    validate_object("fee_refund", fees[0].refunds.data[0])


def test_accounts_and_endpoints(shop: Shop, platform: Shop) -> None:
    validate_object("account", get(shop, "/v1/account"))
    validate_object("account", get(platform, f"/v1/accounts/{shop.account}"))
    controller = {"fees": {"payer": "account"}, "stripe_dashboard": {"type": "full"}}
    new = platform.stripe.v1.accounts.create({"country": "NZ", "controller": controller})
    validate_object("account", new)
    switches = {"charges_enabled": False, "payouts_enabled": False, "details_submitted": False}
    validate_object("account", shop.process.tool(f"accounts/{new.id}", **switches))
    validate_object("account_link", _link(platform, new.id))
    service = platform.stripe.v1.webhook_endpoints
    made = service.create({"url": "https://shop.test/hooks", "enabled_events": ["*"]})
    validate_object("webhook_endpoint", made)
    validate_object("webhook_endpoint", service.retrieve(made.id))
    service.delete(made.id)


def _link(platform: Shop, account: str) -> Any:
    return platform.stripe.v1.account_links.create(
        {
            "account": account,
            "refresh_url": "https://shop.test/again",
            "return_url": "https://shop.test/done",
            "type": "account_onboarding",
        }
    )


def test_errors(shop: Shop) -> None:
    captured = shop.paid(intent={"capture_method": "automatic"})
    shop.process.fault("error_500_before", match={"operation": "customers.create"})
    calls: list[Any] = [
        lambda: shop.session("cs_test_unknown"),
        lambda: shop.open(mode="setup"),
        lambda: shop.capture(captured.payment_intent),
        lambda: shop.stripe.v1.customers.create({}, shop.options()),
    ]
    for call in calls:
        with pytest.raises(stripe.StripeError) as caught:
            call()
        validate_object("error", json.loads(str(caught.value.http_body)))


def test_requests_that_were_accepted_are_requests_stripe_accepts(sandbox: Process) -> None:
    shop = new_shop(sandbox)
    lifecycle(shop)
    read_everything(shop)
    mine = accepted(sandbox, shop.account)
    assert {entry["operation"] for entry in mine} >= OPERATIONS
    for entry in mine:
        validate_request(entry["method"], entry["path"], entry["params"])


def accepted(sandbox: Process, account: str) -> list[dict[str, Any]]:
    """The requests about an account that were answered with 200."""
    noted = sandbox.http.get("/_sandbox/requests").json()
    return [e for e in noted if e.get("account") == account and e["status"] == 200]


def read_everything(shop: Shop) -> None:
    """Every call that reads or that :func:`lifecycle` has no use for."""
    v1, options = shop.stripe.v1, shop.options()
    shop.events(delivery_success=False, types=["charge.succeeded"], created={"gte": 1})
    v1.events.retrieve(shop.events()[0].id, {}, options)
    for service in (v1.checkout.sessions, v1.payment_intents, v1.charges, v1.refunds, v1.disputes):
        found = service.list({"created": {"gte": 1}, "limit": 2}, options).data[0]
        service.retrieve(found.id, {}, options)
    session = v1.checkout.sessions.list({"status": "complete"}, options).data[0]
    v1.checkout.sessions.line_items.list(session.id, {}, options)
    v1.payment_methods.retrieve(shop.intent(shop.paid().id).payment_method, {}, options)
    v1.balance_transactions.retrieve(shop.captured().balance_transaction, {}, options)
    v1.accounts.retrieve_current({}, options)
    v1.accounts.retrieve(shop.account, {}, options)
    customer = v1.customers.create({"email": "kim@example.com", "name": "Kim"}, options)
    v1.customers.update(customer.id, {"name": "Kim Lee"}, options)
    v1.customers.retrieve(customer.id, {}, options)
    v1.customers.list({"email": "kim@example.com"}, options)


def test_calls_of_the_platform_are_calls_stripe_accepts(platform: Shop, shop: Shop) -> None:
    shop.captured(intent={"application_fee_amount": 90})
    v1 = platform.stripe.v1
    controller = {"fees": {"payer": "account"}, "losses": {"payments": "stripe"}}
    made = v1.accounts.create({"country": "NZ", "controller": controller})
    _link(platform, made.id)
    v1.application_fees.retrieve(v1.application_fees.list({"limit": 1}).data[0].id)
    endpoint = v1.webhook_endpoints.create({"url": "https://shop.test/w", "enabled_events": ["*"]})
    v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    v1.webhook_endpoints.retrieve(endpoint.id)
    v1.webhook_endpoints.list({"limit": 1})
    v1.webhook_endpoints.delete(endpoint.id)
    theirs = accepted(platform.process, platform.account)
    assert {entry["operation"] for entry in theirs} >= PLATFORM_OPERATIONS
    for entry in theirs:
        validate_request(entry["method"], entry["path"], entry["params"])


def test_these_are_all_calls_there_are() -> None:
    source = (ROOT / "payments/sandbox/routes.py").read_text()
    named = set(
        re.findall(
            r'"([a-z_.]+\.(?:retrieve|list|create|update|delete|line_items|'
            r'expire|capture|cancel))"',
            source,
        )
    )
    assert named == OPERATIONS | PLATFORM_OPERATIONS


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("POST", "/v1/checkout/sessions", {"modus": "payment"}),
        ("POST", "/v1/checkout/sessions", {"expires_at": "tomorrow"}),
        ("POST", "/v1/checkout/sessions", {"line_items": [{"price_data": {"unit_amount": 1}}]}),
        ("POST", "/v1/payment_intents/pi_1/capture", {"amount_to_capture": "all"}),
        ("GET", "/v1/events", {"delivery_success": "perhaps"}),
        ("POST", "/v1/nowhere", {}),
    ],
)
def test_the_check_can_fail(method: str, path: str, params: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        validate_request(method, path, params)


def test_the_check_of_objects_can_fail(shop: Shop) -> None:
    session = shop.open().to_dict()
    for change in ({"status": "paid"}, {"amount_total": "45"}, {"colour": "red"}, {"id": None}):
        with pytest.raises(ContractError):
            validate_object("checkout.session", {**session, **change})
