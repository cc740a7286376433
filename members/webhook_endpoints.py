"""A workspace's subscribers: made, changed, tested, rotated, disabled and deleted.

The address is checked when it is entered, for a good message; each attempt checks it again.
"""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NewType
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from config.kernel import clock, effects, outbound, rows
from config.kernel.context import SYSTEM, Actor
from config.kernel.database_errors import constraint_of
from config.kernel.effects import Happening, rows_for
from config.kernel.errors import DomainError, InvalidInput, NotFound
from config.kernel.locks import locked, require_transaction
from members.models import DAY, Workspace
from members.webhook_messages import kicked, ping
from members.webhook_models import MOST_ENDPOINTS, RETRY_HOURS, WebhookDelivery, WebhookEndpoint
from members.webhook_states import (
    DELETED,
    DELIVERY_STATES,
    DISABLED,
    ENABLED,
    ENDPOINT_STATES,
    PENDING,
    STOPPED,
)
from members.webhook_types import TYPES

OVERLAP_SECONDS = DAY
LONGEST_OVERLAP_SECONDS = 7 * DAY
MOST_FORMER = 4
_PREFIX = "whsec_"
_SECRET_BYTES = 32  # Standard Webhooks: 24 to 64
Because = WebhookEndpoint.Because
# An address that was looked at: that asks the name's server, which no transaction waits for.
Address = NewType("Address", str)


class TooManyEndpoints(DomainError):
    code = "too_many_webhook_endpoints"
    status = 422
    detail = f"A workspace has at most {MOST_ENDPOINTS} endpoints."


class EndpointDisabled(DomainError):
    code = "webhook_endpoint_disabled"
    status = 409
    detail = "This endpoint is disabled. Enable it first."


def create(
    *, workspace: Workspace, url: Address, events: Sequence[str] = (), description: str = ""
) -> WebhookEndpoint:
    """A new subscriber, enabled, with a secret of its own; no `events` are all of them.

    Raises InvalidInput for a type that there is not, and TooManyEndpoints.
    """
    made = WebhookEndpoint(
        workspace=workspace,
        url=url,
        events=checked_events(events),
        description=description.strip(),
        secret=new_secret(),
    )
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError as error:
        if constraint_of(error) == "webhook_endpoints_too_many":
            raise TooManyEndpoints from error
        raise
    made.refresh_from_db()
    return made


def change(endpoint_id: UUID, **columns: Any) -> WebhookEndpoint:
    """Another `url` (checked), `events` or `description`; what is not given stays."""
    if "events" in columns:
        columns["events"] = checked_events(columns["events"])
    with transaction.atomic():
        endpoint = lock_endpoint(endpoint_id)
        for name, value in columns.items():
            setattr(endpoint, name, value)
        endpoint.save(update_fields=list(columns))
        return endpoint


def checked_url(url: str) -> Address:
    """The address, if a request could go there now. Raises InvalidInput, naming `url`."""
    if len(url) > WebhookEndpoint._meta.get_field("url").max_length:  # type: ignore[operator]
        raise InvalidInput("At most 1000 characters.", field="url")
    return Address(outbound.check_url(url.strip()))


def checked_events(events: Sequence[str]) -> list[str]:
    """The types, each once and in our order. Raises InvalidInput for one that there is not."""
    unknown = sorted(set(events) - set(TYPES))
    if unknown:
        raise InvalidInput(f"There is no type “{unknown[0][:40]}”.", field="events")
    return [kind for kind in TYPES if kind in events]


def new_secret() -> str:
    """A secret as the `standardwebhooks` libraries take it: `whsec_` and base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def rotate(endpoint_id: UUID, *, overlap_seconds: int = OVERLAP_SECONDS) -> WebhookEndpoint:
    """A new secret; the one that it replaces signs as well for so long (0: not at all).

    Those that it replaced before and that still sign go on with it: who pressed twice has not
    taken from a subscriber the only secret that it knows.
    """
    if not 0 <= overlap_seconds <= LONGEST_OVERLAP_SECONDS:
        raise InvalidInput(f"0 to {LONGEST_OVERLAP_SECONDS} seconds.", field="overlap_seconds")
    with transaction.atomic():
        endpoint = lock_endpoint(endpoint_id)
        now = clock.now()
        former = [endpoint.secret, *endpoint.former_secrets(now)] if overlap_seconds else []
        until = [now + timedelta(seconds=overlap_seconds), endpoint.former_secret_until]
        endpoint.former_secret_until = max(filter(None, until)) if former else None
        endpoint.former_secret = " ".join(former[:MOST_FORMER]) or None
        endpoint.secret = new_secret()
        endpoint.save(update_fields=["secret", "former_secret", "former_secret_until"])
        return endpoint


def enable(endpoint_id: UUID) -> WebhookEndpoint:
    """It is told again from now on. What was stopped meanwhile is replayed one by one."""
    with transaction.atomic():
        endpoint = lock_endpoint(endpoint_id)
        if not endpoint.is_enabled:
            _move(
                endpoint, ENABLED, clock.now(), failing_since=None, unanswered=0, rests_until=None
            )
        return endpoint


def disable(
    endpoint_id: UUID, *, because: str = Because.BY_HAND, actor: Actor = SYSTEM
) -> WebhookEndpoint:
    """It is told nothing more; what was still to be delivered is stopped."""
    with transaction.atomic():
        endpoint = lock_endpoint(endpoint_id)
        if endpoint.is_enabled:
            disable_locked(endpoint, because=because, at=clock.now(), actor=actor)
        return endpoint


def disable_locked(endpoint: WebhookEndpoint, *, because: str, at: datetime, actor: Actor) -> None:
    """The same for a locked one. Unless it was by hand, the workspace is told by mail."""
    require_transaction()
    _move(endpoint, DISABLED, at, disabled_because=because)
    _stop_pending(endpoint, at)
    happened = Happening("webhook_endpoint.disabled", endpoint, at, actor, because)
    rows.insert(rows_for(happened))


def delete(endpoint_id: UUID) -> None:
    """It is gone for everybody, and what was still to be delivered is stopped."""
    with transaction.atomic():
        endpoint, now = lock_endpoint(endpoint_id), clock.now()
        _move(endpoint, DELETED, now, former_secret=None, former_secret_until=None)
        _stop_pending(endpoint, now)


def send_test(endpoint_id: UUID) -> WebhookDelivery:
    """A `test.ping` for this endpoint alone. It is tried once. Raises EndpointDisabled."""
    with transaction.atomic():
        endpoint = lock_endpoint(endpoint_id)
        if not endpoint.is_enabled:
            raise EndpointDisabled
        message = ping(endpoint, clock.now())
        rows.insert(kicked([message]))
        found = WebhookDelivery.objects.select_related("message")
        return found.get(endpoint=endpoint, message__event_id=message.event_id)


def replay(delivery: WebhookDelivery) -> WebhookDelivery:
    """Send it again at once, with the same id, and retry it for three days as at first.

    One that is still to be delivered is due now. Raises EndpointDisabled.
    """
    with transaction.atomic():
        endpoint, now = lock_endpoint(delivery.endpoint_id), clock.now()
        if not endpoint.is_enabled:
            raise EndpointDisabled
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(rests_until=None)
        row = locked(WebhookDelivery.objects.filter(pk=delivery.pk)).get()
        row.due_at = now
        if row.state != PENDING:
            DELIVERY_STATES.check(row.state, PENDING)
            row.state, row.version, row.ended_at = PENDING, row.version + 1, None
            row.tries_before, row.leased_until = row.tries, None
            row.first_until, row.give_up_at = now, now + timedelta(hours=RETRY_HOURS)
        row.save()
        effects.kick("members.send_webhooks_of", str(endpoint.workspace_id))
        return row


def lock_endpoint(endpoint_id: UUID) -> WebhookEndpoint:
    """The endpoint, locked before its deliveries. Raises NotFound for one that was deleted."""
    found = locked(WebhookEndpoint.objects.filter(pk=endpoint_id).exclude(state=DELETED)).first()
    if found is None:
        raise NotFound("There is no such endpoint here.")
    return found


def _move(endpoint: WebhookEndpoint, to_state: str, at: datetime, **columns: Any) -> None:
    ENDPOINT_STATES.check(endpoint.state, to_state)
    columns = {"disabled_because": "", **columns, "state": to_state, "state_since": at}
    for name, value in {**columns, "version": endpoint.version + 1}.items():
        setattr(endpoint, name, value)
    endpoint.save(update_fields=[*columns, "version"])


def _stop_pending(endpoint: WebhookEndpoint, at: datetime) -> None:
    endpoint.deliveries.filter(state=PENDING).update(
        state=STOPPED, version=F("version") + 1, ended_at=at, leased_until=None
    )
