"""What a member has: a booking, its lines, its history."""

from typing import Any

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Upper

from bookings import calendar_marks, discount_guards, guards
from bookings.models.resources import Resource
from bookings.models.series import Series
from bookings.states import BOOKING_STATES
from config.kernel.ids import new_id, new_reference
from config.kernel.money import Money
from config.kernel.triggers import unchangeable, undeletable
from members.models import Member, Workspace


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
    series = models.ForeignKey(
        Series, on_delete=models.PROTECT, null=True, blank=True, related_name="bookings",
        db_index=False,
    )  # fmt: skip
    created_at = models.DateTimeField()
    approval_ttl_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="Staff approve it first, within so long; null: nobody."
    )
    requested_at = models.DateTimeField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        triggers = [
            BOOKING_STATES.trigger(),
            guards.booking_agrees,
            guards.booking_of_series,
            discount_guards.booking_uses_again,
            calendar_marks.booking_marks_calendars,
            *undeletable("booking_is_history"),
        ]
        constraints = [
            models.UniqueConstraint("workspace", "reference", name="booking_reference_unique"),
            models.CheckConstraint(
                name="booking_window_in_order", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(
                name="booking_approved_before_it_is_theirs",
                condition=Q(approval_ttl_seconds=None)
                | Q(approved_at__isnull=False)
                | Q(state__in=["awaiting_approval", "released", "expired"]),
            ),
        ]
        indexes = [
            models.Index("workspace", "state", "starts_at", name="booking_worklist"),
            models.Index(fields=["workspace", "-created_at", "-id"], name="booking_newest"),
            models.Index("member", "starts_at", name="booking_of_member"),
            models.Index(Upper("email"), name="booking_of_email", condition=~Q(email="")),
            models.Index("series", name="booking_of_series", condition=Q(series__isnull=False)),
            models.Index("starts_at", name="booking_reminders", condition=Q(state="confirmed")),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def total(self) -> Money:
        return Money(self.total_minor, self.currency)

    @property
    def needs_approval(self) -> bool:
        """Whether staff are still to approve it, or were, before it ended."""
        return self.approval_ttl_seconds is not None and self.approved_at is None


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
    # An add-on is a line of its own, beside the one that it belongs to.
    parent = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="add_ons",
        db_index=False,
    )
    amount_minor = models.PositiveBigIntegerField()
    price = models.JSONField(default=list, help_text="The parts that add up to the amount.")
    cancelled_at = models.DateTimeField(
        null=True, blank=True, help_text="Given up while the rest of its booking stands."
    )

    class Meta:
        ordering = ["position"]
        triggers = [
            guards.line_agrees,
            guards.line_belongs,
            guards.add_on_goes_with_its_line,
            guards.line_keeps_its_add_ons,
            calendar_marks.line_marks_calendars,
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
