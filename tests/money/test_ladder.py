"""The last rungs: a way to the nearest equivalent, and the workspace's goodwill (design.md §6)."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from bookings.equivalents import equivalents
from bookings.links import rebook_token
from bookings.models import Booking, BookingEvent, Occupancy, Resource
from bookings.visibility import OPERATOR
from config.kernel import clock
from holds import services as holds_services
from holds.claims import Claimant
from holds.models import Hold
from members.models import IdempotencyKey, Member, Notification
from payments.models import CreditAccount, CreditEntry, Payment
from tests.core.support import SOMEBODY, hold, lapse, line, live, state_of, tomorrow
from tests.factories import BlockFactory, MemberFactory, ResourceFactory, make_pool, make_room
from tests.money.support import (
    assert_never_charged,
    heal,
    latest,
    mails,
    pay,
    return_path,
    second_checkout,
    settle,
    start,
)
from tests.money.test_late_payments import paid_late
from tests.pages.support import Form, forms, send, text
from tests.support.sandbox import SandboxClient

pytestmark = pytest.mark.django_db(transaction=True)


def twin_of(room: Resource, name: str = "Twin") -> Resource:
    return ResourceFactory(
        workspace=room.workspace, location=room.location, category=room.category, name=name
    )


def lost(sandbox: SandboxClient, room: Resource, **options: Any) -> Hold:
    """A payment that came when somebody else had the slot."""
    held = paid_late(sandbox, room, **options)
    hold(line(room))
    assert settle(latest(held)) == "voided"
    return held


def page_of(held: Hold) -> str:
    return f"/rebook/{rebook_token(held.booking)}/"


def buttons(response: Any) -> list[Form]:
    return [form for form in forms(response) if form.action.endswith("/hold/")]


def newest(room: Resource | None = None) -> Hold:
    return Hold.objects.latest("created_at")


# --- What is nearest ------------------------------------------------------------------------------


def nearest_to(held: Hold) -> list[tuple[str, Any]]:
    lines = list(Booking.objects.get(pk=held.booking_id).lines.order_by("position"))
    found = equivalents(
        workspace_id=held.workspace_id, lines=lines, now=clock.now(), viewer=OPERATOR
    )
    return [(e.lines[0].name, e.start) for e in found]


def test_the_same_resource_at_the_nearest_time_comes_first(db: None) -> None:
    room = make_room(name="Nook")
    twin_of(room)
    held = hold(line(room))

    assert nearest_to(held)[:2] == [("Nook", tomorrow(8)), ("Twin", tomorrow(9))]


def test_else_its_like_at_the_same_time(db: None) -> None:
    room = make_room(name="Nook")
    twin_of(room)
    held = hold(line(room))
    BlockFactory(resource=room, during=(tomorrow(9), tomorrow(9) + timedelta(days=20)))
    BlockFactory(resource=room, during=(tomorrow(9) - timedelta(days=3), tomorrow(9)))

    assert nearest_to(held) == [("Twin", tomorrow(9))]


def test_units_of_a_pool_that_are_not_enough_are_not_offered(db: None) -> None:
    pool = make_pool(capacity=3, step_seconds=3600, min_seconds=3600)
    held = hold(line(pool, 9, 10, quantity=2))
    hold(line(pool, 8, 9, quantity=2))

    starts = [start for _, start in nearest_to(held)]

    assert tomorrow(8) not in starts
    assert tomorrow(9) not in starts, "one is left"
    assert starts[0] in {tomorrow(10), tomorrow(7)}


def test_several_lines_move_together(db: None) -> None:
    room = make_room(name="Nook")
    bikes = make_pool(
        workspace=room.workspace, location=room.location, category=room.category, capacity=2
    )
    held = hold(line(room), line(bikes, quantity=2))
    hold(line(bikes, 7, 9))

    lines = list(held.booking.lines.order_by("position"))
    found = equivalents(
        workspace_id=held.workspace_id, lines=lines, now=clock.now(), viewer=OPERATOR
    )

    assert [[(m.name, m.window.start, m.quantity) for m in e.lines] for e in found[:1]] == [
        [("Nook", tomorrow(10), 1), (bikes.name, tomorrow(10), 2)]
    ]
    assert found[0].price.amount_minor == 4500 * 3


def test_nothing_of_the_past_is_offered(db: None) -> None:
    held = hold(line(make_room()))
    long_ago = clock.now() - timedelta(days=30)
    held.booking.lines.update(starts_at=long_ago, ends_at=long_ago + timedelta(hours=1))

    assert all(start > clock.now() for _, start in nearest_to(held))


# --- The page and its button ----------------------------------------------------------------------


def everything() -> tuple[Any, ...]:
    """What opening a link must not change."""
    return (
        list(Booking.objects.order_by("pk").values_list("pk", "state", "version")),
        list(Hold.objects.order_by("pk").values_list("pk", "state", "version")),
        list(Occupancy.objects.order_by("pk").values_list("pk", "released_at", "lapses_at")),
        BookingEvent.objects.count(),
        IdempotencyKey.objects.count(),
        Notification.objects.count(),
        list(Payment.objects.order_by("pk").values_list("pk", "state", "version")),
    )


def test_the_mail_links_to_a_page_whose_button_holds_the_nearest(
    client: Client, sandbox: SandboxClient
) -> None:
    room = make_room()
    held = lost(sandbox, room)
    sent = Notification.objects.get(kind="not_charged", subject_id=str(held.booking_id))
    assert page_of(held) in sent.payload["text"]
    assert page_of(held) in sent.payload["html"]

    page = client.get(page_of(held))
    answer = send(client, buttons(page)[0])

    anew = newest()
    assert (answer.status_code, answer.url) == (303, f"/hold/{anew.token}/")
    assert anew.booking.email == "ana@example.test"
    assert [(ln.resource_id, ln.starts_at) for ln in anew.booking.lines.all()] == [
        (room.pk, tomorrow(8))
    ]
    assert state_of(anew) == ("active", "pending_payment")
    assert state_of(held) == ("expired", "expired"), "the lost one stays lost"


def test_the_return_page_leads_there_too(client: Client, sandbox: SandboxClient) -> None:
    held = lost(sandbox, make_room())

    page = client.get(return_path(held))

    assert page_of(held) in page.content.decode()


def test_a_storm_of_gets_changes_nothing(sandbox: SandboxClient) -> None:
    held = lost(sandbox, make_room())
    before = everything()

    def scan(method: str) -> int:
        try:
            return int(getattr(Client(), method)(page_of(held)).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(scan, ["get", "head", "get"] * 6))
    bare = Client().get(page_of(held) + "hold/", {"start": tomorrow(8).isoformat()})

    assert set(statuses) == {200}
    assert (bare.status_code, bare.url) == (302, page_of(held))
    assert everything() == before


def test_pressing_twice_holds_once(client: Client, sandbox: SandboxClient) -> None:
    held = lost(sandbox, make_room())
    form = buttons(client.get(page_of(held)))[0]
    before = Hold.objects.count()

    answers = {send(client, form).url for _ in range(3)}

    assert len(answers) == 1
    assert Hold.objects.count() == before + 1


def test_that_too_is_gone_then_the_next_nearest(client: Client, sandbox: SandboxClient) -> None:
    room = make_room()
    held = lost(sandbox, room)
    form = buttons(client.get(page_of(held)))[0]
    hold(line(room, 8, 9))

    answer = send(client, form)

    assert answer.status_code == 409
    assert "Someone else was quicker" in text(answer)
    again = send(client, buttons(answer)[0])
    assert again.status_code == 303
    (taken,) = newest().booking.lines.all()
    assert taken.starts_at == tomorrow(10)


def test_nothing_like_it_is_said(client: Client, sandbox: SandboxClient) -> None:
    room = make_room()
    held = lost(sandbox, room)
    Resource.objects.filter(pk=room.pk).update(is_active=False)

    page = client.get(page_of(held))

    assert "Nothing like it is free within two weeks" in text(page)
    assert buttons(page) == []


def test_a_button_cannot_be_bent_to_something_else(client: Client, sandbox: SandboxClient) -> None:
    room = make_room()
    held = lost(sandbox, room)
    form = buttons(client.get(page_of(held)))[0]
    before = Hold.objects.count()

    for wrong in (
        {"resource": str(make_room().pk)},
        {"resource": "x"},
        {"start": "tomorrow"},
        {"start": "2026-01-01T10:00"},
    ):
        assert send(client, form, **wrong).status_code == 400
    past = send(client, form, start=(clock.now() - timedelta(days=1)).isoformat())
    assert past.status_code == 422
    assert Hold.objects.count() == before


def test_a_made_up_link_is_not_found_and_a_won_booking_is_shown(client: Client) -> None:
    held = hold(line(make_room()))

    assert client.get("/rebook/made-up/").status_code == 404
    assert client.get(page_of(held)).url.startswith("/b/"), "it is still theirs"


# --- Goodwill -------------------------------------------------------------------------------------


def generous(amount_minor: int = 500, days: int | None = None) -> Resource:
    room = make_room()
    room.workspace.goodwill_credit_minor = amount_minor
    room.workspace.credit_valid_days = days
    room.workspace.save()
    return room


def test_a_guest_gets_goodwill_with_the_verdict_and_is_told(
    client: Client, sandbox: SandboxClient
) -> None:
    held = lost(sandbox, generous(days=30))

    (entry,) = CreditEntry.objects.all()
    payment = Payment.objects.get(due__booking=held.booking)
    assert (entry.kind, entry.amount_minor, entry.source) == ("goodwill", 500, "late")
    assert (entry.idempotency_key, entry.due_id) == (f"goodwill:{payment.pk}", payment.due_id)
    assert entry.account.member == Member.objects.get(email="ana@example.test")
    assert entry.account.balance_minor == 500
    assert entry.expires_at is not None
    assert timedelta(days=29) < entry.expires_at - entry.created_at <= timedelta(days=30)
    said = Notification.objects.get(kind="not_charged").payload
    assert "NZ$5.00 of credit" in said["text"]
    assert "NZ$5.00 of credit" in said["html"]
    assert "NZ$5.00 of credit" in text(client.get(return_path(held)))


def test_a_member_gets_it_on_their_own_account(sandbox: SandboxClient) -> None:
    member = MemberFactory()
    lost(sandbox, generous(), claimant=Claimant(member=member, visitor="laptop"))

    account = CreditAccount.objects.get()
    assert (account.member, account.balance_minor) == (member, 500)


def test_goodwill_is_given_once_however_often_signals_come(sandbox: SandboxClient) -> None:
    held = lost(sandbox, generous())

    def again(_: int) -> str:
        try:
            return settle(latest(held))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(again, range(6))) == {"repeated"}
    heal(2)

    assert CreditEntry.objects.count() == 1
    assert mails(held).count("not_charged") == 1


def test_signals_at_once_give_it_once(sandbox: SandboxClient) -> None:
    room = generous()
    held = paid_late(sandbox, room)
    hold(line(room))

    def one(_: int) -> str:
        try:
            return settle(latest(held))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        found = sorted(pool.map(one, range(4)))

    assert found == ["repeated", "repeated", "repeated", "voided"]
    assert CreditEntry.objects.count() == 1


def test_a_duplicate_earns_no_goodwill(sandbox: SandboxClient) -> None:
    held = hold(line(generous()))
    both = [start(held), second_checkout(held)]
    for checkout in both:
        pay(sandbox, checkout)

    assert [settle(checkout) for checkout in both] == ["confirmed", "voided"]
    assert not CreditEntry.objects.exists()


def test_who_let_it_go_earns_none(client: Client, sandbox: SandboxClient) -> None:
    held = hold(line(generous()))
    pay(sandbox, start(held))
    holds_services.release(hold_id=held.pk, actor=SOMEBODY, checkout_closed=True)

    assert settle(latest(held)) == "voided"

    assert Payment.objects.get().verdict_because == "not_revived"
    assert not CreditEntry.objects.exists()
    words = text(client.get(return_path(held)))
    assert "reached us when this had been given up" in words
    assert "Someone else" not in words


def test_without_goodwill_set_there_is_none_and_none_is_said(
    client: Client, sandbox: SandboxClient
) -> None:
    held = lost(sandbox, make_room())

    assert not CreditEntry.objects.exists()
    assert "credit" not in Notification.objects.get(kind="not_charged").payload["text"]
    assert not re.search(r"of credit", text(client.get(return_path(held))))


def test_who_gave_no_address_is_told_at_the_one_they_paid_with(sandbox: SandboxClient) -> None:
    room = generous()
    held = hold(line(room), claimant=Claimant())
    checkout = start(held)
    sandbox.pay(checkout.url, "pay", email="eve@example.test")
    lapse(held)
    hold(line(room))

    assert settle(checkout) == "voided"

    assert mails(held) == ["not_charged"]
    assert CreditAccount.objects.get().member.email == "eve@example.test"
    assert_never_charged(sandbox, held)
    assert live(held.booking) == 0
