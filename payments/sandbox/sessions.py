"""The Checkout Session object, its lines, and what may be asked for when one is created."""

from __future__ import annotations

from typing import Any

from . import money
from .errors import StripeError, invalid
from .ids import new_id
from .params import EXPAND, anything, email, group, integer, items, metadata, string, url
from .store import Obj
from .words import words

SHORTEST, LONGEST = 30 * 60, 24 * 60 * 60

# Methods whose money can be authorised first and captured later.
CAPTURED_LATER = frozenset(
    words(
        "affirm afterpay_clearpay amazon_pay billie card cashapp klarna link mobilepay paypal "
        "revolut_pay samsung_pay satispay kr_card naver_pay payco kakao_pay"
    )
)
AT_ONCE = frozenset(
    words(
        "acss_debit alipay alma au_becs_debit bacs_debit bancontact blik boleto customer_balance "
        "eps fpx giropay grabpay ideal konbini multibanco nz_bank_account oxxo p24 pay_by_bank "
        "paynow payto pix promptpay sepa_debit sofort swish twint us_bank_account wechat_pay zip"
    )
)
# Methods whose payment is known to have worked, or not, only days later.
DELAYED = frozenset(
    words(
        "acss_debit au_becs_debit bacs_debit boleto customer_balance konbini multibanco "
        "nz_bank_account oxxo payto sepa_debit us_bank_account"
    )
)

_price_data = group(
    {
        "currency": string(blank=False),
        "product_data": group(
            {
                "description": string(max_length=40000),
                "images": items(url, most=8),
                "metadata": metadata,
                "name": string(blank=False),
                "tax_code": string(),
                "unit_label": string(max_length=12),
            },
            required=("name",),
        ),
        "tax_behavior": string(choices=("exclusive", "inclusive", "unspecified")),
        "unit_amount": integer(),
    },
    required=("currency", "product_data", "unit_amount"),
)
_line = group(
    {
        "metadata": metadata,
        "price_data": _price_data,
        "quantity": integer(least=1, most=999_999),
    },
    required=("price_data", "quantity"),
)
_intent_data = group(
    {
        "application_fee_amount": integer(least=0),
        "capture_method": string(choices=("automatic", "automatic_async", "manual")),
        "description": string(max_length=1000),
        "metadata": metadata,
        "on_behalf_of": string(),
        "receipt_email": email,
        "setup_future_usage": string(choices=("off_session", "on_session")),
        "statement_descriptor": string(max_length=22),
        "statement_descriptor_suffix": string(max_length=22),
        "transfer_data": group(
            {"amount": integer(least=1), "destination": string(blank=False)},
            required=("destination",),
        ),
        "transfer_group": string(),
    }
)

_card_method = group(
    {
        "capture_method": string(choices=("manual",)),
        "request_three_d_secure": string(choices=("any", "automatic", "challenge")),
        "setup_future_usage": string(choices=("off_session", "on_session")),
        "statement_descriptor_suffix_kana": string(),
        "statement_descriptor_suffix_kanji": string(),
    }
)
_method_options = group({**dict.fromkeys(CAPTURED_LATER | AT_ONCE, anything), "card": _card_method})

CREATE = group(
    {
        **EXPAND,
        "cancel_url": url,
        "client_reference_id": string(max_length=200),
        "currency": string(),
        "customer": string(),
        "customer_email": email,
        "expires_at": integer(),
        "line_items": items(_line),
        "locale": string(),
        "metadata": metadata,
        "mode": string(choices=("payment", "setup", "subscription"), blank=False),
        "payment_intent_data": _intent_data,
        "payment_method_options": _method_options,
        "payment_method_types": items(string(choices=sorted(CAPTURED_LATER | AT_ONCE))),
        "submit_type": string(choices=("auto", "book", "donate", "pay")),
        "success_url": url,
        "ui_mode": string(choices=("hosted_page",)),
    },
    required=("mode", "line_items", "success_url"),
)


def lines(created: int, given: list[Obj]) -> list[Obj]:
    """Line items with the prices and products made for them, all in one currency."""
    made = [_line_item(created, line, f"line_items[{i}]") for i, line in enumerate(given)]
    if not made:
        raise invalid("A session needs at least one line.", "line_items", "parameter_missing")
    if len({line["currency"] for line in made}) > 1:
        raise invalid("All lines must have the same currency.", "line_items")
    return made


def _line_item(created: int, line: Obj, name: str) -> Obj:
    price = _price(created, line["price_data"], f"{name}[price_data]")
    amount = price["unit_amount"] * line["quantity"]
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": line["price_data"]["product_data"]["name"],
        "metadata": line.get("metadata") or {},
        "price": price,
        "quantity": line["quantity"],
    }


def _price(created: int, given: Obj, name: str) -> Obj:
    currency = money.known_currency(given["currency"], f"{name}[currency]")
    money.check_unit(given["unit_amount"], currency, f"{name}[unit_amount]")
    return {
        "id": new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": new_id("prod"),
        "recurring": None,
        "tax_behavior": given.get("tax_behavior") or "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": given["unit_amount"],
        "unit_amount_decimal": str(given["unit_amount"]),
    }


def end_of(created: int, asked: int | None) -> int:
    """When a session ends by itself: 30 minutes to 24 hours after its creation."""
    if asked is None:
        return created + LONGEST
    if asked < created + SHORTEST:
        raise invalid(
            "`expires_at` must be at least 30 minutes after the session's creation.", "expires_at"
        )
    if asked > created + LONGEST:
        raise invalid(
            "`expires_at` must be at most 24 hours after the session's creation.", "expires_at"
        )
    return asked


def check_methods(given: Obj) -> list[str]:
    """The payment methods offered; those that cannot be captured later are refused with manual."""
    types: list[str] = given.get("payment_method_types") or ["card"]
    manual = (given.get("payment_intent_data") or {}).get("capture_method") == "manual"
    for type_name in types:
        if manual and type_name in AT_ONCE:
            raise invalid(
                f"`{type_name}` payments cannot be captured later (`capture_method` is `manual`).",
                "payment_method_types",
            )
    return types


def check_fee(given: Obj, total: int, *, is_direct: bool) -> None:
    """An application fee needs someone else's charge, and is no more than the charge."""
    data = given.get("payment_intent_data") or {}
    fee = data.get("application_fee_amount")
    if fee is None:
        return
    name = "payment_intent_data[application_fee_amount]"
    if not is_direct and not data.get("transfer_data"):
        raise invalid(
            "An application fee needs a direct charge (Stripe-Account) or a destination"
            " (transfer_data).",
            name,
        )
    if fee > total:
        raise StripeError("The application fee is more than the amount.", param=name)


def session(
    created: int, given: Obj, lines: list[Obj], *, base_url: str, known_email: str | None
) -> Obj:
    """An open session. Its intent does not exist yet."""
    object_id = new_id("cs_test")
    total = sum(line["amount_total"] for line in lines)
    return {
        **_unused(),
        "id": object_id,
        "object": "checkout.session",
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": given.get("cancel_url"),
        "client_reference_id": given.get("client_reference_id"),
        "created": created,
        "currency": lines[0]["currency"],
        "customer": given.get("customer"),
        "customer_creation": None if given.get("customer") else "if_required",
        "customer_details": customer_details(known_email) if known_email else None,
        "customer_email": given.get("customer_email"),
        "expires_at": end_of(created, given.get("expires_at")),
        "livemode": False,
        "locale": given.get("locale"),
        "metadata": given.get("metadata") or {},
        "mode": "payment",
        "payment_intent": None,
        "payment_method_options": {"card": _card_options(given)},
        "payment_method_types": check_methods(given),
        "payment_status": "unpaid" if total else "no_payment_required",
        "status": "open",
        "submit_type": given.get("submit_type"),
        "success_url": given["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{base_url}/pay/{object_id}",
    }


def _card_options(given: Obj) -> Obj:
    asked = (given.get("payment_method_options") or {}).get("card") or {}
    return {"request_three_d_secure": "automatic", **asked}


def customer_details(address: str | None) -> Obj:
    """What is known of a payer."""
    return {
        "address": None,
        "business_name": None,
        "email": address,
        "individual_name": None,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _unused() -> Obj:
    """Fields of features the sandbox has no part in."""
    absent: dict[str, Any] = dict.fromkeys(
        words(
            "adaptive_pricing after_expiration allow_promotion_codes billing_address_collection "
            "client_secret collected_information consent consent_collection currency_conversion "
            "customer_account integration_identifier invoice origin_context payment_link "
            "payment_method_configuration_details permissions recovered_from "
            "saved_payment_method_options setup_intent shipping_address_collection shipping_cost "
            "subscription wallet_options"
        )
    )
    return {
        **absent,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "discounts": [],
        "invoice_creation": None,
        "payment_method_collection": "if_required",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
    }
