"""Subscribers in the admin: made with a secret shown once, tested, rotated, disabled, replayed."""

import re

import pytest

from bookings.models import Resource
from members import webhook_endpoints, webhook_sending
from members.models import Workspace
from members.webhook_models import WebhookDelivery, WebhookEndpoint
from tests.admin.conftest import SignIn
from tests.admin.support import add, change, changelist, deed
from tests.factories import WorkspaceFactory
from tests.support.receiver import Receiver, _receiving, receiver  # noqa: F401
from tests.webhooks.support import deliveries, send, subscribe, tell

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(room: Resource, receiver: Receiver) -> WebhookEndpoint:  # noqa: F811
    return subscribe(room.workspace, receiver.url("ok"))


def test_an_owner_makes_one_and_sees_its_secret_once(as_role: SignIn, room: Resource) -> None:
    browser = as_role("owner")
    typed = {
        "workspace": str(room.workspace_id),
        "url": "http://127.0.0.1:9/in",
        "description": "Our shop",
        "events": ["booking.cancelled", "booking.confirmed"],
    }
    answer = browser.post(add(WebhookEndpoint), typed)
    made = WebhookEndpoint.objects.get()
    assert made.secret in answer.content.decode()
    assert made.events == ["booking.confirmed", "booking.cancelled"]
    assert Workspace.objects.get().webhook_types == ["booking.cancelled", "booking.confirmed"]
    page = browser.get(change(made))
    assert page.status_code == 200
    assert made.secret not in page.content.decode()
    browser.post(change(made), typed | {"events": []})
    assert Workspace.objects.get().webhook_types == ["*"]


def test_a_private_address_is_refused_beside_its_field(
    as_role: SignIn, room: Resource, settings
) -> None:
    settings.OUTBOUND_PRIVATE_ADDRESSES = False
    typed = {"workspace": str(room.workspace_id), "url": "https://127.0.0.1/in"}
    answer = as_role("owner").post(add(WebhookEndpoint), typed)
    assert "This address is a private one." in answer.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_the_secret_is_rotated_and_shown(as_role: SignIn, endpoint: WebhookEndpoint) -> None:
    browser, former = as_role("owner"), endpoint.secret
    asked = browser.get(deed(endpoint, "rotate"))
    assert "both sign" in asked.content.decode()
    endpoint.refresh_from_db()
    assert endpoint.secret == former
    shown = browser.post(deed(endpoint, "rotate")).content.decode()
    endpoint.refresh_from_db()
    assert endpoint.secret != former
    assert endpoint.secret in shown
    assert former not in shown


def test_tested_disabled_enabled_and_deleted(as_role: SignIn, endpoint: WebhookEndpoint) -> None:
    browser = as_role("owner")
    assert browser.post(deed(endpoint, "test")).status_code == 302
    assert deliveries(endpoint)[0].message.type == "test.ping"
    tell(endpoint.workspace)
    assert "2 deliveries" in browser.get(deed(endpoint, "disable")).content.decode()
    browser.post(deed(endpoint, "disable"))
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_because) == ("disabled", "by_hand")
    page = browser.get(change(endpoint)).content.decode()
    assert "Disabled by hand" in page
    assert deed(endpoint, "enable") in page
    assert deed(endpoint, "test") not in page
    browser.post(deed(endpoint, "enable"))
    endpoint.refresh_from_db()
    assert endpoint.state == "enabled"
    browser.post(deed(endpoint, "remove"))
    endpoint.refresh_from_db()
    assert endpoint.state == "deleted"
    assert browser.get(change(endpoint)).status_code == 302  # as for one that never was
    assert str(endpoint.url) not in browser.get(changelist(WebhookEndpoint)).content.decode()


def test_the_list_opens_on_what_did_not_arrive(
    as_role: SignIn,
    room: Resource,
    receiver: Receiver,  # noqa: F811
) -> None:
    well, ill = (subscribe(room.workspace, receiver.url(does)) for does in ("ok", "500"))
    tell(room.workspace)
    send(well)
    browser = as_role("manager")
    opened = browser.get(changelist(WebhookDelivery)).content.decode()
    assert change(deliveries(well)[0]) not in opened
    assert change(deliveries(ill)[0]) not in opened  # nobody has tried yet
    send(ill)
    opened = browser.get(changelist(WebhookDelivery)).content.decode()
    assert change(deliveries(ill)[0]) in opened
    assert change(deliveries(well)[0]) not in opened
    of_one = browser.get(deed(well, "deliveries"), follow=True).content.decode()
    assert change(deliveries(well)[0]) in of_one
    assert change(deliveries(ill)[0]) not in of_one


def test_a_delivery_shows_request_and_answer_and_is_replayed(
    as_role: SignIn,
    endpoint: WebhookEndpoint,
    receiver: Receiver,  # noqa: F811
) -> None:
    tell(endpoint.workspace, n=42)
    send(endpoint)
    (delivery,) = deliveries(endpoint)
    browser = as_role("manager")
    page = browser.get(change(delivery)).content.decode()
    (attempt,) = delivery.attempts.all()
    assert attempt.request_headers["webhook-signature"] in page
    assert "thank you" in page
    assert "&quot;n&quot;: 42" in page
    assert re.search(r"\b200\b", page)
    browser.post(deed(delivery, "replay"))
    assert send(endpoint) == 1
    first, second = receiver.came()
    assert first.id == second.id


def test_replaying_says_how_long_it_is_tried(as_role: SignIn, endpoint: WebhookEndpoint) -> None:
    tell(endpoint.workspace)
    webhook_endpoints.send_test(endpoint.pk)
    browser = as_role("manager")
    said = {
        row.message.type: browser.get(deed(row, "replay")).content.decode()
        for row in WebhookDelivery.objects.all()
    }
    assert "A test is tried once." in said.pop("test.ping")
    (other,) = said.values()
    assert "it is tried again for 3 days" in other


def test_clerks_and_others_see_none_of_it(as_role: SignIn, endpoint: WebhookEndpoint) -> None:
    tell(endpoint.workspace)
    (delivery,) = deliveries(endpoint)
    clerk = as_role("clerk")
    for page in (changelist(WebhookEndpoint), change(endpoint), change(delivery)):
        assert clerk.get(page).status_code in {302, 403}
    manager = as_role("manager")
    assert manager.get(change(endpoint)).status_code == 200
    for name in ("rotate", "disable", "remove"):
        assert manager.post(deed(endpoint, name)).status_code in {302, 403, 404}
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.former_secret) == ("enabled", None)
    elsewhere = webhook_endpoints.create(
        workspace=WorkspaceFactory(), url=webhook_endpoints.Address("http://127.0.0.1:9/")
    )
    owner = as_role("owner")
    assert owner.get(change(elsewhere)).status_code in {302, 404}
    assert owner.post(deed(elsewhere, "disable")).status_code == 404
    assert webhook_sending.due_endpoints() == [endpoint.pk]
