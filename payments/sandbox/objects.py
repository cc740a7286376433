"""Stripe's objects as dictionaries, whole, with every field a reader may look at."""

from __future__ import annotations

from typing import Any

from .ids import new_id
from .store import Obj

NO_ADDRESS: Obj = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"), None)


def listing(url: str, data: list[Obj], *, has_more: bool = False) -> Obj:
    """A list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def account(object_id: str, created: int, given: Obj) -> Obj:
    """An account that may take payments from its first moment."""
    name = (given.get("business_profile") or {}).get("name") or "Sandbox business"
    return {
        "id": object_id,
        "object": "account",
        "business_profile": {
            "mcc": None,
            "name": name,
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
            **(given.get("business_profile") or {}),
        },
        "business_type": given.get("business_type"),
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": _controller(given),
        "country": given.get("country") or "NZ",
        "created": created,
        "default_currency": given.get("default_currency") or "nzd",
        "details_submitted": True,
        "email": given.get("email"),
        "external_accounts": listing(f"/v1/accounts/{object_id}/external_accounts", []),
        "future_requirements": _nothing_required(),
        "metadata": given.get("metadata") or {},
        "payouts_enabled": True,
        "requirements": _nothing_required(),
        "settings": _account_settings(name),
        "tos_acceptance": {"date": created, "ip": None, "user_agent": None},
        "type": given.get("type") or "standard",
    }


def _controller(given: Obj) -> Obj:
    """Who is responsible for what; the older ``type`` stands for the same answers."""
    asked, express = given.get("controller") or {}, given.get("type") == "express"
    dashboard = "express" if express else "full"
    return {
        "fees": {"payer": "application_express" if express else "account", **asked.get("fees", {})},
        "is_controller": True,
        "losses": {"payments": "application" if express else "stripe", **asked.get("losses", {})},
        "requirement_collection": asked.get("requirement_collection") or "stripe",
        "stripe_dashboard": {"type": dashboard, **asked.get("stripe_dashboard", {})},
        "type": "application",
    }


def _nothing_required() -> Obj:
    empty: Obj = {name: [] for name in ("currently_due", "eventually_due", "past_due", "errors")}
    return {
        **empty,
        "alternatives": [],
        "current_deadline": None,
        "disabled_reason": None,
        "pending_verification": [],
    }


def _account_settings(name: str) -> Obj:
    return {
        "branding": {
            "icon": None,
            "logo": None,
            "primary_color": None,
            "secondary_color": None,
        },
        "card_payments": {
            "decline_on": {"avs_failure": False, "cvc_failure": False},
            "statement_descriptor_prefix": None,
            "statement_descriptor_prefix_kana": None,
            "statement_descriptor_prefix_kanji": None,
        },
        "dashboard": {"display_name": name, "timezone": "Etc/UTC"},
        "payments": {
            "statement_descriptor": None,
            "statement_descriptor_kana": None,
            "statement_descriptor_kanji": None,
        },
    }


def customer(created: int, given: Obj) -> Obj:
    """A customer."""
    return {
        "id": new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": given.get("description"),
        "discount": None,
        "email": given.get("email"),
        "invoice_prefix": None,
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": given.get("metadata") or {},
        "name": given.get("name"),
        "phone": given.get("phone"),
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def billing(email: str | None) -> Obj:
    """Billing details of a payer of whom nothing but an e-mail address is known."""
    return {
        "address": dict(NO_ADDRESS),
        "email": email,
        "name": None,
        "phone": None,
        "tax_id": None,
    }


def payment_method(created: int, *, type_name: str, email: str | None, card: Obj) -> Obj:
    """A payment method; ``card`` says which test card was used."""
    details = _card(card) if type_name == "card" else {}
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": billing(email),
        "created": created,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": type_name,
        type_name: details,
    }


def _card(card: Obj) -> Obj:
    return {
        "brand": "visa",
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "display_brand": "visa",
        "exp_month": 12,
        "exp_year": 2040,
        "fingerprint": f"Sandbox{card['last4']}",
        "funding": "credit",
        "generated_from": None,
        "last4": card["last4"],
        "networks": {"available": ["visa"], "preferred": None},
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def payment_intent(created: int, *, session: Obj, plan: Obj, application: str | None) -> Obj:
    """The intent behind a Checkout Session; ``plan`` is its ``payment_intent_data`` and methods."""
    object_id = new_id("pi")
    amount = session["amount_total"]
    return {
        "id": object_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": application,
        "application_fee_amount": plan.get("application_fee_amount"),
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": plan.get("capture_method") or "automatic_async",
        "client_secret": f"{object_id}_secret_{new_id('x')[2:]}",
        "confirmation_method": "automatic",
        "created": created,
        "currency": session["currency"],
        "customer": session["customer"],
        "customer_account": None,
        "description": plan.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": plan.get("metadata") or {},
        "next_action": None,
        "on_behalf_of": plan.get("on_behalf_of"),
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": _intent_method_options(plan),
        "payment_method_types": session["payment_method_types"],
        "processing": None,
        "receipt_email": plan.get("receipt_email"),
        "review": None,
        "setup_future_usage": plan.get("setup_future_usage"),
        "shipping": None,
        "statement_descriptor": plan.get("statement_descriptor"),
        "statement_descriptor_suffix": plan.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": plan.get("transfer_data"),
        "transfer_group": plan.get("transfer_group"),
    }


def _intent_method_options(plan: Obj) -> Obj:
    given = (plan.get("payment_method_options") or {}).get("card") or {}
    card: Obj = {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": given.get("request_three_d_secure", "automatic"),
    }
    if given.get("capture_method") == "manual":
        card["capture_method"] = "manual"
    return {"card": card}


def charge(created: int, *, intent: Obj, method: Obj, captured: bool, card: Obj) -> Obj:
    """What a card network answered: an authorisation, captured at once or not."""
    amount = intent["amount"]
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": amount,
        "amount_captured": amount if captured else 0,
        "amount_refunded": 0,
        "application": intent["application"],
        "application_fee": None,
        "application_fee_amount": intent["application_fee_amount"],
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "SANDBOX",
        "captured": captured,
        "created": created,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": intent["on_behalf_of"],
        "outcome": _authorised(),
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _method_details(method, intent, card),
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "succeeded",
        "transfer_data": _charge_transfer(intent),
        "transfer_group": intent["transfer_group"],
    }


def _authorised() -> Obj:
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "Payment complete.",
        "type": "authorized",
    }


def declined_outcome(reason: str) -> Obj:
    """The outcome of a charge the issuer refused."""
    return {
        **_authorised(),
        "advice_code": "try_again_later",
        "network_decline_code": "05",
        "network_status": "declined_by_network",
        "reason": reason,
        "seller_message": "The bank did not accept the payment.",
        "type": "issuer_declined",
    }


def _charge_transfer(intent: Obj) -> Obj | None:
    given = intent["transfer_data"]
    return given and {"amount": given.get("amount"), "destination": given["destination"]}


def _method_details(method: Obj, intent: Obj, card: Obj) -> Obj:
    type_name = method["type"]
    if type_name != "card":
        return {"type": type_name, type_name: {}}
    details = {
        **{name: method["card"][name] for name in ("brand", "checks", "country", "fingerprint")},
        **{name: method["card"][name] for name in ("exp_month", "exp_year", "funding", "last4")},
        "amount_authorized": intent["amount"],
        "authorization_code": "123456",
        "installments": None,
        "mandate": None,
        "network": "visa",
        "three_d_secure": {"result": "authenticated"} if card.get("authenticated") else None,
        "wallet": None,
    }
    return {"type": "card", "card": details}


def webhook_endpoint(created: int, given: Obj, *, application: str | None) -> Obj:
    """An endpoint, without its secret: that is shown once, on creation."""
    return {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": given.get("api_version"),
        "application": application,
        "created": created,
        "description": given.get("description"),
        "enabled_events": given["enabled_events"],
        "livemode": False,
        "metadata": given.get("metadata") or {},
        "status": "enabled",
        "url": given["url"],
    }


def deleted(obj: Obj) -> Obj:
    """What is left of a deleted object."""
    kept: dict[str, Any] = {"id": obj["id"], "object": obj["object"], "deleted": True}
    return kept
