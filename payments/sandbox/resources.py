"""The remaining calls of the API, one function each: small objects and lists."""

from __future__ import annotations

from typing import Any

from . import events, objects
from .core import Context
from .errors import missing
from .expand import line_items
from .fees import application_of
from .ids import new_id
from .listing import page
from .store import Obj

EVENTS_KEPT_SECONDS = 30 * 24 * 60 * 60


def finder(kind: str, param: str) -> Any:
    """A handler that returns the account's object of ``kind`` named in the path."""

    def find(context: Context) -> Obj:
        obj = context.store.get(context.path_id, kind=kind, account=context.account)
        if obj is None:
            raise missing(kind, context.path_id, param=param)
        return obj

    return find


# Checkout, intents, charges


def session_lines(context: Context) -> Obj:
    """What a session sells."""
    session = context.store.get(context.path_id, kind="checkout.session", account=context.account)
    if session is None:
        raise missing("checkout.session", context.path_id, param="session")
    return line_items(context.store, session)


def list_sessions(context: Context) -> Obj:
    """Sessions by payment intent, status, customer or payer's address."""
    asked = context.params
    return page(
        context,
        "checkout.session",
        "/v1/checkout/sessions",
        {
            "payment_intent = ?": asked.get("payment_intent"),
            "status = ?": asked.get("status"),
            "customer = ?": asked.get("customer"),
            "json_extract(data, '$.customer_details.email') = ?": (
                asked.get("customer_details") or {}
            ).get("email"),
        },
    )


def list_intents(context: Context) -> Obj:
    """Payment intents, by customer."""
    customer = context.params.get("customer")
    return page(context, "payment_intent", "/v1/payment_intents", {"customer = ?": customer})


def list_charges(context: Context) -> Obj:
    """Charges, by payment intent or customer."""
    asked = context.params
    filters = {
        "payment_intent = ?": asked.get("payment_intent"),
        "customer = ?": asked.get("customer"),
        "json_extract(data, '$.transfer_group') = ?": asked.get("transfer_group"),
    }
    return page(context, "charge", "/v1/charges", filters)


def lister(kind: str, url: str) -> Any:
    """A handler that lists objects of ``kind`` by their charge or payment intent."""

    def listed(context: Context) -> Obj:
        asked = context.params
        filters = {
            "payment_intent = ?": asked.get("payment_intent"),
            "json_extract(data, '$.charge') = ?": asked.get("charge"),
        }
        return page(context, kind, url, filters)

    return listed


# Customers


def create_customer(context: Context) -> Obj:
    """Remember a customer."""
    made = context.store.add(context.account, objects.customer(context.now, context.params))
    context.emit("customer.created", made)
    return made


def update_customer(context: Context) -> Obj:
    """Change what is known of a customer."""
    customer: Obj = finder("customer", "id")(context)
    changed = {name: value for name, value in context.params.items() if name != "expand"}
    if "metadata" in changed:
        changed["metadata"] = {**customer["metadata"], **changed["metadata"]}
    before = {name: customer[name] for name in changed}
    customer.update(changed)
    context.store.save(customer)
    context.emit("customer.updated", customer, previous_attributes=before)
    return customer


def list_customers(context: Context) -> Obj:
    """Customers, by address."""
    address = context.params.get("email")
    filters = {"json_extract(data, '$.email') = ?": address}
    return page(context, "customer", "/v1/customers", filters)


# Events


def event(context: Context) -> Obj:
    """One event, with the deliveries it still owes."""
    found: Obj = finder("event", "id")(context)
    return events.with_pending(context.store, found)


def list_events(context: Context) -> Obj:
    """Events by type, time, and whether everybody has heard of them."""
    asked = context.params
    filters: dict[str, Any] = {"created > ?": context.now - EVENTS_KEPT_SECONDS}
    if asked.get("type"):
        filters["type GLOB ?"] = asked["type"]
    if asked.get("types"):
        marks = ", ".join("?" * len(asked["types"]))
        filters[f"type IN ({marks})"] = asked["types"]
    if "delivery_success" in asked:
        owed = "SELECT event FROM deliveries WHERE state != 'succeeded' AND NOT duplicate"
        without = "NOT " if asked["delivery_success"] else ""
        filters[f"id {without}IN ({owed})"] = []
    found = page(context, "event", "/v1/events", filters)
    found["data"] = [events.with_pending(context.store, entry) for entry in found["data"]]
    return found


# Webhook endpoints


def create_endpoint(context: Context) -> Obj:
    """Register an endpoint. Its secret is in this answer and in no other."""
    given = context.params
    application = None
    if given.get("connect"):
        application = application_of(context.sandbox.platform)
    made = objects.webhook_endpoint(context.now, given, application=application)
    secret = new_id("whsec")
    private = {"secret": secret, "connect": bool(given.get("connect"))}
    context.store.add(context.account, made, private)
    return {**made, "secret": secret}


def update_endpoint(context: Context) -> Obj:
    """Change where an endpoint is, what it hears, or whether it is on."""
    endpoint: Obj = finder("webhook_endpoint", "webhook_endpoint")(context)
    changed = {k: v for k, v in context.params.items() if k not in ("expand", "disabled")}
    if "disabled" in context.params:
        changed["status"] = "disabled" if context.params["disabled"] else "enabled"
    endpoint.update(changed)
    return context.store.save(endpoint)


def delete_endpoint(context: Context) -> Obj:
    """Remove an endpoint; what it was still owed is given up."""
    endpoint: Obj = finder("webhook_endpoint", "webhook_endpoint")(context)
    context.store.delete(endpoint["id"])
    context.store.run("DELETE FROM deliveries WHERE endpoint = ?", endpoint["id"])
    return objects.deleted(endpoint)


def list_endpoints(context: Context) -> Obj:
    """The account's endpoints."""
    return page(context, "webhook_endpoint", "/v1/webhook_endpoints", {})
