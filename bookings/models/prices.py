"""What it costs."""

from django.db import models

from bookings.models.resources import Resource
from config.kernel.ids import new_id


class PriceRule(models.Model):
    """What a resource costs. Several rules of one resource add up."""

    class Kind(models.TextChoices):
        PER_HOUR = "per_hour", "per hour"
        PER_BOOKING = "per_booking", "per booking"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="price_rules")
    kind = models.CharField(max_length=12, choices=Kind)
    amount_minor = models.PositiveBigIntegerField(help_text="In minor units: 4500 is NZ$45.00.")
    label = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["kind", "amount_minor"]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.get_kind_display()}"
