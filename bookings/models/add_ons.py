"""Pools that are offered together with another resource: a helmet with a bike."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from bookings import guards
from bookings.models.resources import Resource
from config.kernel.ids import new_id


class AddOn(models.Model):
    """The offer of a pool's units with a resource, and what they cost there.

    Its price takes the place of the pool's own. `is_required` means at least one for each unit of
    the line; `max_per_unit` is the most for each unit.
    """

    class PriceKind(models.TextChoices):
        PER_BOOKING = "per_booking", "Once, however many"
        PER_UNIT = "per_unit", "For each"
        PER_HOUR = "per_hour", "For each, by the hour"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="add_ons")
    pool = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="offered_with")
    is_required = models.BooleanField(
        "required", default=False, help_text="At least one for each unit that is booked."
    )
    max_per_unit = models.PositiveSmallIntegerField(
        "most for each unit",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
    )
    price_kind = models.CharField(
        max_length=11, choices=PriceKind, default=PriceKind.PER_UNIT, verbose_name="price"
    )
    amount_minor = models.PositiveBigIntegerField(default=0)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name = "add-on"
        ordering = ["position", "pool__name"]
        triggers = [guards.add_on_belongs]
        constraints = [
            models.UniqueConstraint(
                "resource",
                "pool",
                name="add_on_offered_once",
                violation_error_message="This is offered here already.",
            ),
            models.CheckConstraint(
                name="add_on_of_another",
                condition=~Q(pool=F("resource")),
                violation_error_message="A resource is no add-on of its own.",
            ),
            models.CheckConstraint(name="add_on_at_least_one", condition=Q(max_per_unit__gte=1)),
        ]

    def __str__(self) -> str:
        return f"{self.pool} with {self.resource}"
