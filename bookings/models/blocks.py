"""Time in which nothing can be booked anew."""

from django.contrib.postgres.fields import DateTimeRangeField
from django.contrib.postgres.indexes import GistIndex
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bookings import guards
from bookings.models.calendars import ConnectedResource
from bookings.models.resources import Resource
from bookings.models.windows import window_checks
from config.kernel.ids import new_id
from members.models import Member, Workspace


class Block(models.Model):
    """Time in which a resource, or some units of a pool, cannot be booked anew (INV-4)."""

    class Kind(models.TextChoices):
        CLOSURE = "closure", "Closure"
        MAINTENANCE = "maintenance", "Maintenance"
        EVENT = "event", "Private event"
        CALENDAR = "calendar", "Busy in a connected calendar"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="blocks")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="blocks")
    during = DateTimeRangeField()
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    kind = models.CharField(
        max_length=11, choices=Kind, default=Kind.CLOSURE, db_default=Kind.CLOSURE
    )
    reason = models.CharField(max_length=200)
    # Whose busy time it is; such blocks are written by what reads calendars, and by nobody else.
    connected = models.ForeignKey(
        ConnectedResource,
        on_delete=models.CASCADE,
        null=True,
        editable=False,
        related_name="busy",
    )
    created_by = models.ForeignKey(Member, on_delete=models.PROTECT, null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        triggers = [guards.block_guard, guards.block_of_calendar]
        constraints = [
            *window_checks("block"),
            models.CheckConstraint(
                name="block_of_calendar",
                condition=Q(kind="calendar", connected__isnull=False)
                | (~Q(kind="calendar") & Q(connected=None)),
            ),
            models.CheckConstraint(name="block_quantity", condition=Q(quantity__gte=1)),
            models.CheckConstraint(
                name="block_kind",
                condition=Q(kind__in=["closure", "maintenance", "event", "calendar"]),
            ),
        ]
        indexes = [GistIndex("resource", "during", name="block_resource_during")]

    def __str__(self) -> str:
        return self.reason
