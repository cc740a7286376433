"""The real processes: what is booked over HTTP arrives signed, while another subscriber hangs."""

import pytest
from standardwebhooks import Webhook

from tests.api.client import Api, claim
from tests.factories import make_api_key, make_room
from tests.support.instances import Fleet
from tests.support.receiver import Receiver
from tests.support.sandbox import eventually
from tests.webhooks.support import deliveries, subscribe

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def test_what_is_booked_arrives_signed(fleet: Fleet, receiver: Receiver) -> None:
    """Kicked by the commit; with one thread less than would do if one that hangs took them all."""
    fleet.start("worker", 1)
    fleet.start("hooks", 1, {"WEBHOOK_THREADS": "3"})
    room = make_room(price=0)
    quick = subscribe(room.workspace, receiver.url("ok"))
    slow = subscribe(room.workspace, receiver.url("hang", "slow"))
    _, secret = make_api_key(workspace=room.workspace)
    api = Api(secret)
    for hour in range(6, 12):
        held = api.post("/holds", claim(room, hour)).json()
        paid = api.post(f"/holds/{held['id']}/checkout", _urls())
        assert paid.json()["checkout_url"] is None
    eventually(lambda: len(receiver.came("ok")) >= 12, seconds=60)
    types = [Webhook(quick.secret).verify(c.body, c.headers)["type"] for c in receiver.came("ok")]
    assert sorted(types) == ["booking.confirmed"] * 6 + ["hold.placed"] * 6
    assert len({c.id for c in receiver.came("ok")}) == 12
    eventually(lambda: {each.state for each in deliveries(quick)} == {"delivered"})
    assert all(each.tries == 1 for each in deliveries(quick))
    assert {each.state for each in deliveries(slow)} == {"pending"}
    assert 1 <= len(receiver.came("hang")) <= 2


def _urls() -> dict[str, str]:
    return {"success_url": "https://x.test/", "cancel_url": "https://x.test/"}
