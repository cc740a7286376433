"""The resource page: a week of free and taken times, choosing, staying current."""

import gzip
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.factories import (
    BlockFactory,
    LocationFactory,
    WorkspaceFactory,
    at,
    make_pool,
    make_room,
)
from tests.pages.support import address, at_param, choose, form_to, forms, text

pytestmark = pytest.mark.django_db


def utc_room(**overrides: Any) -> Any:
    workspace = WorkspaceFactory(timezone="UTC")
    return make_room(workspace=workspace, location__workspace=workspace, **overrides)


def test_a_week_of_starts_each_a_button(client: Client) -> None:
    room = utc_room(step_seconds=3600, min_seconds=3600)
    answer = client.get(address(room), {"day": f"{at(0, days=2):%Y-%m-%d}"})
    values = [button.get("value") for button in form_to(answer, address(room)).buttons]
    assert at_param(at(9, days=2)) in values
    assert at_param(at(23, days=5)) in values


def test_taken_time_is_shown_and_offers_no_button(client: Client) -> None:
    room = utc_room(step_seconds=3600, min_seconds=3600)
    BlockFactory(resource=room, during=(at(9, days=2), at(11, days=2)))
    answer = client.get(address(room), {"day": f"{at(0, days=2):%Y-%m-%d}"})
    form = form_to(answer, address(room))
    assert at_param(at(9, days=2)) not in [b.get("value") for b in form.buttons]
    assert [b["class"] for b in form.buttons if "disabled" in b and "class" in b].count("t") == 2


def test_choosing_shows_window_price_and_a_button_that_holds(client: Client) -> None:
    room = utc_room()
    answer = choose(client, room, at(10), minutes=90)
    words = text(answer)
    assert f"{at(10):%a} {at(10).day} {at(10):%b}, 10:00–11:30, UTC" in words
    assert "NZ$67.50" in words
    assert "Hold it for 15 minutes" in words
    held = form_to(answer, "/hold/")
    assert held.method == "post"
    assert {"csrfmiddlewaretoken", "request_id", "start", "end", "quantity"} <= set(held.fields)


def test_too_long_a_wish_becomes_what_fits(client: Client) -> None:
    room = utc_room()
    BlockFactory(resource=room, during=(at(11), at(12)))
    words = text(choose(client, room, at(10), minutes=180))
    assert "Only 1 h are free from then." in words
    assert "10:00–11:00" in words


def test_a_start_that_is_gone_says_so_instead_of_a_button(client: Client) -> None:
    room = utc_room()
    BlockFactory(resource=room, during=(at(10), at(12)))
    answer = choose(client, room, at(10))
    assert "That time is not free" in text(answer)
    assert not [form for form in forms(answer) if form.action.endswith("/hold/")]


def test_full_and_closed_weeks_say_what_to_do(client: Client) -> None:
    room = utc_room()
    now = datetime.now(UTC)
    BlockFactory(resource=room, during=(now - timedelta(days=1), now + timedelta(days=30)))
    assert "Everything is taken this week" in text(client.get(address(room)))
    shut = make_room(location=LocationFactory(workspace=room.workspace, hours=[]),
                     workspace=room.workspace)  # fmt: skip
    assert "Closed all week" in text(client.get(address(shut)))


def test_a_pool_counts_down_what_is_left(client: Client) -> None:
    pool = make_pool()
    BlockFactory(resource=pool, during=(at(0), at(24)), quantity=4)
    query = {"day": f"{at(12):%Y-%m-%d}", "quantity": "7"}
    assert "7 left" in text(client.get(address(pool), query))
    query["quantity"] = "8"
    assert "7 left" not in text(client.get(address(pool), query))


@pytest.mark.parametrize(
    "query",
    [
        "at=nonsense&minutes=abc&quantity=-1&from=x&day=2020-99-99",
        "at=9999-12-31T23:59Z&minutes=999999999999999999999999",
        "at=0001-01-01T00:00Z&day=0001-01-01&from=9999-12-31",
        "quantity=999999999999999999999&minutes=0",
        "start=2030-01-01T00:00%2B99:00",
    ],
)
def test_a_nonsense_address_still_shows_the_place(client: Client, query: str) -> None:
    room = utc_room()
    assert client.get(f"{address(room)}?{query}").status_code == 200


def test_what_is_not_bookable_is_not_found(client: Client) -> None:
    room = utc_room(is_active=False)
    assert client.get(address(room)).status_code == 404
    assert client.get(f"/w/{room.workspace.slug}/none/").status_code == 404


def test_the_page_keeps_itself_current(client: Client) -> None:
    room = utc_room()
    page = choose(client, room, at(10)).content.decode()
    assert f'hx-get="{address(room)}week/?' in page
    assert 'hx-trigger="every 10s, look"' in page
    query = {"at": at_param(at(10)), "minutes": "60"}
    part = client.get(f"{address(room)}week/", query, headers={"HX-Request": "true"})
    assert part.content.decode().startswith('<div id="week"')
    assert "picked" not in part.content.decode()
    BlockFactory(resource=room, during=(at(10), at(11)))
    part = client.get(f"{address(room)}week/", query, headers={"HX-Request": "true"})
    assert "That time is not free" in text(part)
    assert 'hx-swap-oob="outerHTML"' in part.content.decode()
    assert client.get(f"{address(room)}week/", query).headers["Location"].startswith(address(room))


def test_the_days_that_the_clocks_change_have_their_hours(client: Client) -> None:
    """Berlin: 29 March 2026 skips 02:00 to 03:00, 25 October has it twice."""
    workspace = WorkspaceFactory(timezone="Europe/Berlin")
    room = make_room(workspace=workspace, step_seconds=3600, min_seconds=3600,
                     location__workspace=workspace)  # fmt: skip
    for day, skipped, twice in (("2026-03-29", True, False), ("2026-10-25", False, True)):
        now = datetime.fromisoformat(f"{day}T00:00+00:00") - timedelta(days=2)
        with (
            patch("bookings.views.clock.now", lambda now=now: now),
            patch("bookings.availability._uses", lambda *_, now=now: (now, {room.pk: []})),
        ):
            words = text(client.get(address(room), {"day": day}))
        starts = words.split("Morning")[-1].split("Afternoon")[0].split()
        assert ("02:00" not in starts) is skipped
        assert starts.count("02:00") == (2 if twice else 0 if skipped else 1)
        assert ("02:00 (summer time)" in words) is twice
        assert ("02:00 (standard time)" in words) is twice


def test_the_week_costs_the_same_queries_however_full_it_is(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    room = utc_room()
    for hours in (range(0), range(0, 20, 2)):
        for hour in hours:
            BlockFactory(resource=room, during=(at(hour), at(hour + 1)))
        with django_assert_num_queries(5):
            client.get(address(room), {"day": f"{at(0):%Y-%m-%d}"})


def test_page_weight_without_pictures(client: Client) -> None:
    """A week of half hours, with everything the page loads as production delivers it (static files
    compressed by whitenoise, the page itself as it is)."""
    hours = [(day, time(7), time(21)) for day in range(7)]
    room = utc_room(step_seconds=1800, min_seconds=3600, hours=hours)
    page = choose(client, room, at(10))
    paths = set()
    for part in page.content.decode().split('"'):
        if part.startswith("/static/"):
            paths.add(part)
    files = [finders.find(path.removeprefix("/static/")) for path in paths]
    assert len(files) >= 6
    sizes = [len(gzip.compress(Path(found).read_bytes())) for found in files if found]
    assert len(page.content) + sum(sizes) < 60_000
    assert Path(finders.find("surehold.css") or "").stat().st_size < 30_000
