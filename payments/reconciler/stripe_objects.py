"""What Stripe has and we do not know of, on the platform and on every connected account.

Each page is one call to Stripe; the cursor names account, list and last object, so that a pass that
is cut short goes on where it was.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import stripe
from django.conf import settings
from djstripe.models import Account, Event

from config.kernel.clock import now as database_now
from config.kernel.money import Money
from config.kernel.version import code_version
from holds.models import Hold
from holds.states import ACTIVE
from members.models import Workspace
from payments import checkouts, settlement, stripe_api
from payments.event_names import ALL_EVENTS
from payments.models import Checkout, Finding, Payment, Signal
from payments.reconciler import evidence, stripe_refunds
from payments.reconciler.at_stripe import (
    ACCOUNT_UNREADABLE,
    EVENT_NOT_TAKEN,
    SESSION_OPEN,
    STRIPE_DIFFERS,
    UNEXPLAINED_PAYMENT,
    ours,
    said,
    uuids,
    workspace_of,
)
from payments.reconciler.base import HIGH, HOUR, MEDIUM, MINUTE, Check, Cursor, Page, Seen
from payments.refunding import FOREIGN
from payments.states import CAPTURE_FAILED as FAILED_CAPTURE
from payments.states import CAPTURED, EXPIRED, OPEN
from payments.stripe_api import Listing, StripeDown, StripeRefused

log = logging.getLogger(__name__)

_MONEY = {"requires_capture", "succeeded", "processing"}


class PerAccount(Check):
    """A list at Stripe, account by account, page by page."""

    lists: ClassVar[tuple[str, ...]]

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        return {"accounts": accounts(), "list": 0, "after": ""}

    def look(self, cursor: Cursor) -> Page:
        account, what = cursor["accounts"][0], self.lists[cursor["list"]]
        try:
            listing = stripe_api.list_page(
                what, account=account, after=cursor["after"], **self.asked(what, cursor)
            )
        except (StripeDown, StripeRefused) as error:
            if not _is_shut(error):
                raise
            return Page(0, self.shut(account, error), _next_account(cursor))
        seen, healed = self.judge(what, account, listing.items)
        return Page(len(listing.items), seen, self._next(cursor, listing), healed)

    def asked(self, what: str, cursor: Cursor) -> dict[str, Any]:
        """The list's parameters."""
        return {}

    def judge(self, what: str, account: str, items: list[dict[str, Any]]) -> tuple[list[Seen], int]:
        """What is wrong with these objects, and how many were put right on the way."""
        raise NotImplementedError

    def shut(self, account: str, error: Exception) -> list[Seen]:
        """What to say of an account that our key may not read."""
        log.warning("check %s cannot read account %s: %s", self.name, account, error)
        return []

    def _next(self, cursor: Cursor, listing: Listing) -> Cursor | None:
        if listing.has_more and listing.items:
            return cursor | {"after": listing.items[-1]["id"]}
        if cursor["list"] + 1 < len(self.lists):
            return cursor | {"list": cursor["list"] + 1, "after": ""}
        return _next_account(cursor)


def accounts() -> list[str]:
    """The platform ("") and every connected account that was ever charged on or is set up."""
    connected = set(Workspace.objects.values_list("stripe_account_id", flat=True))
    connected |= set(Checkout.objects.order_by().values_list("account", flat=True).distinct())
    return ["", *sorted(connected - {""})]


def _next_account(cursor: Cursor) -> Cursor | None:
    left = cursor["accounts"][1:]
    return cursor | {"accounts": left, "list": 0, "after": ""} if left else None


def _is_shut(error: Exception) -> bool:
    """Our key has lost this account: no reason to keep the others waiting."""
    if isinstance(error, StripeRefused):
        return True
    return isinstance(error.__cause__, stripe.AuthenticationError | stripe.PermissionError)


# --- Payments and refunds -----------------------------------------------------------------------


class StripePayments(PerAccount):
    """Every payment and refund at Stripe has its row here, and both say the same."""

    name = "stripe_payments"
    looks_for = "payments and refunds at Stripe that nothing here explains, or that differ"
    kinds = (UNEXPLAINED_PAYMENT, FOREIGN, STRIPE_DIFFERS, ACCOUNT_UNREADABLE)
    heals = "settles a payment whose checkout is ours, and catches up with refunds"
    interval = HOUR
    seconds = 60
    lists = ("payment_intents", "refunds")
    asks = 50

    # What is younger may be on its way to us; what is older was covered by the passes before.
    settles_within = timedelta(minutes=2)
    overlap = timedelta(days=1)
    first_window = timedelta(days=30)

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        covered = before.get("to")
        begin = now - self.first_window
        if covered:
            begin = datetime.fromtimestamp(covered, UTC) - self.overlap
        begin = min(begin, since or begin)
        return super().start(now=now, before=before, since=since) | {
            "from": int(begin.timestamp()),
            "to": int((now - self.settles_within).timestamp()),
        }

    def left(self, cursor: Cursor) -> Cursor:
        return {"to": cursor["to"]}

    def asked(self, what: str, cursor: Cursor) -> dict[str, Any]:
        asked: dict[str, Any] = {"created": {"gte": cursor["from"], "lte": cursor["to"]}}
        if what == "payment_intents":
            asked["expand"] = ["data.latest_charge"]
        return asked

    def judge(self, what: str, account: str, items: list[dict[str, Any]]) -> tuple[list[Seen], int]:
        if what == "refunds":
            return stripe_refunds.judged(account, items), 0
        return _intents(account, items), 0

    def shut(self, account: str, error: Exception) -> list[Seen]:
        workspace = Workspace.objects.filter(stripe_account_id=account).first()
        if not account:
            raise error
        return [
            Seen(
                kind=ACCOUNT_UNREADABLE,
                severity=MEDIUM,
                subject_type="stripe_account",
                subject_id=account,
                workspace_id=workspace.pk if workspace else None,
                summary=f"Stripe does not let us read the account {account}",
                evidence={"error": str(error.__cause__ or error)[:500]},
            )
        ]

    def heal(self, seen: Seen) -> str:
        if seen.subject_type == stripe_refunds.SUBJECT:
            return stripe_refunds.caught_up(seen)
        if seen.kind != UNEXPLAINED_PAYMENT:
            return ""
        checkout = ours(seen.evidence["metadata"])
        if checkout is None or checkout.account != seen.evidence["account"]:
            return ""
        if not checkout.session_id:
            listing = stripe_api.list_page(
                "checkout_sessions", account=checkout.account, payment_intent=seen.subject_id
            )
            if not listing.items:
                return ""
            checkouts.adopt(checkout.pk, listing.items[0]["id"])
        outcome = settlement.settle(checkout_id=checkout.pk, source=Signal.Source.SELF_HEAL)
        settlement.record(checkout.pk, Signal.Source.SELF_HEAL, outcome.name)
        payment = Payment.objects.filter(payment_intent_id=seen.subject_id).first()
        return f"Settled: {outcome.name}." if payment is not None else ""

    def is_gone(self, finding: Finding) -> bool:
        """Its window may have passed: ask for the object itself."""
        if finding.kind == ACCOUNT_UNREADABLE:
            return True
        try:
            if finding.subject_type == stripe_refunds.SUBJECT:
                return stripe_refunds.is_gone(finding)
            account = finding.evidence.get("account", "")
            intent = stripe_api.fetch_intent_fully(finding.subject_id, account=account)
        except (StripeDown, StripeRefused) as error:
            if _is_shut(error):
                return False
            raise
        return not _intents(account, [intent])


def _intents(account: str, items: list[dict[str, Any]]) -> list[Seen]:
    known = {
        payment.payment_intent_id: payment
        for payment in Payment.objects.select_related("due__booking").filter(
            payment_intent_id__in=[item["id"] for item in items]
        )
    }
    seen = [_intent(account, item, known.get(item["id"])) for item in items]
    return [each for each in seen if each is not None]


def _intent(account: str, item: dict[str, Any], payment: Payment | None) -> Seen | None:
    if payment is not None:
        return _differing(account, item, payment)
    if not is_money(item):
        return None
    ours = bool({"checkout", "due"} & set(item.get("metadata") or {}))
    money = Money(item["amount"], item["currency"].upper())
    where = account or "the platform"
    return Seen(
        kind=UNEXPLAINED_PAYMENT,
        severity=HIGH if ours or not account else MEDIUM,
        subject_type="payment_intent",
        subject_id=item["id"],
        workspace_id=workspace_of(account, item),
        summary=f"{money} on {where} ({item['status']}) belongs to no payment of ours",
        evidence=said(account, item),
        fingerprint=item["status"],
    )


def is_money(item: dict[str, Any]) -> bool:
    """Whether a PaymentIntent of Stripe's has, or may yet take, somebody's money."""
    return item["status"] in _MONEY and not _given_back(item)


def _given_back(item: dict[str, Any]) -> bool:
    charge = item.get("latest_charge")
    return isinstance(charge, dict) and bool(charge.get("refunded"))


def _differing(account: str, item: dict[str, Any], payment: Payment) -> Seen | None:
    """Ours and Stripe's end of the same payment; one that is still moving is not judged."""
    taken = item["status"] == "succeeded"
    wrong = ""
    if payment.account != account:
        wrong = "is on another account at Stripe"
    elif payment.state == CAPTURED and not taken:
        wrong = f"is captured here and {item['status']} at Stripe"
    elif payment.state == CAPTURED and item["amount_received"] != payment.amount_minor:
        wrong = f"took {item['amount_received']} at Stripe, in minor units"
    elif payment.state in {"voided", "failed", FAILED_CAPTURE} and taken:
        wrong = f"is {payment.state.replace('_', ' ')} here and was taken at Stripe"
    if not wrong or (payment.state != CAPTURED and _given_back(item)):
        return None
    return Seen(
        kind=STRIPE_DIFFERS,
        severity=HIGH,
        subject_type="payment_intent",
        subject_id=item["id"],
        workspace_id=payment.due.workspace_id,
        summary=f"{payment.due.booking.reference}: {payment.amount} {wrong}",
        evidence=said(account, item)
        | {"payment": evidence.payment_said(payment), "due": str(payment.due_id)},
        fingerprint=f"{payment.state} {item['status']} {item['amount_received']}",
    )


# --- Sessions -----------------------------------------------------------------------------------


class OpenSessions(PerAccount):
    """Nobody can pay for a hold that is over."""

    name = "open_sessions"
    looks_for = "payment pages still open at Stripe for holds that are over"
    kinds = (SESSION_OPEN,)
    heals = "closes them"
    interval = HOUR
    seconds = 40
    lists = ("checkout_sessions",)
    settles_within = timedelta(minutes=2)

    def asked(self, what: str, cursor: Cursor) -> dict[str, Any]:
        return {"status": OPEN}

    def judge(self, what: str, account: str, items: list[dict[str, Any]]) -> tuple[list[Seen], int]:
        late = database_now() - self.settles_within
        named = uuids([(item.get("metadata") or {}).get("checkout", "") for item in items])
        ours = {
            str(checkout.pk): checkout
            for checkout in Checkout.objects.select_related("due__booking").filter(pk__in=named)
        }
        holds = {
            (hold.booking_id, hold.change_id): hold
            for hold in Hold.objects.filter(
                booking_id__in=[checkout.due.booking_id for checkout in ours.values()]
            )
        }
        seen = []
        for item in items:
            checkout = ours.get((item.get("metadata") or {}).get("checkout", ""))
            if checkout is None:
                seen += _forgotten(account, item)
                continue
            due = checkout.due
            if due.pay_again_until is not None and due.pay_again_until > late:
                continue
            hold = holds[due.booking_id, due.change_id]
            over = hold.state != ACTIVE and hold.ended_at is not None and hold.ended_at <= late
            if over or hold.lapses_at <= late:
                seen.append(_session(account, item, checkout, hold))
        return seen, 0

    def heal(self, seen: Seen) -> str:
        if seen.evidence["checkout"] is None:
            closed = stripe_api.expire_unknown(seen.subject_id, account=seen.evidence["account"])
            return "It is closed." if closed else ""
        checkout = Checkout.objects.get(pk=seen.evidence["checkout"])
        if not checkout.session_id:
            checkout = checkouts.adopt(checkout.pk, seen.subject_id)
        if checkout.session_id != seen.subject_id or checkout.account != seen.evidence["account"]:
            return ""
        if checkout.state == OPEN:
            state = checkouts.close(checkout.pk)
        else:
            state = stripe_api.expire_session(checkout).status
        return "It is closed." if state == EXPIRED else ""


def _session(account: str, item: dict[str, Any], checkout: Checkout, hold: Hold) -> Seen:
    return Seen(
        kind=SESSION_OPEN,
        severity=MEDIUM,
        subject_type="checkout_session",
        subject_id=item["id"],
        workspace_id=checkout.due.workspace_id,
        summary=f"{checkout.due.booking.reference}: a payment page is open, its hold {hold.state}",
        evidence={
            "account": account,
            "checkout": str(checkout.pk),
            "due": str(checkout.due_id),
            "checkout_state": checkout.state,
            "hold": hold.state,
            "expires_at": item.get("expires_at"),
            "code_version": code_version(),
        },
    )


def _forgotten(account: str, item: dict[str, Any]) -> list[Seen]:
    """A payment page of this site that no row is about: a restored backup does not know it.

    Its row is committed before Stripe is asked for a page, so it is not one that is just being
    made; and another installation at the same account leads back to another address.
    """
    named = (item.get("metadata") or {}).get("checkout", "")
    is_of_this_site = (item.get("success_url") or "").startswith(f"{settings.SITE_URL}/")
    if not uuids([named]) or not is_of_this_site:
        return []
    return [
        Seen(
            kind=SESSION_OPEN,
            severity=MEDIUM,
            subject_type="checkout_session",
            subject_id=item["id"],
            summary=f"A payment page is open that no checkout here is about ({named})",
            evidence={
                "account": account,
                "checkout": None,
                "metadata": item["metadata"],
                "expires_at": item.get("expires_at"),
                "code_version": code_version(),
            },
        )
    ]


# --- Events -------------------------------------------------------------------------------------


class UndeliveredEvents(PerAccount):
    """What Stripe could not deliver is taken in as if it had been, once.

    A pass that staff begin at a moment takes in every event since then that is not known here:
    after a backup was restored, what had been delivered is lost as well.
    """

    name = "undelivered_events"
    looks_for = "events that Stripe could not deliver to us"
    kinds = (EVENT_NOT_TAKEN,)
    heals = "takes them in like a webhook"
    interval = 10 * MINUTE
    seconds = 40
    lists = ("events",)
    # Stripe may be delivering what is younger at this moment.
    settles_within = timedelta(minutes=1)
    kept_at_stripe = timedelta(days=30)

    def start(self, *, now: datetime, before: Cursor, since: datetime | None) -> Cursor:
        earliest = now - self.kept_at_stripe
        return super().start(now=now, before=before, since=since) | {
            "delivered_too": since is not None,
            "from": int(max(since or earliest, earliest).timestamp()),
            "to": int((now - self.settles_within).timestamp()),
        }

    def asked(self, what: str, cursor: Cursor) -> dict[str, Any]:
        only = {} if cursor.get("delivered_too") else {"delivery_success": False}
        return only | {
            "types": list(ALL_EVENTS),
            "created": {"gte": cursor["from"], "lte": cursor["to"]},
        }

    def judge(self, what: str, account: str, items: list[dict[str, Any]]) -> tuple[list[Seen], int]:
        ids = [item["id"] for item in items]
        known = set(Event.objects.filter(id__in=ids).values_list("id", flat=True))
        seen, taken = [], 0
        for item in reversed(items):  # oldest first
            if item["id"] in known:
                continue
            problem = _replayed(account, item)
            taken += not problem
            if problem:
                seen.append(_not_taken(account, item, problem))
        return seen, taken

    def is_gone(self, finding: Finding) -> bool:
        """Taken in since, or no longer to be had; a pass since a moment has not seen the others."""
        is_over = finding.seen_at <= database_now() - self.kept_at_stripe
        return is_over or Event.objects.filter(id=finding.subject_id).exists()


def _replayed(account: str, item: dict[str, Any]) -> str:
    """Give an event to the webhook's own receivers; dj-stripe drops one that it knows."""
    if account:
        item.setdefault("account", account)
    try:
        _know_owner(account)
        Event.process(item)
    except Exception as error:
        log.exception("event %s could not be replayed", item["id"])
        return f"{type(error).__name__}: {error}"
    return ""


def _know_owner(account: str) -> None:
    """Fetch the account's row beforehand, so that nothing is asked within the transaction."""
    if account:
        Account._get_or_retrieve(id=account)
    else:
        Account.get_default_account()


def _not_taken(account: str, item: dict[str, Any], problem: str) -> Seen:
    about = item["data"]["object"]
    checkout = ours(about.get("metadata"))
    return Seen(
        kind=EVENT_NOT_TAKEN,
        severity=MEDIUM,
        subject_type="event",
        subject_id=item["id"],
        workspace_id=checkout.due.workspace_id if checkout else None,
        summary=f"{item['type']} could not be delivered nor replayed",
        evidence={"account": account, "about": about.get("id"), "error": problem[:1000]},
    )
