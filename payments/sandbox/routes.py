"""The API's map: path, operation, the parameters it takes, and what carries it out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from . import accounts, checkout, intents, refunds, resources, sessions
from .core import Context
from .errors import StripeError, unrecognized
from .params import (
    EXPAND,
    PAGE,
    Check,
    anything,
    boolean,
    email,
    group,
    integer,
    items,
    metadata,
    string,
    url,
)
from .store import Obj

Handler = Callable[[Context], Obj]

_SESSION_STATES = ("open", "complete", "expired")
_REASONS = ("abandoned", "duplicate", "fraudulent", "requested_by_customer")

_read = group(EXPAND)
_page = group(PAGE)
_customer = {
    **EXPAND,
    "description": string(),
    "email": email,
    "metadata": metadata,
    "name": string(max_length=256),
    "phone": string(max_length=20),
}
_account = {
    **EXPAND,
    "business_profile": group({"name": string(), "url": string(), "mcc": string()}),
    "business_type": string(choices=("company", "government_entity", "individual", "non_profit")),
    "capabilities": anything,
    "controller": anything,
    "country": string(max_length=2),
    "default_currency": string(max_length=3),
    "email": email,
    "metadata": metadata,
    "type": string(choices=("custom", "express", "standard")),
}
_link = group(
    {
        **EXPAND,
        "account": string(blank=False),
        "collect": string(choices=("currently_due", "eventually_due")),
        "collection_options": group(
            {
                "fields": string(choices=("currently_due", "eventually_due")),
                "future_requirements": string(choices=("include", "omit")),
            }
        ),
        "refresh_url": url,
        "return_url": url,
        "type": string(choices=("account_onboarding", "account_update"), blank=False),
    },
    required=("account", "refresh_url", "return_url", "type"),
)
_endpoint = {
    **EXPAND,
    "description": string(),
    "enabled_events": items(string(blank=False), most=500),
    "metadata": metadata,
    "url": url,
}
_capture = {
    **EXPAND,
    "amount_to_capture": integer(least=1),
    "application_fee_amount": integer(least=0),
    "final_capture": boolean,
    "metadata": metadata,
    "statement_descriptor": string(max_length=22),
    "statement_descriptor_suffix": string(max_length=22),
}
_refund = {
    **EXPAND,
    "amount": integer(least=1),
    "charge": string(blank=False),
    "instructions_email": email,
    "metadata": metadata,
    "payment_intent": string(blank=False),
    "reason": string(choices=("duplicate", "fraudulent", "requested_by_customer")),
    "refund_application_fee": boolean,
    "reverse_transfer": boolean,
}
_events = {
    **PAGE,
    "delivery_success": boolean,
    "type": string(),
    "types": items(string(blank=False), most=20),
}
_sessions = {
    **PAGE,
    "customer": string(),
    "customer_details": group({"email": string()}, required=("email",)),
    "payment_intent": string(),
    "status": string(choices=_SESSION_STATES),
}


@dataclass(frozen=True)
class Route:
    """One call of the API."""

    method: str
    path: re.Pattern[str]
    operation: str
    check: Check
    handler: Handler


def _route(call: str, operation: str, check: Check, handler: Handler) -> Route:
    method, path = call.split()
    return Route(
        method, re.compile(path.replace("{}", r"([^/]+)") + "/?"), operation, check, handler
    )


_find = resources.finder

ROUTES = (
    _route("GET /v1/account", "account.retrieve", _read, accounts.own),
    _route("GET /v1/accounts/{}", "accounts.retrieve", _read, accounts.retrieve),
    _route("POST /v1/accounts", "accounts.create", group(_account), accounts.create),
    _route("POST /v1/account_links", "account_links.create", _link, accounts.create_link),
    _route(
        "POST /v1/checkout/sessions", "checkout.sessions.create", sessions.CREATE, checkout.create
    ),
    _route(
        "GET /v1/checkout/sessions",
        "checkout.sessions.list",
        group(_sessions),
        resources.list_sessions,
    ),
    _route(
        "GET /v1/checkout/sessions/{}",
        "checkout.sessions.retrieve",
        _read,
        lambda context: checkout.find(context, context.path_id),
    ),
    _route(
        "GET /v1/checkout/sessions/{}/line_items",
        "checkout.sessions.line_items",
        _page,
        resources.session_lines,
    ),
    _route(
        "POST /v1/checkout/sessions/{}/expire",
        "checkout.sessions.expire",
        _read,
        checkout.expire,
    ),
    _route(
        "GET /v1/payment_intents",
        "payment_intents.list",
        group({**PAGE, "customer": string()}),
        resources.list_intents,
    ),
    _route(
        "GET /v1/payment_intents/{}",
        "payment_intents.retrieve",
        group({**EXPAND, "client_secret": string()}),
        lambda context: intents.find(context, context.path_id),
    ),
    _route(
        "POST /v1/payment_intents/{}/capture",
        "payment_intents.capture",
        group(_capture),
        intents.capture,
    ),
    _route(
        "POST /v1/payment_intents/{}/cancel",
        "payment_intents.cancel",
        group({**EXPAND, "cancellation_reason": string(choices=_REASONS)}),
        intents.cancel,
    ),
    _route(
        "GET /v1/charges",
        "charges.list",
        group(
            {
                **PAGE,
                "customer": string(),
                "payment_intent": string(),
                "transfer_group": string(),
            }
        ),
        resources.list_charges,
    ),
    _route("GET /v1/charges/{}", "charges.retrieve", _read, _find("charge", "id")),
    _route("POST /v1/refunds", "refunds.create", group(_refund), refunds.create),
    _route(
        "GET /v1/refunds",
        "refunds.list",
        group({**PAGE, "charge": string(), "payment_intent": string()}),
        resources.lister("refund", "/v1/refunds"),
    ),
    _route("GET /v1/refunds/{}", "refunds.retrieve", _read, _find("refund", "id")),
    _route(
        "GET /v1/disputes",
        "disputes.list",
        group({**PAGE, "charge": string(), "payment_intent": string()}),
        resources.lister("dispute", "/v1/disputes"),
    ),
    _route("GET /v1/disputes/{}", "disputes.retrieve", _read, _find("dispute", "id")),
    _route("GET /v1/events", "events.list", group(_events), resources.list_events),
    _route("GET /v1/events/{}", "events.retrieve", _read, resources.event),
    _route("POST /v1/customers", "customers.create", group(_customer), resources.create_customer),
    _route(
        "GET /v1/customers",
        "customers.list",
        group({**PAGE, "email": string()}),
        resources.list_customers,
    ),
    _route("GET /v1/customers/{}", "customers.retrieve", _read, _find("customer", "id")),
    _route(
        "POST /v1/customers/{}", "customers.update", group(_customer), resources.update_customer
    ),
    _route(
        "GET /v1/payment_methods/{}",
        "payment_methods.retrieve",
        _read,
        _find("payment_method", "payment_method"),
    ),
    _route(
        "GET /v1/balance_transactions/{}",
        "balance_transactions.retrieve",
        _read,
        _find("balance_transaction", "id"),
    ),
    _route(
        "GET /v1/application_fees",
        "application_fees.list",
        group({**PAGE, "charge": string()}),
        resources.lister("application_fee", "/v1/application_fees"),
    ),
    _route(
        "GET /v1/application_fees/{}",
        "application_fees.retrieve",
        _read,
        _find("application_fee", "id"),
    ),
    _route(
        "POST /v1/webhook_endpoints",
        "webhook_endpoints.create",
        group(
            {**_endpoint, "api_version": string(), "connect": boolean},
            required=("enabled_events", "url"),
        ),
        resources.create_endpoint,
    ),
    _route("GET /v1/webhook_endpoints", "webhook_endpoints.list", _page, resources.list_endpoints),
    _route(
        "GET /v1/webhook_endpoints/{}",
        "webhook_endpoints.retrieve",
        _read,
        _find("webhook_endpoint", "webhook_endpoint"),
    ),
    _route(
        "POST /v1/webhook_endpoints/{}",
        "webhook_endpoints.update",
        group({**_endpoint, "disabled": boolean}),
        resources.update_endpoint,
    ),
    _route(
        "DELETE /v1/webhook_endpoints/{}",
        "webhook_endpoints.delete",
        group({}),
        resources.delete_endpoint,
    ),
)


def resolve(method: str, path: str) -> tuple[Route, str]:
    """The call at ``path``, and the id in it; an unknown one is refused as Stripe refuses it."""
    for route in ROUTES:
        match = route.path.fullmatch(path)
        if match and route.method == method:
            return route, match.group(1) if match.groups() else ""
    error: StripeError = unrecognized(method, path)
    raise error
