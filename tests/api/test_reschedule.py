"""Moving and extending over HTTP: previews, outcomes, refusals, repetitions, descriptions."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, BookingEvent, Change, Resource
from config.api import rfc3339
from holds.lock_objects import lock_hold
from holds.models import Hold
from holds.services import confirm_unpaid
from payments.models import Due, Refund
from tests.admin.support import ANA, confirmed, payment, place
from tests.api.client import Api, problem
from tests.api.test_schema import conforms
from tests.core.support import lapse
from tests.core.threads import together
from tests.factories import ResourceFactory, at, make_api_key, make_room

pytestmark = pytest.mark.django_db
NZD = "NZD"


def nz(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": NZD}


@pytest.fixture
def booking(room: Resource) -> Booking:
    """A booking a week from now from ten to eleven, paid NZ$45."""
    found = confirmed(room)
    payment(found)
    return found


def to(hour: float = 10, hours: float = 2, **more: Any) -> dict[str, Any]:
    """The body that sends the first line elsewhere."""
    window = {"start": rfc3339(at(hour)), "end": rfc3339(at(hour + hours))}
    on = {name: more.pop(name) for name in ("line", "resource") if name in more}
    return {"lines": [window | on]} | more


def ask(api: Api, booking: Booking, body: Any = None, **sent: Any) -> Any:
    return api.post(f"/bookings/{booking.pk}/reschedule", body or to(), **sent)


def window_of(booking: Booking) -> tuple[Any, Any]:
    line = Booking.objects.get(pk=booking.pk).lines.get()
    return line.starts_at, line.ends_at


# --- Outcomes -----------------------------------------------------------------------------------


def test_what_costs_more_is_held_until_it_is_paid(api: Api, booking: Booking) -> None:
    answer = ask(api, booking, to(ttl_seconds=600, reason="A longer talk"))
    assert answer.status_code == 200, answer.content
    body = answer.json()
    hold = Hold.objects.get(change__isnull=False)
    assert (body["state"], body["difference"]) == ("pending", nz(4500))
    assert body["hold"] == {
        "id": str(hold.pk),
        "token": hold.token,
        "state": "active",
        "expires_at": rfc3339(hold.expires_at),
    }
    assert hold.expires_at - hold.created_at == timedelta(seconds=600)
    assert (body["booking"]["state"], body["booking"]["total"]) == ("confirmed", nz(4500))
    line = body["booking"]["lines"][0]
    assert (line["start"], line["end"]) == (rfc3339(at(10)), rfc3339(at(11)))
    assert Due.objects.get(change=hold.change_id).amount_minor == 4500
    event = BookingEvent.objects.get(kind="change_held")
    assert (event.reason, event.actor_kind) == ("A longer talk", "api_key")


def test_a_pending_change_is_shown_with_its_hold_and_with_its_booking(
    api: Api, booking: Booking
) -> None:
    answered = ask(api, booking).json()
    change = {
        "id": str(Change.objects.get().pk),
        "state": "pending",
        "difference": nz(4500),
        "lines": [
            {
                "line": 0,
                "resource": str(booking.lines.get().resource_id),
                "start": rfc3339(at(10)),
                "end": rfc3339(at(12)),
                "quantity": 1,
                "amount": nz(9000),
                "add_ons": [],
            }
        ],
    }
    hold = {name: answered["hold"][name] for name in ("id", "state", "expires_at")}
    assert answered["booking"]["change"] == change | {"hold": hold}
    assert api.get(f"/bookings/{booking.pk}").json() == answered["booking"]
    shown = api.get(f"/holds/{hold['id']}").json()
    assert (shown["change"], shown["state"]) == (change, "active")
    assert shown["booking"]["state"] == "confirmed"
    own = api.get(f"/holds/{answered['booking']['hold']['id']}").json()
    assert (own["change"], own["state"]) == (None, "confirmed")


def test_one_that_lapsed_reads_so_at_once(api: Api, booking: Booking) -> None:
    ask(api, booking)
    hold = Hold.objects.get(change__isnull=False)
    lapse(hold)
    shown = api.get(f"/holds/{hold.pk}").json()
    assert (shown["state"], shown["change"]["state"]) == ("expired", "expired")
    assert api.get(f"/bookings/{booking.pk}").json()["change"] is None
    assert Change.objects.get().state == "pending", "nobody has tidied it yet"


def test_letting_it_go_leaves_the_booking_where_it_is(api: Api, booking: Booking) -> None:
    hold = ask(api, booking).json()["hold"]["id"]
    assert api.delete(f"/holds/{hold}").status_code == 204
    assert api.get(f"/bookings/{booking.pk}").json()["change"] is None
    assert Change.objects.get().state == "released"
    assert window_of(booking) == (at(10), at(11))
    assert Booking.objects.get(pk=booking.pk).state == "confirmed"


def test_its_hold_is_extended_once_like_any_other(api: Api, booking: Booking) -> None:
    hold = ask(api, booking).json()["hold"]
    longer = api.post(f"/holds/{hold['id']}/extend")
    assert longer.status_code == 200, longer.content
    assert longer.json()["expires_at"] > hold["expires_at"]
    assert longer.json()["change"]["state"] == "pending"
    kept = Hold.objects.get(pk=hold["id"]).lapses_at
    occupancies = booking.occupancies.order_by("during").values_list("lapses_at", flat=True)
    assert list(occupancies) == [None, kept], "what the booking has does not lapse"
    problem(api.post(f"/holds/{hold['id']}/extend"), 409, "hold_not_extendable")


def test_what_costs_the_same_or_less_is_made_at_once(api: Api, booking: Booking) -> None:
    body = ask(api, booking, to(14, 0.5, reason="Shorter")).json()
    assert (body["state"], body["difference"], body["hold"]) == ("committed", nz(-2250), None)
    shown = body["booking"]
    assert (shown["version"], shown["total"], shown["change"]) == (2, nz(2250), None)
    assert window_of(booking) == (at(14), at(14.5))
    (back,) = Refund.objects.all()
    assert (back.amount_minor, back.cause, back.to) == (2250, "change", "card")
    assert back.reason == "Shorter"
    event = booking.events.get(kind="rescheduled")
    assert (event.reason, event.actor_kind) == ("Shorter", "api_key")


def test_the_difference_as_credit_or_left(api: Api, booking: Booking) -> None:
    assert ask(api, booking, to(10, 0.5, to="credit")).json()["state"] == "committed"
    assert list(Refund.objects.values_list("amount_minor", "to")) == [(2250, "credit")]
    longer = ask(api, booking, to(10, 3, difference="none")).json()
    assert (longer["state"], longer["booking"]["total"]) == ("committed", nz(13500))
    assert Due.objects.filter(purpose="change").count() == 0


def test_to_another_room_and_several_lines_at_once(api: Api, room: Resource) -> None:
    other = ResourceFactory(workspace=room.workspace, location=room.location)
    claims = [
        {"resource": str(room.pk), "start": rfc3339(at(hour)), "end": rfc3339(at(hour + 1))}
        for hour in (9, 11)
    ]
    held = api.post("/holds", {"lines": claims}).json()
    booking = confirm(held["id"])
    second = to(14, 1, line=1, resource=str(other.pk))["lines"]
    body = ask(api, booking, {"lines": [*to(15, 1)["lines"], *second]}).json()
    assert body["state"] == "committed"
    assert [(ln["resource"], ln["start"]) for ln in body["booking"]["lines"]] == [
        (str(room.pk), rfc3339(at(15))),
        (str(other.pk), rfc3339(at(14))),
    ]


def confirm(hold_id: str) -> Booking:
    with transaction.atomic():
        return confirm_unpaid(lock_hold(hold_id), ANA)  # type: ignore[arg-type]


def test_another_wish_replaces_the_one_that_waits(api: Api, booking: Booking) -> None:
    first = ask(api, booking).json()["hold"]["id"]
    second = ask(api, booking, to(10, 3)).json()
    assert api.get(f"/holds/{first}").json()["state"] == "released"
    assert second["booking"]["change"]["difference"] == nz(9000)
    assert Change.objects.filter(state="pending").count() == 1


# --- Preview ------------------------------------------------------------------------------------


def preview(api: Api, booking: Booking, body: Any) -> Any:
    answer = api.post(f"/bookings/{booking.pk}/reschedule?preview=true", body, key=None)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_preview_says_what_it_would_cost_and_changes_nothing(
    api: Api, booking: Booking, room: Resource
) -> None:
    assert preview(api, booking, to(10, 2)) == {
        "before": nz(4500),
        "after": nz(9000),
        "difference": nz(4500),
        "to_pay": nz(4500),
        "to_card": nz(0),
        "to_hand": nz(0),
        "to_credit": nz(0),
        "taken": None,
    }
    less = preview(api, booking, to(14, 0.5, to="credit"))
    assert (less["difference"], less["to_pay"]) == (nz(-2250), nz(0))
    assert (less["to_card"], less["to_credit"]) == (nz(0), nz(2250))
    left = preview(api, booking, to(10, 3, difference="none"))
    assert (left["difference"], left["to_pay"]) == (nz(9000), nz(0))
    place(room, 13)
    assert preview(api, booking, to(12, 2))["taken"] == 0
    assert not Change.objects.exists()
    assert not Refund.objects.exists()
    assert window_of(booking) == (at(10), at(11))


# --- Refusals -----------------------------------------------------------------------------------


def test_a_taken_slot_names_the_line_and_where_there_is_room(
    api: Api, booking: Booking, room: Resource
) -> None:
    place(room, 12)
    body = problem(ask(api, booking, to(10, 3)), 409, "slot_taken")
    assert body["line"] == 0
    assert body["next_free"] == {"start": rfc3339(at(13)), "end": rfc3339(at(16))}
    shifted = problem(ask(api, booking, to(11.5, 1)), 409, "slot_taken")
    assert shifted["next_free"] == {"start": rfc3339(at(13)), "end": rfc3339(at(14))}
    assert not Change.objects.exists()


def test_its_own_time_is_no_obstacle_to_what_is_offered(
    api: Api, booking: Booking, room: Resource
) -> None:
    """From nine, the nearest two hours begin at ten, which the booking has itself."""
    place(room, 9, 0.5)
    body = problem(ask(api, booking, to(9, 2)), 409, "slot_taken")
    assert body["next_free"] == {"start": rfc3339(at(9.5)), "end": rfc3339(at(11.5))}


def test_a_block_names_the_line_that_it_is_on(api: Api, room: Resource) -> None:
    """A constraint does not say which; and the lines' own time is not taken for somebody else's."""
    other = ResourceFactory(workspace=room.workspace, location=room.location)
    claims = [
        {"resource": str(r.pk), "start": rfc3339(at(9)), "end": rfc3339(at(10))}
        for r in (room, other)
    ]
    booking = confirm(api.post("/holds", {"lines": claims}).json()["id"])
    other.blocks.create(workspace=room.workspace, during=(at(10), at(12)), reason="Painters")
    lines = [*to(9, 2)["lines"], *to(9, 2, line=1)["lines"]]
    body = problem(ask(api, booking, {"lines": lines}), 409, "slot_taken")
    assert body["line"] == 1
    assert body["next_free"] == {"start": rfc3339(at(12)), "end": rfc3339(at(14))}


def test_what_windows_may_break(api: Api, booking: Booking, room: Resource) -> None:
    problem(ask(api, booking, to(10.1, 1)), 422, "window_not_allowed")
    problem(ask(api, booking, to(10, 1)), 422, "nothing_changes")
    elsewhere = make_room()
    unknown = problem(ask(api, booking, to(resource=str(elsewhere.pk))), 422, "unknown_resource")
    assert unknown["line"] == 0
    problem(ask(api, booking, to(line=3)), 400, "invalid")
    closed = ResourceFactory(workspace=room.workspace, location=room.location)
    closed.opening_hours.create(weekday=0, opens_at="08:00", closes_at="08:30")
    problem(ask(api, booking, to(resource=str(closed.pk))), 422, "outside_opening_hours")
    assert not Change.objects.exists()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "lines"),
        ({"lines": []}, "lines"),
        (to(line="0"), "lines.0.line"),
        (to(resource="room"), "lines.0.resource"),
        (to(hours=-1), "lines.0.end"),
        (to(difference="half"), "difference"),
        (to(to="bank"), "to"),
        (to(ttl_seconds=59), "ttl_seconds"),
        (to(ttl_seconds=7201), "ttl_seconds"),
        (to(reason="x" * 301), "reason"),
        (to(quantity=2), "quantity"),
    ],
)
def test_bad_input_names_its_field(
    api: Api, booking: Booking, body: dict[str, Any], named: str
) -> None:
    answer = api.post(f"/bookings/{booking.pk}/reschedule", body)
    assert list(problem(answer, 400, "invalid")["errors"]) == [named]
    assert not Change.objects.exists()


def test_what_cannot_be_moved(api: Api, booking: Booking, room: Resource) -> None:
    pending = Booking.objects.get(pk=api.hold(room, 16)["booking"]["id"])
    problem(ask(api, pending), 409, "invalid_transition")
    told = api.post(f"/bookings/{pending.pk}/reschedule?preview=true", to())
    problem(told, 409, "invalid_transition")
    problem(ask(api, booking, key=None), 400, "idempotency_key_required")
    problem(api.post(f"/bookings/{uuid4()}/reschedule", to()), 404, "not_found")


def test_another_workspaces_booking_is_not_found(booking: Booking) -> None:
    _, secret = make_api_key(workspace=make_room().workspace)
    problem(ask(Api(secret), booking), 404, "not_found")
    told = Api(secret).post(f"/bookings/{booking.pk}/reschedule?preview=true", to())
    problem(told, 404, "not_found")


def test_money_under_way_or_owed_comes_first(api: Api, room: Resource) -> None:
    booking = confirmed(room)
    payment(booking, "capturing")
    problem(ask(api, booking), 409, "payment_in_progress")
    second = confirmed(room, 14)
    Due.objects.filter(booking=second).update(pay_again_until=at(0))
    problem(ask(api, second, to(14, 2)), 409, "payment_due")
    assert not Change.objects.exists()


def test_a_key_that_may_only_read_moves_nothing(booking: Booking) -> None:
    _, secret = make_api_key(workspace=booking.workspace, scope="read")
    problem(ask(Api(secret), booking), 403, "insufficient_scope")


# --- Repetitions --------------------------------------------------------------------------------


def test_a_repetition_is_answered_alike_with_one_effect(api: Api, booking: Booking) -> None:
    key = str(uuid4())
    first, second = (ask(api, booking, key=key) for _ in range(2))
    assert "Idempotent-Replayed" not in first.headers
    assert second["Idempotent-Replayed"] == "true"
    assert second.json() == first.json()
    assert Change.objects.count() == 1
    problem(ask(api, booking, to(10, 3), key=key), 422, "idempotency_key_reused")
    assert Change.objects.count() == 1


def test_a_final_refusal_is_kept_too(api: Api, booking: Booking, room: Resource) -> None:
    taken = place(room, 11)
    refused = problem(ask(api, booking, key="k"), 409, "slot_taken")
    api.delete(f"/holds/{taken.pk}")
    again = ask(api, booking, key="k")
    assert again["Idempotent-Replayed"] == "true"
    assert problem(again, 409, "slot_taken") == refused


def test_a_version_that_was_read_must_still_be_so(api: Api, booking: Booking) -> None:
    version = Booking.objects.get(pk=booking.pk).version
    path = f"/api/v1/bookings/{booking.pk}/reschedule"
    for sent, status in ((f'"{version - 1}"', 412), ("3", 400), (f'"{version}"', 200)):
        headers = {
            "Authorization": f"Bearer {api.secret}",
            "Idempotency-Key": str(uuid4()),
            "If-Match": sent,
        }
        answer = api.http.post(path, to(), content_type="application/json", headers=headers)
        assert answer.status_code == status, answer.content
        if status != 200:
            assert not Change.objects.exists()
    assert answer.json()["booking"]["version"] == version, "a pending change leaves it as it is"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("body", "state"), [(to(10, 2), "pending"), (to(14, 0.5), "committed")])
def test_two_at_once_with_one_key_are_one_change(
    transactional_db: None, body: Any, state: str
) -> None:
    room = make_room()
    _, secret = make_api_key(workspace=room.workspace)
    booking = confirmed(room)
    payment(booking)
    answers = together([lambda: ask(Api(secret), booking, body, key="once")] * 6)
    assert [getattr(answer, "status_code", answer) for answer in answers] == [200] * 6
    bodies: list[Any] = [answer.json() for answer in answers]  # type: ignore[union-attr]
    assert bodies[0]["state"] == state
    assert all(each == bodies[0] for each in bodies)
    replays = [a for a in answers if "Idempotent-Replayed" in a.headers]  # type: ignore[union-attr]
    assert len(replays) == 5
    assert Change.objects.count() == 1
    assert Refund.objects.count() == (state == "committed")


@pytest.mark.django_db(transaction=True)
def test_two_keys_at_once_are_two_changes_one_after_the_other(transactional_db: None) -> None:
    """No limit of holds is in the way, and never two pending."""
    room = make_room()
    _, secret = make_api_key(workspace=room.workspace)
    booking = confirmed(room)
    answers = together([lambda n=n: ask(Api(secret), booking, to(10, n)) for n in (2, 3, 4)])  # type: ignore[misc]
    assert [getattr(answer, "status_code", answer) for answer in answers] == [200] * 3
    states = sorted(Change.objects.values_list("state", flat=True))
    assert states == ["pending", "released", "released"]


# --- Descriptions -------------------------------------------------------------------------------


def test_the_list_shows_changes_without_more_queries(api: Api, room: Resource) -> None:
    for hour in range(0, 20, 4):
        booking = confirmed(room, hour)
        ask(api, booking, to(hour, 2))
    with CaptureQueriesContext(connection) as queries:
        rows = api.get("/bookings").json()["results"]
    assert [row["change"]["difference"] for row in rows] == [nz(4500)] * 5
    assert len(queries) == 7, [q["sql"] for q in queries.captured_queries]


def test_answers_are_as_described(api: Api, booking: Booking, schema: Any) -> None:
    path = "/bookings/{booking_id}/reschedule"
    told = api.post(f"/bookings/{booking.pk}/reschedule?preview=true", to())
    pending = ask(api, booking)
    hold = pending.json()["hold"]["id"]
    answers = [
        (path, "post", told),
        (path, "post", pending),
        (path, "post", ask(api, booking, to(10, 1))),
        ("/bookings/{booking_id}", "get", api.get(f"/bookings/{booking.pk}")),
        ("/holds/{hold_id}", "get", api.get(f"/holds/{hold}")),
        (path, "post", ask(api, booking, to(10, 0.5))),
    ]
    assert [answer.status_code for _, _, answer in answers] == [200, 200, 422, 200, 200, 200]
    for described, method, answer in answers:
        conforms(schema, described, method, answer)
