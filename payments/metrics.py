"""`/metrics`: what waits, what is wrong and what is held, for Prometheus. Not public.

Everything is counted in the database when it is asked for, so that each process gives the same
answer, and each figure is a look into an index of what is open. How busy a web process is granian
tells by itself (`--metrics`, docs/operations.md).
"""

import hmac
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from config.kernel import clock
from payments import money_and_slots
from payments.models import Finding
from payments.reconciler import registry

# What is to be done and when it was due: how many wait, and since when the oldest one does.
_WAITING = {
    "mail": "SELECT count(*), min(due_at) FROM members_notification"
    " WHERE state = 'pending' AND due_at <= %s",
    "webhook": "SELECT count(*), min(due_at) FROM members_webhookdelivery"
    " WHERE state = 'pending' AND due_at <= %s",
    "calendar": "SELECT count(*), min(due_at) FROM bookings_calendarevent"
    " WHERE written_version < wanted_version AND outside_kind = '' AND due_at <= %s",
    "refund": "SELECT count(*), min(next_try_at) FROM payments_refund"
    " WHERE next_try_at IS NOT NULL AND next_try_at <= %s",
}
_COUNTED = {
    "surehold_holds_live": (
        "Holds that keep a slot now.",
        "SELECT count(*) FROM holds_hold WHERE state = 'active' AND lapses_at > %s",
    ),
    "surehold_holds_untidied": (
        "Holds whose time is up and that are still to be tidied; slots are free all the same.",
        "SELECT count(*) FROM holds_hold WHERE state = 'active' AND lapses_at <= %s",
    ),
    "surehold_calendars_failing": (
        "Connected calendars that cannot be read, written or signed in to.",
        """SELECT count(*) FROM bookings_calendarconnection WHERE disconnected_at IS NULL AND
           (state = 'needs_consent' OR read_failing_since < %s OR write_failing_since < now())""",
    ),
    "surehold_webhook_endpoints_disabled": (
        "Subscribers that are told nothing any more.",
        "SELECT count(*) FROM members_webhookendpoint WHERE state = 'disabled' AND %s IS NOT NULL",
    ),
}


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures, for who sends `Authorization: Bearer` and METRICS_TOKEN; else there is none."""
    given = request.headers.get("Authorization", "").encode()
    wanted = f"Bearer {settings.METRICS_TOKEN}".encode()
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given, wanted):
        raise Http404
    found = CollectorRegistry()
    found.register(_Figures())
    return HttpResponse(generate_latest(found), content_type=CONTENT_TYPE_LATEST)


class _Figures:
    """Asked by the library when the answer is written."""

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = clock.now()
        yield from _waiting(now)
        for name, (text, query) in _COUNTED.items():
            yield GaugeMetricFamily(name, text, value=_one(query, now)[0])
        yield from _findings()
        yield from _audit(now)


def _waiting(now: datetime) -> Iterator[Metric]:
    many = GaugeMetricFamily("surehold_waiting", "What is due and not done.", labels=["what"])
    since = GaugeMetricFamily(
        "surehold_waiting_oldest_seconds", "How long the oldest has been due.", labels=["what"]
    )
    for what, query in _WAITING.items():
        count, oldest = _one(query, now)
        many.add_metric([what], count)
        since.add_metric([what], (now - oldest).total_seconds() if oldest else 0)
    yield from (many, since)


def _findings() -> Iterator[Metric]:
    """Each severity, also where there is none."""
    gauge = GaugeMetricFamily(
        "surehold_findings_open", "What the reconciler found and nobody has closed.",
        labels=["severity"],
    )  # fmt: skip
    open_ones = Finding.objects.filter(closed_at=None).values("severity").annotate(n=Count("pk"))
    found = {row["severity"]: row["n"] for row in open_ones}
    for severity in Finding.Severity.values:
        gauge.add_metric([str(severity)], found.get(severity, 0))
    yield gauge


def _audit(now: datetime) -> Iterator[Metric]:
    """NaN while it is not known: an alarm on `!= 0` must not be quiet because nobody looked."""
    last, whole = registry.latest(), registry.latest_whole()
    open_ones = Finding.objects.filter(closed_at=None)
    for name, text, checks in [
        ("surehold_overlaps", "Double bookings; NaN when not known.", registry.SLOT_CHECKS),
        ("surehold_unexplained_money", "NaN when not known.", registry.MONEY_CHECKS),
    ]:
        figure = money_and_slots.figure(open_ones, checks, last, whole, now)
        yield GaugeMetricFamily(name, text, value=figure.at_least if figure.is_known else math.nan)


def _one(query: str, now: datetime) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(query, [now])
        return cursor.fetchone()
