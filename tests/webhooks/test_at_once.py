"""Several workers, and subscribers that hang: nothing is sent twice, and nobody waits for another.

No time decides: the slow one hangs until the test lets it go, and what the others got is counted
while it does.
"""

from typing import Any

import pytest
import redis

from bookings.models import Booking
from config.kernel.redis import asked_again
from members import tasks, webhook_lanes, webhook_sending
from members.models import Workspace
from members.webhook_models import WebhookDelivery
from tests.admin.support import confirmed
from tests.core.threads import Aside, together
from tests.factories import WorkspaceFactory, make_room
from tests.support.receiver import Receiver
from tests.webhooks.support import deliveries, numbers, send, subscribe, tell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, what hangs does so until the test lets it go."""
    monkeypatch.setattr(webhook_sending, "ATTEMPT_SECONDS", 120.0)
    monkeypatch.setattr(webhook_sending, "LEASE_SECONDS", 600)


@pytest.fixture
def workspace() -> Workspace:
    return WorkspaceFactory()


def test_two_workers_at_once_send_each_once(workspace: Workspace, receiver: Receiver) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    for n in range(12):
        tell(workspace, n=n)
    made = together([lambda: send(endpoint)] * 3)
    assert all(isinstance(each, int) for each in made), made
    assert sorted(numbers(receiver.came())) == list(range(12))
    assert {(d.state, d.tries) for d in deliveries(endpoint)} == {("delivered", 1)}


def test_control_without_the_lease_it_is_sent_twice(
    workspace: Workspace, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first request is under way, another worker takes the same delivery."""
    monkeypatch.setattr(webhook_sending, "LEASE_SECONDS", 0)
    endpoint = subscribe(workspace, receiver.url("hang"))
    tell(workspace)
    works = []
    for _ in range(2):
        works.append(Aside(lambda: send(endpoint)))
        receiver.wait_until_one_hangs()
    receiver.go_on()
    assert sum(work.result() for work in works) >= 2
    assert len(receiver.came()) >= 2
    assert len({each.id for each in receiver.came()}) == 1


def test_one_that_hangs_delays_no_other_and_no_booking(
    workspace: Workspace, receiver: Receiver
) -> None:
    """While two of its requests hang, which is all it may have: others get theirs, bookings are
    made, and nobody else begins anything with it."""
    slow = subscribe(workspace, receiver.url("hang"))
    quick = subscribe(workspace, receiver.url("ok", "q"))
    for n in range(5):
        tell(workspace, n=n)
    hanging = [Aside(lambda: send(slow)) for _ in range(2)]
    receiver.wait_until_one_hangs()
    receiver.wait_until_one_hangs()
    assert send(slow) == 0
    assert send(quick) == 5
    booking = confirmed(make_room(workspace=workspace))
    assert Booking.objects.get(pk=booking.pk).state == "confirmed"
    assert send(quick) == 2  # it was held and confirmed
    states = [each.state for each in deliveries(slow)]
    assert states == ["pending"] * 7
    assert numbers(receiver.came("ok")[:5]) == [0, 1, 2, 3, 4]
    assert len(receiver.came("hang")) == 2
    receiver.go_on()
    assert sum(each.result() for each in hanging) == 7
    assert WebhookDelivery.objects.exclude(state="delivered").count() == 0


def test_slow_ones_leave_threads_for_the_others(
    workspace: Workspace, receiver: Receiver, settings: Any
) -> None:
    """Of two threads one: while it hangs, no second slow one begins, and the quick one is told."""
    settings.WEBHOOK_THREADS = 2
    slow, other = (subscribe(workspace, receiver.url("hang", name)) for name in "ab")
    quick = subscribe(workspace, receiver.url("ok", "q"))
    for endpoint in (slow, other):
        webhook_lanes.took(endpoint.pk, webhook_lanes.SLOW_SECONDS)
    tell(workspace, n=1)
    hanging = Aside(lambda: send(slow))
    receiver.wait_until_one_hangs()
    assert (send(other), send(quick)) == (0, 1)
    assert receiver.came("hang", "b") == []
    receiver.go_on()
    assert hanging.result() == 1
    assert send(other) == 1  # its turn, when the place is free
    assert {each.state for each in deliveries(other)} == {"delivered"}


def test_an_endpoint_waits_in_the_queue_once(
    workspace: Workspace, receiver: Receiver, settings: Any
) -> None:
    """However many bookings tell it something meanwhile; begun, it may wait there again."""
    asked_again()
    endpoint = subscribe(workspace, receiver.url("ok"))
    tell(workspace)
    queue = redis.Redis.from_url(settings.REDIS_URL)
    before = queue.llen("webhooks")
    begun = [tasks.send_webhooks_of(str(workspace.pk)) for _ in range(3)]
    assert (begun, queue.llen("webhooks") - before) == ([1, 0, 0], 1)
    assert tasks.send_webhooks(str(endpoint.pk)) == 1
    tell(workspace)
    assert tasks.send_webhooks_of(str(workspace.pk)) == 1
    assert queue.llen("webhooks") - before == 2
    queue.delete("webhooks")


def test_what_belongs_to_one_booking_comes_in_order_from_several_workers(
    workspace: Workspace, receiver: Receiver
) -> None:
    endpoint = subscribe(workspace, receiver.url("ok"))
    about = tell(workspace, n=0)
    for n in range(1, 10):
        tell(workspace, about, n=n)
    together([lambda: send(endpoint)] * 3)
    send(endpoint)
    assert numbers(receiver.came()) == list(range(10))
