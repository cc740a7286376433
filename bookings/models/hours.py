"""When it is open."""

from django.db import models
from django.db.models import Q

from bookings.models.places import Location
from bookings.models.resources import Resource
from config.kernel.ids import new_id


class OpeningHours(models.Model):
    """One weekly span in local time. A resource's own spans replace its location's."""

    class Weekday(models.IntegerChoices):
        MONDAY = 0, "Monday"
        TUESDAY = 1, "Tuesday"
        WEDNESDAY = 2, "Wednesday"
        THURSDAY = 3, "Thursday"
        FRIDAY = 4, "Friday"
        SATURDAY = 5, "Saturday"
        SUNDAY = 6, "Sunday"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    location = models.ForeignKey(
        Location, on_delete=models.CASCADE, null=True, blank=True, related_name="opening_hours"
    )
    resource = models.ForeignKey(
        Resource, on_delete=models.CASCADE, null=True, blank=True, related_name="opening_hours"
    )
    weekday = models.PositiveSmallIntegerField(choices=Weekday)
    opens_at = models.TimeField()
    closes_at = models.TimeField(
        help_text="At or before opening: on the next day. 00:00: midnight."
    )

    class Meta:
        ordering = ["weekday", "opens_at"]
        verbose_name_plural = "opening hours"
        constraints = [
            models.CheckConstraint(
                name="opening_hours_of_one_owner",
                condition=Q(location=None, resource__isnull=False)
                | Q(location__isnull=False, resource=None),
                violation_error_message="Opening hours belong to a location or to a resource.",
            ),
            models.CheckConstraint(
                name="opening_hours_weekday", condition=Q(weekday__range=(0, 6))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.opens_at:%H:%M}–{self.closes_at:%H:%M}"
