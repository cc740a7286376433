"""What is taken, for how long, and by whom."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GistIndex
from django.db import models
from django.db.models import Q

from bookings import guards
from bookings.models.bookings import Booking, Line
from bookings.models.changes import Change
from bookings.models.resources import Resource
from bookings.models.windows import window_checks
from config.kernel.ids import new_id
from config.kernel.triggers import undeletable


class Occupancy(models.Model):
    """A quantity of one resource taken for one window. The only answer to "is it taken?"

    `during` includes the buffers. `lapses_at` is when an unpaid claim ends by itself, null once
    confirmed; `released_at` is when the row gave its time back. `change` is what it was taken for,
    where the booking was confirmed before.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    resource = models.ForeignKey(
        Resource, on_delete=models.PROTECT, related_name="occupancies", db_index=False
    )
    booking = models.ForeignKey(Booking, on_delete=models.PROTECT, related_name="occupancies")
    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="occupancies")
    change = models.ForeignKey(
        Change, on_delete=models.PROTECT, null=True, related_name="occupancies", db_index=False
    )
    during = DateTimeRangeField()
    quantity = models.PositiveIntegerField(default=1)
    exclusive = models.BooleanField(help_text="Follows the resource's mode; the guard sees to it.")
    lapses_at = models.DateTimeField(null=True, blank=True)
    released_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "occupancies"
        triggers = [
            guards.occupancy_guard,
            guards.occupancy_agrees,
            guards.occupancy_belongs,
            guards.occupancy_stays,
            *undeletable("occupancy_is_history", unless="OLD.released_at IS NOT NULL"),
        ]
        constraints = [
            ExclusionConstraint(
                name="occupancy_no_overlap",
                expressions=[
                    ("resource", RangeOperators.EQUAL),
                    ("during", RangeOperators.OVERLAPS),
                ],
                condition=Q(released_at=None, exclusive=True),
            ),
            *window_checks("occupancy"),
            models.CheckConstraint(
                name="occupancy_quantity",
                condition=Q(quantity__gte=1) & (Q(exclusive=False) | Q(quantity=1)),
            ),
        ]
        indexes = [
            GistIndex(
                "resource",
                "during",
                name="occupancy_pooled_during",
                condition=Q(released_at=None, exclusive=False),
            ),
            models.Index("change", name="occupancy_of_change", condition=Q(change__isnull=False)),
            models.Index(
                "lapses_at",
                name="occupancy_lapsing",
                condition=Q(released_at=None, lapses_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.during}"
