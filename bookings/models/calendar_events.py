"""What stands, or is to stand, in the calendars that are written."""

from typing import Any

import pgtrigger
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from bookings.models.bookings import Line
from bookings.models.calendars import CalendarConnection, ConnectedResource
from config.kernel.ids import new_id
from members.models import Workspace


class CalendarEvent(models.Model):
    """One line's event in one calendar: a versioned projection, never a truth of its own.

    `wanted_version` counts what might have changed (triggers count, `calendar_marks.py`);
    `written_version` is the count that the calendar is known to show. While they differ it is due.
    The UID is the line's, `href` comes of it, so that writing twice is writing once. `written` is
    what matters of the event that stands there; `sent` what may have arrived besides, since no
    answer came. What is there and is neither was put there by somebody else: it is kept in
    `outside_*`, and nothing is written until that is decided.
    """

    class Outside(models.TextChoices):
        NOTHING = "", "Nothing"
        DELETED = "deleted", "Deleted in the calendar"
        MOVED = "moved", "Moved in the calendar"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    connection = models.ForeignKey(
        CalendarConnection, on_delete=models.CASCADE, related_name="events"
    )
    line = models.ForeignKey(
        Line, on_delete=models.CASCADE, related_name="calendar_events", db_index=False
    )
    wanted_version = models.PositiveBigIntegerField(default=1, db_default=1)
    wanted_at = models.DateTimeField(db_default=Now())
    written_version = models.PositiveBigIntegerField(default=0, db_default=0)
    written_at = models.DateTimeField(null=True)
    href = models.CharField(max_length=1200, blank=True, db_default="")
    etag = models.CharField(max_length=500, blank=True, db_default="")
    written = models.CharField(max_length=100, blank=True, db_default="")
    sent: Any = models.JSONField(default=list, db_default=Value([], models.JSONField()), blank=True)

    due_at = models.DateTimeField(db_default=Now())
    leased_until = models.DateTimeField(null=True)
    lease = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    error = models.CharField(max_length=500, blank=True, db_default="")

    outside_kind = models.CharField(max_length=7, choices=Outside, blank=True, db_default="")
    outside_at = models.DateTimeField(null=True)
    outside_start = models.DateTimeField(null=True)
    outside_end = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("line", "connection", name="calendar_event_once"),
            models.CheckConstraint(
                name="calendar_event_outside",
                condition=Q(outside_kind__in=["", "deleted", "moved"]),
            ),
            models.CheckConstraint(
                name="calendar_event_versions",
                condition=Q(written_version__lte=F("wanted_version")),
            ),
        ]
        indexes = [
            models.Index(
                "connection",
                "due_at",
                name="calendar_event_due",
                condition=Q(written_version__lt=F("wanted_version"), outside_kind=""),
            ),
            models.Index(
                "outside_at", name="calendar_event_outside", condition=~Q(outside_kind="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.uid} in {self.connection_id}"

    @property
    def uid(self) -> str:
        return uid_of(self.line_id)


def uid_of(line_id: object) -> str:
    """The UID of a line's event, the same in mails, feeds and calendars."""
    return f"{line_id}@surehold"


class WritingWorkspace(Workspace):
    """Workspaces seen from here: whether calendars are written is found out whenever it is set.

    Those that have none are asked nothing more when something happens (`members.Workspace`).
    """

    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Trigger(
                name="writes_calendars",
                operation=pgtrigger.UpdateOf("writes_calendars"),
                when=pgtrigger.Before,
                func="""
                    NEW.writes_calendars = EXISTS (
                        SELECT 1 FROM bookings_connectedresource r
                        JOIN bookings_calendarconnection c ON c.id = r.connection_id
                        WHERE c.workspace_id = NEW.id AND r.writes
                    );
                    RETURN NEW;
                """,
            )
        ]


class WrittenResource(ConnectedResource):
    """Marks the workspace when a resource is connected with a calendar, or is not any more."""

    class Meta:
        proxy = True
        triggers = [
            pgtrigger.Trigger(
                name="marks_workspace",
                operation=pgtrigger.Insert | pgtrigger.Delete | pgtrigger.UpdateOf("writes"),
                when=pgtrigger.After,
                func="""
                    UPDATE members_workspace SET writes_calendars = true WHERE id = (
                        SELECT c.workspace_id FROM bookings_calendarconnection c WHERE c.id =
                        CASE TG_OP WHEN 'DELETE' THEN OLD.connection_id ELSE NEW.connection_id END
                    );
                    RETURN NULL;
                """,
            )
        ]
