"""Who may call, and what they see: keys, scopes, workspaces."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import Resource
from members import api_keys
from members.models import ApiKey
from tests.api.client import Api, claim, problem
from tests.factories import make_api_key, make_room

pytestmark = pytest.mark.django_db
NOWHERE = "0198c1de-4a6f-7cc3-9d0e-3f6f0c0f5a11"


def test_without_a_key_the_answer_asks_for_one(room: Resource) -> None:
    response = Api().get("/resources")
    problem(response, 401, "unauthenticated")
    assert response["WWW-Authenticate"] == 'Bearer realm="surehold"'


@pytest.mark.parametrize("secret", ["sk_unknown", "x" * 500, "sk_ümlaut", "a b c", "sk_\x00"])
def test_a_key_that_is_not_one_is_401(room: Resource, secret: str) -> None:
    response = Api().http.get(
        "/api/v1/resources", HTTP_AUTHORIZATION=f"Bearer {secret}".encode().decode("latin-1")
    )
    problem(response, 401, "unauthenticated")
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_another_scheme_is_no_key(room: Resource) -> None:
    response = Api().http.get("/api/v1/resources", HTTP_AUTHORIZATION="Basic eDp5")
    problem(response, 401, "unauthenticated")


def test_a_revoked_key_is_refused_at_once(room: Resource) -> None:
    key, secret = make_api_key(workspace=room.workspace)
    api = Api(secret)
    assert api.get("/resources").status_code == 200
    api_keys.revoke(key)
    problem(api.get("/resources"), 401, "unauthenticated")


def test_the_services_own_keys_are_found(room: Resource) -> None:
    _, secret = api_keys.create(workspace=room.workspace, name="Kiosk", scope="read")
    assert Api(secret).get("/resources").status_code == 200


def test_a_reading_key_reads_and_changes_nothing(room: Resource) -> None:
    _, secret = make_api_key(workspace=room.workspace, scope=ApiKey.Scope.READ)
    api = Api(secret)
    assert api.get("/bookings").status_code == 200
    problem(api.post("/holds", claim(room)), 403, "insufficient_scope")
    problem(api.delete(f"/holds/{NOWHERE}"), 403, "insufficient_scope")
    assert not room.lines.exists()


def test_authentication_is_one_query(api: Api) -> None:
    with CaptureQueriesContext(connection) as queries:
        problem(api.get(f"/bookings/{NOWHERE}"), 404, "not_found")
    of_keys = [q for q in queries.captured_queries if "members_apikey" in q["sql"]]
    assert len(of_keys) == 1
    assert "members_workspace" in of_keys[0]["sql"]


def test_other_workspaces_ids_are_not_found(api: Api) -> None:
    """INV-9: nothing tells a stranger's row from one that never was."""
    other_room = make_room()
    _, other_secret = make_api_key(workspace=other_room.workspace)
    hold = Api(other_secret).hold(other_room)
    booking = hold["booking"]["id"]
    window = {"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}
    span = {"start": "2030-01-01T00:00:00Z", "end": "2030-01-02T00:00:00Z"}
    urls = {"success_url": "https://x.test/ok", "cancel_url": "https://x.test/no"}
    for response in (
        api.get(f"/resources/{other_room.id}"),
        api.get(f"/resources/{other_room.id}/availability", **window),
        api.get(f"/resources/{other_room.id}/explain", **span),
        api.get(f"/holds/{hold['id']}"),
        api.delete(f"/holds/{hold['id']}"),
        api.post(f"/holds/{hold['id']}/extend"),
        api.post(f"/holds/{hold['id']}/checkout", urls),
        api.get(f"/bookings/{booking}"),
        api.get(f"/bookings/{booking}/events"),
    ):
        problem(response, 404, "not_found")
    problem(api.post("/holds", claim(other_room)), 422, "unknown_resource")
    assert api.get("/bookings").json()["results"] == []
    assert api.get("/bookings", resource=str(other_room.id)).json()["results"] == []
    names = {row["id"] for row in api.get("/resources").json()["results"]}
    assert str(other_room.id) not in names
    assert Api(other_secret).get(f"/holds/{hold['id']}").json()["state"] == "active"


def test_another_workspaces_token_is_no_token(api: Api, room: Resource) -> None:
    other_room = make_room()
    _, other_secret = make_api_key(workspace=other_room.workspace)
    theirs = Api(other_secret).hold(other_room)
    mine = api.hold(room, token=theirs["token"])
    assert mine["id"] != theirs["id"]
    assert Api(other_secret).get(f"/holds/{theirs['id']}").json()["state"] == "active"


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/resources/", "/bookings/not-a-uuid", "/holds/1/extend", "/%00"]
)
def test_unknown_addresses_are_problems(api: Api, path: str) -> None:
    problem(api.get(path), 404, "not_found")


def test_wrong_methods_are_problems(api: Api) -> None:
    problem(api.delete("/resources"), 405, "method_not_allowed")
    problem(api.get("/holds"), 405, "method_not_allowed")
