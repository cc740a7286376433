"""The first screen's part on connected calendars: what waits for somebody, and what is not read."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from bookings.calendars import ages
from bookings.models import CalendarTask
from members.admin_scope import Access

MOST_ROWS = 8


def groups(access: Access) -> list[dict[str, Any]]:
    """As the other groups of what needs attention; two queries."""
    return [found for found in (_tasks(access), _unread(access)) if found["rows"]]


def _tasks(access: Access) -> dict[str, Any]:
    open_ = CalendarTask.objects.filter(closed_at=None).select_related("booking", "connection")
    rows = list(access.limit(open_, "workspace"))
    return {
        "what": "calendar task" if len(rows) == 1 else "calendar tasks",
        "count": len(rows),
        "url": reverse("admin:bookings_calendartask_changelist"),
        "rows": [
            {
                "url": reverse("admin:bookings_calendartask_change", args=[task.pk]),
                "name": task.booking.reference,
                "problem": f"{task.get_kind_display()} in {task.connection}",
            }
            for task in rows[:MOST_ROWS]
        ],
    }


def _unread(access: Access) -> dict[str, Any]:
    now = timezone.now()
    rows = list(access.limit(ages.in_trouble(now), "workspace"))
    return {
        "what": "calendar not read" if len(rows) == 1 else "calendars not read",
        "count": len(rows),
        "url": reverse("admin:bookings_calendarconnection_changelist"),
        "rows": [
            {
                "url": reverse("admin:bookings_calendarconnection_change", args=[row.pk]),
                "name": row.name,
                "problem": ages.said(row, now)[:160],
            }
            for row in rows[:MOST_ROWS]
        ],
    }
