"""What is booked by days over HTTP, and times that come twice."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest

from bookings.models import OpeningException, Resource
from tests.api.client import Api, problem
from tests.factories import make_room

pytestmark = pytest.mark.django_db
AUCKLAND = ZoneInfo("Pacific/Auckland")


@pytest.fixture
def cabin(room: Resource) -> Any:
    return make_room(workspace=room.workspace, location=room.location, booking_unit="day",
                     max_days=7, horizon_opens_at=time(9))  # fmt: skip


def midnight(ahead: int = 10) -> datetime:
    here = datetime.now(AUCKLAND) + timedelta(days=ahead)
    return here.replace(hour=0, minute=0, second=0, microsecond=0)


def test_the_rules_say_how_days_are_booked(api: Api, room: Resource, cabin: Any) -> None:
    rules = api.get(f"/resources/{cabin.id}").json()["rules"]
    assert {key: rules[key] for key in rules if "day" in key or key.endswith(("unit", "_at"))} == {
        "booking_unit": "day", "day_starts_at": "15:00", "day_ends_at": "11:00", "min_days": 1,
        "max_days": 7, "horizon_days": 365, "horizon_opens_at": "09:00",
    }  # fmt: skip
    plain = api.get(f"/resources/{room.id}").json()["rules"]
    assert (plain["booking_unit"], plain["min_days"], plain["day_starts_at"]) == ("time",) + (
        None,
    ) * 2


def test_slots_of_so_many_days_can_be_held(api: Api, room: Resource, cabin: Any) -> None:
    start = midnight()
    asked = {"from": start.isoformat(), "to": (start + timedelta(days=4)).isoformat(), "days": "2"}
    body = api.get(f"/resources/{cabin.id}/availability", **asked).json()
    assert [slot["days"] for slot in body["slots"]] == [2] * 4
    first = body["slots"][0]
    assert first["local_start"] == start.replace(hour=15).isoformat()
    line = {"resource": str(cabin.id), "start": first["start"], "end": first["end"]}
    assert api.post("/holds", {"lines": [line]}).status_code == 201
    left = api.get(f"/resources/{cabin.id}/availability", **asked).json()["slots"]
    assert left == body["slots"][2:]
    short = {**line, "end": first["start"].replace(first["start"][11:16], "03:00")}
    refused = problem(api.post("/holds", {"lines": [short]}), 422, "window_not_allowed")
    assert refused["detail"]
    body = api.get(f"/resources/{room.id}/availability", **asked)
    assert list(problem(body, 400, "invalid")["errors"]) == ["days"]


def test_why_not_names_the_exception(api: Api, cabin: Any) -> None:
    start = midnight().replace(hour=15)
    OpeningException.objects.create(location=cabin.location, day=start.date(), label="Flood")
    end = (start + timedelta(days=1)).replace(hour=11)
    answer = api.get(f"/resources/{cabin.id}/explain", start=start.isoformat(), end=end.isoformat())
    (reason,) = answer.json()["reasons"]
    assert reason["code"] == "hours"
    assert "Flood" in reason["detail"]


def test_an_hour_that_comes_twice_is_labelled(api: Api, room: Resource) -> None:
    room.location.timezone = "Europe/Berlin"
    room.location.save()
    now = datetime(2027, 10, 30, 12, tzinfo=UTC)
    asked = {"from": "2027-10-31T00:00:00Z", "to": "2027-10-31T02:00:00Z", "duration": "60",
             "step": "60"}  # fmt: skip
    with patch("bookings.availability._uses", lambda *_: (now, {room.pk: []})):
        found = api.get(f"/resources/{room.id}/availability", **asked).json()["slots"]
    assert [(slot["local_start"], slot["label"]) for slot in found] == [
        ("2027-10-31T02:00:00+02:00", "summer time"),
        ("2027-10-31T02:00:00+01:00", "standard time"),
    ]
