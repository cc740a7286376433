"""Moving and extending a booking: one outcome, or nothing changed at all (design.md §4)."""

from base64 import b64decode
from datetime import time

import pytest
from django.db import transaction

from bookings.errors import OutsideOpeningHours, SlotTaken, WindowNotAllowed
from bookings.models import Block, Change, Occupancy, Resource
from config.kernel.errors import InvalidInput, InvalidTransition, VersionMismatch
from holds import changing
from holds.changing import NewWindow
from holds.claims import Claimant, LineRequest
from holds.models import Hold
from holds.services import expire_lapsed
from members.models import Notification, Workspace
from payments import cancelling, checkouts, holding, rescheduling
from payments.credits import issue
from payments.errors import NothingChanges, PaymentInProgress, PriceChanged, TooLateToChange, Unpaid
from payments.models import Due, Finding, Payment, Receipt, Refund
from payments.rescheduling import Settling, Wish
from tests.core.legality import assert_legal
from tests.core.support import hold, lapse, line, tomorrow
from tests.factories import MemberFactory, ResourceFactory, make_pool, make_room
from tests.money.changes_support import (
    MEMBER,
    change_of,
    hours,
    move,
    taken,
    total,
    wait_for,
    window,
)
from tests.money.reconciling import check, open_findings
from tests.money.refunds_support import STAFF, paid
from tests.money.support import (
    booking_of,
    heal,
    history,
    intents,
    latest,
    mails,
    pay,
    second_checkout,
    settle,
    start,
)
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def room(transactional_db: None) -> Resource:
    """Free to cancel until it starts."""
    room = make_room()
    Workspace.objects.filter(pk=room.workspace_id).update(
        cancel_free_hours=0, cancel_partial_hours=0
    )
    return room


@pytest.fixture
def held(sandbox: SandboxClient, room: Resource) -> Hold:
    """Tomorrow from nine to ten, paid for: NZ$45."""
    return paid(sandbox, room)


def bought(sandbox: SandboxClient, waiting: Hold) -> str:
    """Pay for a change at the sandbox and settle: what came of it."""
    pay(sandbox, start(waiting))
    return settle(latest(waiting))


def even(held: Hold) -> None:
    """Every due's sum comes out even, and no rule that rows can show is broken."""
    assert_legal()
    check("dues")
    assert open_findings() == []


def refunds(held: Hold) -> list[tuple[int, str, str]]:
    found = Refund.objects.filter(due__booking_id=held.booking_id).order_by("created_at")
    return list(found.values_list("amount_minor", "cause", "to"))


# --- Longer: the difference is paid for ---------------------------------------------------------


def test_an_extension_is_held_paid_and_made(
    sandbox: SandboxClient, room: Resource, held: Hold
) -> None:
    waiting = wait_for(held, window(9, 11))
    assert hours(held.booking_id) == [(9, 10)], "nothing has moved yet"
    assert taken(room) == [(9, 10), (10, 11)], "only what is new was taken"
    assert Due.objects.get(change=waiting.change_id).amount_minor == 4500
    with pytest.raises(SlotTaken):
        hold(line(room, 10, 11))

    assert bought(sandbox, waiting) == "confirmed"
    waiting.refresh_from_db()
    assert (waiting.state, change_of(waiting).state) == ("confirmed", "committed")
    assert hours(held.booking_id) == [(9, 11)]
    booking = booking_of(held)
    assert (booking.total_minor, booking.version, booking.state) == (9000, 2, "confirmed")
    assert (booking.starts_at, booking.ends_at) == (tomorrow(9), tomorrow(11))
    assert not Occupancy.objects.filter(released_at=None, lapses_at__isnull=False).exists()
    captured = [p.amount_minor for p in Payment.objects.filter(state="captured")]
    assert sorted(captured) == [4500, 4500]
    assert history(held).count("rescheduled") == 1
    assert mails(held) == ["confirmation", "rescheduled"]
    receipt = Receipt.objects.get(due__change=waiting.change_id)
    assert receipt.content["lines"][0]["what"] == f"Change of booking {booking.reference}"
    assert receipt.content["total_minor"] == 4500
    even(held)


def test_a_lapsed_change_leaves_the_booking_where_it_was(room: Resource, held: Hold) -> None:
    waiting = wait_for(held, window(9, 11))
    lapse(waiting)
    other = hold(line(room, 10, 11))
    assert (hours(held.booking_id), taken(room)) == ([(9, 10)], [(9, 10), (10, 11)])
    assert change_of(waiting).state == "expired"
    assert booking_of(held).version == 1
    assert mails(held) == ["confirmation", "change_lapsed"]
    assert other.state == "active"
    even(held)


def test_letting_a_change_go_frees_its_time_alone(room: Resource, held: Hold) -> None:
    waiting = wait_for(held, window(9, 11))
    start(waiting)
    holding.let_go(hold_id=waiting.pk, actor=MEMBER)
    assert change_of(waiting).state == "released"
    assert taken(room) == [(9, 10)]
    assert latest(waiting).state == "expired"
    assert booking_of(held).state == "confirmed"
    even(held)


def test_another_change_replaces_the_one_that_waits(
    sandbox: SandboxClient, room: Resource, held: Hold
) -> None:
    first = wait_for(held, window(9, 11))
    start(first)
    second = wait_for(held, window(9, 12))
    assert (change_of(first).state, change_of(second).state) == ("released", "pending")
    assert latest(first).state == "expired", "closed at Stripe before"
    assert bought(sandbox, second) == "confirmed"
    assert hours(held.booking_id) == [(9, 12)]
    even(held)


# --- Moved: old and new time may overlap --------------------------------------------------------


def test_a_shift_over_its_own_time_takes_only_what_is_new(room: Resource, held: Hold) -> None:
    outcome = move(held, window(9.5, 10.5))
    assert (outcome.hold, outcome.change.state) == (None, "committed")
    assert hours(held.booking_id) == [(9.5, 10.5)]
    assert taken(room) == [(9.5, 10), (10, 10.5)]
    assert mails(held) == ["confirmation", "rescheduled"]
    hold(line(room, 8, 9))
    with transaction.atomic(), pytest.raises(SlotTaken):
        hold(other(room, 10.25, 11))
    hold(other(room, 9, 9.5))
    hold(other(room, 10.5, 11))
    even(held)


def other(room: Resource, start: float, end: float) -> LineRequest:
    """What somebody else asks for."""
    asked = window(start, end)
    return LineRequest(room.pk, asked.start, asked.end)


def test_moved_again_and_again_it_holds_just_its_time(room: Resource, held: Hold) -> None:
    for begin in (9.5, 10, 9.75, 8.75, 9.25):
        move(held, window(begin, begin + 1))
    assert hours(held.booking_id) == [(9.25, 10.25)]
    pieces = taken(room)
    assert (pieces[0][0], pieces[-1][1]) == (9.25, 10.25)
    assert sum(end - begin for begin, end in pieces) == 1
    even(held)


def test_buffers_move_along(sandbox: SandboxClient) -> None:
    room = ResourceFactory(buffer_before_seconds=900, buffer_after_seconds=900)
    held = paid(sandbox, room)
    move(held, window(9.5, 10.5))
    pieces = taken(room)
    assert (pieces[0][0], pieces[-1][1]) == (9.25, 10.75)
    even(held)


def test_to_another_room(room: Resource, held: Hold) -> None:
    other = ResourceFactory(workspace=room.workspace, location=room.location)
    move(held, window(9, 10, other))
    assert (taken(room), taken(other)) == ([], [(9, 10)])
    assert booking_of(held).lines.get().resource_id == other.pk
    even(held)


def test_units_of_a_pool_move_and_never_oversell(sandbox: SandboxClient) -> None:
    pool = make_pool(capacity=3)
    held = hold(line(pool, 9, 11, quantity=2))
    pay(sandbox, start(held))
    settle(latest(held))
    hold(line(pool, 11, 12, quantity=2))
    with pytest.raises(SlotTaken):
        move(held, window(10, 12))
    assert hours(held.booking_id) == [(9, 11)]
    move(held, window(8, 10))
    assert hours(held.booking_id) == [(8, 10)]
    hold(line(pool, 10, 11, quantity=3))
    even(held)


def test_all_windows_or_none(sandbox: SandboxClient, room: Resource) -> None:
    second = ResourceFactory(workspace=room.workspace)
    held = hold(line(room, 9, 10), line(second, 9, 10))
    pay(sandbox, start(held))
    settle(latest(held))
    hold(line(second, 14, 15))
    with pytest.raises(SlotTaken) as refused:
        move(held, window(14, 15), window(14, 15, position=1))
    assert refused.value.data["line"] == 1
    assert hours(held.booking_id) == [(9, 10), (9, 10)]
    assert not Change.objects.exists()
    move(held, window(15, 16), window(15, 16, position=1))
    assert hours(held.booking_id) == [(15, 16), (15, 16)]
    even(held)


# --- Cheaper: the difference is given back ------------------------------------------------------


def test_shorter_gives_the_difference_back_to_the_card(
    sandbox: SandboxClient, room: Resource, held: Hold
) -> None:
    move(held, window(9, 9.5))
    assert refunds(held) == [(2250, "change", "card")]
    assert total(held) == 2250
    assert taken(room) == [(9, 9.5)]
    heal()
    assert Refund.objects.get().state == "succeeded"
    assert mails(held) == ["confirmation", "rescheduled", "refund"]
    even(held)


def test_as_credit_where_they_would_rather(held: Hold) -> None:
    move(held, window(9, 9.5), to="credit")
    assert refunds(held) == [(2250, "change", "credit")]
    assert Refund.objects.get().state == "succeeded"
    even(held)


def test_cancelled_afterwards_the_rest_comes_back_and_no_more(
    sandbox: SandboxClient, held: Hold
) -> None:
    move(held, window(9, 9.5))
    heal()
    told = cancelling.preview(booking_of(held))
    assert told.given_back.amount_minor == 2250
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    heal()
    assert [(r.amount_minor, r.state) for r in Refund.objects.order_by("created_at")] == [
        (2250, "succeeded"),
        (2250, "succeeded"),
    ]
    even(held)


def test_what_two_payments_paid_comes_back_from_both(sandbox: SandboxClient, held: Hold) -> None:
    bought(sandbox, wait_for(held, window(9, 11)))
    told = cancelling.preview(booking_of(held))
    assert (told.paid.amount_minor, told.given_back.amount_minor) == (9000, 9000)
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    heal()
    given = {i["id"]: i["amount_received"] for i in intents(sandbox).values()}
    assert sorted(r.amount_minor for r in Refund.objects.filter(state="succeeded")) == [4500, 4500]
    assert set(Payment.objects.values_list("payment_intent_id", flat=True)) <= set(given)
    even(held)


def test_longer_and_then_shorter_is_given_back_once(sandbox: SandboxClient, held: Hold) -> None:
    bought(sandbox, wait_for(held, window(9, 11)))
    move(held, window(9, 9.5))
    heal()
    assert sum(r.amount_minor for r in Refund.objects.filter(state="succeeded")) == 6750
    assert total(held) == 2250
    even(held)


def test_staff_may_leave_the_difference(sandbox: SandboxClient, held: Hold) -> None:
    outcome = move(held, window(9, 12), how="none")
    assert outcome.hold is None
    assert (total(held), hours(held.booking_id)) == (13500, [(9, 12)])
    move(held, window(9, 10), how="none")
    assert not Refund.objects.exists()
    even(held)
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    heal()
    assert [r.amount_minor for r in Refund.objects.all()] == [4500]
    even(held)


# --- Credit -------------------------------------------------------------------------------------


def test_credit_pays_for_a_change(sandbox: SandboxClient, room: Resource, held: Hold) -> None:
    ana = MemberFactory(email="ana@example.test")
    given = {"reason": "Sorry", "source": "test", "key": "g", "actor": STAFF}
    issue(workspace=room.workspace, member=ana, amount_minor=6000, **given)
    waiting = wait_for(held, window(9, 11))
    started = checkouts.start(
        hold_id=waiting.pk, success_url="http://x", cancel_url="http://x", credit_minor=4500
    )
    assert started.url is None
    assert hours(held.booking_id) == [(9, 11)]
    assert mails(held) == ["confirmation", "rescheduled"]
    even(held)
    move(held, window(9, 10), to="credit")
    even(held)
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    heal()
    even(held)


# --- Paid late, twice, or not at all ------------------------------------------------------------


@pytest.mark.parametrize("tidied", [True, False])
def test_paid_late_and_still_free_it_is_made(
    sandbox: SandboxClient, room: Resource, held: Hold, tidied: bool
) -> None:
    waiting = wait_for(held, window(9, 11))
    pay(sandbox, start(waiting))
    lapse(waiting)
    if tidied:
        expire_lapsed()
        assert change_of(waiting).state == "expired"
    assert settle(latest(waiting)) == "confirmed"
    assert (change_of(waiting).state, hours(held.booking_id)) == ("committed", [(9, 11)])
    even(held)


@pytest.mark.parametrize("tidied", [True, False])
def test_paid_late_and_gone_nothing_is_charged_and_nothing_moves(
    sandbox: SandboxClient, room: Resource, held: Hold, tidied: bool
) -> None:
    waiting = wait_for(held, window(9, 11))
    pay(sandbox, start(waiting))
    lapse(waiting)
    if tidied:
        expire_lapsed()
    hold(line(room, 10, 11))
    assert settle(latest(waiting)) == "voided"
    assert hours(held.booking_id) == [(9, 10)]
    late = Payment.objects.get(due__change=waiting.change_id)
    assert (late.state, late.verdict_because) == ("voided", "slot_gone")
    assert intents(sandbox)[late.payment_intent_id]["status"] == "canceled"
    assert "not_rescheduled" in mails(held)
    assert "not_charged" not in mails(held)
    even(held)


def test_paid_late_after_another_change_was_made_it_is_given_back(
    sandbox: SandboxClient, room: Resource, held: Hold
) -> None:
    waiting = wait_for(held, window(9, 11))
    pay(sandbox, start(waiting))
    lapse(waiting)
    expire_lapsed()
    move(held, window(14, 15))
    assert settle(latest(waiting)) == "voided"
    assert hours(held.booking_id) == [(14, 15)]
    even(held)


def test_a_block_that_came_later_does_not_take_what_is_held(
    sandbox: SandboxClient, room: Resource, held: Hold
) -> None:
    waiting = wait_for(held, window(9.5, 11))
    Block.objects.create(
        workspace=room.workspace,
        resource=room,
        during=(tomorrow(8), tomorrow(12)),
        reason="Painters",
    )
    assert bought(sandbox, waiting) == "confirmed"
    assert hours(held.booking_id) == [(9.5, 11)]
    even(held)


def test_two_pages_of_one_change_are_paid_once(sandbox: SandboxClient, held: Hold) -> None:
    waiting = wait_for(held, window(9, 11))
    pay(sandbox, first := start(waiting))
    second = second_checkout(waiting)
    pay(sandbox, second)
    assert {settle(first), settle(second)} == {"confirmed", "voided"}
    accepted = Payment.objects.filter(due__change=waiting.change_id, verdict="capture")
    assert accepted.count() == 1
    assert mails(held).count("paid_twice") == 1
    assert check("dues").found == 0


# --- Cancelled meanwhile ------------------------------------------------------------------------


def test_cancelling_gives_a_waiting_change_up_first(
    sandbox: SandboxClient, room: Resource, held: Hold
) -> None:
    waiting = wait_for(held, window(9, 11))
    start(waiting)
    holding.placed(lambda: cancelling.cancel(booking_id=held.booking_id, actor=STAFF))
    assert (booking_of(held).state, change_of(waiting).state) == ("cancelled", "released")
    assert taken(room) == []
    assert latest(waiting).state == "expired"
    heal()
    even(held)


def test_paid_just_before_it_was_cancelled_the_change_is_made_and_all_comes_back(
    sandbox: SandboxClient, held: Hold
) -> None:
    waiting = wait_for(held, window(9, 11))
    pay(sandbox, start(waiting))
    with pytest.raises(PaymentInProgress):
        holding.placed(lambda: cancelling.cancel(booking_id=held.booking_id, actor=STAFF))
    assert hours(held.booking_id) == [(9, 11)]
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF)
    heal()
    assert sum(r.amount_minor for r in Refund.objects.filter(state="succeeded")) == 9000
    even(held)


# --- A capture that fails -----------------------------------------------------------------------


def test_a_capture_that_fails_asks_again_and_then_gives_everything_back(
    sandbox: SandboxClient, room: Resource, held: Hold
) -> None:
    waiting = wait_for(held, window(9, 11))
    pay(sandbox, start(waiting))
    fault = sandbox.fault("error_500_before", match={"operation": "payment_intents.capture"})
    assert settle(latest(waiting)) == "confirmed"
    sandbox.clear(fault)
    intent = Payment.objects.get(due__change=waiting.change_id).payment_intent_id
    assert sandbox.api("POST", f"/v1/payment_intents/{intent}/cancel").status_code == 200
    heal()
    due = Due.objects.get(change=waiting.change_id)
    assert due.pay_again_until is not None
    assert hours(held.booking_id) == [(9, 11)]
    with pytest.raises(Unpaid):
        move(held, window(9, 12))
    Due.objects.filter(pk=due.pk).update(pay_again_until=due.created_at)
    heal(2)
    assert booking_of(held).state == "cancelled"
    assert taken(room) == []
    assert [(r.amount_minor, r.state) for r in Refund.objects.all()] == [(4500, "succeeded")]
    assert [f.kind for f in Finding.objects.filter(closed_at=None)] == ["cancelled_unpaid"]
    assert_legal()
    assert check("dues").found == 0


# --- What is refused ----------------------------------------------------------------------------


def test_what_breaks_the_rules_is_refused_and_nothing_is_written(
    room: Resource, held: Hold
) -> None:
    nowhere = [
        (NewWindow(0, tomorrow(11), tomorrow(10)), WindowNotAllowed),
        (window(9, 9.1), WindowNotAllowed),
        (window(9, 10, position=7), InvalidInput),
        (window(9, 10), NothingChanges),
    ]
    for asked, error in nowhere:
        with pytest.raises(error):
            move(held, asked)
    with pytest.raises(InvalidInput):
        move(held)
    with pytest.raises(VersionMismatch):
        move(held, window(11, 12), version=0)
    assert not Change.objects.exists()
    assert history(held).count("rescheduled") == 0


def test_closed_hours_are_refused(sandbox: SandboxClient) -> None:
    room = ResourceFactory(
        workspace__timezone="UTC",
        hours=[(day, time(8), time(18)) for day in range(7)],
    )
    held = paid(sandbox, room)
    with pytest.raises(OutsideOpeningHours):
        move(held, window(17.5, 18.5))


def test_only_a_confirmed_booking_moves(room: Resource) -> None:
    unpaid = hold(line(room))
    with pytest.raises(InvalidTransition):
        move(unpaid, window(10, 11))


def test_a_price_that_changed_since_is_said(held: Hold) -> None:
    wish = Wish(held.booking_id, [window(9, 11)], settling=Settling(expects_minor=100))
    with transaction.atomic(), pytest.raises(PriceChanged) as refused:
        rescheduling.reschedule(wish, actor=MEMBER)
    assert refused.value.data["difference_minor"] == 4500


def test_members_move_while_cancelling_is_free_and_lengthen_later(
    sandbox: SandboxClient, room: Resource
) -> None:
    Workspace.objects.filter(pk=room.workspace_id).update(
        cancel_free_hours=24 * 20, cancel_partial_hours=24 * 20
    )
    held = paid(sandbox, room)

    def own(*windows: NewWindow) -> rescheduling.Outcome:
        with transaction.atomic():
            return rescheduling.reschedule_own(
                Wish(held.booking_id, windows), actor=MEMBER, claimant=holding.Claimant()
            )

    for asked in (window(14, 15), window(9, 9.5)):
        with pytest.raises(TooLateToChange):
            own(asked)
    assert hours(held.booking_id) == [(9, 10)]
    assert own(window(9, 11)).hold is not None


def test_what_is_over_is_not_made_longer_by_its_member(room: Resource, held: Hold) -> None:
    booking = booking_of(held)
    longer = changing.looked_up(booking, [window(9, 11)], now=tomorrow(8)).moved[0]
    assert rescheduling.may_move(booking, longer, tomorrow(9, 59))
    assert not rescheduling.may_move(booking, longer, tomorrow(10))


def test_a_difference_too_small_for_a_card_is_not_asked_for(sandbox: SandboxClient) -> None:
    room = ResourceFactory(price=100)
    held = hold(line(room, 9, 10))
    pay(sandbox, start(held))
    settle(latest(held))
    assert move(held, window(9, 10.25)).hold is None
    assert not Due.objects.filter(purpose="change").exists()
    even(held)


def test_the_mail_says_from_where_to_where(held: Hold) -> None:
    move(held, window(14, 15))
    mail = Notification.objects.get(kind="rescheduled")
    assert "Before, it was Room" in mail.payload["text"]
    calendar = b64decode(mail.payload["attachments"][0]["content"]).decode()
    assert "SEQUENCE:2" in calendar


def test_a_late_payment_does_not_let_a_change_go_for_time_that_is_booked(
    sandbox: SandboxClient, room: Resource
) -> None:
    """They lost the hour, booked it anew, and want it longer; then the first payment arrives."""
    ana = Claimant(email="ana@example.test", visitor="ana's browser")
    lost = hold(line(room), claimant=ana)
    pay(sandbox, start(lost))
    lapse(lost)
    anew = hold(line(room), claimant=ana)
    pay(sandbox, start(anew))
    assert settle(latest(anew)) == "confirmed"
    with transaction.atomic():
        wish = Wish(anew.booking_id, [window(9, 11)])
        waiting = rescheduling.reschedule(wish, actor=MEMBER, claimant=ana).hold
    assert settle(latest(lost)) == "voided"
    assert waiting is not None
    assert change_of(waiting).state == "pending"
    assert hours(anew.booking_id) == [(9, 10)]


def test_who_was_let_off_a_difference_gets_back_only_what_is_beyond_the_price(
    held: Hold,
) -> None:
    move(held, window(9, 12), how="none")
    move(held, window(9, 11))
    assert (total(held), refunds(held)) == (9000, [])
    move(held, window(9, 9.5))
    assert refunds(held) == [(2250, "change", "card")]
    even(held)
