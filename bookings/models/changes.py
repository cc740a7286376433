"""What a confirmed booking is to become."""

from django.db import models
from django.db.models import F, Q

from bookings import guards
from bookings.models.bookings import Booking
from bookings.states import CHANGE_STATES
from config.kernel.ids import new_id
from config.kernel.money import Money
from config.kernel.triggers import undeletable


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
