"""Sending what subscribers are to be told: at least once, in order per booking where it can be.

The lease is taken in one transaction, the request made outside of any, its outcome written in
another. A crash in between sends it again, under the same id. The attempt's row is written with the
lease, so that one whose outcome nobody knows is seen as well.

One subscriber never has more than a few requests at once, a failing one a single request, and one
that does not even answer is left alone for a while: the others' turns come meanwhile.
"""

import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from standardwebhooks import Webhook

from config.kernel import clock, outbound
from config.kernel.context import SYSTEM
from config.kernel.locks import locked
from members import webhook_lanes
from members.webhook_endpoints import Because, disable_locked
from members.webhook_models import (
    RETRY_HOURS,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
)
from members.webhook_states import DELIVERED, ENABLED, FAILED, PENDING
from members.webhook_types import TEST

ATTEMPT_SECONDS = 10.0
LEASE_SECONDS = 30
AT_ONCE = 2
KEPT_BYTES = 4096
_READ_BYTES = 64 * 1024
# Before the next attempt, in seconds, each a fifth more or less; the last one again and again.
PAUSES = (5, 15, 60, 180, 600, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600)
_LONGEST_REST_SECONDS = 900
_LONGEST_WISH_SECONDS = 3600
# So long without one success, an endpoint is disabled: by the last attempt of the first to fail.
_FAILING = timedelta(hours=RETRY_HOURS) - timedelta(minutes=15)
GONE = 410

# What the database keeps in order: the first that is due and that nothing earlier of the same
# booking, on its way or tried again for a while, stands before.
_NEXT = """
    SELECT d.id FROM members_webhookdelivery d
    WHERE d.endpoint_id = %(endpoint)s AND d.state = 'pending' AND d.due_at <= %(now)s
      AND (d.leased_until IS NULL OR d.leased_until <= %(now)s)
      AND (d.about = '' OR NOT EXISTS (
          SELECT 1 FROM members_webhookdelivery earlier
          WHERE earlier.endpoint_id = d.endpoint_id AND earlier.about = d.about
            AND earlier.message_id < d.message_id AND earlier.state = 'pending'
            AND earlier.first_until > %(now)s))
    ORDER BY d.due_at, d.message_id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request; `status` is None where nothing answered."""

    duration_ms: int
    status: int | None = None
    headers: dict[str, str] | None = None
    body: str = ""
    error: str = ""

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300 and not self.error


@dataclass(frozen=True, slots=True)
class _Leased:
    """One attempt under way: its row, and what is sent where."""

    attempt: WebhookAttempt
    message: WebhookMessage
    body: bytes


def due_endpoints(workspace_id: UUID | None = None) -> list[UUID]:
    """Enabled endpoints, of one workspace or all, that have something due and do not rest."""
    now = clock.now()
    due = WebhookDelivery.objects.filter(_is_free(now), state=PENDING, due_at__lte=now)
    due = due.filter(Q(endpoint__rests_until=None) | Q(endpoint__rests_until__lte=now))
    due = due.filter(endpoint__state=ENABLED)
    if workspace_id is not None:
        due = due.filter(endpoint__workspace=workspace_id)
    return list(due.order_by().values_list("endpoint_id", flat=True).distinct())


def work_through(endpoint_id: UUID, *, seconds: float = 20.0) -> int:
    """Send what this endpoint has due, one after another; returns how many attempts were made.

    Begins nothing new after `seconds`, and nothing with a slow one while others like it have their
    share of the threads. Somebody else who works on it takes other deliveries.
    """
    until, made = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        with webhook_lanes.place_for(endpoint_id) as is_free:
            leased = lease(endpoint_id) if is_free else None
            if leased is None:
                break
            outcome = request(leased)
            webhook_lanes.took(endpoint_id, outcome.duration_ms / 1000)
        record(leased, outcome)
        made += 1
    return made


# --- One attempt --------------------------------------------------------------------------------


def lease(endpoint_id: UUID) -> _Leased | None:
    """The next delivery of an endpoint, if it may have one more under way; with its attempt."""
    with transaction.atomic():
        endpoint = locked(WebhookEndpoint.objects.filter(pk=endpoint_id, state=ENABLED)).first()
        now = clock.now()
        if endpoint is None or not _may_have_more(endpoint, now):
            return None
        delivery = _next(endpoint, now)
        if delivery is None:
            return None
        delivery.tries += 1
        delivery.leased_until = now + timedelta(seconds=LEASE_SECONDS)
        delivery.save(update_fields=["tries", "leased_until"])
        body = body_of(delivery.message)
        attempt = WebhookAttempt.objects.create(
            delivery=delivery,
            number=delivery.tries,
            url=endpoint.url,
            began_at=now,
            request_headers=headers_of(endpoint, delivery.message, body, now),
        )
        return _Leased(attempt, delivery.message, body)


def request(leased: _Leased) -> Outcome:
    """Send it. Whatever comes of it is an outcome; nothing is raised for the other side's sake."""
    began = time.monotonic()
    try:
        answer = outbound.fetch(
            "POST",
            leased.attempt.url,
            headers=leased.attempt.request_headers,
            body=leased.body,
            timeout_seconds=ATTEMPT_SECONDS,
            max_bytes=_READ_BYTES,
        )
    except outbound.AnswerTooLarge as large:
        answer = large.answer  # its status is what counts
    except outbound.OutsideError as error:
        return Outcome(_since(began), error=error.message[:500])
    said = "" if answer.status < 300 or answer.status >= 400 else "Redirects are not followed."
    return Outcome(
        _since(began),
        answer.status,
        {name[:100]: _kept(value)[:500] for name, value in list(answer.headers.items())[:50]},
        _kept(answer.content[:KEPT_BYTES].decode("utf-8", errors="replace")),
        said,
    )


def record(leased: _Leased, outcome: Outcome) -> None:
    """Write down what came of an attempt, and what is to be done next.

    The failure of one that was taken for dead, or stopped meanwhile, is history and no more.
    """
    attempt = leased.attempt
    with transaction.atomic():
        endpoint = locked(WebhookEndpoint.objects.filter(pk=attempt.delivery.endpoint_id)).get()
        delivery = locked(WebhookDelivery.objects.filter(pk=attempt.delivery_id)).get()
        now = clock.now()
        _close(attempt, outcome, now)
        if outcome.is_success:
            _succeeded(endpoint, delivery, now)
            return
        if delivery.state == PENDING and delivery.tries == attempt.number:
            _try_later(delivery, leased.message, outcome, now)
            if attempt.url == endpoint.url:  # else it says nothing of the new one
                _note_failure(endpoint, attempt, leased.message, outcome, now)


# --- What is sent -------------------------------------------------------------------------------


def body_of(message: WebhookMessage) -> bytes:
    """The request's body, the same for every subscriber and attempt (docs/webhooks.md)."""
    return json.dumps(told(message), ensure_ascii=False, separators=(",", ":")).encode()


def told(message: WebhookMessage) -> dict[str, Any]:
    """The same as an object."""
    happened_at = message.happened_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {
        "type": message.type,
        "timestamp": happened_at,
        "sequence": message.sequence,
        "data": message.data,
    }


def headers_of(
    endpoint: WebhookEndpoint, message: WebhookMessage, body: bytes, at: datetime
) -> dict[str, str]:
    """Standard Webhooks: the message's id, the attempt's time, a signature for each secret."""
    secrets = [endpoint.secret, *endpoint.former_secrets(at)]
    at, event_id, text = at.astimezone(UTC), str(message.event_id), body.decode()
    signatures = [Webhook(secret).sign(event_id, at, text) for secret in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


# --- Leasing ------------------------------------------------------------------------------------


def _may_have_more(endpoint: WebhookEndpoint, now: datetime) -> bool:
    if endpoint.rests_until is not None and endpoint.rests_until > now:
        return False
    under_way = endpoint.deliveries.filter(state=PENDING, leased_until__gt=now).count()
    return under_way < (1 if endpoint.failing_since else AT_ONCE)


def _next(endpoint: WebhookEndpoint, now: datetime) -> WebhookDelivery | None:
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"endpoint": endpoint.pk, "now": now})
        row = cursor.fetchone()
    if row is None:
        return None
    return WebhookDelivery.objects.select_related("message").get(pk=row[0])


def _is_free(now: datetime) -> Q:
    return Q(leased_until=None) | Q(leased_until__lte=now)


# --- Outcomes -----------------------------------------------------------------------------------


def _close(attempt: WebhookAttempt, outcome: Outcome, now: datetime) -> None:
    attempt.ended_at = now
    attempt.duration_ms = outcome.duration_ms
    attempt.status = outcome.status
    attempt.response_headers = outcome.headers or {}
    attempt.response_body = outcome.body
    attempt.error = outcome.error
    attempt.save()


def _succeeded(endpoint: WebhookEndpoint, delivery: WebhookDelivery, now: datetime) -> None:
    """Also where somebody else has begun to send it again: it has it."""
    _pending(delivery).update(
        state=DELIVERED, version=F("version") + 1, ended_at=now, leased_until=None
    )
    if endpoint.failing_since or endpoint.unanswered or endpoint.rests_until:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
            failing_since=None, unanswered=0, rests_until=None
        )


def _try_later(
    delivery: WebhookDelivery, message: WebhookMessage, outcome: Outcome, now: datetime
) -> None:
    """After a pause that grows, once more when its time is up, and then no more."""
    if message.type == TEST or now >= delivery.give_up_at:
        _pending(delivery).update(
            state=FAILED, version=F("version") + 1, ended_at=now, leased_until=None
        )
        return
    pause = timedelta(seconds=_pause(delivery.tries - delivery.tries_before, outcome))
    _pending(delivery).update(due_at=min(now + pause, delivery.give_up_at), leased_until=None)


def _note_failure(
    endpoint: WebhookEndpoint,
    attempt: WebhookAttempt,
    message: WebhookMessage,
    outcome: Outcome,
    now: datetime,
) -> None:
    """What it says of the endpoint. A test that failed says nothing about its deliveries."""
    if outcome.status == GONE and endpoint.is_enabled:
        disable_locked(endpoint, because=Because.GONE, at=now, actor=SYSTEM)
        return
    if message.type == TEST:
        return
    since = endpoint.failing_since or attempt.began_at
    unanswered = endpoint.unanswered + 1 if outcome.status is None else 0
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        failing_since=since, unanswered=unanswered, rests_until=_rest(unanswered, now)
    )
    if endpoint.is_enabled and since <= now - _FAILING:
        disable_locked(endpoint, because=Because.FAILING, at=now, actor=SYSTEM)


def _pending(delivery: WebhookDelivery) -> "QuerySet[WebhookDelivery]":
    return WebhookDelivery.objects.filter(pk=delivery.pk, state=PENDING)


def _pause(tries: int, outcome: Outcome) -> float:
    """Seconds, with jitter, so that what failed together is not tried together; the other side's
    Retry-After where that is longer, up to an hour."""
    pause = PAUSES[min(tries, len(PAUSES)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311
    asked = _header(outcome, "retry-after")
    wished = int(asked) if asked.isascii() and asked.isdigit() else 0
    return max(pause, min(wished, _LONGEST_WISH_SECONDS))


def _header(outcome: Outcome, wanted: str) -> str:
    found = (v for name, v in (outcome.headers or {}).items() if name.lower() == wanted)
    return next(found, "").strip()[:9]


def _rest(unanswered: int, now: datetime) -> datetime | None:
    """While nothing answers there: 5 seconds, then twice as long each time, a quarter at most."""
    if not unanswered:
        return None
    return now + timedelta(seconds=min(_LONGEST_REST_SECONDS, 5 * 2 ** min(unanswered - 1, 10)))


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


def _kept(text: Any) -> str:
    """What a text column can hold."""
    return str(text).replace("\0", "\ufffd")
