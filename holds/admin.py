"""What the admin shows of holds; payments/admin.py registers it, since releasing touches money."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from bookings.models import Change, Line, Occupancy, Resource
from holds import states
from holds.models import Hold
from members.admin_filters import OpeningFilter, ScopedRelatedFilter
from members.admin_scope import ReadOnlyAdmin
from members.admin_words import link, said_moment, said_money, said_window

WITH_RESOURCES = Line.objects.select_related("resource__location")
TAKEN_ANEW = Occupancy.objects.select_related("resource__location")
SOON = timedelta(minutes=5)
LABELS = {"live": "success", "confirmed": "info", "released": "warning", "ended": "danger"}


class HoldFilter(OpeningFilter):
    """Opens on live holds."""

    title = "holds"
    parameter_name = "holds"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("", "Live"),
            ("confirmed", "Confirmed"),
            ("released", "Released"),
            ("expired", "Ended by themselves"),
            ("all", "All"),
        ]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        if self.value() == "all":
            return queryset
        if self.value():
            return queryset.filter(state=self.value())
        return live(queryset)


class PayingFilter(admin.SimpleListFilter):
    """Who is on the payment page."""

    title = "paying now"
    parameter_name = "paying"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "On the payment page"), ("no", "Not yet")]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(has_open_checkout=self.value() == "yes")


class SoonFilter(admin.SimpleListFilter):
    """What is promised for a few minutes more only."""

    title = "ending"
    parameter_name = "ending"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("soon", "Within 5 minutes")]

    def queryset(self, request: Any, queryset: QuerySet) -> QuerySet:
        if self.value() != "soon":
            return queryset
        return queryset.filter(expires_at__lte=timezone.now() + SOON)


def counting(hold: Hold, said: str) -> SafeString:
    """The end of a live hold; `surehold-admin/counting.js` counts down to it where there is one."""
    return format_html(
        '<time datetime="{}" data-counting data-now="{}">{}</time>',
        hold.expires_at.isoformat(),
        timezone.now().isoformat(),
        said,
    )


def live(holds: QuerySet) -> QuerySet:
    """Holds whose time is not up; for showing, so the web server's clock is near enough."""
    return holds.filter(state=states.ACTIVE, lapses_at__gt=timezone.now())


def state_of(hold: Hold, now: datetime) -> str:
    """The state as a word that is true now: one that lapsed has ended, tidied away or not."""
    if hold.state == states.ACTIVE:
        return "live" if hold.lapses_at > now else "ended"
    return "ended" if hold.state == states.EXPIRED else hold.state


class HoldAdminBase(ReadOnlyAdmin):
    """Live holds, the soonest to end first."""

    list_display = (
        "booking_shown", "what", "who", "ends", "paying_shown", "state_shown", "total",
    )  # fmt: skip
    list_display_links = ("booking_shown",)
    list_filter = (
        HoldFilter,
        PayingFilter,
        SoonFilter,
        ("booking__lines__resource__location", ScopedRelatedFilter),
        ("booking__lines__resource", ScopedRelatedFilter),
    )
    search_fields = ("booking__reference", "booking__email", "booking__name")
    ordering = ("lapses_at",)
    fields = (
        ("booking_link", "state_shown"), "what", ("who", "total"), ("began", "ends"),
        ("extended", "is_paying"), ("ended", "ended_because"),
    )  # fmt: skip
    readonly_fields = (
        "booking_link", "state_shown", "what", "who", "total", "began", "ends", "extended",
        "is_paying", "ended",
    )  # fmt: skip

    class Media:
        js = ("surehold-admin/counting.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request)
        return rows.select_related("booking", "workspace", "member", "change").prefetch_related(
            Prefetch("booking__lines", WITH_RESOURCES),
            Prefetch("change__occupancies", TAKEN_ANEW),
        )

    @display(description="booking", ordering="booking__reference")
    def booking_shown(self, hold: Hold) -> str:
        return hold.booking.reference

    @display(description="booking")
    def booking_link(self, hold: Hold) -> str:
        return link("bookings_booking", hold.booking_id, hold.booking.reference)

    @display(description="what")
    def what(self, hold: Hold) -> str:
        if hold.change is None:
            return lines_said(hold.lines)
        return f"Change: {change_said(hold.change, hold.lines)}"

    @display(description="who")
    def who(self, hold: Hold) -> str:
        named = hold.booking.name or hold.booking.email or str(hold.member or "")
        return named or "somebody without a name yet"

    @display(description="ends", ordering="expires_at")
    def ends(self, hold: Hold) -> str:
        said = said_moment(hold.expires_at, hold.workspace.timezone)
        return counting(hold, said) if state_of(hold, timezone.now()) == "live" else said

    @display(description="began")
    def began(self, hold: Hold) -> str:
        return said_moment(hold.created_at, hold.workspace.timezone)

    @display(description="extended")
    def extended(self, hold: Hold) -> str:
        return said_moment(hold.extended_at, hold.workspace.timezone)

    @display(description="ended")
    def ended(self, hold: Hold) -> str:
        return said_moment(hold.ended_at, hold.workspace.timezone)

    @display(description="paying", boolean=True)
    def paying_shown(self, hold: Hold) -> bool:
        return hold.has_open_checkout

    @display(description="paying now")
    def is_paying(self, hold: Hold) -> str:
        return "yes, on the payment page" if hold.has_open_checkout else "no"

    @display(description="total")
    def total(self, hold: Hold) -> str:
        change, currency = hold.change, hold.booking.currency
        if change is None:
            return said_money(hold.booking.total_minor, currency)
        return f"{said_money(change.difference_minor, currency)} more"

    @display(description="state", label=LABELS)
    def state_shown(self, hold: Hold) -> str:
        return state_of(hold, timezone.now())


def lines_said(lines: list[Line]) -> str:
    """Large room, Tue 8 Dec 2026, 14:00–15:30, Auckland; several lines with a semicolon."""
    return "; ".join(line_said(line) for line in lines)


def change_said(change: Change, lines: list[Line]) -> str:
    """What a change makes of its lines, "from → to"; `lines` are its booking's."""
    known = _resources_of(change, lines)
    return "; ".join(
        f"{_window_said(wanted['before'], known)} → {_window_said(wanted, known)}"
        for wanted in change.lines
    )


def _resources_of(change: Change, lines: list[Line]) -> dict[str, Resource]:
    """From what is at hand: a line goes to its own resource, or where the change has taken time.

    Only for one that has left a resource behind the database is asked.
    """
    known = {str(o.resource_id): o.resource for o in change.occupancies.all()}
    known |= {str(line.resource_id): line.resource for line in lines}
    named = {window["resource"] for ln in change.lines for window in (ln, ln["before"])}
    if missing := named - known.keys():
        left = Resource.objects.select_related("location").filter(pk__in=missing)
        known |= {str(resource.pk): resource for resource in left}
    return known


def moved_said(line: Line, resource: Resource, start: datetime, end: datetime) -> str:
    """The same for one line and where it is to go."""
    return f"{line_said(line)} → {resource.name}, {_when(start, end, resource)}"


def _window_said(window: dict[str, Any], known: dict[str, Resource]) -> str:
    start, end = (datetime.fromisoformat(window[name]) for name in ("start", "end"))
    resource = known[window["resource"]]
    return f"{resource.name}, {_when(start, end, resource)}"


def _when(start: datetime, end: datetime, resource: Resource) -> str:
    return said_window(start, end, resource.location.timezone)


def line_said(line: Line) -> str:
    """2 × City bike, Tue 8 Dec 2026, 14:00–15:30, Auckland."""
    many = f"{line.quantity} × " if line.quantity > 1 else ""
    when = said_window(line.starts_at, line.ends_at, line.resource.location.timezone)
    return f"{many}{line.resource.name}, {when}"
