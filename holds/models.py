"""The time-limited right behind occupancies that are not final yet."""

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.utils.functional import cached_property

from bookings.models import Booking, Change, Line
from config.kernel.ids import new_id, new_token
from config.kernel.triggers import deferred, refuse, undeletable
from holds.states import HOLD_STATES
from holds.waitlist_models import FreedTime, WaitlistEntry, gives_way
from members.models import Member, Workspace

__all__ = ["FreedTime", "Hold", "WaitlistEntry"]

# What payments/purging.py may delete, and says so in its transaction: an ended hold of a booking
# that is over and of which nobody has paid a cent.
PURGED = """
    current_setting('surehold.purging', true) = 'on' AND OLD.state <> 'active'
    AND OLD.ended_at < clock_timestamp() - interval '1 day'
    AND EXISTS (
        SELECT 1 FROM bookings_booking b WHERE b.id = OLD.booking_id
        AND (b.state IN ('released', 'expired')
             OR (b.state IN ('completed', 'no_show', 'cancelled') AND b.total_minor = 0)))
"""


class Hold(models.Model):
    """One per booking, and one for each change of it that has to be paid for.

    `expires_at` is what the member was promised.

    `lapses_at` is when its occupancies free themselves: the same moment, or that plus the grace
    while a Checkout is open. `token` is what the visitor keeps to find it again.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="holds", db_index=False
    )
    booking = models.ForeignKey(
        Booking, on_delete=models.PROTECT, related_name="holds", db_index=False
    )
    change = models.ForeignKey(
        Change, on_delete=models.PROTECT, null=True, related_name="holds", db_index=False
    )
    token = models.CharField(max_length=40, unique=True, default=new_token, editable=False)
    state = models.CharField(max_length=10, default="active")
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    lapses_at = models.DateTimeField()
    extended_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(max_length=300, blank=True)
    has_open_checkout = models.BooleanField(default=False)
    member = models.ForeignKey(Member, on_delete=models.PROTECT, null=True, related_name="holds")
    visitor = models.CharField(max_length=64, blank=True, help_text="The browser that holds it.")
    address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        triggers = [
            HOLD_STATES.trigger(),
            gives_way,
            *undeletable("hold_is_history", unless=PURGED),
            deferred(
                "belongs",
                f"""
                    IF NEW.workspace_id IS DISTINCT FROM (
                        SELECT b.workspace_id FROM bookings_booking b WHERE b.id = NEW.booking_id
                    ) THEN
                        {refuse("hold_within_workspace", "a hold stays in its workspace")}
                    END IF;
                    IF NEW.change_id IS NOT NULL AND NEW.booking_id IS DISTINCT FROM (
                        SELECT c.booking_id FROM bookings_change c WHERE c.id = NEW.change_id
                    ) THEN
                        {refuse("hold_within_booking", "a hold stays with its booking")}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.Insert | pgtrigger.UpdateOf("booking_id", "workspace_id", "change_id"),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["booking", "change"], name="hold_once_per_purpose", nulls_distinct=False
            ),
            models.CheckConstraint(
                name="hold_times_in_order",
                condition=Q(expires_at__gte=F("created_at"), lapses_at__gte=F("expires_at")),
            ),
        ]
        indexes = [
            models.Index("lapses_at", name="hold_lapsing", condition=Q(state="active")),
            models.Index("ended_at", name="hold_ended", condition=~Q(state="active")),
            models.Index(fields=["workspace", "-created_at"], name="hold_newest"),
            models.Index("visitor", name="hold_of_visitor", condition=Q(state="active")),
            models.Index("address", name="hold_of_address", condition=Q(state="active")),
        ]

    def __str__(self) -> str:
        return f"hold of {self.booking.reference}"

    @cached_property
    def lines(self) -> list[Line]:
        """The booking's lines; a claim leaves those that it has just written."""
        return list(self.booking.lines.all())
