"""Search: any room for six, tomorrow at two, near here; and when each is next free."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings.near import Point, point_from, said
from config.api import rfc3339
from tests.api.client import Api
from tests.core.support import hold, line, tomorrow
from tests.factories import LocationFactory, make_api_key, make_room

AUCKLAND, WELLINGTON = Point(-36.8485, 174.7633), Point(-41.2866, 174.7756)


def test_distances_are_those_of_the_map():
    assert AUCKLAND.metres_to(AUCKLAND) == 0
    assert 490_000 < AUCKLAND.metres_to(WELLINGTON) < 497_000
    over_the_date_line = Point(0, 179.9).metres_to(Point(0, -179.9))
    assert 22_000 < over_the_date_line < 22_500
    assert [said(m) for m in (3, 849, 3_420, 120_400)] == ["10 m", "850 m", "3.4 km", "120 km"]


@pytest.mark.parametrize("text", ["", "x", "91,0", "0,181", "1", "1,2,3", "nan,1", "1e1,2", "1;2"])
def test_what_is_no_point_is_none(text):
    assert point_from(text) is None


@pytest.fixture
def rooms(db):
    first = make_room()
    workspace = first.workspace

    def room(name, seats, point):
        latitude, longitude = (point.latitude, point.longitude) if point else (None, None)
        place = LocationFactory(workspace=workspace, latitude=latitude, longitude=longitude)
        return make_room(name=name, seats=seats, workspace=workspace, location=place)

    first.is_active = False
    first.save()
    return [
        room("A far one", 8, WELLINGTON),
        room("B near one", 6, AUCKLAND),
        room("C near but small", 2, AUCKLAND),
        room("D who knows where", 6, None),
    ]


@pytest.mark.django_db
def test_any_room_for_six_tomorrow_near_here(rooms):
    _, secret = make_api_key(workspace=rooms[0].workspace)
    api = Api(secret)
    hold(line(rooms[3], 14, 15))
    asked = {"seats": 6, "near": "-36.85,174.76"}
    free = {"free_from": rfc3339(tomorrow(14)), "free_to": rfc3339(tomorrow(16))}
    found = api.get("/resources", **asked).json()["results"]
    assert [row["name"] for row in found] == ["B near one", "A far one", "D who knows where"]
    assert [row["distance_metres"] is None for row in found] == [False, False, True]
    assert found[0]["distance_metres"] < 1000
    found = api.get("/resources", **asked, **free).json()["results"]
    assert [row["name"] for row in found] == ["B near one", "A far one"]
    refused = api.get("/resources", near="here")
    assert refused.status_code == 400
    assert "near" in refused.json()["errors"]


@pytest.mark.django_db
def test_pages_of_the_nearest_follow_each_other(rooms):
    _, secret = make_api_key(workspace=rooms[0].workspace)
    api, names, query = Api(secret), [], {"near": "-36.85,174.76", "page_size": "1"}
    page = api.get("/resources", **query).json()
    while page["results"]:
        names += [row["name"] for row in page["results"]]
        if not page["next"]:
            break
        page = api.get(page["next"].split("/api/v1")[1]).json()
    assert names == ["B near one", "C near but small", "A far one", "D who knows where"]


@pytest.mark.django_db
def test_when_each_is_next_free_takes_the_same_queries_for_any_number(rooms):
    _, secret = make_api_key(workspace=rooms[0].workspace)
    api = Api(secret)
    with CaptureQueriesContext(connection) as few:
        api.get("/resources", next_free=60, page_size=1)
    with CaptureQueriesContext(connection) as many:
        found = api.get("/resources", next_free=60).json()["results"]
    assert len(found) == 4
    assert all(row["next_free"]["start"] < row["next_free"]["end"] for row in found)
    assert len(many) == len(few)
    assert "next_free" not in api.get("/resources").json()["results"][0]


@pytest.mark.django_db
def test_cards_come_nearest_first_and_say_how_far(rooms, client):
    home = reverse("bookings:workspace", args=[rooms[0].workspace.slug])
    page = client.get(home, {"near": "-36.85,174.76"}).content.decode()
    order = [page.index(f">{room.name}<") for room in rooms]
    assert order[1] < order[2] < order[0] < order[3]
    assert page.count(" away") == 3
    assert "data-near-me" in page
    assert client.get(home, {"near": "nonsense"}).status_code == 200
