"""Without its database the API still tells what it knew of resources, and says that it is stale."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from config.api import rfc3339
from config.kernel.redis import asked_again
from tests.api.client import Api, claim, problem
from tests.core.support import hold, line, tomorrow
from tests.factories import make_api_key, make_room


@contextmanager
def no_database() -> Iterator[None]:
    """Nobody listens where the database was."""
    there = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = "9"
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["PORT"] = there


@pytest.mark.django_db(transaction=True)
def test_reads_stay_up_marked_stale_and_writes_are_503(settings):
    asked_again()
    room = make_room()
    api, other = (Api(make_api_key(workspace=room.workspace)[1]) for _ in range(2))
    hold(line(room, 9, 10))
    availability = f"/resources/{room.pk}/availability"
    asked = {"from": rfc3339(tomorrow(8)), "to": rfc3339(tomorrow(12))}
    fresh = {path: api.get(path, **query).json() for path, query in (
        ("/resources", {}), (f"/resources/{room.pk}", {}), (availability, asked))}  # fmt: skip
    assert not any("stale" in body for body in fresh.values())
    with no_database():
        for path, body in fresh.items():
            answer = api.get(path, **(asked if path == availability else {}))
            assert (answer.status_code, answer.json()) == (200, body | {"stale": True})
            assert 0 <= int(answer["Age"]) < 60
        # Another question, another key, a write: a clear 503.
        problem(api.get("/resources", q="x"), 503, "temporarily_unavailable")
        problem(other.get("/resources"), 503, "temporarily_unavailable")
        problem(Api("sk_wrong").get("/resources"), 503, "temporarily_unavailable")
        problem(api.post("/holds", claim(room)), 503, "temporarily_unavailable")
        settings.REDIS_URL = "redis://127.0.0.1:9/0"
        problem(api.get("/resources"), 503, "temporarily_unavailable")
    asked_again()
    assert "stale" not in api.get("/resources").json()
