"""A stuck lock, a dead broker, no worker: what a claim answers then (design.md §7)."""

import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config import roles
from holds.models import Hold
from tests.api.client import Api, claim
from tests.core.raw import connect, sql
from tests.core.support import lapse
from tests.factories import make_api_key, make_room

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def room(transactional_db):
    return make_room()


@pytest.fixture
def secret(room) -> str:
    return make_api_key(workspace=room.workspace)[1]


def _post(url: str, secret: str, body: dict, key: str = "once") -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": key}
    return httpx.post(f"{url}/api/v1/holds", json=body, headers=headers, timeout=30)


def test_a_row_locked_by_somebody_is_a_503_within_seconds(web, room, secret):
    """The promise is 3 seconds: the role's lock timeout is 2, and the rest is the answer itself."""
    (instance,) = web()
    with connect(roles.WEB) as as_web:
        assert as_web.execute("SHOW lock_timeout").fetchone() == ("2s",)
    bearer = {"Authorization": f"Bearer {secret}"}
    with connect() as psql:
        psql.execute("SELECT 1 FROM bookings_resource WHERE id = %s FOR UPDATE", [room.pk])

        began = time.monotonic()
        stuck = _post(instance.url, secret, claim(room))
        took = time.monotonic() - began
        listed = httpx.get(f"{instance.url}/api/v1/resources", headers=bearer, timeout=30)
        page = httpx.get(f"{instance.url}/w/{room.workspace.slug}/", timeout=30)

        psql.rollback()
    print(f"\n503 after {took:.2f} s")
    assert (stuck.status_code, stuck.json()["code"]) == (503, "temporarily_unavailable")
    assert int(stuck.headers["Retry-After"]) >= 1
    assert took < 6  # twice the promise, for a machine that is busy with other things
    assert listed.status_code == 200
    assert [found["id"] for found in listed.json()["results"]] == [str(room.pk)]
    assert page.status_code == 200
    assert room.name in page.text

    # Nothing was kept of the refusal: the same key claims now.
    again = _post(instance.url, secret, claim(room))
    assert again.status_code == 201
    assert "Idempotent-Replayed" not in again.headers


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes connections and never says anything: a broker that hangs."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("broker", ["closed_port", "black_hole"])
def test_a_claim_commits_without_a_broker(web, room, secret, broker, request):
    port = request.getfixturevalue(broker)
    (instance,) = web(env={"REDIS_URL": f"redis://127.0.0.1:{port}/0"})

    began = time.monotonic()
    answers = [
        _post(instance.url, secret, claim(room, hour=10 + hour), key=str(hour)) for hour in range(3)
    ]
    took = time.monotonic() - began

    print(f"\nthree claims in {took:.2f} s")
    assert [answer.status_code for answer in answers] == [201] * 3
    assert sql("SELECT count(*) FROM bookings_occupancy") == [(3,)]
    assert took < 10


def test_a_hold_ends_at_its_time_with_no_worker_and_no_beat(web, room, secret):
    (instance,) = web()
    first = _post(instance.url, secret, claim(room, ttl_seconds=60), key="first")
    assert first.status_code == 201
    assert _post(instance.url, secret, claim(room), key="too early").status_code == 409

    lapse(Hold.objects.get(pk=first.json()["id"]), seconds=0)

    bearer = {"Authorization": f"Bearer {secret}"}
    url = f"{instance.url}/api/v1/holds/{first.json()['id']}"
    assert httpx.get(url, headers=bearer, timeout=30).json()["state"] == "expired"
    second = _post(instance.url, secret, claim(room), key="second")
    assert second.status_code == 201
    assert sql("SELECT state FROM bookings_booking ORDER BY created_at") == [
        ("expired",),
        ("pending_payment",),
    ]
    assert sql("SELECT count(*) FROM bookings_occupancy WHERE released_at IS NULL") == [(1,)]


WRAPPERS = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT")


def test_placing_a_hold_takes_eight_statements_and_one_commit(room, secret):
    api = Api(secret)
    api.hold(room, 8)  # the caches of a process that has been up for a while
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = api.post("/holds", claim(room, 10))
    assert response.status_code == 201
    said = [query["sql"].strip() for query in captured.captured_queries]
    work = [statement for statement in said if not statement.startswith(WRAPPERS)]
    print(f"\n{len(work)} statements")
    assert len(work) <= 8, work
    assert said.count("BEGIN") == said.count("COMMIT") == 1, said
    assert not [statement for statement in said if "SAVEPOINT" in statement], said


def test_losing_a_slot_rolls_back_once_and_writes_down_the_refusal(room, secret):
    """The loser's transaction leaves nothing; its answer is one more, for its replays."""
    api = Api(secret)
    api.hold(room, 10)
    with CaptureQueriesContext(connection) as captured:
        response = api.post("/holds", claim(room, 10))
    assert response.status_code == 409
    said = [query["sql"].strip() for query in captured.captured_queries]
    assert (said.count("ROLLBACK"), said.count("COMMIT")) == (1, 1), said
    assert sql("SELECT count(*) FROM bookings_booking") == [(1,)]
