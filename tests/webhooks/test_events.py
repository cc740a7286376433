"""What is told of what happens, written with it, and what it costs whom."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, Resource
from bookings.services import cancel, complete, no_show
from bookings.shown import booking_brief
from config.kernel import clock
from config.kernel.context import SYSTEM
from config.kernel.shown import rfc3339
from holds import services
from holds.claims import Claimant
from holds.lapsing import expire_lapsed
from holds.models import Hold
from members import purging, webhook_endpoints
from members.models import Workspace
from members.webhook_models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage
from payments import cancelling, refunding
from payments.cancelling import FULL, Back
from payments.models import Refund
from tests.admin.support import confirmed, place
from tests.core.support import SOMEBODY, hold, lapse, line, tomorrow
from tests.factories import WorkspaceFactory, make_pool, make_room
from tests.money.changes_support import wait_for, window
from tests.policies.support import STAFF, confirm, received
from tests.support.receiver import Receiver
from tests.webhooks.support import deliveries, send, subscribe, tell

pytestmark = pytest.mark.django_db
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def room() -> Resource:
    return make_room()


def told(*types: str) -> list[WebhookMessage]:
    """What was written, in order; of these types only, where some are named."""
    rows = WebhookMessage.objects.order_by("sequence")
    return list(rows.filter(type__in=types) if types else rows)


def claim_counting(resource: Resource, **options: Any) -> list[str]:
    """A claim of one line, and the statements of it."""
    workspace = Workspace.objects.get(pk=resource.workspace_id)
    ana = Claimant(email="ana@example.test", name="Ana")
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        services.claim(workspace=workspace, lines=[line(resource)], claimant=ana, actor=SOMEBODY)
    return [q["sql"] for q in captured.captured_queries if "SAVEPOINT" not in q["sql"]]


def test_a_claim_costs_the_same_whether_somebody_subscribes_or_not() -> None:
    """Two statements, the message in the second, the deliveries written by the database."""
    assert len(claim_counting(make_room())) == 2
    watched = make_room()
    one, other = (subscribe(watched.workspace, NOWHERE) for _ in range(2))
    said = claim_counting(watched)
    assert len(said) == 2, said
    assert len(deliveries(one)) == len(deliveries(other)) == 1
    pool = make_pool()
    assert len(claim_counting(pool)) == 3
    subscribe(pool.workspace, NOWHERE)
    assert len(claim_counting(make_pool(workspace=pool.workspace, location=pool.location))) == 3


def test_nothing_is_written_that_nobody_wants(room: Resource) -> None:
    subscribe(room.workspace, NOWHERE, "booking.cancelled")
    elsewhere = subscribe(WorkspaceFactory(), NOWHERE)
    booking = confirmed(room)
    assert told() == []
    cancel(booking_id=booking.pk, actor=SYSTEM, reason="Flooded")
    (message,) = told()
    assert (message.type, message.data["reason"]) == ("booking.cancelled", "Flooded")
    assert deliveries(elsewhere) == []


def test_it_is_the_booking_as_the_api_shows_it(room: Resource) -> None:
    endpoint = subscribe(room.workspace, NOWHERE)
    booking = confirmed(room)
    placed, confirmation = told()
    assert (placed.type, confirmation.type) == ("hold.placed", "booking.confirmed")
    row = Booking.objects.get(pk=booking.pk)
    shown = booking_brief(row, list(row.lines.order_by("position")))
    assert {name: confirmation.data["booking"][name] for name in shown} == shown
    assert confirmation.data["booking"]["state"] == "confirmed"
    assert confirmation.data["booking"]["total"] == {"amount_minor": 4500, "currency": "NZD"}
    assert confirmation.data["booking"]["member"]["email"] == "ana@example.test"
    assert confirmation.happened_at == row.confirmed_at
    held = Hold.objects.get(booking=row)
    assert placed.data["hold"] == {
        "id": str(held.pk), "state": "active", "expires_at": placed.data["hold"]["expires_at"],
    }  # fmt: skip
    assert held.token not in str(placed.data)
    assert placed.data["change"] is None
    assert [each.about for each in deliveries(endpoint)] == [str(row.pk)] * 2


def test_how_holds_and_bookings_end(room: Resource) -> None:
    subscribe(room.workspace, NOWHERE)
    given_up, lapsed = place(room, 10), place(room, 12)
    services.release(hold_id=given_up.pk, actor=SOMEBODY)
    lapse(lapsed)
    assert expire_lapsed() == 1
    for hour, ends in ((14, complete), (16, no_show)):
        ends(booking_id=confirmed(room, hour).pk, actor=SYSTEM)
    ended = told("hold.released", "hold.expired", "booking.completed", "booking.no_show")
    assert [(m.type, m.data["booking"]["state"]) for m in ended] == [
        ("hold.released", "released"),
        ("hold.expired", "expired"),
        ("booking.completed", "completed"),
        ("booking.no_show", "no_show"),
    ]
    assert [m.data["hold"]["state"] for m in ended[:2]] == ["released", "expired"]


@pytest.mark.parametrize("is_watched", [False, True])
def test_many_that_lapse_cost_no_more_than_one(is_watched: bool) -> None:
    counts = []
    for many in (1, 5):
        room = make_room()
        if is_watched:
            subscribe(room.workspace, NOWHERE)
        for n in range(many):
            lapse(hold(line(room, 6 + n, 7 + n), claimant=Claimant(email=f"{n}@x.test")))
        with CaptureQueriesContext(connection) as captured:
            assert expire_lapsed() == many
        counts.append(len(captured))
        assert len(told("hold.expired")) == (sum((1, 5)[: len(counts)]) if is_watched else 0)
    assert counts[0] == counts[1]


def test_it_is_undone_with_what_it_tells_of(room: Resource) -> None:
    endpoint = subscribe(room.workspace, NOWHERE)
    with transaction.atomic():
        place(room)
        assert len(deliveries(endpoint)) == 1
        transaction.set_rollback(True)
    assert (told(), deliveries(endpoint)) == ([], [])


# --- What the database keeps, whoever writes ------------------------------------------------------


def test_the_mark_follows_the_endpoints_whoever_writes_them() -> None:
    workspace = WorkspaceFactory()
    stale = Workspace.objects.get(pk=workspace.pk)

    def marked() -> list[str]:
        return Workspace.objects.get(pk=workspace.pk).webhook_types

    one = subscribe(workspace, NOWHERE, "hold.placed")
    other = subscribe(workspace, NOWHERE, "booking.confirmed", "hold.placed")
    assert marked() == ["booking.confirmed", "hold.placed"]
    stale.name = "Renamed"
    stale.save()
    assert marked() == ["booking.confirmed", "hold.placed"]
    webhook_endpoints.disable(other.pk)
    assert marked() == ["hold.placed"]
    WebhookEndpoint.objects.filter(pk=one.pk).update(events=[])
    assert marked() == ["*"]
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM members_webhookendpoint WHERE id = %s", [one.pk])
    assert marked() == []


_ENABLE_DELETED = """UPDATE members_webhookendpoint SET state = 'enabled', version = version + 1,
    disabled_because = '' WHERE state = 'deleted'"""
_FORGE = """UPDATE members_webhookdelivery SET state = 'delivered', version = version + 1
    WHERE state = 'stopped'"""
_TWICE = """INSERT INTO members_webhookdelivery
    (endpoint_id, message_id, about, state, version, tries, first_until, give_up_at)
    SELECT endpoint_id, message_id, about, 'pending', 0, 0, first_until, give_up_at
    FROM members_webhookdelivery"""


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        (_ENABLE_DELETED, "webhook_endpoint_transition"),
        (
            "UPDATE members_webhookendpoint SET workspace_id = gen_random_uuid()",
            "webhook_endpoint_stays",
        ),
        (
            "UPDATE members_webhookendpoint SET disabled_because = 'gone' WHERE state = 'deleted'",
            "webhook_endpoint_disabled_because",
        ),
        ("UPDATE members_webhookmessage SET data = '{}'", "webhook_message_never_changes"),
        (_FORGE, "webhook_delivery_transition"),
        (
            "UPDATE members_webhookdelivery SET state = 'pending' WHERE state = 'stopped'",
            "webhook_delivery_version",
        ),
        (_TWICE, "webhook_delivery_once_per_endpoint"),
    ],
)
def test_the_database_refuses(sql: str, rule: str) -> None:
    endpoint = subscribe(WorkspaceFactory(), NOWHERE)
    tell(endpoint.workspace)
    webhook_endpoints.delete(endpoint.pk)
    with (
        pytest.raises(IntegrityError) as refused,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    assert refused.value.__cause__.diag.constraint_name == rule  # type: ignore[union-attr]


# --- Purging --------------------------------------------------------------------------------------


def test_what_is_old_is_forgotten_but_what_is_still_to_be_delivered(
    settings: Any, receiver: Receiver
) -> None:
    settings.WEBHOOKS_KEPT_DAYS = 30
    workspace = WorkspaceFactory()
    endpoint = subscribe(workspace, receiver.url("ok"))
    tell(workspace, n=1)
    send(endpoint)
    tell(workspace, n=2)
    _age_messages()
    tell(workspace, n=3)
    assert purging.webhook_messages() == 1
    assert [m.data["n"] for m in told()] == [2, 3]
    webhook_endpoints.delete(endpoint.pk)
    assert purging.webhook_messages() == 1
    assert WebhookEndpoint.objects.count() == 1  # of it the third is left
    _age_messages()
    assert purging.webhook_messages() == 1
    assert WebhookEndpoint.objects.count() == 1  # a claim that saw it may not have ended
    WebhookEndpoint.objects.update(state_since=clock.now() - timedelta(hours=2))
    assert purging.webhook_messages() == 0
    assert WebhookEndpoint.objects.count() == WebhookDelivery.objects.count() == 0
    assert WebhookAttempt.objects.count() == 0


def test_what_was_written_while_its_endpoint_was_disabled_is_stopped() -> None:
    """The one transaction did not see the other; such a delivery would wait for ever."""
    endpoint = subscribe(WorkspaceFactory(), NOWHERE)
    tell(endpoint.workspace)
    WebhookEndpoint.objects.update(state="disabled", disabled_because="by_hand", version=1)
    assert (send(endpoint), deliveries(endpoint)[0].state) == (0, "pending")
    purging.webhook_messages()
    (delivery,) = deliveries(endpoint)
    assert (delivery.state, delivery.version) == ("stopped", 1)


def _age_messages() -> None:
    """Rows that never change, made older behind the trigger's back."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE members_webhookmessage DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE members_webhookmessage SET created_at = created_at - interval '31 days'"
        )
        cursor.execute("ALTER TABLE members_webhookmessage ENABLE TRIGGER USER")


# --- Money and changes ----------------------------------------------------------------------------


def test_a_change_that_is_owed_is_a_hold_and_then_the_booking_moves(room: Resource) -> None:
    subscribe(room.workspace, NOWHERE)
    held = hold(line(room, 9, 10))
    confirm(held)
    before = len(told())
    waiting = wait_for(held, window(9, 11))
    services.release(hold_id=waiting.pk, actor=SOMEBODY)
    again = wait_for(held, window(9, 11))
    confirm(again, received(reference="R-2"))
    placed, released, placed_again, moved = told()[before:]
    assert [m.type for m in (placed, released, placed_again, moved)] == [
        "hold.placed", "hold.released", "hold.placed", "booking.rescheduled",
    ]  # fmt: skip
    assert placed.data["hold"]["id"] == released.data["hold"]["id"] == str(waiting.pk)
    assert placed.data["change"]["difference"] == {"amount_minor": 4500, "currency": "NZD"}
    assert released.data["hold"]["state"] == "released"
    assert {m.data["booking"]["state"] for m in told()[before:]} == {"confirmed"}
    assert moved.data["change"]["id"] == placed_again.data["change"]["id"]
    assert moved.data["booking"]["lines"][0]["end"] == rfc3339(tomorrow(11))
    assert moved.data["booking"]["total"]["amount_minor"] == 9000


def test_every_state_of_a_refund_is_told(room: Resource) -> None:
    endpoint = subscribe(room.workspace, NOWHERE, "refund.updated")
    held = hold(line(room))
    confirm(held)
    cancelling.cancel(booking_id=held.booking_id, actor=STAFF, back=Back(FULL))
    refund = Refund.objects.get()
    refunding.given_by_hand(refund_id=refund.pk, actor=STAFF, reason="Paid out")
    asked, given = told()
    assert [m.data["refund"]["state"] for m in (asked, given)] == ["needs_attention", "succeeded"]
    assert given.data["refund"]["id"] == str(refund.pk)
    assert given.data["refund"]["amount"] == {"amount_minor": 4500, "currency": "NZD"}
    assert given.data["booking"]["id"] == str(held.booking_id)
    assert {each.about for each in deliveries(endpoint)} == {str(held.booking_id)}
