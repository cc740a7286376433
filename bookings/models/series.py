"""Bookings that repeat."""

from django.db import models

from bookings import guards
from bookings.models.resources import Resource
from config.kernel.ids import new_id
from config.kernel.triggers import undeletable
from members.models import Workspace


class Series(models.Model):
    """A rule (RFC 5545) by which somebody booked: its occurrences are lines of one booking, paid
    together, or bookings of their own, each paid by itself.
    """

    class Payment(models.TextChoices):
        TOGETHER = "together", "All at once"
        EACH = "each", "Each before it takes place"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="series")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="series")
    rule = models.CharField(max_length=500, help_text="FREQ=WEEKLY;COUNT=8")
    starts_at = models.DateTimeField(help_text="The first window's.")
    ends_at = models.DateTimeField()
    quantity = models.PositiveIntegerField(default=1)
    payment = models.CharField(max_length=10, choices=Payment)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "series"
        triggers = [guards.series_belongs, *undeletable("booking_is_history")]
        constraints = [
            models.CheckConstraint(
                name="series_window_in_order",
                condition=models.Q(ends_at__gt=models.F("starts_at")),
            )
        ]

    def __str__(self) -> str:
        return self.rule
