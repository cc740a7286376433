"""What must be true once everything is quiet again, and the table of what had happened."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Q

from bookings.models import Booking
from config.kernel import clock
from holds.models import Hold
from members.models import Notification
from payments.models import Checkout, CreditEntry, Finding, Payment, Refund, Signal
from payments.reconciler import registry
from payments.reconciler.stripe_objects import StripePayments
from tests.core.legality import assert_legal
from tests.races import crowd
from tests.races.worst_members import Town
from tests.support.sandbox import SandboxClient

# Each must come to nothing by itself: how many there still are of what is on its way.
UNFINISHED: dict[str, Callable[[], int]] = {
    "payments without an end": lambda: Payment.objects.filter(
        state__in=["processing", "authorised", "capturing", "voiding"]
    ).count(),
    "checkouts open": lambda: Checkout.objects.filter(state__in=["creating", "open"]).count(),
    "checkouts complete and undecided": lambda: (
        Checkout.objects.filter(state="complete")
        .exclude(Q(payments__state="failed") | ~Q(payments__verdict=""))
        .count()
    ),
    "refunds unfinished": lambda: Refund.objects.exclude(state="succeeded").count(),
    "holds active": lambda: Hold.objects.filter(state="active").count(),
    "hints not followed": lambda: Signal.objects.filter(followed_at=None).count(),
    "mails unsent": lambda: Notification.objects.filter(state="pending").count(),
}


def unfinished() -> dict[str, int]:
    """What is still on its way."""
    counts = {what: count() for what, count in UNFINISHED.items()}
    return {what: count for what, count in counts.items() if count}


def wait_until_quiet(*, seconds: float) -> float:
    """Until nothing is on its way any more; returns how long that took, or fails."""
    began = time.monotonic()
    while left := unfinished():
        assert time.monotonic() - began < seconds, f"after {seconds} s there are still {left}"
        time.sleep(0.5)
    return time.monotonic() - began


def wait_until_listed() -> None:
    """The audit of Stripe's objects leaves out what is younger than some minutes."""
    last = Payment.objects.order_by("-created_at").values_list("created_at", flat=True).first()
    until = (last or clock.now()) + StripePayments.settles_within + timedelta(seconds=5)
    time.sleep(max(0.0, (until - clock.now()).total_seconds()))


# --- What must be true --------------------------------------------------------------------------


def assert_true_to_its_word(town: Town) -> None:
    """No answer but those that were foreseen, and what was said to be theirs was theirs."""
    assert town.told.wrong == []
    kept = {"confirmed", "cancelled", "completed"}
    found = dict(Booking.objects.values_list("pk", "state"))
    assert {found[booking] for booking in town.told.promised} <= kept


def assert_slots() -> None:
    assert_legal()
    assert crowd.overlapping_lines() == 0


def assert_every_cent(sandbox: SandboxClient) -> None:
    """Each PaymentIntent and refund at the sandbox as our rows have it, and the other way round."""
    intents, back = _at_stripe(sandbox)
    ours = {p.payment_intent_id: p for p in Payment.objects.all()}
    taken = {i["id"]: i["amount_received"] for i in intents.values() if i["amount_received"]}
    assert taken == {pi: p.amount_minor for pi, p in ours.items() if p.state == "captured"}
    assert [i["id"] for i in intents.values() if i["status"] == "requires_capture"] == []
    refunds: Counter[str] = Counter()
    for refund in Refund.objects.filter(to="card", state="succeeded").select_related("payment"):
        refunds[refund.payment.payment_intent_id] += refund.amount_minor
    assert back == refunds
    assert_nobody_charged_for_nothing(taken, back)


def assert_nobody_charged_for_nothing(taken: dict[str, int], back: Counter[str]) -> None:
    """Money that was kept is of a booking that stands, or of one whose cancellation cost it."""
    kept = [intent for intent, amount in taken.items() if amount > back[intent]]
    paid = Payment.objects.filter(payment_intent_id__in=kept, verdict="capture")
    states = Counter(paid.values_list("due__booking__state", flat=True))
    assert sum(states.values()) == len(kept)
    assert set(states) <= {"confirmed", "completed", "cancelled"}


def _at_stripe(sandbox: SandboxClient) -> tuple[dict[str, Any], Counter[str]]:
    state = sandbox.http.get("/_sandbox/state", params={"limit": "100000"}).json()
    accounts = state["accounts"].values()
    back: Counter[str] = Counter()
    for refund in (refund for account in accounts for refund in account["refunds"]):
        assert refund["status"] == "succeeded"
        back[refund["payment_intent"]] += refund["amount"]
    return {i["id"]: i for account in accounts for i in account["payment_intents"]}, back


def assert_no_page_open(sandbox: SandboxClient) -> None:
    """Nobody can pay any more for a hold that is over."""
    state = sandbox.http.get("/_sandbox/state", params={"limit": "100000"}).json()
    found = [s for account in state["accounts"].values() for s in account["sessions"]]
    assert [s["id"] for s in found if s["status"] == "open"] == []


def assert_nothing_left_to_look_at() -> None:
    high = Finding.objects.filter(closed_at=None, severity="high")
    assert list(high.values_list("kind", "summary")) == []
    kinds = registry.kinds_of(("overlaps", "dues", "credit_ledger"))
    sums = Finding.objects.filter(kind__in=kinds)
    assert list(sums.values_list("kind", "summary")) == []


# --- What had happened --------------------------------------------------------------------------


def told_of_rows() -> dict[str, Any]:
    """What became of bookings, money and credit, by name."""
    payments = Payment.objects.all()
    late = payments.filter(verdict="void").values_list("verdict_because", flat=True)
    findings = Finding.objects.values_list("kind", "severity", "closed_at")
    entries = CreditEntry.objects.values_list("kind", flat=True)
    return {
        "bookings": counted(Booking.objects.values_list("state", flat=True)),
        "checkouts": counted(Checkout.objects.values_list("state", flat=True)),
        "payments": counted(payments.values_list("state", flat=True)),
        "voided because": counted(late),
        "won back or confirmed late": _late(),
        "refunds": counted(Refund.objects.values_list("to", "state")),
        "credit entries": counted(entries),
        "settled first by": counted(payments.exclude(verdict="").values_list("settled_by")),
        "findings": counted((kind, sev, "closed" if at else "open") for kind, sev, at in findings),
        "mails": Notification.objects.filter(state="sent").count(),
    }


def _late() -> int:
    events = Booking.objects.filter(events__kind="confirmed", events__data__late=True)
    return events.distinct().count()


def told_of_faults(sandbox: SandboxClient) -> dict[str, Any]:
    """How often each fault struck, beside how much there was of what it could strike.

    One that is used up is not told any more: the calls answered by its 500 are.
    """
    state = sandbox.state()
    struck: Counter[str] = Counter()
    for fault in state["faults"]:
        struck[fault["kind"]] += fault["used"]
    return {
        "faults that struck": counted(struck),
        "events": state["counts"].get("event", 0),
        "deliveries": counted(Counter(state["deliveries"])),
        "calls answered": counted(str(r["status"]) for r in sandbox.requests()),
    }


def counted(found: Any) -> str:
    counts = found if isinstance(found, Counter) else Counter(
        " ".join(each) if isinstance(each, tuple) else str(each) for each in found
    )  # fmt: skip
    return ", ".join(f"{n} {name}" for name, n in counts.most_common()) or "none"


def table(figures: dict[str, Any]) -> str:
    rows = [f"| {name} | {value} |" for name, value in figures.items()]
    return "\n".join(["| what | how often |", "|---|---|", *rows])
