"""Subscribers over HTTP: made, changed, tested, rotated, and what they were told."""

import base64
from typing import Any

import pytest
from django.db import connection

from bookings.models import Resource
from members import webhook_endpoints
from members.models import ApiKey, IdempotencyKey, Workspace
from members.webhook_models import MOST_ENDPOINTS, WebhookDelivery, WebhookEndpoint
from members.webhook_types import TYPES
from tests.api.client import Api, problem
from tests.api.test_schema import conforms
from tests.factories import WorkspaceFactory, make_api_key
from tests.support.receiver import Receiver, _receiving, receiver  # noqa: F401
from tests.webhooks.support import deliveries, send, subscribe, tell

pytestmark = pytest.mark.django_db
ROOT = "/webhook-endpoints"
OURS = "http://127.0.0.1:9/in"


def made(api: Api, **body: Any) -> Any:
    response = api.post(ROOT, {"url": OURS} | body)
    assert response.status_code == 201, response.content
    return response.json()


def test_a_secret_is_shown_once_and_kept_encrypted(api: Api) -> None:
    shown = made(api, events=["booking.confirmed"], description="Our shop")
    secret = shown["secret"]
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert WebhookEndpoint.objects.get().secret == secret
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM members_webhookendpoint")
        assert secret not in cursor.fetchone()[0]
    read = api.get(f"{ROOT}/{shown['id']}").json()
    assert read == {name: value for name, value in shown.items() if name != "secret"}
    assert api.get(ROOT).json()["results"] == [read]


def test_a_repetition_gets_the_same_secret_which_is_nowhere_in_the_clear(api: Api) -> None:
    first = api.post(ROOT, {"url": OURS}, key="k")
    again = api.post(ROOT, {"url": OURS}, key="k")
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert WebhookEndpoint.objects.count() == 1
    assert first.json()["secret"] not in IdempotencyKey.objects.get().body
    problem(api.post(ROOT, {"url": OURS}, key=None), 400, "idempotency_key_required")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "ftp://club.example/"}, "url"),
        ({"url": "https://me:secret@club.example/"}, "url"),
        ({"url": "https://club.example:99999/"}, "url"),
        ({"url": "https://club.example/" + "x" * 1000}, "url"),
        ({"url": 7}, "url"),
        ({"url": OURS, "events": ["booking.eaten"]}, "events"),
        ({"url": OURS, "events": "booking.confirmed"}, "events"),
        ({"url": OURS, "events": [1]}, "events.0"),
        ({"url": OURS, "description": "x" * 201}, "description"),
        ({"url": OURS, "secret": "whsec_mine"}, "secret"),
    ],
)
def test_bad_input_names_the_field(api: Api, body: Any, field: str) -> None:
    assert list(problem(api.post(ROOT, body), 400, "invalid")["errors"]) == [field]
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://club.example/", "This must start with https://."),
        ("https://127.0.0.1/", "This address is a private one."),
        ("https://169.254.169.254/latest/", "This address is a private one."),
        ("https://[::1]/", "This address is a private one."),
    ],
)
def test_in_production_an_address_is_public_and_https(
    api: Api, settings: Any, url: str, said: str
) -> None:
    shown = made(api)
    settings.OUTBOUND_PRIVATE_ADDRESSES = False
    refused = problem(api.post(ROOT, {"url": url}), 400, "invalid")
    assert refused["errors"] == {"url": [said]}
    problem(api.patch(f"{ROOT}/{shown['id']}", {"url": url}), 400, "invalid")
    assert WebhookEndpoint.objects.get().url == OURS


def test_there_are_no_more_than_so_many(api: Api, room: Resource) -> None:
    for n in range(MOST_ENDPOINTS):
        subscribe(room.workspace, f"{OURS}{n}")
    problem(api.post(ROOT, {"url": OURS}), 422, "too_many_webhook_endpoints")
    webhook_endpoints.delete(WebhookEndpoint.objects.latest("created_at").pk)
    made(api)


def test_changed_disabled_and_enabled(api: Api, room: Resource) -> None:
    shown = made(api)
    path = f"{ROOT}/{shown['id']}"
    changed = api.patch(path, {"url": f"{OURS}2", "events": ["hold.placed"], "description": "B"})
    assert (changed.status_code, changed.json()["url"]) == (200, f"{OURS}2")
    assert Workspace.objects.get(pk=room.workspace_id).webhook_types == ["hold.placed"]
    assert api.patch(path, {}).json() == changed.json()
    off = api.patch(path, {"enabled": False}).json()
    assert (off["state"], off["disabled_because"]) == ("disabled", "by_hand")
    problem(api.post(f"{path}/test"), 409, "webhook_endpoint_disabled")
    on = api.patch(path, {"enabled": True, "events": []}).json()
    assert (on["state"], on["disabled_because"], on["events"]) == ("enabled", None, [])
    assert Workspace.objects.get(pk=room.workspace_id).webhook_types == ["*"]
    problem(api.patch(path, {"enabled": "yes"}), 400, "invalid")
    problem(api.patch(path, {"url": ""}), 400, "invalid")
    problem(api.patch(path, {"state": "enabled"}), 400, "invalid")


def test_deleted_is_gone(api: Api) -> None:
    path = f"{ROOT}/{made(api)['id']}"
    assert api.delete(path).status_code == 204
    for response in (api.get(path), api.delete(path), api.patch(path, {}), api.post(f"{path}/test"),
                     api.get(f"{path}/deliveries")):  # fmt: skip
        problem(response, 404, "not_found")
    assert api.get(ROOT).json()["results"] == []


def test_rotated_with_overlap(api: Api) -> None:
    shown = made(api)
    path = f"{ROOT}/{shown['id']}/rotate-secret"
    rotated = api.post(path, {"overlap_seconds": 60}, key="r")
    assert rotated.json()["secret"] != shown["secret"]
    assert rotated.json()["former_secret_until"] is not None
    assert api.post(path, {"overlap_seconds": 60}, key="r").json() == rotated.json()
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.secret, endpoint.former_secret) == (rotated.json()["secret"], shown["secret"])
    problem(api.post(path, {"overlap_seconds": -1}), 400, "invalid")
    problem(api.post(path, key=None), 400, "idempotency_key_required")


def test_tested_listed_and_replayed(
    api: Api,
    room: Resource,
    schema: Any,
    receiver: Receiver,  # noqa: F811
) -> None:
    endpoint = subscribe(room.workspace, receiver.url("500"))
    path, described = f"{ROOT}/{endpoint.pk}", f"{ROOT}/{{endpoint_id}}"
    pinged = api.post(f"{path}/test", key="t")
    assert api.post(f"{path}/test", key="t").json() == pinged.json()
    about = tell(room.workspace, n=5)
    send(endpoint)
    listed = api.get(f"{path}/deliveries")
    told, ping = listed.json()["results"]
    assert (ping["id"], ping["type"], ping["state"]) == (pinged.json()["id"], "test.ping", "failed")
    assert (told["booking"], told["state"], told["tries"]) == (str(about), "pending", 1)
    for asked in ({"state": "failed"}, {"type": "test.ping"}):
        assert api.get(f"{path}/deliveries", **asked).json()["results"] == [ping]
    assert api.get(f"{path}/deliveries", booking=str(about)).json()["results"] == [told]
    one = api.get(f"{path}/deliveries/{told['id']}")
    (attempt,) = one.json()["attempts"]
    assert attempt["status"] == 500
    assert one.json()["body"]["data"] == {"n": 5}
    webhook_endpoints.change(endpoint.pk, url=receiver.url("ok"))
    replayed = api.post(f"{path}/deliveries/{ping['id']}/replay")
    assert replayed.json()["state"] == "pending"
    send(endpoint)
    assert deliveries(endpoint)[0].state == "delivered"
    for at, method, response in (
        (ROOT, "get", api.get(ROOT)),
        (ROOT, "post", api.post(ROOT, {"url": OURS})),
        (described, "get", api.get(path)),
        (described, "patch", api.patch(path, {"description": "C"})),
        (f"{described}/test", "post", pinged),
        (f"{described}/rotate-secret", "post", api.post(f"{path}/rotate-secret")),
        (f"{described}/deliveries", "get", listed),
        (f"{described}/deliveries/{{delivery_id}}", "get", one),
        (f"{described}/deliveries/{{delivery_id}}/replay", "post", replayed),
        (described, "delete", api.delete(path)),
    ):
        conforms(schema, at, method, response)


def test_only_ones_own_and_only_with_the_scope(api: Api, room: Resource) -> None:
    elsewhere = subscribe(WorkspaceFactory(), OURS)
    tell(elsewhere.workspace)
    of_another = WebhookDelivery.objects.get()
    path = f"{ROOT}/{elsewhere.pk}"
    told = f"{path}/deliveries/{of_another.pk}"
    for response in (
        api.get(path), api.patch(path, {"enabled": False}), api.delete(path),
        api.post(f"{path}/test"), api.post(f"{path}/rotate-secret"), api.get(f"{path}/deliveries"),
        api.get(told), api.post(f"{told}/replay"),
    ):  # fmt: skip
        problem(response, 404, "not_found")
    own = subscribe(room.workspace, OURS)
    problem(api.get(f"{ROOT}/{own.pk}/deliveries/{of_another.pk}"), 404, "not_found")
    _, reading = make_api_key(workspace=room.workspace, scope=ApiKey.Scope.READ)
    reader = Api(reading)
    assert reader.get(f"{ROOT}/{own.pk}").status_code == 200
    problem(reader.patch(f"{ROOT}/{own.pk}", {"enabled": False}), 403, "insufficient_scope")
    problem(reader.post(ROOT, {"url": OURS}), 403, "insufficient_scope")
    elsewhere.refresh_from_db()
    assert (elsewhere.state, elsewhere.former_secret) == ("enabled", None)


def test_the_description_lists_every_type(schema: Any) -> None:
    assert schema["components"]["schemas"]["WebhookType"]["enum"] == list(TYPES)
