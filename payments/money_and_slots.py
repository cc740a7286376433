"""The standing page: 0 overlaps, 0 unexplained money, and what is being done about the rest."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Case, Count, IntegerField, QuerySet, Sum, Value, When
from django.db.models.functions import TruncWeek
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from config.kernel.clock import now as database_now
from members.admin_scope import Access, access_of, is_clerk, zone_of
from members.admin_words import said_moment
from payments.admin_findings import offered
from payments.models import CheckRun, Finding, Signal
from payments.reconciler import registry, runner
from payments.reconciler.about import about_all
from payments.reconciler.base import rows

WEEK = timedelta(days=7)
WEEKS_SHOWN = 8
MOST_FINDINGS = 50

# When the first hint of a payment reached us, when it was decided, when it was captured.
_SETTLED = """
    SELECT p.settled_by AS source, count(*) AS many,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY d.decided) AS median,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY d.decided) AS slow,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY d.captured) AS captured
    FROM payments_payment p JOIN payments_due due ON due.id = p.due_id
    CROSS JOIN LATERAL (
        SELECT least(p.created_at, min(s.received_at)) AS first FROM payments_signal s
        WHERE s.checkout_id = p.checkout_id
    ) hint
    CROSS JOIN LATERAL (
        SELECT extract(epoch FROM p.decided_at - hint.first)::float AS decided,
               extract(epoch FROM p.captured_at - hint.first)::float AS captured
    ) d
    WHERE p.id >= %(first_id)s AND p.decided_at >= %(since)s AND p.settled_by <> ''
      AND (%(everything)s OR due.workspace_id = ANY(%(workspaces)s::uuid[]))
    GROUP BY p.settled_by
"""


@dataclass(frozen=True)
class Figure:
    """A number that may be unknown: `at_least` is what is known in any case."""

    is_known: bool
    at_least: int
    because: str = ""

    @property
    def said(self) -> str:
        return str(self.at_least) if self.is_known else "unknown"

    @property
    def is_good(self) -> bool:
        return self.is_known and self.at_least == 0


def money_and_slots(request: HttpRequest) -> HttpResponse:
    """The page, for whoever has a role somewhere."""
    if not is_clerk(request):
        return HttpResponseRedirect(reverse("admin:index"))
    context = admin.site.each_context(request) | {
        "title": "Money and slots",
        "standing": standing(request),
    }
    return TemplateResponse(request, "admin/surehold/money_and_slots.html", context)


def standing(request: HttpRequest) -> dict[str, Any]:
    """Everything on it, within the staff's own workspaces. A constant number of queries."""
    access, now = access_of(request), database_now()
    zone = zone_of(request).key
    found = access.limit(Finding.objects.all(), "workspace")
    open_ones = found.filter(closed_at=None)
    last, whole = registry.latest(), registry.latest_whole()
    return {
        "overlaps": figure(open_ones, registry.SLOT_CHECKS, last, whole, now),
        "money": figure(open_ones, registry.MONEY_CHECKS, last, whole, now),
        "full_run": _full_run(whole, zone),
        "zone": zone,
        "checks": _checks(last, whole, now, zone),
        "healed": _healed(found, access, now),
        "sources": _sources(access, now),
        "trend": _trend(found, now),
        "queue": _queue(open_ones, zone),
        "open_count": open_ones.count(),
        "all_url": reverse("admin:payments_finding_changelist"),
    }


def figure(
    open_ones: QuerySet[Finding],
    names: tuple[str, ...],
    last: dict[str, CheckRun],
    whole: dict[str, CheckRun],
    now: datetime,
) -> Figure:
    """How many of these checks' findings are open.

    Known when each of them has lately ended a whole pass without an error.
    """
    many = open_ones.filter(kind__in=registry.kinds_of(names)).count()
    for name in names:
        trouble = _trouble(name, last, whole, now)
        if trouble:
            return Figure(False, many, f"{name.replace('_', ' ')} {trouble}")
    return Figure(True, many)


def _trouble(
    name: str, last: dict[str, CheckRun], whole: dict[str, CheckRun], now: datetime
) -> str:
    if name not in whole:
        return "has never ended a whole run"
    if last[name].error:
        return "failed when it last ran"
    stale = 2 * registry.check_named(name).interval + timedelta(minutes=10)
    return "" if runner.began_at(whole[name]) > now - stale else "has not run lately"


def _full_run(whole: dict[str, CheckRun], zone: str) -> str:
    """Since when all is known: the oldest of the checks' last whole runs."""
    names = (*registry.SLOT_CHECKS, *registry.MONEY_CHECKS)
    if any(name not in whole for name in names):
        return ""
    return said_moment(min(runner.began_at(whole[name]) for name in names), zone)


def _checks(
    last: dict[str, CheckRun], whole: dict[str, CheckRun], now: datetime, zone: str
) -> list[dict[str, Any]]:
    return [
        {
            "name": check.name.replace("_", " ").capitalize(),
            "looks_for": check.looks_for,
            "heals": check.heals,
            "run": last.get(check.name),
            "at": said_moment(last[check.name].started_at, zone) if check.name in last else "never",
            "trouble": _trouble(check.name, last, whole, now),
        }
        for check in registry.CHECKS
    ]


def _healed(found: QuerySet[Finding], access: Access, now: datetime) -> dict[str, Any]:
    """What was put right within a week, by kind; events have no workspace and no finding."""
    kinds = (
        found.filter(closed_at__gte=now - WEEK, resolution=Finding.Resolution.CAUSE_GONE)
        .exclude(done="")
        .values("kind")
        .annotate(many=Count("pk"))
        .order_by("-many", "kind")
    )
    events = 0
    if access.everything:
        runs = CheckRun.objects.filter(name="undelivered_events", started_at__gte=now - WEEK)
        events = runs.aggregate(many=Sum("healed"))["many"] or 0
    return {
        "kinds": [{"what": _words(row["kind"]), "many": row["many"]} for row in kinds],
        "events": events,
    }


def _sources(access: Access, now: datetime) -> list[dict[str, Any]]:
    """Which source came first, how often, and how soon after the first hint."""
    found = rows(
        _SETTLED,
        {
            "first_id": _first_id(now - 2 * WEEK),
            "since": now - WEEK,
            "everything": access.everything,
            "workspaces": list(access.ranks),
        },
    )
    by_source = {row["source"]: row for row in found}
    return [
        {
            "name": label,
            "many": by_source[source]["many"] if source in by_source else 0,
            "median": _seconds(by_source.get(source, {}).get("median")),
            "slow": _seconds(by_source.get(source, {}).get("slow")),
            "captured": _seconds(by_source.get(source, {}).get("captured")),
        }
        for source, label in Signal.Source.choices
    ]


def _first_id(since: datetime) -> uuid.UUID:
    """The smallest time-ordered id of a moment: a payment's id says when it was made."""
    return uuid.UUID(int=int(since.timestamp() * 1000) << 80)


def _seconds(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.2f} s" if value < 10 else f"{value:,.0f} s"


def _trend(found: QuerySet[Finding], now: datetime) -> list[dict[str, Any]]:
    """Overlaps by the week in which they were first seen, and how often was looked."""
    since = now - WEEKS_SHOWN * WEEK
    kinds = registry.kinds_of(registry.SLOT_CHECKS)
    seen = found.filter(kind__in=kinds, seen_at__gte=since)
    audits = CheckRun.objects.filter(name="overlaps", is_complete=True, started_at__gte=since)
    by_week = _by_week(seen, "seen_at")
    runs = _by_week(audits, "started_at")
    monday = (now - timedelta(days=now.weekday())).date()
    weeks = [monday - n * WEEK for n in range(WEEKS_SHOWN)]
    return [
        {"week": f"{week.day} {week:%b}", "found": by_week.get(week, 0), "runs": runs.get(week, 0)}
        for week in weeks
    ]


def _by_week(found: QuerySet, column: str) -> dict[Any, int]:
    weeks = found.order_by().annotate(week=TruncWeek(column)).values("week")
    return {row["week"].date(): row["many"] for row in weeks.annotate(many=Count("pk"))}


def _queue(open_ones: QuerySet[Finding], zone: str) -> list[dict[str, Any]]:
    rank = Case(
        When(severity=Finding.Severity.HIGH, then=Value(0)),
        When(severity=Finding.Severity.MEDIUM, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    found = open_ones.select_related("workspace").order_by(rank, "seen_at")
    first = list(found[:MOST_FINDINGS])
    about = about_all(first)
    return [
        {
            "finding": finding,
            "url": reverse("admin:payments_finding_change", args=[finding.pk]),
            "kind": _words(finding.kind),
            "since": said_moment(finding.seen_at, zone),
            "deeds": [
                {
                    "label": label,
                    "url": reverse(f"admin:payments_finding_{name}", args=[finding.pk]),
                }
                for name, label in offered(about[finding.pk])
            ],
        }
        for finding in first
    ]


def _words(kind: str) -> str:
    return kind.replace("_", " ").capitalize()
