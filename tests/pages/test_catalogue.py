"""The front door, the workspace's home, its search line."""

from datetime import time
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.factories import (
    BlockFactory,
    LocationFactory,
    ResourceFactory,
    WorkspaceFactory,
    at,
    make_pool,
    make_room,
)
from tests.pages.support import text

pytestmark = pytest.mark.django_db


def test_front_door_leads_to_the_only_workspace(client: Client) -> None:
    make_room(workspace=WorkspaceFactory(slug="only"))
    assert client.get("/").headers["Location"] == "/w/only/"


def test_front_door_lists_several_workspaces_and_says_what_to_do_with_none(client: Client) -> None:
    assert "There is nothing to book here yet" in text(client.get("/"))
    WorkspaceFactory(name="North"), WorkspaceFactory(name="South")
    words = text(client.get("/"))
    assert "North" in words
    assert "South" in words


def test_home_shows_price_seats_and_when_next(client: Client) -> None:
    room = make_room(name="Rimu", min_seconds=3600)
    words = text(client.get(f"/w/{room.workspace.slug}/"))
    assert "Rimu" in words
    assert "6 seats" in words
    assert "NZ$45.00 / 1 h" in words
    assert "Today" in words or "Tomorrow" in words


def test_home_without_resources_says_whom_to_ask(client: Client) -> None:
    empty = WorkspaceFactory()
    words = text(client.get(f"/w/{empty.slug}/"))
    assert "has not opened anything for booking" in words
    assert "desk@example.test" in words


def test_home_of_nobody_is_a_page_that_says_so(client: Client) -> None:
    answer = client.get("/w/nobody/")
    assert answer.status_code == 404
    assert "There is nothing here" in text(answer)


def test_search_keeps_what_is_free_then_and_large_enough(client: Client) -> None:
    workspace = WorkspaceFactory(timezone="UTC")
    place = LocationFactory(workspace=workspace)
    common: dict[str, Any] = {"workspace": workspace, "location": place}
    ResourceFactory(name="Small", seats=2, **common)
    large = ResourceFactory(name="Large", seats=40, **common)
    busy = ResourceFactory(name="Busy", seats=40, **common)
    BlockFactory(resource=busy, during=(at(0), at(24)))
    query = {"when": f"{at(10):%Y-%m-%d}", "after": "10:00", "minutes": "60", "many": "10"}
    answer = client.get(f"/w/{workspace.slug}/", query)
    words = text(answer)
    assert "Large" in words
    assert "Small" not in words
    assert "Busy" not in words
    assert f"{large.slug}/?start={at(10):%Y-%m-%d}T10%3A00Z" in answer.content.decode()


def test_search_that_fits_nothing_offers_everything(client: Client) -> None:
    room = make_room(seats=2)
    words = text(client.get(f"/w/{room.workspace.slug}/", {"many": "500"}))
    assert "Nothing fits all of that" in words
    assert "Show everything" in words


@pytest.mark.parametrize(
    "query",
    [
        "when=nonsense&minutes=7&many=-3",
        "after=99:99",
        "many=999999999999999999999",
        "when=9999-12-31",
    ],
)
def test_a_nonsense_search_still_shows_the_place(client: Client, query: str) -> None:
    room = make_room(name="Rimu")
    assert client.get(f"/w/{room.workspace.slug}/?{query}").status_code == 200


def test_a_search_by_place(client: Client) -> None:
    workspace = WorkspaceFactory()
    north = LocationFactory(workspace=workspace, slug="north", name="North")
    south = LocationFactory(workspace=workspace, slug="south", name="South")
    ResourceFactory(workspace=workspace, location=north, name="Northern room")
    ResourceFactory(workspace=workspace, location=south, name="Southern room")
    words = text(client.get(f"/w/{workspace.slug}/", {"where": "north"}))
    assert "Northern room" in words
    assert "Southern room" not in words


def test_closed_resources_say_so(client: Client) -> None:
    workspace = WorkspaceFactory()
    shut = LocationFactory(workspace=workspace, hours=[])
    ResourceFactory(workspace=workspace, location=shut)
    assert "Nothing free within two weeks" in text(client.get(f"/w/{workspace.slug}/"))


def test_home_costs_the_same_queries_however_much_there_is(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    workspace = WorkspaceFactory()
    place = LocationFactory(workspace=workspace, hours=[(d, time(9), time(17)) for d in range(7)])
    for count in (1, 8):
        for _ in range(count):
            ResourceFactory(workspace=workspace, location=place)
            make_pool(workspace=workspace, location=place)
        with django_assert_num_queries(6):
            client.get(f"/w/{workspace.slug}/")


def test_brand_colour_is_a_stylesheet_of_its_own(client: Client) -> None:
    room = make_room(workspace=WorkspaceFactory(slug="blue", accent="#1a4fb4"))
    assert "/w/blue/brand.css" in client.get(f"/w/blue/{room.slug}/").content.decode()
    answer = client.get("/w/blue/brand.css")
    assert answer.content == b":root{--brand:#1a4fb4}"
    assert answer.headers["Content-Type"] == "text/css"


def test_pages_allow_no_inline_script_or_style_and_need_none(client: Client) -> None:
    room = make_room()
    for path in (f"/w/{room.workspace.slug}/", f"/w/{room.workspace.slug}/{room.slug}/", "/my/"):
        answer = client.get(path)
        page = answer.content.decode()
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert " style=" not in page
        assert "<style" not in page
        assert " onclick" not in page
        assert "<script>" not in page
