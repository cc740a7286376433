"""What can be booked, and what has been. Rules that must never break are in `guards.py`."""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.contrib.postgres.indexes import GistIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now, Upper

from bookings import guards
from bookings.states import BOOKING_STATES, CHANGE_STATES
from config.kernel.ids import new_id, new_reference
from config.kernel.money import Money
from config.kernel.triggers import unchangeable, undeletable
from members.models import Member, Workspace
from members.rules import validate_timezone

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_DURING = F("during")


class Category(models.Model):
    """What a resource is ("Meeting room"); groups equivalents across locations."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="categories")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=60)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"
        constraints = [models.UniqueConstraint("workspace", "slug", name="category_slug_unique")]

    def __str__(self) -> str:
        return self.name


class Location(models.Model):
    """A place with an address and a time zone; windows are shown in its zone."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="locations")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=60)
    address = models.TextField(blank=True)
    directions = models.TextField(blank=True, help_text="How to find the door.")
    timezone = models.CharField(max_length=64, validators=[validate_timezone])

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", "slug", name="location_slug_unique")]

    def __str__(self) -> str:
        return self.name


class Resource(models.Model):
    """Something bookable at one location, and the rules a window must keep."""

    class Mode(models.TextChoices):
        EXCLUSIVE = "exclusive", "Exclusive: one booking at a time"
        POOLED = "pooled", "Pooled: several interchangeable units"

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
    hold_ttl_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(MINUTE), MaxValueValidator(120 * MINUTE)],
        help_text="Blank for the workspace's.",
    )
    # Its own cancellation policy; all blank for the workspace's.
    cancel_free_hours = models.PositiveIntegerField(
        null=True, blank=True, help_text="Blank for the workspace's policy."
    )
    cancel_partial_hours = models.PositiveIntegerField(null=True, blank=True)
    cancel_partial_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(100)]
    )
    cancel_fee_minor = models.PositiveBigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["position", "name"]
        triggers = [
            guards.resource_guard,
            guards.resource_belongs,
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
                name="resource_durations_in_order",
                condition=Q(
                    step_seconds__gt=0, min_seconds__gt=0, max_seconds__gte=F("min_seconds")
                ),
                violation_error_message="The longest duration is shorter than the shortest.",
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


def _is(function: str, value: Any = _DURING) -> Q:
    """A range function that answers yes or no, for CHECK constraints."""
    return Q(Func(value, function=function, output_field=models.BooleanField()))


def _window_checks(prefix: str) -> list[models.CheckConstraint]:
    """Non-empty, finite and half open: what every window of time must be (INV-1)."""
    return [
        models.CheckConstraint(
            name=f"{prefix}_window_not_empty",
            condition=~_is("isempty"),
        ),
        models.CheckConstraint(
            name=f"{prefix}_window_finite",
            condition=~_is("lower_inf")
            & ~_is("upper_inf")
            & _is("isfinite", Func(F("during"), function="lower"))
            & _is("isfinite", Func(F("during"), function="upper")),
        ),
        models.CheckConstraint(
            name=f"{prefix}_window_half_open",
            condition=_is("lower_inc") & ~_is("upper_inc"),
        ),
    ]


class Block(models.Model):
    """Time in which a resource, or some units of a pool, cannot be booked anew (INV-4)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="blocks")
    resource = models.ForeignKey(Resource, on_delete=models.PROTECT, related_name="blocks")
    during = DateTimeRangeField()
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    reason = models.CharField(max_length=200)
    created_by = models.ForeignKey(Member, on_delete=models.PROTECT, null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        triggers = [guards.block_guard]
        constraints = [
            *_window_checks("block"),
            models.CheckConstraint(name="block_quantity", condition=Q(quantity__gte=1)),
        ]
        indexes = [GistIndex("resource", "during", name="block_resource_during")]

    def __str__(self) -> str:
        return self.reason


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


class Booking(models.Model):
    """What a member has: lines, the price as it was when made, a state."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="bookings", db_index=False
    )
    reference = models.CharField(max_length=12, default=new_reference, editable=False)
    member = models.ForeignKey(
        Member,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="bookings",
        db_index=False,
    )
    email = models.EmailField(blank=True, help_text="Where mails go; guests have no account.")
    name = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=20, default="pending_payment")
    version = models.PositiveIntegerField(default=0)
    currency = models.CharField(max_length=3)
    total_minor = models.PositiveBigIntegerField()
    price = models.JSONField(help_text="The quote as it was when the slot was held.")
    policy = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="The cancellation policy as it was then, line by line.",
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        triggers = [
            BOOKING_STATES.trigger(),
            guards.booking_agrees,
            *undeletable("booking_is_history"),
        ]
        constraints = [
            models.UniqueConstraint("workspace", "reference", name="booking_reference_unique"),
            models.CheckConstraint(
                name="booking_window_in_order", condition=Q(ends_at__gt=F("starts_at"))
            ),
        ]
        indexes = [
            models.Index("workspace", "state", "starts_at", name="booking_worklist"),
            models.Index(fields=["workspace", "-created_at", "-id"], name="booking_newest"),
            models.Index("member", "starts_at", name="booking_of_member"),
            models.Index(Upper("email"), name="booking_of_email", condition=~Q(email="")),
            models.Index("starts_at", name="booking_reminders", condition=Q(state="confirmed")),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def total(self) -> Money:
        return Money(self.total_minor, self.currency)


class Line(models.Model):
    """One resource for one member-facing window; owns the occupancies that back it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    booking = models.ForeignKey(
        Booking, on_delete=models.PROTECT, related_name="lines", db_index=False
    )
    position = models.PositiveSmallIntegerField(default=0)
    resource = models.ForeignKey(
        Resource, on_delete=models.PROTECT, related_name="lines", db_index=False
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    quantity = models.PositiveIntegerField(default=1)
    amount_minor = models.PositiveBigIntegerField()
    price = models.JSONField(default=list, help_text="The parts that add up to the amount.")

    class Meta:
        ordering = ["position"]
        triggers = [
            guards.line_agrees,
            guards.line_belongs,
            *undeletable("booking_is_history"),
        ]
        constraints = [
            models.UniqueConstraint("booking", "position", name="line_position_unique"),
            models.CheckConstraint(
                name="line_window_in_order", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(name="line_quantity", condition=Q(quantity__gte=1)),
        ]
        indexes = [models.Index("resource", "starts_at", name="line_of_resource")]

    def __str__(self) -> str:
        return f"{self.resource_id} {self.starts_at:%F %H:%M}"


class Change(models.Model):
    """What a confirmed booking is to become: other windows, other resources, another price.

    `lines` says for each line that moves what it will be, and what it was when this was asked for
    (`changes.py` has the shape). `base_version` is the booking's version then: a change never comes
    on top of another.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    booking = models.ForeignKey(Booking, on_delete=models.PROTECT, related_name="changes")
    state = models.CharField(max_length=10, default="pending")
    version = models.PositiveIntegerField(default=0)
    base_version = models.PositiveIntegerField()
    lines = models.JSONField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    difference_minor = models.BigIntegerField(help_text="Owed, or below zero: to be given back.")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        triggers = [
            CHANGE_STATES.trigger(),
            guards.change_agrees,
            *undeletable("booking_is_history"),
        ]
        constraints = [
            models.UniqueConstraint(
                "booking", name="change_one_pending_per_booking", condition=Q(state="pending")
            ),
            models.CheckConstraint(
                name="change_window_in_order", condition=Q(ends_at__gt=F("starts_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"change of {self.booking_id} ({self.state})"

    @property
    def difference(self) -> Money:
        return Money(self.difference_minor, self.booking.currency)


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
            *_window_checks("occupancy"),
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


class BookingEvent(models.Model):
    """History: who moved a booking from where to where, when, why, in which request."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    booking = models.ForeignKey(Booking, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    from_state = models.CharField(max_length=20, blank=True)
    to_state = models.CharField(max_length=20, blank=True)
    version = models.PositiveIntegerField()
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=40, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    data: Any = models.JSONField(default=dict)

    class Meta:
        ordering = ["at", "id"]
        triggers = unchangeable("booking_event_is_history")

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%F %T}"
