"""What can be booked, and the rules that a window must keep."""

from datetime import time

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from bookings import guards
from bookings.models.places import Category, Location
from config.kernel.ids import new_id
from config.kernel.triggers import undeletable
from members.models import Workspace

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# A card's authorisation lives about seven days; a day is left to capture it.
LONGEST_APPROVAL = 6 * DAY


class Resource(models.Model):
    """Something bookable at one location, and the rules a window must keep."""

    class Mode(models.TextChoices):
        EXCLUSIVE = "exclusive", "Exclusive: one booking at a time"
        POOLED = "pooled", "Pooled: several interchangeable units"

    class Visibility(models.TextChoices):
        PUBLIC = "public", "Everybody"
        MEMBERS = "members", "Members: whoever is signed in"
        GROUPS = "groups", "Members of the groups below"

    class Unit(models.TextChoices):
        TIME = "time", "Time: any start on the step"
        DAY = "day", "Days or nights: from check-in to check-out"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="resources")
    location = models.ForeignKey(Location, on_delete=models.PROTECT, related_name="resources")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="resources")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60)
    description = models.TextField(blank=True)
    picture = models.ImageField(upload_to="resources/", blank=True)
    picture_alt = models.CharField(max_length=200, blank=True, help_text="What the picture shows.")
    seats = models.PositiveIntegerField(null=True, blank=True)
    mode = models.CharField(max_length=9, choices=Mode, default=Mode.EXCLUSIVE)
    capacity = models.PositiveIntegerField(default=1)
    is_active = models.BooleanField("bookable", default=True)
    visibility = models.CharField(
        "for",
        max_length=7,
        choices=Visibility,
        default=Visibility.PUBLIC,
        db_default=Visibility.PUBLIC,
        help_text="Nobody else sees it or can book it.",
    )
    only_with_others = models.BooleanField(
        "only as an add-on",
        default=False,
        db_default=False,
        help_text="A pool that is booked together with something else, and not by itself.",
    )
    position = models.PositiveIntegerField(default=0)

    step_seconds = models.PositiveIntegerField(
        default=30 * MINUTE, validators=[MinValueValidator(5 * MINUTE), MaxValueValidator(DAY)]
    )
    min_seconds = models.PositiveIntegerField(default=HOUR)
    max_seconds = models.PositiveIntegerField(default=8 * HOUR)
    buffer_before_seconds = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(DAY)]
    )
    buffer_after_seconds = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(DAY)]
    )
    notice_seconds = models.PositiveIntegerField(default=0, help_text="How long before the start.")
    horizon_days = models.PositiveIntegerField(
        default=90, validators=[MinValueValidator(1), MaxValueValidator(730)]
    )
    horizon_opens_at = models.TimeField(
        "released at",
        null=True,
        blank=True,
        help_text="The time of day at which the next day can be booked; blank: from minute to "
        "minute.",
    )
    # By the clock, or by days and nights: then step and durations by the clock do not count.
    booking_unit = models.CharField(
        "booked by", max_length=4, choices=Unit, default=Unit.TIME, db_default=Unit.TIME
    )
    day_starts_at = models.TimeField("check-in", default=time(15), db_default=time(15))
    day_ends_at = models.TimeField(
        "check-out",
        default=time(11),
        db_default=time(11),
        help_text="At or before check-in: on the next day.",
    )
    min_days = models.PositiveSmallIntegerField(
        "shortest, in days or nights", default=1, db_default=1
    )
    max_days = models.PositiveSmallIntegerField(
        "longest, in days or nights", default=14, db_default=14
    )
    hold_ttl_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(MINUTE), MaxValueValidator(120 * MINUTE)],
        help_text="Blank for the workspace's.",
    )
    needs_approval = models.BooleanField(
        default=False, db_default=False, help_text="Staff approve each request; a card is held."
    )
    approval_ttl_seconds = models.PositiveIntegerField(
        default=DAY,
        db_default=DAY,
        validators=[MinValueValidator(HOUR), MaxValueValidator(LONGEST_APPROVAL)],
        help_text="How long staff have. A bank keeps an authorisation about 7 days.",
    )
    # Whether some calendar's busy times block it: the trigger of that name finds out. What has none
    # is claimed without a further look.
    reads_calendars = models.BooleanField(default=False, db_default=False, editable=False)
    # Its own cancellation policy; all blank for the workspace's.
    cancel_free_hours = models.PositiveIntegerField(
        null=True, blank=True, help_text="Blank for the workspace's policy."
    )
    cancel_partial_hours = models.PositiveIntegerField(null=True, blank=True)
    cancel_partial_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(100)]
    )
    cancel_fee_minor = models.PositiveBigIntegerField(null=True, blank=True)
    tax_basis_points = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MaxValueValidator(10_000)],
        help_text="1500 is 15 per cent. Blank for the workspace's.",
    )
    tax_is_added = models.BooleanField(
        "tax is added to the prices",
        null=True,
        blank=True,
        help_text="Or included in them. Unknown for as the workspace has it.",
    )

    class Meta:
        ordering = ["position", "name"]
        triggers = [
            guards.resource_guard,
            guards.resource_belongs,
            guards.resource_reads_calendars,
            *undeletable(
                "resource_with_history",
                unless="NOT EXISTS (SELECT 1 FROM bookings_line WHERE resource_id = OLD.id)",
            ),
        ]
        constraints = [
            models.UniqueConstraint("workspace", "slug", name="resource_slug_unique"),
            models.CheckConstraint(
                name="resource_capacity_fits_mode",
                condition=Q(mode="exclusive", capacity=1) | Q(mode="pooled", capacity__gte=0),
                violation_error_message="An exclusive resource has a capacity of 1.",
            ),
            models.CheckConstraint(
                name="resource_only_with_others_is_a_pool",
                condition=Q(only_with_others=False) | Q(mode="pooled"),
                violation_error_message="Only a pool can be an add-on.",
            ),
            models.CheckConstraint(
                name="resource_durations_in_order",
                condition=Q(
                    step_seconds__gt=0, min_seconds__gt=0, max_seconds__gte=F("min_seconds")
                ),
                violation_error_message="The longest duration is shorter than the shortest.",
            ),
            models.CheckConstraint(
                name="resource_days_in_order",
                condition=Q(min_days__gte=1, max_days__gte=F("min_days"), max_days__lte=365),
                violation_error_message="Give 1 to 365 days, the longest not below the shortest.",
            ),
            models.CheckConstraint(
                name="resource_booking_unit", condition=Q(booking_unit__in=["time", "day"])
            ),
            models.CheckConstraint(
                name="resource_cancel_terms_whole",
                condition=Q(
                    cancel_free_hours=None,
                    cancel_partial_hours=None,
                    cancel_partial_percent=None,
                    cancel_fee_minor=None,
                )
                | Q(
                    cancel_free_hours__isnull=False,
                    cancel_partial_hours__isnull=False,
                    cancel_partial_percent__lte=100,
                    cancel_fee_minor__isnull=False,
                    cancel_partial_hours__lte=F("cancel_free_hours"),
                ),
                violation_error_message=(
                    "Give all of the cancellation policy, or none for the workspace's. "
                    "The share given back applies after the free hours."
                ),
            ),
            models.CheckConstraint(
                name="resource_approval_ttl_range",
                condition=Q(approval_ttl_seconds__range=(HOUR, LONGEST_APPROVAL)),
            ),
            models.CheckConstraint(
                name="resource_hold_ttl_range",
                condition=Q(hold_ttl_seconds=None)
                | Q(hold_ttl_seconds__range=(MINUTE, 120 * MINUTE)),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_exclusive(self) -> bool:
        return self.mode == self.Mode.EXCLUSIVE
