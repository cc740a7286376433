"""Every list: pages that are stable while rows are added, and queries that do not grow with it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import Resource
from tests.api.client import ROOT, Api, line
from tests.factories import ResourceFactory

pytestmark = pytest.mark.django_db

Add = Callable[[Api, Resource, dict[str, Any], int], Any]


def _hold(api: Api, room: Resource, ids: dict[str, Any], number: int) -> None:
    api.hold(room, 24 + number)


def _resource(api: Api, room: Resource, ids: dict[str, Any], number: int) -> None:
    ResourceFactory(
        workspace=room.workspace,
        location=room.location,
        category=room.category,
        name=f"Z room {number}",
    )


def _refund(api: Api, room: Resource, ids: dict[str, Any], number: int) -> None:
    body = {"amount_minor": 1, "to": "card", "reason": f"{number}"}
    assert api.post(f"/bookings/{ids['booking_id']}/refunds", body).status_code == 201


def _credit(api: Api, room: Resource, ids: dict[str, Any], number: int) -> None:
    body = {"amount_minor": 1, "reason": f"{number}"}
    assert api.post(f"/members/{ids['member_id']}/credits", body).status_code == 201


def _wait(api: Api, room: Resource, ids: dict[str, Any], number: int) -> None:
    body = line(room) | {"member": {"email": f"n{number}@example.test"}}
    assert api.post("/waitlist", body).status_code == 201


# Each list, how a row is added to it, and whether new ones come first.
LISTS: dict[str, tuple[str, Add, bool]] = {
    "resources": ("/resources", _resource, False),
    "bookings": ("/bookings", _hold, True),
    "events": ("/bookings/{booking_id}/events", _refund, False),
    "refunds": ("/bookings/{booking_id}/refunds", _refund, True),
    "credits": ("/members/{member_id}/credits", _credit, True),
    "waitlist": ("/waitlist", _wait, False),
}


@pytest.mark.parametrize("name", LISTS)
def test_pages_are_stable_and_cost_the_same(
    api: Api, room: Resource, ids: dict[str, Any], name: str
) -> None:
    path, add, newest_first = LISTS[name]
    path = path.format(**ids)
    for number in range(3):
        add(api, room, ids, number)
    short = queries_of(api, path)
    for number in range(3, 7):
        add(api, room, ids, number)
    assert queries_of(api, path) == short
    whole = ids_of(api.get(path).json())
    assert len(whole) >= 7
    assert len(set(whole)) == len(whole)

    page = api.get(path, page_size="2").json()
    seen, number = ids_of(page), 7
    while page["next"]:
        if number < 9:
            add(api, room, ids, number)
            number += 1
        page = api.get(page["next"].split(ROOT, 1)[1]).json()
        seen += ids_of(page)
    assert seen[: len(whole)] == whole, "none twice, none left out, in the same order"
    assert len(seen) == (len(whole) if newest_first else len(whole) + 2)
    assert len(set(seen)) == len(seen)

    back: list[str] = ids_of(page)
    while page["previous"]:
        page = api.get(page["previous"].split(ROOT, 1)[1]).json()
        back = ids_of(page) + back
    assert back[-len(seen) :] == seen
    assert len(back) == len(whole) + 2, "what came meanwhile is before or behind"


def queries_of(api: Api, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert api.get(path).status_code == 200
    return len(queries)


def ids_of(page: Any) -> list[str]:
    return [row["id"] for row in page["results"]]
