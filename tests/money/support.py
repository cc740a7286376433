"""Paying at the real sandbox."""

from config.kernel.context import SYSTEM
from holds.models import Hold
from payments import checkouts
from payments.models import Checkout, Payment
from tests.support.sandbox import SandboxClient

SUCCESS = "http://testserver/return/x?session={CHECKOUT_SESSION_ID}"
CANCEL = "http://testserver/hold/x"


def start(held: Hold) -> Checkout:
    """Open the payment page of a hold."""
    checkouts.start(hold_id=held.pk, success_url=SUCCESS, cancel_url=CANCEL, actor=SYSTEM)
    return Checkout.objects.filter(due__booking_id=held.booking_id).latest("attempt")


def pay(sandbox: SandboxClient, checkout: Checkout, outcome: str = "pay") -> None:
    """Act on the payment page; paying must lead back to the success page."""
    answer = sandbox.pay(checkout.url, outcome)
    if outcome == "pay":
        assert answer.status_code == 303, answer.text


def payment_of(checkout: Checkout) -> Payment:
    return Payment.objects.get(checkout=checkout)


def intents(sandbox: SandboxClient, account: str | None = None) -> dict[str, dict]:
    """Every PaymentIntent the sandbox has, by id."""
    state = sandbox.state(account)
    return {
        intent["id"]: intent
        for found in state["accounts"].values()
        for intent in found["payment_intents"]
    }
