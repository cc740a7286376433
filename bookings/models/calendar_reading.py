"""What was read of connected calendars, and what somebody has to decide because of it."""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bookings.models.bookings import Booking, Line
from bookings.models.calendars import CalendarConnection
from config.kernel.ids import new_id
from config.kernel.triggers import deferred, refuse
from members.models import Member, Workspace


class CalendarItem(models.Model):
    """One file of a connected calendar as it was read last: all of an ICS address is one.

    It is kept, since what recurs is followed further as days go by, without asking again: times and
    rules, without what it says in words.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    connection = models.ForeignKey(
        CalendarConnection, on_delete=models.CASCADE, related_name="items"
    )
    href = models.CharField(max_length=1000)
    uid = models.CharField(max_length=1000, blank=True)
    etag = models.CharField(max_length=500, blank=True)
    data = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint("connection", "href", name="calendar_item_once"),
        ]

    def __str__(self) -> str:
        return self.href


class CalendarTask(models.Model):
    """What a connected calendar says against a booking, for a person to decide.

    A busy time lies over it (`lies_over`, with the block's key), or its event was deleted or moved
    there. Nothing happens to the booking by itself. One is open for each such thing; it closes when
    that is over, or by what was decided.
    """

    class Kind(models.TextChoices):
        LIES_OVER = "lies_over", "A busy time lies over it"
        DELETED = "deleted", "Its event was deleted"
        MOVED = "moved", "Its event was moved"

    class Closed(models.TextChoices):
        GONE = "gone", "It is over by itself"
        RESTORED = "restored", "The event was written again"
        CANCELLED = "cancelled", "The booking was cancelled"
        ACCEPTED = "accepted", "It was accepted"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="+")
    connection = models.ForeignKey(
        CalendarConnection, on_delete=models.CASCADE, related_name="tasks"
    )
    booking = models.ForeignKey(Booking, on_delete=models.CASCADE, related_name="calendar_tasks")
    line = models.ForeignKey(Line, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=9, choices=Kind)
    # Which busy time it is; empty for what became of the event itself.
    block_key = models.CharField(max_length=36, blank=True, default="")
    outside_start = models.DateTimeField(null=True)
    outside_end = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    closed_at = models.DateTimeField(null=True, editable=False)
    closed_by = models.ForeignKey(
        Member, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    closed_as = models.CharField(max_length=9, choices=Closed, blank=True, default="")

    class Meta:
        ordering = ["opened_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="calendar_task_kind", condition=Q(kind__in=["lies_over", "deleted", "moved"])
            ),
            models.CheckConstraint(
                name="calendar_task_closed_somehow",
                condition=Q(closed_at=None, closed_as="")
                | Q(
                    closed_at__isnull=False,
                    closed_as__in=["gone", "restored", "cancelled", "accepted"],
                ),
            ),
            models.CheckConstraint(
                name="calendar_task_of_a_block",
                condition=Q(kind="lies_over", outside_start__isnull=False) & ~Q(block_key="")
                | ~Q(kind="lies_over") & Q(block_key=""),
            ),
            # A pair is told once; of an event, that it is deleted or that it is moved.
            models.UniqueConstraint(
                "connection",
                "line",
                "block_key",
                name="calendar_task_once",
                condition=Q(closed_at=None),
            ),
        ]
        triggers = [
            deferred(
                "belongs",
                f"""
                    IF NOT EXISTS (
                        SELECT 1 FROM bookings_line l
                        JOIN bookings_booking b ON b.id = l.booking_id
                        JOIN bookings_calendarconnection c ON c.workspace_id = b.workspace_id
                        WHERE l.id = NEW.line_id AND b.id = NEW.booking_id
                          AND c.id = NEW.connection_id AND b.workspace_id = NEW.workspace_id
                    ) THEN
                        {refuse("calendar_task_belongs", "a task is of one workspace''s booking")}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.Insert
                | pgtrigger.UpdateOf("workspace_id", "connection_id", "booking_id", "line_id"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.booking.reference}: {self.get_kind_display().lower()}"
