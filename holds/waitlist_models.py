"""Who waits for a time that is taken, and what was freed lately where somebody waits."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pgtrigger
from django.db import models
from django.db.models import F, Q

from bookings.models import Resource
from config.kernel.ids import new_id, new_token
from config.kernel.triggers import EXCLUSION, deferred, refuse, undeletable
from holds.waitlist_states import LIVE, OFFERED, WAITING, WAITLIST_STATES
from members.models import Member, Workspace

if TYPE_CHECKING:
    from holds.models import Hold


class WaitlistEntry(models.Model):
    """Somebody's place in the line for a resource.

    They want `quantity` units for `duration_seconds` somewhere within `[starts_at, ends_at)`: the
    whole of it, or any start that leaves that long. `queued_at` is the database's time under the
    resource's lock, so that who came first has the earlier one. `last_start_at` is when it is too
    late for them. `hold` is the offer, once there was one.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="waitlist", db_index=False
    )
    resource = models.ForeignKey(
        Resource, on_delete=models.PROTECT, related_name="waitlist", db_index=False
    )
    token = models.CharField(max_length=40, unique=True, default=new_token, editable=False)
    state = models.CharField(max_length=10, default=WAITING)
    version = models.PositiveIntegerField(default=0)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    duration_seconds = models.PositiveIntegerField()
    last_start_at = models.DateTimeField()
    quantity = models.PositiveIntegerField(default=1)
    member = models.ForeignKey(
        Member, on_delete=models.PROTECT, null=True, blank=True, related_name="waitlist"
    )
    email = models.EmailField()
    name = models.CharField(max_length=200, blank=True)
    visitor = models.CharField(max_length=64, blank=True, help_text="The browser that asked.")
    queued_at = models.DateTimeField()
    hold: "models.OneToOneField[Hold | None]" = models.OneToOneField(
        "holds.Hold", on_delete=models.PROTECT, null=True, blank=True, related_name="waited_for"
    )
    offered_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_because = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name_plural = "waitlist entries"
        triggers = [
            WAITLIST_STATES.trigger(),
            *undeletable("waitlist_entry_is_history"),
            deferred(
                "belongs",
                f"""
                    IF NEW.workspace_id IS DISTINCT FROM (
                        SELECT r.workspace_id FROM bookings_resource r WHERE r.id = NEW.resource_id
                    ) OR (NEW.hold_id IS NOT NULL AND NEW.workspace_id IS DISTINCT FROM (
                        SELECT h.workspace_id FROM holds_hold h WHERE h.id = NEW.hold_id
                    )) THEN
                        {refuse("waitlist_within_workspace", "it stays in its workspace")}
                    END IF;
                    RETURN NULL;
                """,  # noqa: S608
                pgtrigger.Insert | pgtrigger.UpdateOf("workspace_id", "resource_id", "hold_id"),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                "resource", "email", "starts_at", "ends_at", "duration_seconds",
                name="waitlist_once_per_person", condition=Q(state__in=LIVE),
            ),
            models.CheckConstraint(
                name="waitlist_offer_is_a_hold", condition=~Q(state=OFFERED) | Q(hold__isnull=False)
            ),
            models.CheckConstraint(
                name="waitlist_times_in_order",
                condition=Q(
                    ends_at__gt=F("starts_at"),
                    last_start_at__gte=F("starts_at"),
                    last_start_at__lt=F("ends_at"),
                    duration_seconds__gte=1,
                    quantity__gte=1,
                ),
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(
                "resource", "queued_at", "id", name="waitlist_line", condition=Q(state=WAITING)
            ),
            models.Index("last_start_at", name="waitlist_ending", condition=Q(state=WAITING)),
            models.Index(
                "workspace", "email", name="waitlist_of_email", condition=Q(state__in=LIVE)
            ),
            models.Index("visitor", name="waitlist_of_visitor", condition=Q(state__in=LIVE)),
            models.Index(fields=["workspace", "-queued_at"], name="waitlist_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.email} waits for {self.resource_id}"

    @property
    def is_exact(self) -> bool:
        """Whether they want this very window, rather than any start within it."""
        return self.last_start_at == self.starts_at

    @property
    def duration(self) -> timedelta:
        return timedelta(seconds=self.duration_seconds)


class FreedTime(models.Model):
    """Something of a resource was given back while somebody waits there (ADR 8).

    Written with the release that caused it and worked on after the commit. Until `kept_until` what
    those in line want of this resource is not given to passers-by; it is gone when the line has
    been looked through.
    """

    kick_task = "holds.offer_freed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="+")
    kept_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.resource_id} until {self.kept_until:%F %T}"


# A new hold of a passer-by gives way to those who wait, while what was freed is kept for them. It
# looks when the claim's statement has written all of its rows. Changes of a booking are not asked,
# nor is the offer itself, which says so for its own transaction.
OFFERING = "surehold.offering"
gives_way = pgtrigger.Trigger(
    name="gives_way",
    operation=pgtrigger.Insert,
    when=pgtrigger.After,
    func=f"""
        IF NEW.change_id IS NULL
           AND current_setting('{OFFERING}', true) IS DISTINCT FROM 'on'
           AND EXISTS (
            SELECT 1 FROM bookings_line l
            JOIN holds_freedtime f
              ON f.resource_id = l.resource_id AND f.kept_until > clock_timestamp()
            JOIN holds_waitlistentry e
              ON e.resource_id = l.resource_id AND e.state = '{WAITING}'
             AND e.starts_at < l.ends_at AND e.ends_at > l.starts_at
            WHERE l.booking_id = NEW.booking_id
        ) THEN
            {refuse("hold_gives_way_to_the_line", "others wait for that time", sqlstate=EXCLUSION)}
        END IF;
        RETURN NULL;
    """,  # noqa: S608
)
