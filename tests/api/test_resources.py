"""The catalogue, availability and why not."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import Resource
from config.api import rfc3339
from tests.api.client import Api, problem
from tests.factories import (
    BlockFactory,
    CategoryFactory,
    LocationFactory,
    at,
    make_pool,
    make_room,
)

pytestmark = pytest.mark.django_db


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["name"] for row in response.json()["results"]]


def test_a_resource_shows_what_booking_it_needs(api: Api, room: Resource) -> None:
    body = api.get(f"/resources/{room.id}").json()
    assert body == api.get("/resources").json()["results"][0]
    assert body["mode"] == "exclusive"
    assert body["capacity"] == 1
    assert body["seats"] == 6
    assert body["bookable"] is True
    assert body["category"]["name"] == "Meeting room"
    assert body["location"]["timezone"] == "Pacific/Auckland"
    assert body["rules"]["step_seconds"] == 900
    assert body["rules"]["hold_ttl_seconds"] == 900
    (price,) = body["prices"]
    assert price.pop("amount") == {"amount_minor": 4500, "currency": "NZD"}
    assert (price.pop("kind"), price.pop("from_quantity")) == ("per_hour", 1)
    assert not any(price.values()), "it applies always, and to everybody"
    assert body["add_ons"] == []


def test_filters_combine(api: Api, room: Resource) -> None:
    workspace = room.workspace
    desks = CategoryFactory(workspace=workspace, name="Desk", slug="desk")
    harbour = LocationFactory(workspace=workspace, name="Harbour", slug="harbour")
    make_room(workspace=workspace, category=desks, location=harbour, name="Window desk", seats=1)
    make_pool(workspace=workspace, name="City bike", location=harbour)
    assert names(api.get("/resources", category="desk")) == ["Window desk"]
    assert names(api.get("/resources", category=str(desks.id))) == ["Window desk"]
    assert names(api.get("/resources", location="harbour", mode="pooled")) == ["City bike"]
    assert names(api.get("/resources", q="window harbour")) == ["Window desk"]
    assert names(api.get("/resources", seats="2")) == [room.name]
    assert names(api.get("/resources", q="nothing like it")) == []
    problem(api.get("/resources", mode="sideways"), 400, "invalid")


def test_search_by_a_free_window(api: Api, room: Resource) -> None:
    bikes = make_pool(workspace=room.workspace, capacity=3)
    window = {"free_from": rfc3339(at(10)), "free_to": rfc3339(at(11))}
    assert set(names(api.get("/resources", **window))) == {room.name, bikes.name}
    api.hold(room, 10.5)
    api.post("/holds", {"lines": [{**_line(bikes, 10, 10.5), "quantity": 2}]})
    assert names(api.get("/resources", **window)) == [bikes.name]
    assert names(api.get("/resources", **window, quantity="2")) == []
    before = {"free_from": rfc3339(at(9.5)), "free_to": rfc3339(at(10))}
    assert set(names(api.get("/resources", **before))) == {room.name, bikes.name}


def test_a_search_counts_the_buffers(api: Api, room: Resource) -> None:
    room.buffer_after_seconds = 1800
    room.save()
    api.hold(room, 10)
    close = {"free_from": rfc3339(at(11)), "free_to": rfc3339(at(12))}
    later = {"free_from": rfc3339(at(11.5)), "free_to": rfc3339(at(12))}
    assert names(api.get("/resources", **close)) == []
    assert names(api.get("/resources", **later)) == [room.name]


def test_a_search_needs_both_ends(api: Api) -> None:
    body = problem(api.get("/resources", free_from=rfc3339(at(10))), 400, "invalid")
    assert list(body["errors"]) == ["free_to"]
    backwards = {"free_from": rfc3339(at(11)), "free_to": rfc3339(at(10))}
    assert list(problem(api.get("/resources", **backwards), 400, "invalid")["errors"]) == [
        "free_to"
    ]


def test_what_cannot_be_booked_is_not_listed(api: Api, room: Resource) -> None:
    room.is_active = False
    room.save()
    assert names(api.get("/resources")) == []
    assert api.get(f"/resources/{room.id}").json()["bookable"] is False


def test_pages_go_forth_and_back(api: Api, room: Resource) -> None:
    for _ in range(6):
        make_room(workspace=room.workspace)
    every = names(api.get("/resources"))
    assert len(every) == 7
    seen, url = [], "/resources?page_size=3"
    while url:
        page = api.get(url.replace("http://testserver/api/v1", "")).json()
        seen.append([row["name"] for row in page["results"]])
        last, url = page, page["next"]
    assert [name for part in seen for name in part] == every
    back = api.get(last["previous"].replace("http://testserver/api/v1", "")).json()
    assert [row["name"] for row in back["results"]] == seen[1]
    first = api.get(back["previous"].replace("http://testserver/api/v1", "")).json()
    assert [row["name"] for row in first["results"]] == seen[0]
    assert first["previous"] is None
    assert first["next"] is not None


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJuIiwxXQ", "ÿ", "WyJuIiwiYSIsImIiLCJjIl0"])
def test_a_forged_cursor_is_named(api: Api, cursor: str) -> None:
    for path in ("/resources", "/bookings"):
        body = problem(api.get(path, cursor=cursor), 400, "invalid")
        assert list(body["errors"]) == ["cursor"]


def test_the_catalogue_takes_four_queries(api: Api, room: Resource) -> None:
    for _ in range(5):
        make_room(workspace=room.workspace)
    with CaptureQueriesContext(connection) as queries:
        assert len(names(api.get("/resources"))) == 6
    assert len(queries) == 4, [q["sql"] for q in queries.captured_queries]


# --- Availability -------------------------------------------------------------------------------


def day(resource: Resource, hour: float = 0, until: float = 24, **more: Any) -> dict[str, Any]:
    return {"from": rfc3339(at(hour)), "to": rfc3339(at(until)), **more}


def test_free_time_is_the_day_without_what_is_taken(api: Api, room: Resource) -> None:
    api.hold(room, 10, 2)
    BlockFactory(resource=room, during=(at(15), at(16)))
    body = api.get(f"/resources/{room.id}/availability", **day(room)).json()
    assert body["free"] == [
        {"start": rfc3339(at(0)), "end": rfc3339(at(10)), "remaining": 1},
        {"start": rfc3339(at(12)), "end": rfc3339(at(15)), "remaining": 1},
        {"start": rfc3339(at(16)), "end": rfc3339(at(24)), "remaining": 1},
    ]
    assert body["resource"] == str(room.id)
    assert body["timezone"] == "Pacific/Auckland"
    assert abs(datetime.fromisoformat(body["as_of"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert "slots" not in body


def test_with_a_duration_there_are_starts_with_prices(api: Api, room: Resource) -> None:
    query = day(room, 10, 12, duration="60", step="30")
    body = api.get(f"/resources/{room.id}/availability", **query).json()
    price = {"amount_minor": 4500, "currency": "NZD"}
    auckland = ZoneInfo("Pacific/Auckland")
    assert body["slots"] == [
        {
            "start": rfc3339(at(hour)),
            "end": rfc3339(at(hour + 1)),
            "remaining": 1,
            "price": price,
            "local_start": at(hour).astimezone(auckland).isoformat(),
            "label": None,
            "days": None,
        }
        for hour in (10, 10.5, 11, 11.5)
    ]


def test_a_pool_says_how_many_remain(api: Api, room: Resource) -> None:
    bikes = make_pool(workspace=room.workspace, capacity=3)
    api.post("/holds", {"lines": [{**_line(bikes, 10, 11), "quantity": 2}]})
    path = f"/resources/{bikes.id}/availability"
    free = api.get(path, **day(bikes, 9, 12)).json()["free"]
    assert [row["remaining"] for row in free] == [3, 1, 3]
    free = api.get(path, **day(bikes, 9, 12, quantity="2")).json()["free"]
    assert [row["start"] for row in free] == [rfc3339(at(9)), rfc3339(at(11))]


def test_closed_means_nothing_is_free(api: Api, room: Resource) -> None:
    shut = make_room(workspace=room.workspace, location__hours=[])
    body = api.get(f"/resources/{shut.id}/availability", **day(shut)).json()
    assert body["free"] == []


def test_availability_is_two_queries_however_long(api: Api, room: Resource) -> None:
    for hour in range(0, 20, 2):
        api.hold(room, hour)
    query = {"from": rfc3339(at(0)), "to": rfc3339(at(0) + timedelta(days=62))}
    with CaptureQueriesContext(connection) as queries:
        response = api.get(f"/resources/{room.id}/availability", **query, duration="60")
    assert len(response.json()["slots"]) > 5000
    assert len(queries) == 3  # the key, the rules, what is taken


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"from": ""}, "from", "invalid"),
        ({"to": ""}, "to", "invalid"),
        ({"from": "2030-01-01T00:00:00"}, "from", "invalid"),
        ({"from": "yesterday"}, "from", "invalid"),
        ({"to": "2020-01-01T00:00:00Z"}, "to", "invalid"),
        ({"to": "2040-01-01T00:00:00Z"}, "to", "range_too_long"),
        ({"to": "9999-12-31T23:59:59Z"}, "to", "invalid"),
        ({"duration": "0"}, "duration", "invalid"),
        ({"duration": "1.5"}, "duration", "invalid"),
        ({"duration": "9" * 40}, "duration", "invalid"),
        ({"duration": "60", "step": "1"}, "step", "invalid"),
        ({"quantity": "-1"}, "quantity", "invalid"),
        ({"quantity": "٣"}, "quantity", "invalid"),
    ],
)
def test_wrong_parameters_are_named(
    api: Api, room: Resource, query: dict[str, str], field: str, code: str
) -> None:
    response = api.get(f"/resources/{room.id}/availability", **{**day(room), **query})
    assert list(problem(response, 400, code)["errors"]) == [field]


def test_a_plus_that_came_as_a_space_is_understood(api: Api, room: Resource) -> None:
    response = api.http.get(
        f"/api/v1/resources/{room.id}/availability"
        "?from=2030-01-01T00:00:00+13:00&to=2030-01-02T00:00:00+13:00",
        headers=api._headers(),
    )
    assert response.json()["start"] == "2029-12-31T11:00:00Z"


# --- Explain ------------------------------------------------------------------------------------


def test_a_free_window_has_no_reasons(api: Api, room: Resource) -> None:
    query = {"start": rfc3339(at(10)), "end": rfc3339(at(11))}
    body = api.get(f"/resources/{room.id}/explain", **query).json()
    assert (body["free"], body["reasons"]) == (True, [])


def test_every_reason_is_given(api: Api, room: Resource) -> None:
    held = api.hold(room, 10)
    BlockFactory(resource=room, during=(at(11), at(12)), reason="Deep cleaning")
    query = {"start": rfc3339(at(10)), "end": rfc3339(at(12))}
    body = api.get(f"/resources/{room.id}/explain", **query).json()
    assert body["free"] is False
    by_code = {reason["code"]: reason for reason in body["reasons"]}
    assert set(by_code) == {"hold", "block"}
    assert by_code["hold"]["until"] == held["expires_at"]
    assert by_code["hold"]["booking"] == held["booking"]["id"]
    assert by_code["hold"]["reference"] == held["booking"]["reference"]
    assert "Deep cleaning" in by_code["block"]["detail"]
    assert by_code["block"]["until"] is None


def test_hours_notice_and_step_are_reasons(api: Api, room: Resource) -> None:
    strict = make_room(
        workspace=room.workspace,
        hours=[(day, time(8), time(9)) for day in range(7)],
        notice_seconds=3600 * 24 * 30,
    )
    query = {"start": rfc3339(at(10)), "end": rfc3339(at(11))}
    body = api.get(f"/resources/{strict.id}/explain", **query).json()
    assert {"hours", "notice"} <= {reason["code"] for reason in body["reasons"]}


def _line(resource: Resource, start: float, end: float) -> dict[str, Any]:
    return {"resource": str(resource.id), "start": rfc3339(at(start)), "end": rfc3339(at(end))}


def test_a_pool_that_is_full_in_the_middle_is_not_free_throughout(api: Api, room: Resource) -> None:
    bikes = make_pool(workspace=room.workspace, capacity=1)
    api.hold(bikes, 10)
    window = {"free_from": rfc3339(at(9)), "free_to": rfc3339(at(12))}
    assert bikes.name not in names(api.get("/resources", **window))
    path = f"/resources/{bikes.id}/availability"
    slots = api.get(path, **day(bikes, 9, 10, duration="180")).json()["slots"]
    assert [slot["start"] for slot in slots] == []
    body = problem(api.post("/holds", {"lines": [_line(bikes, 9, 12)]}), 409, "slot_taken")
    assert body["next_free"]["start"] >= rfc3339(at(11))
