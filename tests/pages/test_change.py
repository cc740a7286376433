"""The page that changes a booking: what can be chosen and what it costs; pressed, just that."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from bookings.links import manage_token
from bookings.models import Booking, Change, Line, PriceRule, Resource
from bookings.words import window_text
from config.kernel import clock
from holds.claims import Claimant, LineRequest
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.services import confirm_unpaid
from members.models import IdempotencyKey, Workspace
from payments.models import Due, Refund
from tests.admin.support import ANA, confirmed, payment, place
from tests.core.support import hold as claim
from tests.factories import BlockFactory, MemberFactory, WorkspaceFactory, at, make_pool, make_room
from tests.pages.support import Form, at_param, form_to, forms, send, text

pytestmark = pytest.mark.django_db
UTC = ZoneInfo("UTC")


def here(**overrides: Any) -> Workspace:
    """Where UTC is the time of day, so that a day of the page is a day of the tests."""
    return WorkspaceFactory(timezone="UTC", **overrides)


@pytest.fixture
def room() -> Resource:
    """Free to cancel until a day before."""
    policy = {"cancel_free_hours": 24, "cancel_partial_hours": 24}
    return make_room(name="Rimu", workspace=here(name="Kauri House", **policy))


@pytest.fixture
def booking(room: Resource) -> Booking:
    """A week from now from ten to eleven, paid NZ$45."""
    found = confirmed(room)
    payment(found)
    return found


def manage(booking: Booking) -> str:
    return f"/b/{manage_token(booking)}/"


def address(booking: Booking) -> str:
    return f"{manage(booking)}change/"


def page(
    client: Client, booking: Booking, start: float | None = None, minutes: int = 60, **query: str
) -> Any:
    """The page, with a start chosen if there is one (in hours of the day a week from now)."""
    if start is not None:
        query |= {"start": at_param(at(start)), "minutes": str(minutes)}
    return client.get(address(booking), query)


def chosen(client: Client, booking: Booking, start: float, minutes: int = 60) -> Form:
    return form_to(page(client, booking, start, minutes), "/change/")


def offered(answer: Any) -> set[datetime]:
    """The starts that the page has buttons for."""
    buttons = [b for form in forms(answer) for b in form.buttons if b.get("name") == "at"]
    return {datetime.fromisoformat(b["value"]) for b in buttons}


def hours(booking: Booking) -> list[tuple[float, float]]:
    """When its lines are, in hours of the day a week from now."""
    found = Line.objects.filter(booking=booking).order_by("position")
    return [
        ((ln.starts_at - at(0)) / timedelta(hours=1), (ln.ends_at - at(0)) / timedelta(hours=1))
        for ln in found
    ]


# --- What can be chosen -------------------------------------------------------------------------


def test_the_booking_page_leads_to_the_free_starts_of_its_own_day(
    client: Client, room: Resource, booking: Booking
) -> None:
    assert (
        f'href="{address(booking)}">Change the time' in client.get(manage(booking)).content.decode()
    )
    place(room, 12)
    starts = offered(page(client, booking))
    assert {at(9.75), at(10), at(10.25), at(11), at(13)} <= starts, "its own time is free to it"
    assert not {at(11.25), at(12), at(12.75)} & starts, "somebody else's is not"


def test_looking_changes_nothing(client: Client, booking: Booking) -> None:
    client.get("/")
    before = (Hold.objects.count(), IdempotencyKey.objects.count(), booking.events.count())
    for query in ({}, {"start": 10, "minutes": 120}, {"start": 14}, {"start": 10, "minutes": 30}):
        assert page(client, booking, **query).status_code == 200
    assert (Hold.objects.count(), IdempotencyKey.objects.count(), booking.events.count()) == before
    assert not Change.objects.exists()
    assert hours(booking) == [(10, 11)]


@pytest.mark.parametrize(
    ("start", "minutes", "words"),
    [
        (10, 120, ["Then NZ$90.00", "To pay NZ$45.00", "Pay NZ$45.00 more and it becomes longer."]),
        (14, 120, ["Pay NZ$45.00 more and it moves.", "Hold it and go on to pay NZ$45.00"]),
        (14, 60, ["The booking now NZ$45.00 Then NZ$45.00", "Costs the same.", "Move it"]),
        (10, 30, ["Then NZ$22.50", "NZ$22.50 goes back", "Make it shorter and get NZ$22.50 back"]),
        (14, 30, ["You get back NZ$22.50", "to your card", "as credit with Kauri House, at once"]),
    ],
)
def test_the_money_is_shown_to_the_cent_before_the_button(
    client: Client, booking: Booking, start: float, minutes: int, words: list[str]
) -> None:
    shown = text(page(client, booking, start, minutes))
    for part in [*words, "The booking now NZ$45.00", "Free to cancel until"]:
        assert part in shown, part


def test_what_is_free_of_charge_costs_the_same(client: Client) -> None:
    booking = confirmed(make_room(price=0))
    assert "Costs the same." in text(page(client, booking, 14))


def test_what_nobody_paid_for_gives_nothing_back(client: Client, room: Resource) -> None:
    booking = confirmed(room)
    shown = text(page(client, booking, 10, 30))
    assert "It costs less. Nothing was paid that could go back." in shown
    assert "and get" not in shown


def test_longer_is_offered_as_far_as_what_follows_is_free(
    client: Client, room: Resource, booking: Booking
) -> None:
    assert "By 15 min until" in text(page(client, booking))
    BlockFactory(resource=room, during=(at(11.5), at(12)))
    shown = text(page(client, booking))
    assert "By 30 min until" in shown
    assert "By 45 min" not in shown
    place(room, 11, 0.5)
    assert "Make it longer" not in text(page(client, booking))


def test_taken_closed_and_unchanged_times_have_no_button(
    client: Client, room: Resource, booking: Booking
) -> None:
    place(room, 14)
    taken = page(client, booking, 14)
    assert "That time is not free" in text(taken)
    assert f"start={at_param(at(13))}" in taken.content.decode(), "what is near is a link"
    assert "That is what you have" in text(page(client, booking, 10))
    far = page(client, booking, 14 + 400 * 24)
    assert "It can be booked 365 days ahead." in text(far)
    for answer in (taken, far):
        assert not [form for form in forms(answer) if form.action.endswith("/change/")]


def test_units_of_a_pool_move_together(client: Client) -> None:
    pool = make_pool(capacity=3, workspace=here())
    held = claim(LineRequest(pool.pk, at(10), at(11), 2))
    with transaction.atomic():
        booking = confirm_unpaid(lock_hold(held.pk), ANA)
    place(pool, 12, quantity=2)
    starts = offered(page(client, booking))
    assert at(11) in starts
    assert at(12) not in starts
    assert send(client, chosen(client, booking, 14)).status_code == 303
    assert (hours(booking), booking.lines.get().quantity) == ([(14, 15)], 2)


def test_one_of_several_lines(client: Client, room: Resource) -> None:
    held = claim(LineRequest(room.pk, at(9), at(10)), LineRequest(room.pk, at(12), at(13)))
    with transaction.atomic():
        booking = confirm_unpaid(lock_hold(held.pk), ANA)
    starts = offered(page(client, booking, line="1"))
    assert {at(10), at(12), at(13)} <= starts
    assert at(9) not in starts, "that is the other line's"
    form = form_to(page(client, booking, 15, line="1"), "/change/")
    assert send(client, form, to="card").status_code == 303
    assert hours(booking) == [(9, 10), (15, 16)]


# --- Pressed ------------------------------------------------------------------------------------


def test_what_costs_the_same_is_made_once_and_told(client: Client, booking: Booking) -> None:
    form = chosen(client, booking, 14)
    for _ in range(2):
        answer = send(client, form)
        assert (answer.status_code, answer.url) == (303, manage(booking))
    assert hours(booking) == [(14, 15)]
    assert Change.objects.get().state == "committed"
    before = window_text(at(10), at(11), UTC, named=False)
    after = window_text(at(14), at(15), UTC)
    assert f"Moved from {before} to {after}" in text(client.get(manage(booking)))
    assert not Refund.objects.exists()


@pytest.mark.parametrize("to", ["card", "credit"])
def test_what_is_cheaper_gives_the_difference_back_as_chosen(
    client: Client, booking: Booking, to: str
) -> None:
    assert send(client, chosen(client, booking, 10, 30), to=to).url == manage(booking)
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.to, refund.cause) == (2250, to, "change")
    assert hours(booking) == [(10, 10.5)]
    shown = text(client.get(manage(booking)))
    assert "Total NZ$22.50" in shown
    back = "On its way back to you" if to == "card" else "Refunded"
    assert f"{back} NZ$22.50" in shown


def test_what_costs_more_leads_to_its_hold_and_moves_nothing_yet(
    client: Client, booking: Booking
) -> None:
    form = chosen(client, booking, 10, 120)
    answers = [send(client, form) for _ in range(2)]
    hold = Hold.objects.get(change__isnull=False)
    assert {(a.status_code, a.url) for a in answers} == {(303, f"/hold/{hold.token}/")}
    assert Due.objects.get(change=hold.change_id).amount_minor == 4500
    assert hours(booking) == [(10, 11)]
    for waiting in (manage(booking), address(booking)):
        answer = client.get(waiting)
        assert "A change waits to be paid" in text(answer)
        assert "for NZ$45.00 more" in text(answer)
        assert f'href="/hold/{hold.token}/">Go on to pay' in answer.content.decode()


def test_another_choice_replaces_the_one_that_waits(client: Client, booking: Booking) -> None:
    first = send(client, chosen(client, booking, 10, 120)).url
    second = send(client, chosen(client, booking, 10, 180)).url
    assert first != second
    assert "You chose something else instead of this change." in text(client.get(first))
    assert send(client, chosen(client, booking, 14)).url == manage(booking)
    assert "You chose something else instead of this change." in text(client.get(second))
    assert hours(booking) == [(14, 15)]


# --- Refused: the page again, saying so, nothing lost -------------------------------------------


def refused(client: Client, form: Form, status: int, words: str, **typed: str) -> Any:
    """Press; nothing may have moved, and the page says why."""
    moved = Change.objects.count()
    answer = send(client, form, **typed)
    assert answer.status_code == status, text(answer)[:300]
    assert f"{words} Your booking stays as it is, and no money has moved." in text(answer)
    assert "Change booking" in text(answer)
    assert Change.objects.count() == moved
    return answer


def test_somebody_was_quicker(client: Client, room: Resource, booking: Booking) -> None:
    form = chosen(client, booking, 14)
    place(room, 14)
    answer = refused(client, form, 409, "Someone else has that time.")
    assert "Nearest free times" in text(answer)
    again = page(client, booking, 13)
    assert f"start={at_param(at(13))}" in answer.content.decode()
    assert send(client, form_to(again, "/change/")).status_code == 303
    assert hours(booking) == [(13, 14)]


def test_another_price_meanwhile(client: Client, booking: Booking) -> None:
    form = chosen(client, booking, 14)
    PriceRule.objects.update(amount_minor=6000)
    answer = refused(client, form, 409, "What this costs has changed while you looked.")
    assert "Pay NZ$15.00 more and it moves." in text(answer)
    assert send(client, form_to(answer, "/change/")).url.startswith("/hold/")


def test_moved_in_another_tab_meanwhile(client: Client, booking: Booking) -> None:
    form = chosen(client, booking, 14)
    send(client, chosen(client, booking, 15))
    refused(client, form, 412, "Your booking has changed while you looked.")
    assert hours(booking) == [(15, 16)]


def test_a_capture_on_its_way(client: Client, room: Resource) -> None:
    booking = confirmed(room)
    payment(booking, "capturing")
    words = "A payment for this booking is being settled. Look again in a moment."
    refused(client, chosen(client, booking, 14), 409, words)


def test_what_is_to_be_paid_again_comes_first(client: Client, booking: Booking) -> None:
    form = chosen(client, booking, 14)
    until = clock.now() + timedelta(hours=1)
    row = payment_of(booking)
    Due.objects.filter(pk=row.due_id).update(pay_again_until=until)
    refused(client, form, 409, "Pay for this booking first.")


def payment_of(booking: Booking) -> Any:
    from payments.models import Payment

    return Payment.objects.get(due__booking=booking)


def test_too_many_holds(client: Client, room: Resource, booking: Booking) -> None:
    room.workspace.max_live_holds_per_visitor = 0
    room.workspace.save()
    form = chosen(client, booking, 10, 120)
    answer = refused(
        client, form, 429, "You hold several slots already. Pay for one or let one go."
    )
    assert answer.headers["Retry-After"] == "60"


def test_nothing_changes_and_a_broken_rule(client: Client, booking: Booking) -> None:
    form = chosen(client, booking, 14)
    same = {"start": at(10).isoformat(), "end": at(11).isoformat(), "expects": "0"}
    refused(client, form, 422, "That is what you have already.", **same)
    odd = {"end": at(14.1).isoformat()}
    form = chosen(client, booking, 14)
    refused(client, form, 422, "The shortest booking is 15 minutes.", **odd)


def test_damaged_forms_and_links(client: Client, booking: Booking) -> None:
    form = chosen(client, booking, 14)
    for damage in (
        {"expects": "all"}, {"start": "soon"}, {"to": "me"}, {"line": "-1"}, {"version": ""},
        {"request_id": "made-up"},
    ):  # fmt: skip
        assert send(client, form, **damage).status_code == 400
    assert send(client, form, line="7").status_code == 400
    assert client.get("/b/made-up/change/").status_code == 404
    nonsense = {"line": "x", "start": "0001-01-01T00:00Z", "minutes": "many", "day": "never"}
    assert client.get(address(booking), nonsense).status_code == 200
    unpaid = place(make_room()).booking
    assert client.get(address(unpaid)).url == manage(unpaid)


# --- After the free time ------------------------------------------------------------------------


def test_after_the_free_time_it_can_only_be_made_longer(client: Client) -> None:
    room = make_room(workspace=here(cancel_free_hours=240, cancel_partial_hours=2))
    booking = confirmed(room)
    payment(booking)
    assert (
        f'href="{address(booking)}">Make it longer' in client.get(manage(booking)).content.decode()
    )
    answer = page(client, booking)
    shown = text(answer)
    assert (
        "It can be moved or made shorter as long as cancelling is free, and that was until" in shown
    )
    assert "You can still make it longer." in shown
    assert "By 15 min until" in shown
    assert not offered(answer)
    assert "It is too late to move this booking." in text(page(client, booking, 14))
    longer = chosen(client, booking, 10, 120)
    move = {"start": at(14).isoformat(), "end": at(15).isoformat(), "expects": "0"}
    words = "It is too late to move this booking. You can still make it longer."
    refused(client, longer, 409, words, **move)
    longer = chosen(client, booking, 10, 120)
    assert send(client, longer).url.startswith("/hold/")


def test_one_that_has_begun_and_one_that_is_over(
    client: Client, booking: Booking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: at(10.25))
    running = text(page(client, booking))
    assert "It has begun, so it can no longer be moved. You can still make it longer." in running
    assert "Pay NZ$45.00 more and it becomes longer." in text(page(client, booking, 10, 120))
    monkeypatch.setattr(clock, "now", lambda: at(11))
    assert "It is over already" in text(page(client, booking))
    assert address(booking) not in client.get(manage(booking)).content.decode()


# --- Where a waiting change is named ------------------------------------------------------------


def test_what_waits_is_named_while_one_looks_for_more(
    client: Client, another: Client, room: Resource, booking: Booking
) -> None:
    hold = send(client, chosen(client, booking, 10, 120)).url
    before = window_text(at(10), at(11), UTC, named=False)
    after = window_text(at(10), at(12), UTC)
    words = f"You are changing booking {booking.reference} from {before} to {after}: NZ$45.00 more"
    for address_ in (f"/w/{room.workspace.slug}/", "/my/"):
        answer = client.get(address_)
        assert words in text(answer)
        assert f'href="{hold}"' in answer.content.decode()
    assert "You are changing" not in text(another.get(f"/w/{room.workspace.slug}/"))


def test_my_bookings_cost_the_same_queries_however_many_changes_wait(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ada = MemberFactory(email="ada@example.test")
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    workspace = WorkspaceFactory(max_live_holds_per_member=20, max_live_holds_per_visitor=20)

    def waiting(hour: int) -> None:
        room = make_room(workspace=workspace)
        line = LineRequest(room.pk, at(hour), at(hour + 1))
        held = claim(line, claimant=Claimant(member=ada))
        with transaction.atomic():
            booking = confirm_unpaid(lock_hold(held.pk), ANA)
        assert send(client, chosen(client, booking, hour, 120)).url.startswith("/hold/")

    waiting(8)
    with django_assert_num_queries(17):
        assert "A change waits to be paid" in text(client.get("/my/"))
    for hour in (9, 10, 11):
        waiting(hour)
    with django_assert_num_queries(17):
        assert text(client.get("/my/")).count("A change waits to be paid") == 4
