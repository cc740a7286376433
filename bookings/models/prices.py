"""What it costs."""

import pgtrigger
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q

from bookings.models.resources import Resource
from config.kernel.ids import new_id
from config.kernel.triggers import deferred, refuse
from members.models import MemberGroup


class PriceRule(models.Model):
    """What a resource costs, and when and for whom. Which of several count: `prices.py`."""

    class Kind(models.TextChoices):
        PER_HOUR = "per_hour", "per hour"
        PER_STEP = "per_step", "per started step"
        PER_DAY = "per_day", "per day"
        PER_BOOKING = "per_booking", "per booking"
        MINIMUM = "minimum", "minimum charge"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="price_rules")
    kind = models.CharField(max_length=12, choices=Kind)
    amount_minor = models.PositiveBigIntegerField(help_text="In minor units: 4500 is NZ$45.00.")
    label = models.CharField(max_length=80, blank=True)
    priority = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="0 is a basic price: those add up. From 1 on it stands in place of them.",
    )
    step_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(60)],
        help_text="For “per started step”: how long one is. Blank for the resource's.",
    )
    from_seconds = models.PositiveIntegerField(
        default=0, db_default=0, help_text="From so long after the booking's start."
    )
    until_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="Until so long after the booking's start."
    )
    weekdays = models.CharField(
        max_length=7,
        blank=True,
        default="",
        db_default="",
        validators=[RegexValidator("^[0-6]*$")],
        help_text="0 is Monday; blank for every day.",
    )
    from_time = models.TimeField(null=True, blank=True)
    to_time = models.TimeField(null=True, blank=True)
    first_day = models.DateField(null=True, blank=True)
    last_day = models.DateField(null=True, blank=True)
    from_quantity = models.PositiveIntegerField(
        default=1, db_default=1, validators=[MinValueValidator(1)]
    )
    group = models.ForeignKey(
        MemberGroup, on_delete=models.PROTECT, null=True, blank=True, related_name="price_rules"
    )

    class Meta:
        ordering = ["kind", "priority", "amount_minor"]
        constraints = [
            models.CheckConstraint(
                name="price_tier_in_order",
                condition=Q(until_seconds=None) | Q(until_seconds__gt=F("from_seconds")),
                violation_error_message="That part of the booking ends before it begins.",
            ),
            models.CheckConstraint(
                name="price_season_in_order",
                condition=Q(first_day=None) | Q(last_day=None) | Q(last_day__gte=F("first_day")),
                violation_error_message="The season ends before it begins.",
            ),
            models.CheckConstraint(
                name="price_time_of_day",
                condition=Q(from_time=None) | Q(to_time=None) | ~Q(from_time=F("to_time")),
                violation_error_message="Give two different times of day, or none.",
            ),
            models.CheckConstraint(
                name="price_conditions_make_sense",
                condition=Q(weekdays__regex="^[0-6]*$", from_quantity__gte=1)
                & (Q(step_seconds=None) | Q(step_seconds__gt=0)),
                violation_error_message="Weekdays are 0 to 6; quantities and steps start at one.",
            ),
        ]
        triggers = [
            deferred(
                "belongs",
                f"""
                    IF NEW.group_id IS NOT NULL AND NOT EXISTS (
                        SELECT 1 FROM members_membergroup g JOIN bookings_resource r
                          ON r.workspace_id = g.workspace_id
                        WHERE g.id = NEW.group_id AND r.id = NEW.resource_id
                    ) THEN
                        {refuse("price_within_workspace", "the group is another workspace''s")}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.Insert | pgtrigger.UpdateOf("group_id", "resource_id"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} {self.get_kind_display()}"
