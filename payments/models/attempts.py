"""Booking attempts that failed through us, so that they can be made good."""

from django.db import models

from bookings.models import Booking
from config.kernel.money import Money
from members.models import Member, Workspace


class FailedAttempt(models.Model):
    """One request to hold or to pay that we answered with a 5xx.

    Written beside the failed transaction, or from the log when the database was away; `id` is
    given by whoever logged it, so that a line is taken in once.
    """

    class What(models.TextChoices):
        HOLD = "hold", "Holding a slot"
        PAY = "pay", "Paying for it"

    id = models.UUIDField(primary_key=True, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="failed_attempts"
    )
    what = models.CharField(max_length=4, choices=What)
    at = models.DateTimeField()
    status = models.PositiveSmallIntegerField()
    code = models.CharField(max_length=60)
    request_id = models.CharField(max_length=64, blank=True)
    booking = models.ForeignKey(
        Booking, on_delete=models.PROTECT, null=True, related_name="failed_attempts"
    )
    member = models.ForeignKey(
        Member, on_delete=models.PROTECT, null=True, related_name="failed_attempts"
    )
    email = models.EmailField(blank=True)
    visitor = models.CharField(max_length=64, blank=True)
    lines = models.JSONField(default=list, help_text="resource, start, end and quantity of each")
    quoted_minor = models.PositiveBigIntegerField(null=True, help_text="What it would have cost.")
    currency = models.CharField(max_length=3)
    is_from_log = models.BooleanField(default=False)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index("workspace", "at", name="failed_attempt_when")]

    def __str__(self) -> str:
        return f"{self.get_what_display()} failed ({self.code})"

    @property
    def quoted(self) -> Money | None:
        """What the lines would have cost, where that could be told."""
        return None if self.quoted_minor is None else Money(self.quoted_minor, self.currency)
