"""A hold with an open Checkout ends in two phases: at Stripe first, then here (design.md §5)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from bookings.errors import SlotTaken
from bookings.models import Resource
from holds import services as holds_services
from holds.models import Hold
from holds.services import expire_lapsed
from payments import checkouts, holding, tasks
from payments.errors import AlreadyPaid, PaymentInProgress
from payments.models import Checkout
from payments.stripe_api import StripeDown
from tests.api.client import Api, claim, problem
from tests.core.support import SOMEBODY, hold, lapse, line, live, state_of
from tests.factories import make_api_key, make_room
from tests.money.support import (
    CANCEL,
    SUCCESS,
    assert_never_charged,
    assert_paid_once,
    heal,
    impatient,
    into_grace,
    latest,
    pay,
    sessions,
    settle,
    start,
)
from tests.support.sandbox import SandboxClient, eventually

pytestmark = pytest.mark.django_db(transaction=True)
CREATE = {"operation": "checkout.sessions.create"}
EXPIRE = {"operation": "checkout.sessions.expire"}


@pytest.fixture
def room() -> Resource:
    return make_room()


@pytest.fixture
def api(room: Resource) -> Api:
    return Api(make_api_key(workspace=room.workspace)[1])


def statuses(sandbox: SandboxClient, held: Hold) -> list[str]:
    return sorted(s["status"] for s in sessions(sandbox, held))


# --- Letting go -----------------------------------------------------------------------------------


def test_the_session_is_expired_before_the_slot_is_free(
    sandbox: SandboxClient, room: Resource, api: Api
) -> None:
    held = hold(line(room))
    start(held)

    assert api.delete(f"/holds/{held.pk}").status_code == 204

    assert statuses(sandbox, held) == ["expired"]
    assert state_of(held) == ("released", "released")
    assert live(held.booking) == 0
    assert latest(held).state == "expired"
    assert api.delete(f"/holds/{held.pk}").status_code == 204, "again changes nothing"
    assert sandbox.pay(latest(held).url).status_code == 410


def test_a_paid_one_is_not_let_go_but_confirmed(
    sandbox: SandboxClient, room: Resource, api: Api
) -> None:
    held = hold(line(room))
    pay(sandbox, start(held))

    problem(api.delete(f"/holds/{held.pk}"), 409, "payment_in_progress")

    assert_paid_once(sandbox, held)
    problem(api.delete(f"/holds/{held.pk}"), 409, "invalid_transition")
    assert_paid_once(sandbox, held)


@pytest.mark.parametrize("fault", ["error_500_before", "rate_limit_429", "conflict_409"])
def test_with_stripe_down_the_hold_is_kept(
    sandbox: SandboxClient, room: Resource, api: Api, fault: str
) -> None:
    held = hold(line(room))
    start(held)
    sandbox.fault(fault, match=EXPIRE)

    answer = api.delete(f"/holds/{held.pk}")

    problem(answer, 503, "temporarily_unavailable")
    assert answer["Retry-After"]
    assert state_of(held) == ("active", "pending_payment")
    assert (live(held.booking), statuses(sandbox, held)) == (1, ["open"])
    assert api.delete(f"/holds/{held.pk}").status_code == 204
    assert statuses(sandbox, held) == ["expired"]


@pytest.mark.parametrize("fault", ["error_500_after", "hang_after"])
def test_an_expiry_whose_answer_is_lost_is_found_done(
    sandbox: SandboxClient, room: Resource, fault: str
) -> None:
    held = hold(line(room))
    start(held)
    sandbox.fault(fault, match=EXPIRE)

    with impatient():
        with pytest.raises(StripeDown):
            holding.let_go(hold_id=held.pk, actor=SOMEBODY)
        assert (state_of(held), statuses(sandbox, held)) == (
            ("active", "pending_payment"),
            ["expired"],
        )
        holding.let_go(hold_id=held.pk, actor=SOMEBODY)

    assert state_of(held) == ("released", "released")


def test_paid_while_it_is_let_go(sandbox: SandboxClient, room: Resource) -> None:
    held = hold(line(room))
    checkout = start(held)
    sandbox.fault("pay_and_expire", winner="pay", match={"session": checkout.session_id})

    with pytest.raises(PaymentInProgress):
        holding.let_go(hold_id=held.pk, actor=SOMEBODY)

    assert_paid_once(sandbox, held)


@pytest.mark.parametrize("fault", ["error_500_before", "error_500_after"])
def test_a_hold_whose_checkout_could_not_be_opened_can_be_let_go(
    sandbox: SandboxClient, room: Resource, api: Api, fault: str
) -> None:
    held = hold(line(room))
    sandbox.fault(fault, match=CREATE)
    with pytest.raises(StripeDown):
        start(held)
    assert state_of(held) == ("active", "pending_payment")

    assert api.delete(f"/holds/{held.pk}").status_code == 204

    assert state_of(held) == ("released", "released")
    assert live(held.booking) == 0


def test_a_checkout_that_stripe_never_heard_of_can_be_let_go(
    sandbox: SandboxClient, room: Resource
) -> None:
    held = hold(line(room))
    sandbox.fault("rate_limit_429", match=CREATE)
    with pytest.raises(StripeDown):
        start(held)
    assert latest(held).state == "creating"

    holding.let_go(hold_id=held.pk, actor=SOMEBODY)

    assert state_of(held) == ("released", "released")
    assert "open" not in statuses(sandbox, held)


# --- Choosing something else ----------------------------------------------------------------------


def test_replacing_a_hold_closes_its_checkout_first(
    sandbox: SandboxClient, room: Resource, api: Api
) -> None:
    placed = api.hold(room, 10)
    held = Hold.objects.get(pk=placed["id"])
    start(held)

    other = api.hold(room, 12, token=placed["token"])

    assert other["id"] != placed["id"]
    assert statuses(sandbox, held) == ["expired"]
    assert state_of(held) == ("released", "released")
    assert api.hold(room, 10)["state"] == "active", "the first slot is free again"


def test_a_hold_that_is_paid_is_not_replaced(
    sandbox: SandboxClient, room: Resource, api: Api
) -> None:
    placed = api.hold(room, 10, member={"email": "ana@example.test"})
    held = Hold.objects.get(pk=placed["id"])
    pay(sandbox, start(held))

    answer = api.post("/holds", claim(room, 14, token=placed["token"]))

    problem(answer, 409, "payment_in_progress")
    assert_paid_once(sandbox, held)
    assert Hold.objects.count() == 1


def test_the_same_lines_keep_the_hold_and_its_open_page(
    sandbox: SandboxClient, room: Resource, api: Api
) -> None:
    placed = api.hold(room, 10)
    held = Hold.objects.get(pk=placed["id"])
    start(held)

    again = api.hold(room, 10, token=placed["token"])

    assert again["id"] == placed["id"]
    assert statuses(sandbox, held) == ["open"]


# --- The end of the time --------------------------------------------------------------------------


def test_at_the_end_our_timer_closes_and_frees_at_once(
    sandbox: SandboxClient, room: Resource
) -> None:
    held = hold(line(room))
    checkout = start(held)
    assert tasks.close_ended(str(checkout.pk)) == "extended", "not before its time"
    assert statuses(sandbox, held) == ["open"]
    into_grace(held)

    assert tasks.close_ended(str(checkout.pk)) == "expired"

    assert statuses(sandbox, held) == ["expired"]
    assert state_of(held) == ("expired", "expired")
    assert hold(line(room)).state == "active"


def test_during_the_grace_the_slot_is_nobody_elses(sandbox: SandboxClient, room: Resource) -> None:
    held = hold(line(room))
    start(held)
    into_grace(held)

    with pytest.raises(SlotTaken):
        hold(line(room))


def test_without_a_checkout_there_is_no_grace(room: Resource) -> None:
    held = hold(line(room))
    assert held.lapses_at == held.expires_at
    lapse(held)

    assert hold(line(room)).state == "active"


@pytest.mark.parametrize("tidied", [True, False], ids=["tidied", "superseded"])
def test_after_the_grace_the_slot_frees_itself(
    sandbox: SandboxClient, room: Resource, tidied: bool
) -> None:
    held = hold(line(room))
    start(held)
    lapse(held)
    assert statuses(sandbox, held) == ["open"], "nobody finished"

    if tidied:
        assert expire_lapsed() == 1
    other = hold(line(room))
    assert other.state == "active"
    assert state_of(held) == ("expired", "expired")

    heal()
    assert statuses(sandbox, held) == ["expired"], "the sweep finished"
    assert state_of(other) == ("active", "pending_payment")


def test_stripe_down_past_the_grace_frees_the_slot_all_the_same(
    sandbox: SandboxClient, room: Resource
) -> None:
    held = hold(line(room))
    start(held)
    lapse(held)
    fault = sandbox.fault("error_500_before", match=EXPIRE, times=None)
    heal(2)
    assert hold(line(room)).state == "active"
    assert statuses(sandbox, held) == ["open"]

    sandbox.clear(fault)
    heal()
    assert statuses(sandbox, held) == ["expired"]
    assert_never_charged(sandbox, held)


def test_an_extension_keeps_the_grace_and_the_page(sandbox: SandboxClient, room: Resource) -> None:
    held = hold(line(room))
    checkout = start(held)
    holds_services.extend(hold_id=held.pk, actor=SOMEBODY)

    heal()

    assert statuses(sandbox, held) == ["open"]
    held.refresh_from_db()
    assert (held.lapses_at - held.expires_at).seconds == 30
    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"


def test_a_session_that_ends_by_itself_leaves_a_live_hold(
    sandbox: SandboxClient, room: Resource
) -> None:
    held = hold(line(room))
    first = start(held)
    sandbox.api("POST", f"/v1/checkout/sessions/{first.session_id}/expire")

    assert settle(first) == "expired"

    assert state_of(held) == ("active", "pending_payment")
    assert held.lapses_at == held.expires_at, "no Checkout, no grace"
    second = start(held)
    assert second.session_id != first.session_id
    pay(sandbox, second)
    assert settle(second) == "confirmed"
    assert_paid_once(sandbox, held)


# --- Opening --------------------------------------------------------------------------------------


def test_the_same_session_again_and_again(sandbox: SandboxClient, room: Resource, api: Api) -> None:
    held = hold(line(room))
    body = {"success_url": "https://shop.test/back", "cancel_url": "https://shop.test/no"}

    answers = [api.post(f"/holds/{held.pk}/checkout", body) for _ in range(3)]

    assert [a.status_code for a in answers] == [200] * 3
    assert len({a.json()["checkout_url"] for a in answers}) == 1
    assert statuses(sandbox, held) == ["open"]
    assert Checkout.objects.count() == 1


def test_starts_at_once_open_one_session(sandbox: SandboxClient, room: Resource) -> None:
    held = hold(line(room))
    sandbox.fault("slow", match=CREATE, seconds=0.3, times=2)

    def attempt(_: int) -> str | None:
        try:
            return checkouts.start(hold_id=held.pk, success_url=SUCCESS, cancel_url=CANCEL).url
        except StripeDown:
            return "busy"  # Stripe answers 409 while the same key is in flight
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        urls = set(pool.map(attempt, range(6)))

    assert Checkout.objects.count() == 1
    checkout = latest(held)
    assert urls <= {checkout.url, "busy"}
    assert checkout.url in urls
    assert len(sessions(sandbox, held)) == 1


def test_after_payment_there_is_nothing_to_open(sandbox: SandboxClient, room: Resource) -> None:
    held = hold(line(room))
    checkout = start(held)
    pay(sandbox, checkout)
    assert settle(checkout) == "confirmed"

    with pytest.raises(AlreadyPaid):
        start(held)


def released(held: Hold) -> None:
    holds_services.release(hold_id=held.pk, actor=SOMEBODY, checkout_closed=True)


def lapsed(held: Hold) -> None:
    lapse(held)


def past_its_time(held: Hold) -> None:
    into_grace(held)


@pytest.mark.parametrize("meanwhile", [released, lapsed, past_its_time])
def test_a_hold_that_ended_while_stripe_answered_leaves_no_session_open(
    sandbox: SandboxClient, room: Resource, meanwhile: Callable[[Hold], None]
) -> None:
    held = hold(line(room))
    fault = sandbox.fault("hang_after", match=CREATE)

    def attempt() -> str:
        try:
            start(held)
        except holds_services.HoldExpired:
            return "hold_expired"
        finally:
            connection.close()
        return "started"

    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(attempt)
        eventually(lambda: sandbox.state()["withheld"])
        meanwhile(Hold.objects.get(pk=held.pk))
        sandbox.clear(fault)
        assert started.result(20) == "hold_expired"

    heal()
    assert statuses(sandbox, held) == ["expired"]
    ended = "released" if meanwhile is released else "expired"
    assert state_of(held) == (ended, ended)
