"""Units of a pool by name, and who has which of them: for the counter, never for availability.

A pool is counted, not numbered: a booking that fits is never refused because of a label. Staff say
at hand-over which unit goes out.
"""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import Q

from bookings import guards
from bookings.models.bookings import Line
from bookings.models.resources import Resource
from bookings.models.windows import window_checks
from config.kernel.ids import new_id
from config.kernel.triggers import undeletable


class Unit(models.Model):
    """One thing of a pool, by what is written on it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="units")
    label = models.CharField(max_length=40)
    is_active = models.BooleanField("in use", default=True)

    class Meta:
        ordering = ["label"]
        triggers = [guards.unit_belongs]
        constraints = [
            models.UniqueConstraint(
                "resource",
                "label",
                name="unit_label_unique",
                violation_error_message="There is a unit by this label.",
            )
        ]

    def __str__(self) -> str:
        return self.label


class UnitAssignment(models.Model):
    """A unit that was handed over for a line, for the line's window as it was then."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="assignments")
    line = models.ForeignKey(Line, on_delete=models.PROTECT, related_name="unit_assignments")
    during = DateTimeRangeField()
    handed_over_at = models.DateTimeField()
    returned_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["handed_over_at", "id"]
        triggers = [
            guards.unit_assignment_belongs,
            *undeletable("unit_assignment_is_history"),
        ]
        constraints = [
            ExclusionConstraint(
                name="unit_out_once",
                expressions=[
                    ("unit", RangeOperators.EQUAL),
                    ("during", RangeOperators.OVERLAPS),
                ],
                condition=Q(returned_at=None),
            ),
            *window_checks("unit_assignment"),
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} {self.during}"
