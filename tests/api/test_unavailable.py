"""A database that is busy is a clear 503 with Retry-After, and nothing is kept of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections, transaction

from bookings.models import Booking, Resource
from members.models import IdempotencyKey
from tests.api.client import Api, claim, problem
from tests.factories import make_api_key, make_room


@contextmanager
def locked(resource: Resource) -> Iterator[None]:
    """Somebody else holds the resource's row for as long as this lasts."""
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                Resource.objects.select_for_update().get(pk=resource.pk)
                taken.set()
                over.wait(30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert taken.wait(10)
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_stuck_lock_is_a_503_and_the_key_may_be_used_again() -> None:
    room = make_room()
    _, secret = make_api_key(workspace=room.workspace)
    api = Api(secret)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    with locked(room):
        response = api.post("/holds", claim(room), key="k")
        problem(response, 503, "temporarily_unavailable")
        assert int(response["Retry-After"]) >= 1
    assert not Booking.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert api.post("/holds", claim(room), key="k").status_code == 201
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


@pytest.mark.django_db
def test_no_database_is_a_503(room: Resource, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def gone(secret: str) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("members.api_keys.find", gone)
    response = api.get("/resources")
    problem(response, 503, "temporarily_unavailable")
    assert response["Retry-After"]
    assert secrets_absent(response.content)


@pytest.mark.django_db
def test_a_bug_stays_a_bug(room: Resource, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not known is not dressed up: it is raised, logged and answered by Django's 500."""

    def broken(secret: str) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("members.api_keys.find", broken)
    with pytest.raises(ZeroDivisionError):
        api.get("/resources")


def secrets_absent(content: bytes) -> bool:
    """Nothing of the database's own words reaches the caller."""
    return b"connection refused" not in content
