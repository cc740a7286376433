"""What subscribers are to be told, as rows; `webhook_sending.py` sends them.

Effects of the apps to the right render what happened and return these rows, where somebody wants
that type. `Workspace.webhook_types` says so and comes with rows that are read anyway.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from config.kernel.effects import kick
from members.models import Workspace
from members.webhook_models import WebhookEndpoint, WebhookMessage
from members.webhook_types import EVERY, TEST


def wants(types: Collection[str], kind: str) -> bool:
    """Whether somebody wants this type; `types` are a workspace's `webhook_types`."""
    return bool(types) and (kind in types or EVERY in types)


def types_by_workspace(workspace_ids: Iterable[UUID]) -> dict[UUID, list[str]]:
    """What is wanted in each, in one statement, where the workspaces are not at hand."""
    rows = Workspace.objects.filter(pk__in=set(workspace_ids))
    return dict(rows.values_list("pk", "webhook_types"))


def message(
    *, workspace_id: UUID, kind: str, booking_id: UUID, data: dict[str, Any], at: datetime
) -> WebhookMessage:
    """An unsaved message about a booking. `data` is JSON as the API shows the thing.

    Writing it adds a delivery for each subscriber that wants it.
    """
    return WebhookMessage(
        workspace_id=workspace_id,
        type=kind,
        subject_type="booking",
        subject_id=str(booking_id),
        happened_at=at,
        data=data,
    )


def kicked(messages: list[WebhookMessage]) -> list[WebhookMessage]:
    """The same, to be sent at once after the commit: one kick for each workspace."""
    for workspace_id in {each.workspace_id for each in messages}:
        kick("members.send_webhooks_of", str(workspace_id))
    return messages


def ping(endpoint: WebhookEndpoint, at: datetime) -> WebhookMessage:
    """An unsaved one for this endpoint alone, whatever it wants."""
    return WebhookMessage(
        workspace_id=endpoint.workspace_id,
        type=TEST,
        only_for=endpoint,
        happened_at=at,
        data={"endpoint": str(endpoint.pk), "message": "Surehold reaches this endpoint."},
    )
