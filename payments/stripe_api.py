"""Every call to Stripe, and nothing else (design.md §6).

Timeouts are short; idempotency keys and parameters come from committed rows; the connected account
is always named. Never called inside a transaction: `_outside` sees to it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

import stripe
from django.conf import settings
from django.db import connection

from config.kernel.errors import TemporarilyUnavailable
from members.models import Workspace
from payments.models import Checkout, Payment, Refund

log = logging.getLogger(__name__)
T = TypeVar("T")

# Methods that are answered days later, by the one currency that each takes.
DELAYED_METHODS = {
    "AUD": ["au_becs_debit"],
    "CAD": ["acss_debit"],
    "EUR": ["sepa_debit"],
    "GBP": ["bacs_debit"],
    "NZD": ["nz_bank_account"],
    "USD": ["us_bank_account"],
}


class StripeDown(TemporarilyUnavailable):
    """No answer, or one that says to come back. What was asked may or may not have happened."""

    detail = "The payment service does not answer. Your slot is kept; please try again shortly."
    retry_after_seconds = 5


class StripeBroke(StripeDown):
    """Stripe answered with a 5xx, which it repeats for the same idempotency key."""


def is_unreachable(error: Exception) -> bool:
    """Whether Stripe does not answer anybody now: waiting for it again and again helps nobody."""
    return isinstance(error, StripeDown) and isinstance(error.__cause__, stripe.APIConnectionError)


class AccountGone(StripeDown):
    """The connected account does not let us act for it any more; it may again."""


class StripeRefused(Exception):
    """Stripe says that this request cannot be done, now or ever."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Intent:
    """What Stripe says of a PaymentIntent."""

    id: str
    status: str
    amount_minor: int
    currency: str
    livemode: bool


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What Stripe says of a refund: pending, requires_action, succeeded, failed or canceled."""

    id: str
    status: str
    failure_reason: str


@dataclass(frozen=True, slots=True)
class Session:
    """What Stripe says of a Checkout Session, and of its PaymentIntent when there is one."""

    id: str
    url: str
    status: str
    livemode: bool
    email: str
    name: str
    intent: Intent | None


@dataclass(frozen=True, slots=True)
class Account:
    """What Stripe says of a connected account; `missing` names what it still asks for."""

    id: str
    charges_enabled: bool
    details_submitted: bool
    disabled_because: str
    missing: list[str]


def create_session(checkout: Checkout) -> Session:
    """Create the session that a committed row describes; a repeat gives the same one."""
    return _session(
        _call(
            lambda: client().v1.checkout.sessions.create(
                params=_session_params(checkout),
                options=_options(checkout.account, key=f"checkout:{checkout.pk}"),
            )
        )
    )


def fetch_session(checkout: Checkout) -> Session:
    """The session as it is now, with its PaymentIntent."""
    return _session(
        _call(
            lambda: client().v1.checkout.sessions.retrieve(
                checkout.session_id or "",
                params={"expand": ["payment_intent"]},
                options=_options(checkout.account),
            )
        )
    )


def expire_session(checkout: Checkout) -> Session:
    """Expire an open session. One that is no longer open is returned as it is (facts: Checkout)."""
    try:
        return _session(
            _call(
                lambda: client().v1.checkout.sessions.expire(
                    checkout.session_id or "",
                    params={"expand": ["payment_intent"]},
                    options=_options(checkout.account),
                )
            )
        )
    except StripeRefused as refusal:
        try:
            return fetch_session(checkout)
        except StripeRefused:
            log.error("checkout %s cannot be closed at Stripe: %s", checkout.pk, refusal)
            raise StripeDown from refusal


def fetch_intent(payment: Payment) -> Intent:
    """The PaymentIntent as it is now."""
    return _intent(
        _call(
            lambda: client().v1.payment_intents.retrieve(
                payment.intent_id, options=_options(payment.account)
            )
        )
    )


def capture(payment: Payment) -> Intent:
    """Take the authorised money. Raises StripeRefused when it is no longer authorised."""
    return _intent(
        _call(
            lambda: client().v1.payment_intents.capture(
                payment.intent_id,
                options=_options(payment.account, key=f"capture:{payment.pk}:{payment.tries}"),
            )
        )
    )


def void(payment: Payment) -> Intent:
    """Let go of the authorised money. Raises StripeRefused when there is nothing to let go."""
    return _intent(
        _call(
            lambda: client().v1.payment_intents.cancel(
                payment.intent_id,
                options=_options(payment.account, key=f"void:{payment.pk}:{payment.tries}"),
            )
        )
    )


def create_refund(refund: Refund) -> GivenBack:
    """Give back what a committed row says; a repeat of the same attempt gives the same refund."""
    key = f"refund:{refund.pk}:{refund.attempt}"
    return _given_back(
        _call(
            lambda: client().v1.refunds.create(
                params=_refund_params(refund), options=_options(refund.payment.account, key=key)
            )
        )
    )


def fetch_refund(refund: Refund) -> GivenBack:
    """The refund as it is now."""
    return _given_back(
        _call(
            lambda: client().v1.refunds.retrieve(
                refund.stripe_refund_id or "", options=_options(refund.payment.account)
            )
        )
    )


def find_refund(refund: Refund) -> GivenBack | None:
    """The refund that Stripe made for our row though its answer never reached us, if it did."""
    found = _call(
        lambda: client().v1.refunds.list(
            params={"payment_intent": refund.payment.intent_id, "limit": 100},
            options=_options(refund.payment.account),
        )
    )
    ours = str(refund.pk)
    for each in found.data:
        if each.metadata and each.metadata.to_dict().get("refund") == ours:
            return _given_back(each)
    return None


def fetch_refund_fully(refund_id: str, *, account: str) -> dict[str, Any]:
    """A refund that no row of ours is about."""
    found = _call(lambda: client().v1.refunds.retrieve(refund_id, options=_options(account)))
    return found.to_dict(recursive=True)


def give_back_whole(intent: dict[str, Any], *, account: str, metadata: dict[str, str]) -> None:
    """Let go of a payment that no row of ours is about, or refund what is left of it.

    Twice is not possible: Stripe gives back no more than is left. Raises StripeDown, StripeRefused.
    """
    api, options = client().v1, _options(account)
    if intent["status"] == "requires_capture":
        _call(lambda: api.payment_intents.cancel(intent["id"], options=options))
        return
    params: dict[str, Any] = {"payment_intent": intent["id"], "metadata": metadata}
    if intent.get("application_fee_amount"):
        params["refund_application_fee"] = True
    if intent.get("transfer_data"):
        params["reverse_transfer"] = True
    _call(lambda: api.refunds.create(params=cast(Any, params), options=options))


def expire_unknown(session_id: str, *, account: str) -> bool:
    """Close a payment page that no row of ours is about; False when Stripe refuses to."""
    try:
        found = _call(
            lambda: client().v1.checkout.sessions.expire(session_id, options=_options(account))
        )
    except StripeRefused:
        return False  # it was paid a moment ago, or has ended
    return found.status == "expired"


def fetch_account(account_id: str) -> Account | None:
    """A connected account as it is now; None when it does not let us act for it any more."""
    try:
        return _account(_call(lambda: client().v1.accounts.retrieve(account_id)))
    except StripeDown as error:
        if isinstance(error.__cause__, stripe.PermissionError):
            return None
        raise


def create_account(workspace: Workspace) -> Account:
    """Make the workspace's account; a repeat gives the same one. Raises StripeDown.

    The key names the account there was before, so that one that cut us off can be followed by
    another. Parameters never change with the row, or the key would not fit them.
    """
    params: Any = {"type": "standard", "metadata": {"workspace": str(workspace.pk)}}
    options = _options("", key=f"account:{workspace.pk}:{workspace.stripe_account_id or 'first'}")
    return _account(
        _refused_is_down(lambda: client().v1.accounts.create(params=params, options=options))
    )


def account_link(account_id: str, *, return_url: str, refresh_url: str) -> str:
    """A fresh link to an account's onboarding; it serves once and for minutes."""
    params: Any = {
        "account": account_id,
        "type": "account_onboarding",
        "return_url": return_url,
        "refresh_url": refresh_url,
    }
    return _refused_is_down(lambda: client().v1.account_links.create(params=params)).url


@lru_cache(maxsize=1)
def client() -> stripe.StripeClient:
    """The client of this process, made at first use and so after any fork."""
    return stripe.StripeClient(
        settings.STRIPE_SECRET_KEY or "sk_test_missing",
        base_addresses={"api": settings.STRIPE_HOST},
        http_client=stripe.RequestsClient(timeout=settings.STRIPE_TIMEOUT),
        max_network_retries=0,
    )


def _call(work: Callable[[], T]) -> T:
    _outside()
    try:
        return work()
    except stripe.APIConnectionError as error:
        raise StripeDown from error
    except (stripe.RateLimitError, stripe.IdempotencyError) as error:
        raise StripeDown from error
    except stripe.StripeError as error:
        status = error.http_status or 500
        if status == 409:
            raise StripeDown from error
        if status >= 500:
            raise StripeBroke from error
        if status in {401, 403}:
            log.error("Stripe does not accept our key or account: %s", error)
            raise (AccountGone if status == 403 else StripeDown) from error
        raise StripeRefused(error.code or "", str(error.user_message or error)) from error


def _refused_is_down(work: Callable[[], T]) -> T:
    """For calls that are never refused for a reason that whoever asked could mend."""
    try:
        return _call(work)
    except StripeRefused as error:
        log.error("Stripe refused: %s", error)
        raise StripeDown(f"Stripe says: {error}") from error


def _outside() -> None:
    if connection.in_atomic_block:
        raise RuntimeError("Stripe must not be called inside a transaction (design.md)")


def _options(account: str, *, key: str = "") -> Any:
    options = {}
    if account:
        options["stripe_account"] = account
    if key:
        options["idempotency_key"] = key
    return options


def _session_params(checkout: Checkout) -> Any:
    metadata = {"checkout": str(checkout.pk), "due": str(checkout.due_id)}
    intent: dict[str, Any] = {
        "capture_method": "manual",
        "description": checkout.title,  # what it was for, should our rows ever be lost
        "metadata": metadata,
    }
    if checkout.application_fee_minor:
        intent["application_fee_amount"] = checkout.application_fee_minor
    if checkout.destination:
        intent["transfer_data"] = {"destination": checkout.destination}
    params: dict[str, Any] = {
        "mode": "payment",
        "payment_method_types": ["card"],
        "client_reference_id": str(checkout.pk),
        "metadata": metadata,
        "payment_intent_data": intent,
        "success_url": checkout.success_url,
        "cancel_url": checkout.cancel_url,
        "expires_at": int(checkout.expires_at.timestamp()),
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": checkout.currency.lower(),
                    "unit_amount": checkout.amount_minor,
                    "product_data": {"name": checkout.title},
                },
            }
        ],
    }
    if checkout.takes_delayed_methods:
        # Cards still wait for the verdict; what cannot wait is taken, and refunded if need be.
        intent["capture_method"] = "automatic_async"
        params["payment_method_types"] += DELAYED_METHODS[checkout.currency]
        params["payment_method_options"] = {"card": {"capture_method": "manual"}}
    if checkout.email:
        params["customer_email"] = checkout.email
    return params


def _refund_params(refund: Refund) -> Any:
    params: dict[str, Any] = {
        "payment_intent": refund.payment.intent_id,
        "amount": refund.amount_minor,
        "metadata": {"refund": str(refund.pk), "due": str(refund.due_id)},
    }
    if refund.cause == Refund.Cause.DUPLICATE:
        params["reason"] = "duplicate"
    if refund.refunds_fee:
        params["refund_application_fee"] = True
    if refund.reverses_transfer:
        params["reverse_transfer"] = True
    return params


def _given_back(found: stripe.Refund) -> GivenBack:
    return GivenBack(
        id=found.id,
        status=found.status or "",
        failure_reason=getattr(found, "failure_reason", None) or "",
    )


def _session(found: stripe.checkout.Session) -> Session:
    details = found.customer_details
    intent = found.payment_intent
    return Session(
        id=found.id,
        url=found.url or "",
        status=found.status or "",
        livemode=found.livemode,
        email=(details and details.email) or found.customer_email or "",
        name=(details and details.name) or "",
        intent=_intent(intent) if isinstance(intent, stripe.PaymentIntent) else None,
    )


def _account(found: stripe.Account) -> Account:
    asks = found.requirements
    return Account(
        id=found.id,
        charges_enabled=bool(found.charges_enabled),
        details_submitted=bool(found.details_submitted),
        disabled_because=(asks and asks.disabled_reason) or "",
        missing=list((asks and asks.currently_due) or []),
    )


def _intent(found: stripe.PaymentIntent) -> Intent:
    return Intent(
        id=found.id,
        status=found.status,
        amount_minor=found.amount,
        currency=found.currency.upper(),
        livemode=found.livemode,
    )


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list at Stripe, newest first, as plain dictionaries."""

    items: list[dict[str, Any]]
    has_more: bool


_LISTS: dict[str, Callable[[stripe.StripeClient], Any]] = {
    "checkout_sessions": lambda api: api.v1.checkout.sessions,
    "events": lambda api: api.v1.events,
    "payment_intents": lambda api: api.v1.payment_intents,
    "refunds": lambda api: api.v1.refunds,
}


def list_page(what: str, *, account: str, after: str = "", **params: Any) -> Listing:
    """One page of an account's objects: `what` is a key of `_LISTS`, `after` the last id seen.

    Raises StripeDown, and StripeRefused.
    """
    asked = {"limit": 100, **params, **({"starting_after": after} if after else {})}
    found = _call(
        lambda: _LISTS[what](client()).list(params=cast(Any, asked), options=_options(account))
    )
    return Listing([item.to_dict(recursive=True) for item in found.data], bool(found.has_more))


def fetch_intent_fully(intent_id: str, *, account: str) -> dict[str, Any]:
    """A PaymentIntent that need not be ours, with its latest charge."""
    found = _call(
        lambda: client().v1.payment_intents.retrieve(
            intent_id, params={"expand": ["latest_charge"]}, options=_options(account)
        )
    )
    return found.to_dict(recursive=True)
