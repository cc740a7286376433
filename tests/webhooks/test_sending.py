"""What becomes of a delivery, against a server that does what receivers do."""

import json
from datetime import timedelta

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from config.kernel import clock
from members import webhook_endpoints, webhook_sending
from members.models import Notification, Workspace
from members.webhook_models import WebhookAttempt, WebhookEndpoint
from tests.factories import StaffFactory, WorkspaceFactory
from tests.support.receiver import Receiver
from tests.webhooks.support import age, deliveries, make_due, numbers, send, subscribe, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


def test_what_arrives_is_verified_by_the_library(workspace: Workspace, receiver: Receiver) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    about = tell(workspace, n=7)
    assert send(endpoint) == 1
    (came,) = receiver.came()
    told = Webhook(endpoint.secret).verify(came.body, came.headers)
    (delivery,) = deliveries(endpoint)
    assert told["type"] == "booking.confirmed"
    assert told["data"] == {"n": 7}
    assert told["sequence"] == delivery.message_id
    assert set(told) == {"type", "timestamp", "sequence", "data"}
    assert came.id == str(delivery.message.event_id)
    assert delivery.message.subject_id == str(about)
    with pytest.raises(WebhookVerificationError):
        Webhook(webhook_endpoints.new_secret()).verify(came.body, came.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret).verify(came.body + b" ", came.headers)


def test_an_attempt_is_kept_with_request_and_answer(
    workspace: Workspace, receiver: Receiver
) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    tell(workspace)
    send(endpoint)
    (delivery,) = deliveries(endpoint)
    (attempt,) = delivery.attempts.all()
    (came,) = receiver.came()
    assert (delivery.state, delivery.tries, attempt.number) == ("delivered", 1, 1)
    assert (attempt.status, attempt.response_body, attempt.error) == (200, "thank you", "")
    assert attempt.response_headers["Content-Length"] == "9"
    assert attempt.duration_ms is not None
    sent = {name: came.headers[name] for name in attempt.request_headers}
    assert sent == attempt.request_headers
    assert came.body == webhook_sending.body_of(delivery.message)


@pytest.mark.parametrize(
    ("does", "status", "error"),
    [
        ("500", 500, ""),
        ("404", 404, ""),
        ("redirect", 307, "Redirects are not followed."),
        ("close", None, "It could not be reached (ConnectionError)."),
        ("drip", None, "It took too long."),
        ("hang", None, "It took too long."),
    ],
)
def test_what_fails_is_tried_again(
    workspace: Workspace,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    does: str,
    status: int | None,
    error: str,
) -> None:
    monkeypatch.setattr(webhook_sending, "ATTEMPT_SECONDS", 0.3)
    endpoint = subscribe(workspace, receiver.url(does))
    tell(workspace)
    before = clock.now()
    assert send(endpoint) == 1  # not again at once
    (delivery,) = deliveries(endpoint)
    (attempt,) = delivery.attempts.all()
    assert (delivery.state, attempt.status, attempt.error) == ("pending", status, error)
    assert before + timedelta(seconds=4) <= delivery.due_at <= clock.now() + timedelta(seconds=6)
    assert receiver.came("ok") == []  # nobody followed it
    endpoint.refresh_from_db()
    assert endpoint.failing_since == attempt.began_at
    assert (endpoint.rests_until is None) == (status is not None)
    make_due(endpoint)
    send(endpoint)
    first, second = receiver.came(does)
    assert first.id == second.id
    assert first.body == second.body
    assert [each.number for each in deliveries(endpoint)[0].attempts.all()] == [1, 2]


def test_nobody_answers_at_all(workspace: Workspace) -> None:
    endpoint = subscribe(workspace, "http://127.0.0.1:9/")
    tell(workspace)
    send(endpoint)
    (attempt,) = deliveries(endpoint)[0].attempts.all()
    assert (attempt.status, attempt.error) == (None, "It could not be reached (ConnectionError).")


@pytest.mark.parametrize(("does", "kept"), [("large", "x" * 4096), ("odd", "a\ufffdb\ufffd")])
def test_any_answer_can_be_kept(
    workspace: Workspace, receiver: Receiver, does: str, kept: str
) -> None:
    endpoint = subscribe(workspace, receiver.url(does))
    tell(workspace)
    send(endpoint)
    (delivery,) = deliveries(endpoint)
    assert (delivery.state, delivery.attempts.get().response_body) == ("delivered", kept)


def test_a_receiver_may_ask_for_a_longer_pause(workspace: Workspace, receiver: Receiver) -> None:
    endpoint = subscribe(workspace, receiver.url("busy"))
    tell(workspace)
    send(endpoint)
    (delivery,) = deliveries(endpoint)
    assert delivery.due_at > clock.now() + timedelta(minutes=29)


def test_a_private_address_is_refused_at_every_attempt(
    workspace: Workspace, receiver: Receiver, settings
) -> None:
    """Its name meant something else when it was entered."""
    endpoint = subscribe(workspace, receiver.url("ok"))
    tell(workspace)
    settings.OUTBOUND_PRIVATE_ADDRESSES = False
    send(endpoint)
    (attempt,) = deliveries(endpoint)[0].attempts.all()
    assert attempt.error == "This address is private or cannot be used."
    assert receiver.came() == []


def test_pauses_grow_for_three_days_and_then_it_has_failed(workspace: Workspace) -> None:
    """Whatever the jitter: the last attempt is when the three days are over, and not later."""
    endpoint = subscribe(workspace, "http://127.0.0.1:9/")
    tell(workspace)
    (delivery,) = deliveries(endpoint)
    waits = []
    for _ in range(40):
        send(endpoint)
        delivery.refresh_from_db()
        if delivery.state != "pending":
            break
        wait = (delivery.due_at - clock.now()).total_seconds()
        waits.append(wait)
        age(endpoint, seconds=wait + 0.01)
    assert delivery.state == "failed"
    assert delivery.tries == len(waits) + 1
    assert 14 <= delivery.tries <= 22
    assert abs(sum(waits) - 72 * 3600) < 60
    for wait, pause in zip(waits, webhook_sending.PAUSES, strict=False):
        assert 0.79 * pause - 1 < wait < 1.21 * pause
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_because) == ("disabled", "failing")


def test_an_endpoint_that_accepted_nothing_for_three_days_is_disabled_with_a_mail(
    workspace: Workspace, receiver: Receiver
) -> None:
    StaffFactory(workspace=workspace, member__email="owner@example.test")
    StaffFactory(workspace=workspace, member__email="clerk@example.test", role="clerk")
    endpoint = subscribe(workspace, receiver.url("500"))
    tell(workspace)
    send(endpoint)
    age(endpoint, hours=71)
    tell(workspace)
    send(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.state == "enabled"
    assert not Notification.objects.filter(kind="webhook_disabled").exists()
    age(endpoint, hours=1)
    make_due(endpoint)
    send(endpoint)
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_because) == ("disabled", "failing")
    assert [each.state for each in deliveries(endpoint)] == ["failed", "stopped"]
    mails = Notification.objects.filter(kind="webhook_disabled").order_by("to")
    assert [mail.to for mail in mails] == ["desk@example.test", "owner@example.test"]
    assert endpoint.url in mails[0].payload["text"]
    assert str(endpoint.pk) in mails[0].payload["text"]
    workspace.refresh_from_db()
    assert workspace.webhook_types == []
    tell(workspace)
    assert (len(deliveries(endpoint)), send(endpoint)) == (2, 0)


def test_one_success_ends_the_count(workspace: Workspace, receiver: Receiver) -> None:
    endpoint = subscribe(workspace, receiver.url("500"))
    tell(workspace)
    send(endpoint)
    age(endpoint, hours=71)
    webhook_endpoints.change(endpoint.pk, url=receiver.url("ok"))
    tell(workspace)
    send(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None
    assert {each.state for each in deliveries(endpoint)} == {"delivered"}


def test_410_disables_at_once(workspace: Workspace, receiver: Receiver) -> None:
    endpoint = subscribe(workspace, receiver.url("410"))
    tell(workspace)
    tell(workspace)
    assert send(endpoint) == 1
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_because) == ("disabled", "gone")
    assert [each.state for each in deliveries(endpoint)] == ["stopped", "stopped"]
    mail = Notification.objects.get(kind="webhook_disabled")
    assert "410 Gone" in mail.payload["text"]
    enabled = webhook_endpoints.enable(endpoint.pk)
    assert (enabled.state, enabled.disabled_because) == ("enabled", "")


def test_a_crash_before_the_outcome_is_written_sends_it_again_with_the_same_id(
    workspace: Workspace, receiver: Receiver
) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    tell(workspace)
    leased = webhook_sending.lease(endpoint.pk)
    assert leased is not None
    webhook_sending.request(leased)  # and here the process dies
    assert send(endpoint) == 0  # the lease stands
    endpoint.deliveries.update(leased_until=clock.now())
    assert send(endpoint) == 1
    first, second = receiver.came()
    assert first.id == second.id
    (delivery,) = deliveries(endpoint)
    unknown, known = delivery.attempts.all()
    assert (unknown.ended_at, unknown.status, known.status) == (None, None, 200)
    assert delivery.state == "delivered"


def test_who_was_taken_for_dead_changes_nothing_any_more(
    workspace: Workspace, receiver: Receiver
) -> None:
    """Its failure does not put off what another has delivered; its success counts."""
    endpoint = subscribe(workspace, receiver.url("ok"))
    tell(workspace)
    late = webhook_sending.lease(endpoint.pk)
    assert late is not None
    endpoint.deliveries.update(leased_until=clock.now())
    send(endpoint)
    webhook_sending.record(late, webhook_sending.Outcome(1, 500))
    (delivery,) = deliveries(endpoint)
    assert (delivery.state, delivery.version) == ("delivered", 1)
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None  # nothing is left that could end it
    webhook_sending.record(late, webhook_sending.Outcome(1, 200))
    (delivery,) = deliveries(endpoint)
    assert (delivery.state, delivery.version) == ("delivered", 1)


def test_rotation_signs_with_both_until_the_former_ends(
    workspace: Workspace, receiver: Receiver
) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    former = endpoint.secret
    rotated = webhook_endpoints.rotate(endpoint.pk, overlap_seconds=3600)
    assert rotated.secret != former
    tell(workspace)
    send(endpoint)
    (came,) = receiver.came()
    for secret in (former, rotated.secret):
        assert Webhook(secret).verify(came.body, came.headers)["data"] == {"n": 0}
    WebhookEndpoint.objects.update(former_secret_until=clock.now())
    tell(workspace)
    send(endpoint)
    came = receiver.came()[1]
    assert Webhook(rotated.secret).verify(came.body, came.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(former).verify(came.body, came.headers)


def test_rotated_twice_the_first_secret_still_signs(workspace: Workspace) -> None:
    endpoint = subscribe(workspace, "http://127.0.0.1:9/")
    known = [endpoint.secret]
    known += [webhook_endpoints.rotate(endpoint.pk).secret for _ in range(2)]
    endpoint.refresh_from_db()
    headers = webhook_sending.headers_of(endpoint, _message(workspace), b"{}", clock.now())
    for secret in known:
        Webhook(secret).verify(b"{}", headers)
    for _ in range(5):
        webhook_endpoints.rotate(endpoint.pk)
    endpoint.refresh_from_db()
    assert len(endpoint.former_secrets(clock.now())) == webhook_endpoints.MOST_FORMER
    webhook_endpoints.rotate(endpoint.pk, overlap_seconds=0)
    endpoint.refresh_from_db()
    assert endpoint.former_secrets(clock.now()) == []


def test_a_late_answer_of_the_former_address_says_nothing_of_the_new_one(
    workspace: Workspace,
) -> None:
    endpoint = subscribe(workspace, "http://127.0.0.1:9/old")
    tell(workspace)
    leased = webhook_sending.lease(endpoint.pk)
    assert leased is not None
    webhook_endpoints.change(endpoint.pk, url="http://127.0.0.1:9/new")
    webhook_sending.record(leased, webhook_sending.Outcome(1, 410))
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.failing_since) == ("enabled", None)
    assert [each.state for each in deliveries(endpoint)] == ["pending"]


def test_rotation_without_overlap_ends_the_former_at_once(workspace: Workspace) -> None:
    endpoint = subscribe(workspace, "http://127.0.0.1:9/")
    webhook_endpoints.rotate(endpoint.pk)
    rotated = webhook_endpoints.rotate(endpoint.pk, overlap_seconds=0)
    assert (rotated.former_secret, rotated.former_secret_until) == (None, None)
    assert len(webhook_sending.headers_of(rotated, _message(workspace), b"{}", clock.now())[
        "webhook-signature"].split()) == 1  # fmt: skip


def test_a_later_one_of_the_same_booking_waits_for_an_earlier(
    workspace: Workspace, receiver: Receiver
) -> None:
    endpoint = subscribe(workspace, receiver.url("500", "a"))
    about = tell(workspace, n=1)
    send(endpoint)
    tell(workspace, about, n=2)
    tell(workspace, n=3)  # of another booking
    assert send(endpoint) == 1
    assert numbers(receiver.came()) == [1, 3]
    webhook_endpoints.change(endpoint.pk, url=receiver.url("ok", "b"))
    make_due(endpoint)
    assert send(endpoint) == 3
    assert numbers(receiver.came("ok")) in ([1, 2, 3], [1, 3, 2], [3, 1, 2])
    sequences = [json.loads(c.body)["sequence"] for c in receiver.came("ok")
                 if json.loads(c.body)["data"]["n"] != 3]  # fmt: skip
    assert sequences == sorted(sequences)


def test_it_waits_for_ten_minutes_and_no_longer(workspace: Workspace, receiver: Receiver) -> None:
    endpoint = subscribe(workspace, receiver.url("500"))
    about = tell(workspace, n=1)
    send(endpoint)
    age(endpoint, minutes=10)
    endpoint.deliveries.update(due_at=clock.now() + timedelta(hours=1))
    tell(workspace, about, n=2)
    assert send(endpoint) == 1
    assert numbers(receiver.came()) == [1, 2]


def test_one_under_way_is_waited_for_too(workspace: Workspace, receiver: Receiver) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    about = tell(workspace, n=1)
    tell(workspace, about, n=2)
    tell(workspace, n=3)
    first = webhook_sending.lease(endpoint.pk)
    assert first is not None
    assert first.message.data == {"n": 1}
    other = webhook_sending.lease(endpoint.pk)
    assert other is not None
    assert other.message.data == {"n": 3}


def test_an_endpoint_has_two_at_once_and_a_failing_one_a_single(workspace: Workspace) -> None:
    endpoint = subscribe(workspace, "http://127.0.0.1:9/")
    for _ in range(3):
        tell(workspace)
    assert webhook_sending.lease(endpoint.pk) is not None
    WebhookEndpoint.objects.update(failing_since=clock.now())
    assert webhook_sending.lease(endpoint.pk) is None
    WebhookEndpoint.objects.update(failing_since=None)
    assert webhook_sending.lease(endpoint.pk) is not None
    assert webhook_sending.lease(endpoint.pk) is None


def test_who_does_not_answer_is_left_alone_for_a_while(workspace: Workspace) -> None:
    endpoint = subscribe(workspace, "http://127.0.0.1:9/")
    for _ in range(5):
        tell(workspace)
    assert send(endpoint) == 1
    endpoint.refresh_from_db()
    assert endpoint.unanswered == 1
    assert webhook_sending.due_endpoints() == []
    make_due(endpoint)
    assert webhook_sending.due_endpoints() == [endpoint.pk]
    send(endpoint)
    endpoint.refresh_from_db()
    assert endpoint.unanswered == 2
    assert endpoint.rests_until is not None
    assert endpoint.rests_until > clock.now() + timedelta(seconds=8)
    assert WebhookAttempt.objects.count() == 2


def test_deleting_an_endpoint_stops_what_is_pending(
    workspace: Workspace, receiver: Receiver
) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    tell(workspace)
    webhook_endpoints.delete(endpoint.pk)
    assert send(endpoint) == 0
    assert [each.state for each in deliveries(endpoint)] == ["stopped"]
    tell(workspace)
    assert len(deliveries(endpoint)) == 1
    assert receiver.came() == []


def test_a_replay_is_the_same_message_and_starts_its_three_days_anew(
    workspace: Workspace, receiver: Receiver
) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    tell(workspace)
    send(endpoint)
    age(endpoint, days=5)
    (delivery,) = deliveries(endpoint)
    replayed = webhook_endpoints.replay(delivery)
    assert (replayed.state, replayed.version) == ("pending", 2)
    assert replayed.give_up_at > clock.now() + timedelta(hours=71)
    assert send(endpoint) == 1
    first, second = receiver.came()
    assert (first.id, first.body) == (second.id, second.body)
    (delivery,) = deliveries(endpoint)
    assert (delivery.state, delivery.tries) == ("delivered", 2)


def test_a_replay_that_fails_begins_with_short_pauses_again(
    workspace: Workspace, receiver: Receiver
) -> None:
    endpoint = subscribe(workspace, receiver.url("500"))
    tell(workspace)
    endpoint.deliveries.update(tries=12, state="stopped", version=1)
    webhook_endpoints.replay(deliveries(endpoint)[0])
    send(endpoint)
    (delivery,) = deliveries(endpoint)
    assert delivery.tries == 13
    assert delivery.due_at < clock.now() + timedelta(seconds=7)


def test_a_disabled_endpoint_is_not_replayed(workspace: Workspace) -> None:
    endpoint = subscribe(workspace, "http://127.0.0.1:9/")
    tell(workspace)
    webhook_endpoints.disable(endpoint.pk)
    with pytest.raises(webhook_endpoints.EndpointDisabled):
        webhook_endpoints.replay(deliveries(endpoint)[0])
    with pytest.raises(webhook_endpoints.EndpointDisabled):
        webhook_endpoints.send_test(endpoint.pk)
    assert not Notification.objects.filter(kind="webhook_disabled").exists()


def test_a_test_event_goes_to_one_endpoint_once(workspace: Workspace, receiver: Receiver) -> None:
    endpoint = subscribe(workspace, receiver.url("500"), "hold.placed")
    other = subscribe(workspace, receiver.url("ok"))
    webhook_endpoints.send_test(endpoint.pk)
    assert (send(other), send(endpoint)) == (0, 1)
    (delivery,) = deliveries(endpoint)
    assert (delivery.message.type, delivery.state) == ("test.ping", "failed")
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


def _message(workspace: Workspace):
    tell(workspace)
    return workspace.webhook_messages.latest("sequence")
