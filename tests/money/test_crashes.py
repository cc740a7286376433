"""A power cut while Stripe's answer is on its way: found, finished, captured once (design.md §6).

The sandbox keeps its answer back, before or after it has done what it was asked; web and worker are
killed meanwhile. Nothing in the product knows of these tests: the crash point is the network's.
Stripe's own timeouts are long here, so that no call ends by itself.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.db import connection

from config.celery import app
from config.kernel import clock
from holds.models import Hold
from payments import carrying, settlement, stripe_api, tasks
from payments.models import Checkout, Due, Payment, Signal
from tests.core.support import hold, lapse, line, state_of
from tests.factories import make_api_key
from tests.money.refunds_support import ask, at_stripe
from tests.money.support import (
    assert_never_charged,
    assert_paid_once,
    heal,
    intents_of,
    latest,
    make_due,
    pay,
    payment_of,
    room_charging,
    sessions,
    signal_for,
    start,
)
from tests.support.instances import Fleet, Instance
from tests.support.sandbox import SandboxClient, eventually

pytestmark = pytest.mark.django_db(transaction=True)
WAYS = ("hang_before", "hang_after")
PATIENT = {"STRIPE_READ_TIMEOUT": "120"}
CAPTURE = "payment_intents.capture"
VOID = "payment_intents.cancel"
CREATE = "checkout.sessions.create"
EXPIRE = "checkout.sessions.expire"

BACK = {"success_url": "https://shop.test/back", "cancel_url": "https://shop.test/no"}


class Plant:
    """Web and worker, or one of them, about to lose power, and a browser that waits for the web."""

    def __init__(self, fleet: Fleet, sandbox: SandboxClient, *kinds: str) -> None:
        self.fleet, self.sandbox = fleet, sandbox
        self._running = {kind: fleet.start(kind, 1, PATIENT)[0] for kind in kinds}
        self._browsers = ThreadPoolExecutor(4)

    @property
    def web(self) -> Instance:
        return self._running["web"]

    def ask(self, method: str, held: Hold, path: str = "", **options: Any) -> None:
        """Call the API about a hold, and do not wait: no answer will come."""
        _, secret = make_api_key(workspace=held.workspace)
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": str(uuid4())}
        url = f"{self.web.url}/api/v1/holds/{held.pk}{path}"
        self._browsers.submit(httpx.request, method, url, headers=headers, timeout=60, **options)

    def withheld(self, operation: str, count: int) -> list[dict[str, Any]]:
        """Wait until the sandbox keeps back that many answers; nothing else is on its way."""

        def all_there() -> list[dict[str, Any]]:
            found = self.sandbox.state()["withheld"]
            return found if len(found) == count else []

        found = eventually(all_there, 30)
        assert {request["operation"] for request in found} == {operation}
        return list(found)

    def lose_power(self) -> None:
        """SIGKILL all, then let the sandbox go on: nobody is there to hear its answers."""
        for instance in self._running.values():
            instance.kill()
        eventually(lambda: not self.sandbox.state()["withheld"], 20)
        self.sandbox.clear()
        self._browsers.shutdown(wait=True)


@pytest.fixture
def plant(fleet: Fleet, sandbox: SandboxClient) -> Plant:
    return Plant(fleet, sandbox, "web", "worker")


def paid(sandbox: SandboxClient) -> Hold:
    """A hold that is paid at Stripe, on an account of its own."""
    held = hold(line(room_charging(sandbox, "direct")))
    pay(sandbox, start(held))
    return held


def withhold(sandbox: SandboxClient, way: str, operation: str, held: Hold) -> None:
    account = held.workspace.stripe_account_id
    sandbox.fault(way, match={"operation": operation, "account": account})


def slot_lost(held: Hold) -> None:
    """Its time is up and somebody else has the slot."""
    lapse(held)
    resource = held.booking.lines.get().resource
    hold(line(resource))


def price_changed(held: Hold) -> None:
    """What is owed is no longer what was paid."""
    Due.objects.filter(booking=held.booking).update(amount_minor=9900)


def by_worker(plant: Plant, held: Hold) -> None:
    """The webhook's hint is followed by the worker."""
    signal_for(latest(held))


def by_web(plant: Plant, held: Hold) -> None:
    """Letting go of a paid hold settles it in the web process."""
    plant.ask("DELETE", held)


def crash_while(
    plant: Plant, operation: str, before: Callable[[Hold], None], before_web: Callable[[Hold], None]
) -> dict[tuple[str, str], Hold]:
    """Have worker and web each make the call twice; done at Stripe or not, both lose power."""
    found = {}
    for way in WAYS:
        for who, acts in (("worker", by_worker), ("web", by_web)):
            held = found[who, way] = paid(plant.sandbox)
            (before if who == "worker" else before_web)(held)
            withhold(plant.sandbox, way, operation, held)
            acts(plant, held)
    kept = plant.withheld(operation, 4)
    assert sorted(request["effect_done"] for request in kept) == [False, False, True, True]
    plant.lose_power()
    return found


def unchanged(held: Hold) -> None:
    """Nothing is special about this hold."""


def states(found: dict[Any, Hold]) -> set[str]:
    return {payment_of(latest(held)).state for held in found.values()}


def test_killed_while_capturing(plant: Plant) -> None:
    """Healed by a fresh worker's sweep, once the dead ones' leases are over."""
    found = crash_while(plant, CAPTURE, unchanged, unchanged)
    assert states(found) == {"capturing"}
    assert {state_of(held) for held in found.values()} == {("confirmed", "confirmed")}

    make_due()
    plant.fleet.start("worker", 1)
    app.send_task("payments.sweep")
    eventually(lambda: states(found) == {"captured"}, 60)

    for held in found.values():
        assert_paid_once(plant.sandbox, held)


def test_a_lease_keeps_a_second_capture_from_starting_beside_the_first(
    sandbox: SandboxClient,
) -> None:
    """Dead or only slow, nobody can know: within the lease nobody else calls."""
    held = paid(sandbox)
    checkout = latest(held)
    fault = sandbox.fault("hang_before", match={"operation": CAPTURE})

    def slowly() -> None:
        try:
            settlement.settle(checkout_id=checkout.pk, source=Signal.Source.PLATFORM)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as slow:
        running = slow.submit(slowly)
        eventually(lambda: sandbox.state()["withheld"])
        payment = payment_of(checkout)
        Payment.objects.update(next_try_at=payment.created_at)
        asked = len(sandbox.requests())

        tasks.sweep()
        assert carrying.carry_out(payment.pk) is False
        assert [r["operation"] for r in sandbox.requests()[asked:]].count(CAPTURE) == 0

        sandbox.clear(fault)
        running.result(20)
    assert_paid_once(sandbox, held)


@pytest.mark.long
def test_killed_while_voiding(plant: Plant) -> None:
    found = crash_while(plant, VOID, slot_lost, price_changed)
    assert states(found) == {"voiding"}

    heal()

    assert states(found) == {"voided"}
    for held in found.values():
        assert_never_charged(plant.sandbox, held)
        assert [i["cancel_calls"] for i in intents_of(plant.sandbox, held)] == [1]


def never_opened(sandbox: SandboxClient) -> Hold:
    """A hold whose Checkout is a row here, and nothing yet at Stripe: the sweep is to open it."""
    held = hold(line(room_charging(sandbox, "direct")))
    sandbox.fault("rate_limit_429", match={"account": held.workspace.stripe_account_id})
    with pytest.raises(stripe_api.StripeDown):
        start(held)
    assert latest(held).state == "creating"
    return held


@pytest.mark.long
def test_killed_while_creating_a_session(plant: Plant) -> None:
    """Whoever comes by next gets the session of the same row: at Stripe there is one."""
    sandbox, found = plant.sandbox, {}
    for way in WAYS:
        held = found["web", way] = hold(line(room_charging(sandbox, "direct")))
        withhold(sandbox, way, CREATE, held)
        plant.ask("POST", held, "/checkout", json=BACK)
    for way in WAYS:
        found["worker", way] = never_opened(sandbox)
        withhold(sandbox, way, CREATE, found["worker", way])
        # Only these: the worker, which dies last, must not heal what the web was killed over.
        mine = Checkout.objects.filter(pk=latest(found["worker", way]).pk)
        mine.update(next_look_at=clock.now())
    plant.withheld(CREATE, 2)
    app.send_task("payments.sweep")
    app.send_task("payments.sweep")
    plant.withheld(CREATE, 4)
    plant.lose_power()
    assert {latest(held).state for held in found.values()} == {"creating"}

    heal()

    assert Checkout.objects.count() == 4
    for (_, way), held in found.items():
        assert [s["status"] for s in sessions(sandbox, held)] == ["open"], way
        again = start(held)
        assert again.state == "open"
        pay(sandbox, again)
    heal(2)
    for held in found.values():
        assert_paid_once(sandbox, held)
        assert len(sessions(sandbox, held)) == 1


@pytest.mark.long
def test_a_browser_that_asks_again_after_the_crash_gets_the_same_session(
    fleet: Fleet, sandbox: SandboxClient
) -> None:
    """Its idempotency key has no answer yet; the row it left is resumed."""
    plant = Plant(fleet, sandbox, "web")
    held = hold(line(room_charging(plant.sandbox, "direct")))
    withhold(plant.sandbox, "hang_after", CREATE, held)
    _, secret = make_api_key(workspace=held.workspace)
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "one and the same"}

    def ask(web: Instance) -> httpx.Response:
        url = f"{web.url}/api/v1/holds/{held.pk}/checkout"
        return httpx.post(url, json=BACK, headers=headers, timeout=60)

    with ThreadPoolExecutor(1) as browser:
        lost = browser.submit(ask, plant.web)
        plant.withheld(CREATE, 1)
        plant.lose_power()
        assert isinstance(lost.exception(20), httpx.HTTPError)
    answer = ask(plant.web.start())

    assert answer.status_code == 200, answer.text
    (session,) = sessions(plant.sandbox, held)
    assert latest(held).session_id == session["id"]
    assert answer.json()["checkout_url"] == latest(held).url
    repeated = ask(plant.web)
    assert (repeated.json(), repeated.headers["Idempotent-Replayed"]) == (answer.json(), "true")


# --- Expiring a session -------------------------------------------------------------------------


def closing(plant: Plant, who: str, way: str) -> Hold:
    """A hold whose open page is being closed: by the worker at its end, or let go by the web."""
    held = hold(line(room_charging(plant.sandbox, "direct")))
    assert start(held).state == "open"
    withhold(plant.sandbox, way, EXPIRE, held)
    if who == "web":
        plant.ask("DELETE", held)
    else:
        lapse(held)
        app.send_task("payments.close_ended", [str(latest(held).pk)])
    return held


def crash_while_expiring(plant: Plant) -> dict[tuple[str, str], Hold]:
    """Both close a page each, done at Stripe or not, and lose power."""
    found = {(who, way): closing(plant, who, way) for way in WAYS for who in ("worker", "web")}
    kept = plant.withheld(EXPIRE, 4)
    assert sorted(request["effect_done"] for request in kept) == [False, False, True, True]
    plant.lose_power()
    return found


@pytest.mark.long
def test_killed_while_expiring_a_session(plant: Plant) -> None:
    """A hold whose time was up ends; one that was being let go is kept until it is asked again."""
    found = crash_while_expiring(plant)
    assert {latest(held).state for held in found.values()} == {"open"}
    assert {state_of(held) for held in found.values()} == {("active", "pending_payment")}

    heal(2)

    asked_again = plant.web.start()
    for (who, way), held in found.items():
        if who == "web":
            assert state_of(held) == ("active", "pending_payment"), way
            _, secret = make_api_key(workspace=held.workspace)
            url = f"{asked_again.url}/api/v1/holds/{held.pk}"
            answer = httpx.delete(url, headers={"Authorization": f"Bearer {secret}"}, timeout=60)
            assert answer.status_code == 204, answer.text
        over = "expired" if who == "worker" else "released"
        assert state_of(held) == (over, over), way
        assert latest(held).state == "expired"
        assert [s["status"] for s in sessions(plant.sandbox, held)] == ["expired"]
        assert intents_of(plant.sandbox, held) == []
        assert not Payment.objects.filter(due__booking_id=held.booking_id).exists()
        hold(line(held.booking.lines.get().resource))  # the slot is anybody's again


@pytest.mark.long
def test_paid_while_its_page_was_being_closed_and_the_power_went(plant: Plant) -> None:
    """The member was faster than the call that nobody will hear of: the slot is theirs."""
    found = [closing(plant, who, "hang_before") for who in ("worker", "web")]
    plant.withheld(EXPIRE, 2)
    for held in found:
        pay(plant.sandbox, latest(held))
    plant.lose_power()

    heal(2)

    for held in found:
        assert_paid_once(plant.sandbox, held)


# --- Refunds ------------------------------------------------------------------------------------


@pytest.mark.long
def test_refunds_whose_answer_nobody_heard(fleet: Fleet, sandbox: SandboxClient) -> None:
    """Done at Stripe or not, each is given back once."""
    plant, refunds = Plant(fleet, sandbox, "worker"), {}
    for way in WAYS:
        held = paid(sandbox)
        settlement.settle(checkout_id=latest(held).pk, source=Signal.Source.SELF_HEAL)
        withhold(sandbox, way, "refunds.create", held)
        (refunds[held],) = ask(held, 1500).refunds
    plant.withheld("refunds.create", 2)
    plant.lose_power()
    for refund in refunds.values():
        refund.refresh_from_db()
        assert (refund.state, refund.stripe_refund_id) == ("requested", None)
    heal()
    for held, refund in refunds.items():
        refund.refresh_from_db()
        assert refund.state == "succeeded"
        assert [r["amount"] for r in at_stripe(sandbox, held)] == [1500]
