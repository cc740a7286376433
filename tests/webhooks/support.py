"""Shorthands: a subscriber of a workspace, and what it has been sent."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db.models import F

from config.kernel import clock, rows
from members import webhook_endpoints, webhook_sending
from members.models import Workspace
from members.webhook_endpoints import Address
from members.webhook_messages import message
from members.webhook_models import WebhookDelivery, WebhookEndpoint


def subscribe(workspace: Workspace, url: str, *events: str) -> WebhookEndpoint:
    made = webhook_endpoints.create(workspace=workspace, url=Address(url), events=events)
    workspace.refresh_from_db()
    return made


def tell(workspace: Workspace, about: UUID | None = None, n: int = 0) -> UUID:
    """A message as an effect writes it; returns what it is about."""
    about = about or uuid4()
    at = clock.now()
    kind = "booking.confirmed"
    data = {"n": n}
    told = message(workspace_id=workspace.pk, kind=kind, booking_id=about, data=data, at=at)
    rows.insert([told])
    return about


def deliveries(endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
    found = endpoint.deliveries.select_related("message").prefetch_related("attempts")
    return list(found.order_by("message_id"))


def send(endpoint: WebhookEndpoint) -> int:
    return webhook_sending.work_through(endpoint.pk)


def make_due(endpoint: WebhookEndpoint) -> None:
    """As if every pause were over: the rows' times move, and not the clock."""
    endpoint.deliveries.filter(state="pending").update(due_at=clock.now() - timedelta(seconds=1))
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(rests_until=None)


def age(endpoint: WebhookEndpoint, **ago: float) -> None:
    """As if all that is known of an endpoint and of its deliveries were so much older."""
    by = timedelta(**ago)
    endpoint.deliveries.update(
        created_at=F("created_at") - by,
        due_at=F("due_at") - by,
        first_until=F("first_until") - by,
        give_up_at=F("give_up_at") - by,
    )
    WebhookEndpoint.objects.filter(pk=endpoint.pk, failing_since__isnull=False).update(
        failing_since=F("failing_since") - by
    )
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(rests_until=None)


def numbers(came: Any) -> list[int]:
    """The `n` of what `tell` told, in the order in which it came."""
    return [json.loads(each.body)["data"]["n"] for each in came]
