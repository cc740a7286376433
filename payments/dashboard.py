"""The admin's first screen: what needs somebody, today by resource, holds running out, money."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from bookings.admin import asked_to_explain
from bookings.models import Block, Occupancy, Resource
from config.kernel.money import Money
from holds.admin import counting, live
from holds.models import Hold
from members.admin_scope import Access, access_of
from members.admin_words import said_moment
from members.models import Notification, Workspace
from payments import admin_approval, dashboard_calendars
from payments.admin import needing_somebody, stuck_checkouts, stuck_payments
from payments.models import Checkout, Payment, Refund
from payments.states import CAPTURED, VOIDED

MOST_ROWS = 8
WORKING_HOURS = (7, 21)
MOST_RESOURCES = 60


@dataclass(frozen=True)
class Day:
    """One day of one workspace, in its zone; the axis shows the part in which something happens."""

    date: date
    zone: ZoneInfo
    first_hour: int = 0
    last_hour: int = 24

    @property
    def start(self) -> datetime:
        return datetime.combine(self.date, time(0), tzinfo=self.zone)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.date + timedelta(days=1), time(0), tzinfo=self.zone)

    def showing(self, spans: Iterable[tuple[datetime, datetime]]) -> "Day":
        """The same day with an axis from 7 to 21, or as far as the spans reach."""
        first, last = WORKING_HOURS
        for start, end in spans:
            first = min(first, self._hour(start))
            last = max(last, 24 if end >= self.end else self._hour(end) + 1)
        return replace(self, first_hour=first, last_hour=last)

    def hours(self) -> list[int]:
        """The hours at which the axis has a line."""
        return list(range(self.first_hour, self.last_hour))

    def permille(self, moment: datetime) -> int:
        """Where a moment lies on the axis, 0 to 1000, by the clock on the wall."""
        local = moment.astimezone(self.zone)
        days = (local.date() - self.date).days
        hour = days * 24 + local.hour + local.minute / 60
        part = (hour - self.first_hour) / (self.last_hour - self.first_hour)
        return round(1000 * min(max(part, 0), 1))

    def _hour(self, moment: datetime) -> int:
        return 0 if moment <= self.start else min(moment, self.end).astimezone(self.zone).hour


def first_screen(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback: what the index template shows. A constant number of queries."""
    access = access_of(request)
    workspaces = list(access.limit(Workspace.objects.order_by("name"), ""))
    if not workspaces:
        return context | {"work": None}
    workspace = _chosen(request, workspaces)
    day = _day(request, workspace)
    taken, blocks = _taken(workspace, day), _blocks(workspace, day)
    day = day.showing(_spans(day, taken, blocks))
    return context | {
        "work": {
            "workspace": workspace,
            "workspaces": workspaces if len(workspaces) > 1 else [],
            "attention": _attention(access),
            "requests": admin_approval.worklist(access),
            "day": _day_links(workspace, day),
            "rows": _timeline(workspace, day, taken, blocks),
            "hours": _axis(day),
            "holds": _running_out(workspace),
            "money": _money_of(workspace, _yesterday(workspace)),
        }
    }


def _chosen(request: HttpRequest, workspaces: list[Workspace]) -> Workspace:
    wanted = request.GET.get("workspace", "")
    return next((w for w in workspaces if w.slug == wanted), workspaces[0])


def _day(request: HttpRequest, workspace: Workspace) -> Day:
    zone = ZoneInfo(workspace.timezone)
    try:
        chosen = date.fromisoformat(request.GET.get("day", ""))
    except ValueError:
        chosen = timezone.now().astimezone(zone).date()
    within = min(max(chosen, date(2000, 1, 2)), date(2200, 1, 1))
    return Day(within, zone)


def _yesterday(workspace: Workspace) -> Day:
    zone = ZoneInfo(workspace.timezone)
    return Day(timezone.now().astimezone(zone).date() - timedelta(days=1), zone)


def _day_links(workspace: Workspace, day: Day) -> dict[str, Any]:
    today = timezone.now().astimezone(day.zone).date()

    def address(other: date) -> str:
        return "?" + urlencode({"workspace": workspace.slug, "day": other.isoformat()})

    return {
        "title": f"{day.date:%A} {day.date.day} {day.date:%B %Y}",
        "is_today": day.date == today,
        "before": address(day.date - timedelta(days=1)),
        "after": address(day.date + timedelta(days=1)),
        "today": address(today),
        "now": day.permille(timezone.now()) if day.date == today else None,
    }


def _axis(day: Day) -> list[dict[str, Any]]:
    """The axis' lines; every other hour is written where there are many."""
    hours = day.hours()
    every = 2 if len(hours) > 10 else 1
    width = 1000 / len(hours)
    return [
        {"label": f"{hour:02d}" if i % every == 0 else "", "x": round(i * width)}
        for i, hour in enumerate(hours)
    ]


# --- Needs attention ----------------------------------------------------------------------------


def _attention(access: Access) -> list[dict[str, Any]]:
    """Rows that somebody may have to see to, each with what is wrong, in all their workspaces."""
    payments = access.limit(
        Payment.objects.filter(stuck_payments()).select_related("due__booking"), "due__workspace"
    )
    checkouts = access.limit(
        Checkout.objects.filter(stuck_checkouts()).select_related("due__booking"), "due__workspace"
    )
    refunds = access.limit(
        needing_somebody(Refund.objects.select_related("due__booking")), "due__workspace"
    )
    mails = access.limit(Notification.objects.filter(state="failed"), "workspace")
    kinds = [
        ("payment", "payments_payment", payments.order_by("-created_at"), "attention=needed"),
        ("checkout", "payments_checkout", checkouts.order_by("-created_at"), "attention=needed"),
        ("refund", "payments_refund", refunds.order_by("-created_at"), "attention=needed"),
        ("unsent mail", "members_notification", mails.order_by("-created_at"), "mail=failed"),
    ]
    found = [_group(*kind) for kind in kinds if kind[2]]
    return found + dashboard_calendars.groups(access)


def _group(what: str, url: str, rows: QuerySet, query: str) -> dict[str, Any]:
    """A kind of trouble; its rows have been fetched by the truth test above."""
    found = list(rows)
    return {
        "what": what if len(found) == 1 else f"{what}s",
        "count": len(found),
        "url": f"{reverse(f'admin:{url}_changelist')}?{query}",
        "rows": [
            {
                "url": reverse(f"admin:{url}_change", args=[row.pk]),
                "name": _named(row),
                "problem": row.last_error[:160] or row.state.replace("_", " "),
            }
            for row in found[:MOST_ROWS]
        ],
    }


def _named(row: Any) -> str:
    if isinstance(row, Notification):
        return str(row)
    money = Money(row.amount_minor, row.currency)
    return f"{money} for {row.due.booking.reference}"


# --- Today by resource --------------------------------------------------------------------------


def _timeline(
    workspace: Workspace, day: Day, taken: list[Occupancy], blocks: list[Block]
) -> list[dict[str, Any]]:
    """Resources with what takes them on that day: bookings, holds and blocks as bars."""
    resources = Resource.objects.select_related("location").filter(
        workspace=workspace, is_active=True
    )[:MOST_RESOURCES]
    bars: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for occupancy in _once_each(taken):
        bars[occupancy.resource_id].append(_booking_bar(occupancy, day))
    for block in blocks:
        bars[block.resource_id].append(_block_bar(block, day))
    return [
        {
            "name": resource.name,
            "url": reverse("admin:bookings_resource_change", args=[resource.pk]),
            "why": _why(resource, day.start, day.end),
            "spots": _spots(resource, day),
            "bars": _stacked(bars[resource.pk]),
            "lanes": max((bar["lane"] for bar in bars[resource.pk]), default=0) + 1,
        }
        for resource in resources
    ]


def _spots(resource: Resource, day: Day) -> list[dict[str, Any]]:
    """Each hour of the axis as a link that says why it is not free, or that it is."""
    spots = []
    for hour in day.hours():
        start = day.start.replace(hour=hour)
        end = day.end if hour == 23 else day.start.replace(hour=hour + 1)
        left = day.permille(start)
        spots.append(
            {
                "url": _why(resource, start, end),
                "said": f"{start:%H:%M}–{end:%H:%M}: why not free?",
                "left": left,
                "width": day.permille(end) - left,
            }
        )
    return spots


def _why(resource: Resource, start: datetime, end: datetime) -> str:
    """The page that says why a window is not free; it speaks the location's time."""
    zone = ZoneInfo(resource.location.timezone)
    asked = asked_to_explain(start.astimezone(zone), end.astimezone(zone))
    page = reverse("admin:bookings_resource_why_not_free", args=[resource.pk])
    return f"{page}?{urlencode(asked)}"


def _once_each(taken: list[Occupancy]) -> Iterable[Occupancy]:
    """A line that was moved may stand on several pieces; it is one bar."""
    seen = set()
    for occupancy in taken:
        bar = (occupancy.line_id, occupancy.resource_id, _shown(occupancy))
        if bar not in seen:
            seen.add(bar)
            yield occupancy


def _taken(workspace: Workspace, day: Day) -> list[Occupancy]:
    now = timezone.now()
    return list(
        Occupancy.objects.filter(
            resource__workspace=workspace,
            during__overlap=(day.start, day.end),
            released_at=None,
        )
        .filter(Q(lapses_at=None) | Q(lapses_at__gt=now))
        .select_related("booking", "line", "change")
        .order_by("during")
    )


def _blocks(workspace: Workspace, day: Day) -> list[Block]:
    return list(Block.objects.filter(workspace=workspace, during__overlap=(day.start, day.end)))


def _spans(
    day: Day, taken: list[Occupancy], blocks: list[Block]
) -> list[tuple[datetime, datetime]]:
    """What the axis has to reach: bookings, and now; a block may last for days."""
    now = timezone.now()
    spans = [_shown(o) for o in taken]
    spans += [(b.during.lower, b.during.upper) for b in blocks if b.during.lower >= day.start]
    return [*spans, (now, now)] if day.start <= now < day.end else spans


def _shown(occupancy: Occupancy) -> tuple[datetime, datetime]:
    """What a bar shows: the line's window, or the part that a change waits to add to it."""
    line, change = occupancy.line, occupancy.change
    if change is None or occupancy.lapses_at is None:
        return line.starts_at, line.ends_at
    wanted = next(each for each in change.lines if each["line"] == str(line.pk))
    start = max(occupancy.during.lower, datetime.fromisoformat(wanted["start"]))
    end = min(occupancy.during.upper, datetime.fromisoformat(wanted["end"]))
    return (start, end) if start < end else (occupancy.during.lower, occupancy.during.upper)


def _booking_bar(occupancy: Occupancy, day: Day) -> dict[str, Any]:
    booking, (start, end) = occupancy.booking, _shown(occupancy)
    who = booking.name or booking.email or "somebody"
    many = f", {occupancy.quantity} units" if occupancy.quantity > 1 else ""
    said = f"{_hours(start, end, day)}, {who}{many}"
    held = " (held for a change)" if occupancy.change_id else " (held)"
    return _bar(start, end, day) | {
        "kind": "held" if occupancy.lapses_at else "taken",
        "said": f"{booking.reference}: {said}{held if occupancy.lapses_at else ''}",
        "url": reverse("admin:bookings_booking_change", args=[booking.pk]),
    }


def _block_bar(block: Block, day: Day) -> dict[str, Any]:
    said = f"{_hours(block.during.lower, block.during.upper, day)}, blocked: {block.reason}"
    return _bar(block.during.lower, block.during.upper, day) | {
        "kind": "blocked",
        "said": said,
        "url": reverse("admin:bookings_block_change", args=[block.pk]),
    }


def _bar(start: datetime, end: datetime, day: Day) -> dict[str, Any]:
    left = day.permille(start)
    return {"left": left, "width": max(day.permille(end) - left, 4), "lane": 0}


def _hours(start: datetime, end: datetime, day: Day) -> str:
    return f"{start.astimezone(day.zone):%H:%M}–{end.astimezone(day.zone):%H:%M}"


def _stacked(bars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Bars that overlap (a pool's) go into lanes of their own, the first that is free."""
    ends: list[int] = []
    for bar in sorted(bars, key=lambda bar: bar["left"]):
        lane = next((i for i, end in enumerate(ends) if end <= bar["left"]), len(ends))
        ends[lane : lane + 1] = [bar["left"] + bar["width"]]
        bar["lane"], bar["top"] = lane, lane * 22 + 3
    return bars


# --- Holds and money ----------------------------------------------------------------------------


def _running_out(workspace: Workspace) -> dict[str, Any]:
    rows = list(
        live(Hold.objects.filter(workspace=workspace))
        .select_related("booking", "change")
        .annotate(units=Count("booking__lines"))
        .order_by("lapses_at")
    )
    return {
        "count": len(rows),
        "url": reverse("admin:holds_hold_changelist"),
        "rows": [
            {
                "url": reverse("admin:holds_hold_change", args=[hold.pk]),
                "name": hold.booking.name or hold.booking.email or hold.booking.reference,
                "total": _total(hold),
                "ends": counting(hold, said_moment(hold.expires_at, workspace.timezone)),
                "is_paying": hold.has_open_checkout and hold.booking.requested_at is None,
            }
            for hold in rows[:MOST_ROWS]
        ],
    }


def _total(hold: Hold) -> str:
    if hold.change is None:
        return str(hold.booking.total)
    return f"{Money(hold.change.difference_minor, hold.booking.currency)} more"


def _money_of(workspace: Workspace, day: Day) -> dict[str, Any]:
    """What a day brought, by currency, and how many payments were given up for a lost slot."""
    of_workspace = Payment.objects.filter(due__workspace=workspace)
    span = {"captured_at__gte": day.start, "captured_at__lt": day.end}
    sums = (
        of_workspace.filter(state=CAPTURED, **span)
        .values("currency", "provider")
        .annotate(sum_minor=Sum("amount_minor"), many=Count("pk"))
        .order_by("provider", "currency")
    )
    voided = of_workspace.filter(
        state=VOIDED, voided_at__gte=day.start, voided_at__lt=day.end
    ).count()
    changelist = reverse("admin:payments_payment_changelist")
    query = urlencode({name: moment.isoformat(" ") for name, moment in span.items()})
    return {
        "day": f"{day.date:%A}",
        "captured": [
            {
                "amount": str(Money(row["sum_minor"], row["currency"])),
                "many": row["many"],
                "by": row["provider"].replace("_", " "),
            }
            for row in sums
        ],
        "nothing": str(Money(0, workspace.currency)),
        "voided": voided,
        "url": f"{changelist}?{query}",
        "voided_url": f"{changelist}?state__exact={VOIDED}",
    }
