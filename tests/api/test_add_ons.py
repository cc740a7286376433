"""Pools, add-ons and bundles over HTTP: what is offered, held, shown and refused."""

from typing import Any

import pytest

from bookings.models import Booking, Resource
from config.api import rfc3339
from holds.models import Hold
from tests.api.client import Api, claim, line, problem
from tests.api.test_schema import conforms
from tests.core.raw import sql
from tests.factories import BlockFactory, at, make_add_on, make_pool

pytestmark = pytest.mark.django_db


@pytest.fixture
def bikes(room: Resource) -> Resource:
    return make_pool(workspace=room.workspace, location=room.location, capacity=3)


@pytest.fixture
def helmets(bikes: Resource) -> Resource:
    return make_add_on(bikes, price_kind="per_hour", amount_minor=200, max_per_unit=2).pool


def with_(what: dict[str, Any], *add_ons: tuple[Resource, int]) -> dict[str, Any]:
    chosen = [{"resource": str(pool.pk), "quantity": many} for pool, many in add_ons]
    return {**what, "add_ons": chosen}


def nz(minor: int) -> dict[str, Any]:
    return {"amount_minor": minor, "currency": "NZD"}


def test_a_resource_says_what_it_offers(
    api: Api, bikes: Resource, helmets: Resource, schema: Any
) -> None:
    make_add_on(bikes, is_required=True, position=1)
    answer = api.get(f"/resources/{bikes.pk}")
    conforms(schema, "/resources/{resource_id}", "get", answer)
    first, second = answer.json()["add_ons"]
    assert first == {
        "resource": str(helmets.pk),
        "name": "Helmet",
        "required": False,
        "max_per_unit": 2,
        "price": {"kind": "per_hour", "label": "Helmet", "amount": nz(200)},
    }
    assert second["required"] is True


def test_what_is_only_an_add_on_is_not_listed(api: Api, bikes: Resource, helmets: Resource) -> None:
    Resource.objects.filter(pk=helmets.pk).update(only_with_others=True)
    names = {each["name"] for each in api.get("/resources").json()["results"]}
    assert bikes.name in names
    assert "Helmet" not in names
    assert api.get(f"/resources/{helmets.pk}").json()["only_with_others"] is True
    problem(api.post("/holds", claim(helmets)), 422, "only_with_others")


def test_add_ons_are_held_with_their_line_and_shown_in_it(
    api: Api, bikes: Resource, helmets: Resource, schema: Any
) -> None:
    asked = with_(line(bikes, 10, 2, quantity=2), (helmets, 3))
    answer = api.post("/holds", {"lines": [asked, line(bikes, 14)]})
    conforms(schema, "/holds", "post", answer)
    held = answer.json()
    first, second = held["booking"]["lines"]
    assert (first["quantity"], first["amount"]) == (2, nz(2 * 2 * 4500))
    assert first["add_ons"] == [
        {"resource": str(helmets.pk), "quantity": 3, "amount": nz(3 * 2 * 200)}
    ]
    assert second["add_ons"] == []
    assert held["booking"]["total"] == nz(18000 + 1200 + 4500)
    read = api.get(f"/bookings/{held['booking']['id']}")
    conforms(schema, "/bookings/{booking_id}", "get", read)
    assert read.json()["lines"] == held["booking"]["lines"]
    again = api.post("/holds", {"lines": [line(bikes, 14), asked], "token": held["token"]})
    assert again.json()["id"] == held["id"]
    assert Hold.objects.count() == 1


def test_a_wrong_add_on_is_named_with_its_line(
    api: Api, bikes: Resource, helmets: Resource, schema: Any
) -> None:
    other = make_pool(workspace=bikes.workspace)
    lines = [line(bikes, 14), with_(line(bikes, 10), (helmets, 1), (other, 1))]
    answer = api.post("/holds", {"lines": lines})
    conforms(schema, "/holds", "post", answer)
    body = problem(answer, 422, "add_on_not_allowed")
    assert (body["line"], body["add_on"], body["rule"]) == (1, 1, "not_offered")
    assert body["resource"] == str(other.pk)
    many = with_(line(bikes, 10), (helmets, 3))
    body = problem(api.post("/holds", {"lines": [many]}), 422, "add_on_not_allowed")
    assert (body["rule"], body["most"]) == ("quantity", 2)
    make_add_on(bikes, other, is_required=True)
    body = problem(api.post("/holds", claim(bikes)), 422, "add_on_not_allowed")
    assert (body["line"], body["add_on"], body["least"]) == (0, None, 1)
    assert not Booking.objects.exists()


def test_the_nearest_time_is_one_at_which_the_whole_bundle_fits(
    api: Api, room: Resource, bikes: Resource, helmets: Resource, schema: Any
) -> None:
    """The room is free at 11, two bikes are at 12, their helmets at 13: all of it is at 14."""
    api.hold(room, 10, 1)
    BlockFactory(resource=bikes, during=(at(9), at(12)), quantity=2)
    BlockFactory(resource=bikes, during=(at(15), at(15.5)), quantity=2)
    BlockFactory(resource=helmets, during=(at(9), at(13.5)), quantity=3)
    lines = [line(room, 10, 1), with_(line(bikes, 10.5, 1, quantity=2), (helmets, 2))]
    answer = api.post("/holds", {"lines": lines})
    conforms(schema, "/holds", "post", answer)
    body = problem(answer, 409, "slot_taken")
    assert (body["line"], body["add_on"], body["remaining"]) == (0, None, 0)
    assert body["next_free"] == {"start": rfc3339(at(13)), "end": rfc3339(at(14))}
    lines[0] |= body["next_free"]
    lines[1] |= {"start": rfc3339(at(13.5)), "end": rfc3339(at(14.5))}
    assert api.post("/holds", {"lines": lines}).status_code == 201


def test_it_is_told_by_the_line_that_failed(api: Api, room: Resource, bikes: Resource) -> None:
    BlockFactory(resource=bikes, during=(at(9), at(12)), quantity=2)
    lines = [line(room, 8, 1), line(bikes, 11, 2, quantity=2)]
    body = problem(api.post("/holds", {"lines": lines}), 409, "slot_taken")
    assert (body["line"], body["remaining"]) == (1, 1)
    assert body["detail"] == "Only 1 is left for that time."
    assert body["next_free"] == {"start": rfc3339(at(12)), "end": rfc3339(at(14))}
    assert not Booking.objects.exists()


def test_lines_of_one_pool_count_together_in_the_nearest_time_too(
    api: Api, bikes: Resource
) -> None:
    BlockFactory(resource=bikes, during=(at(9), at(10)), quantity=1)
    lines = [line(bikes, 9, 1, quantity=2), line(bikes, 9.5, 1, quantity=1)]
    body = problem(api.post("/holds", {"lines": lines}), 409, "slot_taken")
    assert (body["line"], body["remaining"]) == (1, 0)
    assert body["next_free"] == {"start": rfc3339(at(10)), "end": rfc3339(at(11))}


def test_nothing_fits_within_two_weeks(api: Api, bikes: Resource) -> None:
    BlockFactory(resource=bikes, during=(at(0), at(0, days=60)), quantity=2)
    body = problem(api.post("/holds", {"lines": [line(bikes, quantity=2)]}), 409, "slot_taken")
    assert (body["next_free"], body["remaining"]) == (None, 1)


def test_ones_own_hold_is_not_in_the_way_of_the_nearest_time(api: Api, bikes: Resource) -> None:
    mine = api.post("/holds", {"lines": [line(bikes, 12, quantity=3)]}).json()
    api.post("/holds", {"lines": [line(bikes, 11, quantity=1)]})
    body = problem(
        api.post("/holds", {"lines": [line(bikes, 11, quantity=3)], "token": mine["token"]}),
        409,
        "slot_taken",
    )
    assert body["remaining"] == 2
    assert body["next_free"] == {"start": rfc3339(at(12)), "end": rfc3339(at(13))}
    assert api.get(f"/holds/{mine['id']}").json()["state"] == "active"


def test_search_by_category_finds_the_places_with_enough_units(
    api: Api, room: Resource, bikes: Resource
) -> None:
    """One model's pools over several locations, buffers included."""
    kind = bikes.category
    far = make_pool(workspace=room.workspace, category=kind, capacity=5, buffer_after_seconds=3600)
    asked: dict[str, Any] = {
        "category": kind.slug, "free_from": rfc3339(at(10)), "free_to": rfc3339(at(12)),
    }  # fmt: skip

    def found(quantity: int) -> set[str]:
        return {
            each["id"]
            for each in api.get("/resources", **asked, quantity=str(quantity)).json()["results"]
        }

    assert found(3) == {str(bikes.pk), str(far.pk)}
    assert found(4) == {str(far.pk)}
    BlockFactory(resource=far, during=(at(12), at(13)), quantity=2)
    assert found(4) == set()
    assert found(3) == {str(bikes.pk), str(far.pk)}


def test_moving_a_line_over_http_takes_its_add_ons_along(
    api: Api, bikes: Resource, helmets: Resource, schema: Any
) -> None:
    held = api.post("/holds", {"lines": [with_(line(bikes, 10), (helmets, 1))]}).json()
    booking_id = held["booking"]["id"]
    sql("UPDATE bookings_occupancy SET lapses_at = NULL WHERE booking_id = %s", booking_id)
    sql("UPDATE holds_hold SET state = 'confirmed', version = 1 WHERE id = %s", held["id"])
    sql("UPDATE bookings_booking SET state = 'confirmed', version = 1 WHERE id = %s", booking_id)
    wish = {"lines": [{"line": 0, "start": rfc3339(at(12)), "end": rfc3339(at(13))}]}
    answer = api.post(f"/bookings/{booking_id}/reschedule", wish)
    conforms(schema, "/bookings/{booking_id}/reschedule", "post", answer)
    (moved,) = answer.json()["booking"]["lines"]
    assert moved["start"] == rfc3339(at(12))
    assert moved["add_ons"] == [{"resource": str(helmets.pk), "quantity": 1, "amount": nz(200)}]
    BlockFactory(resource=helmets, during=(at(15), at(16)), quantity=4)
    wish = {"lines": [{"line": 0, "start": rfc3339(at(15)), "end": rfc3339(at(16))}]}
    body = problem(api.post(f"/bookings/{booking_id}/reschedule", wish), 409, "slot_taken")
    assert (body["line"], body["add_on"], body["remaining"]) == (0, 0, 0)
    assert body["next_free"] == {"start": rfc3339(at(16)), "end": rfc3339(at(17))}
    longer = {"lines": [{"line": 0, "start": rfc3339(at(12)), "end": rfc3339(at(14))}]}
    pending = api.post(f"/bookings/{booking_id}/reschedule", longer)
    conforms(schema, "/bookings/{booking_id}/reschedule", "post", pending)
    assert pending.json()["difference"] == nz(4500 + 200)
    (line_to_be,) = pending.json()["booking"]["change"]["lines"]
    assert line_to_be["add_ons"] == [
        {"resource": str(helmets.pk), "quantity": 1, "amount": nz(400)}
    ]
