"""POST, GET and DELETE of /waitlist: idempotent, scoped, paged, as described."""

from typing import Any

import pytest

from bookings.models import Resource
from config.api import rfc3339
from holds import offering
from members.models import ApiKey, Workspace
from tests.api.client import Api, problem
from tests.api.test_schema import conforms
from tests.factories import at, make_api_key, make_room

pytestmark = pytest.mark.django_db


def body(room: Resource, who: str = "ana", hour: float = 10, hours: float = 1, **more: Any) -> Any:
    window = {"start": rfc3339(at(hour)), "end": rfc3339(at(hour + hours))}
    member = {"email": f"{who}@example.test", "name": who.title()}
    return {"resource": str(room.pk), "member": member} | window | more


def test_join_read_offer_and_leave(api: Api, room: Resource, schema: Any) -> None:
    held = api.hold(room)
    answer = api.post("/waitlist", body(room))
    conforms(schema, "/waitlist", "post", answer)
    assert answer.status_code == 201
    entry = answer.json()
    assert (entry["state"], entry["duration"], entry["offer"]) == ("waiting", 60, None)
    path = f"/waitlist/{entry['id']}"
    again = api.post("/waitlist", body(room))
    assert (again.status_code, again.json()["id"]) == (200, entry["id"])

    api.delete(f"/holds/{held['id']}")
    assert offering.offer(room.pk) == 1
    read = api.get(path)
    conforms(schema, "/waitlist/{entry_id}", "get", read)
    offer = read.json()["offer"]
    assert read.json()["state"] == "offered"
    assert api.get(f"/holds/{offer['hold']}").json()["state"] == "active"

    for _ in range(2):
        left = api.delete(path)
        assert left.status_code == 204
    conforms(schema, "/waitlist/{entry_id}", "delete", left)
    assert api.get(path).json()["state"] == "left"
    assert api.get(f"/holds/{offer['hold']}").json()["state"] == "released"


def test_a_key_repeats_one_answer(api: Api, room: Resource) -> None:
    api.hold(room)
    first = api.post("/waitlist", body(room), key="once")
    second = api.post("/waitlist", body(room), key="once")
    assert second.content == first.content
    assert second["Idempotent-Replayed"] == "true"
    problem(api.post("/waitlist", body(room, "ben"), key="once"), 422, "idempotency_key_reused")
    problem(api.post("/waitlist", body(room), key=None), 400, "idempotency_key_required")


def test_refusals(api: Api, room: Resource) -> None:
    free = problem(api.post("/waitlist", body(room)), 409, "slot_free")
    assert (free["start"], free["end"]) == (rfc3339(at(10)), rfc3339(at(11)))
    api.hold(room)
    wrong = [
        (body(room, quantity=2), 422, "window_not_allowed"),
        (body(room, duration=90), 400, "invalid"),
        (body(room, hours=0), 400, "invalid"),
        (body(make_room()), 422, "unknown_resource"),
        (body(room, member={}), 400, "invalid"),
        (body(room) | {"member": {"name": "Ana"}}, 400, "invalid"),
        (body(room, surprise=1), 400, "invalid"),
    ]
    for sent, status, code in wrong:
        problem(api.post("/waitlist", sent), status, code)
    Workspace.objects.filter(pk=room.workspace_id).update(max_waiting_per_member=0)
    answer = api.post("/waitlist", body(room))
    problem(answer, 429, "too_many_waiting")
    assert int(answer["Retry-After"]) > 0


def test_the_list_is_in_order_filtered_and_paged(api: Api, room: Resource, schema: Any) -> None:
    api.hold(room)
    ids = [api.post("/waitlist", body(room, who)).json()["id"] for who in ("ana", "ben", "cho")]
    page = api.get("/waitlist", page_size=2)
    conforms(schema, "/waitlist", "get", page)
    assert [e["id"] for e in page.json()["results"]] == ids[:2]
    rest = api.http.get(page.json()["next"], headers=api._headers())
    assert [e["id"] for e in rest.json()["results"]] == ids[2:]
    api.delete(f"/waitlist/{ids[0]}")
    waiting = api.get("/waitlist", state="waiting", resource=str(room.pk)).json()["results"]
    assert [e["id"] for e in waiting] == ids[1:]
    assert len(api.get("/waitlist", email="BEN@example.test").json()["results"]) == 1
    problem(api.get("/waitlist", state="lost"), 400, "invalid")


def test_other_workspaces_and_reading_keys(api: Api, room: Resource) -> None:
    api.hold(room)
    path = f"/waitlist/{api.post('/waitlist', body(room)).json()['id']}"
    stranger = Api(make_api_key(workspace=make_room().workspace)[1])
    for response in (stranger.get(path), stranger.delete(path)):
        problem(response, 404, "not_found")
    assert stranger.get("/waitlist").json()["results"] == []
    reader = Api(make_api_key(workspace=room.workspace, scope=ApiKey.Scope.READ)[1])
    assert reader.get(path).status_code == 200
    problem(reader.delete(path), 403, "insufficient_scope")
    problem(reader.post("/waitlist", body(room, "ben")), 403, "insufficient_scope")
    assert api.get(path).json()["state"] == "waiting"
