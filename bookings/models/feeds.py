"""Secret links under which others' calendar programs read what is booked."""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from encrypted_fields.fields import EncryptedTextField

from bookings.ics_entries import Shown
from bookings.models.places import Location
from bookings.models.resources import Resource
from config.kernel.ids import new_id
from config.kernel.triggers import refuse
from members.models import Member, Workspace

_FIXED = ("workspace_id", "member_id", "resource_id", "location_id", "shown", "digest")


class CalendarFeed(models.Model):
    """A member's bookings wherever they are, or those of one resource or location of a workspace.

    Whoever has the link reads it, without signing in, until it is revoked. It is found by its
    digest; the token itself is encrypted at rest, so that its owner can be shown it again.
    """

    class Shows(models.TextChoices):
        MINE = Shown.MINE.value, "Their own bookings, with the links that manage them"
        NAMES = Shown.NAMES.value, "Who has booked what: for staff"
        BUSY = Shown.BUSY.value, "Only that it is booked: for anybody"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, null=True, blank=True, related_name="feeds"
    )
    member = models.ForeignKey(
        Member, on_delete=models.CASCADE, null=True, editable=False, related_name="feeds"
    )
    resource = models.ForeignKey(
        Resource, on_delete=models.CASCADE, null=True, blank=True, related_name="feeds"
    )
    location = models.ForeignKey(
        Location, on_delete=models.CASCADE, null=True, blank=True, related_name="feeds"
    )
    shown = models.CharField("shows", max_length=5, choices=Shows, default=Shows.BUSY)
    name = models.CharField(
        "for", max_length=120, blank=True, help_text="Who has the link: “Front desk”."
    )
    token = EncryptedTextField(editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)

    created_by = models.ForeignKey(
        Member, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    # What it was last seen to say, and since when: for answering that nothing has changed.
    content = models.CharField(max_length=64, blank=True, editable=False)
    content_since = models.DateTimeField(null=True, editable=False)
    last_fetched_on = models.DateField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="feed_of_one",
                condition=Q(member__isnull=False, resource=None, location=None)
                | Q(member=None, resource__isnull=False, location=None)
                | Q(member=None, resource=None, location__isnull=False),
                violation_error_message="Choose a resource or a location, and not both.",
            ),
            models.CheckConstraint(
                name="feed_shows_no_more_than_it_may",
                condition=Q(member__isnull=False, workspace=None, shown="mine")
                | Q(member=None, workspace__isnull=False, shown__in=["names", "busy"]),
                violation_error_message="A link of a resource or location shows names, or nothing.",
            ),
            models.UniqueConstraint(
                "member", name="feed_once_per_member", condition=Q(revoked_at=None)
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="within_workspace",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func=f"""
                    IF NEW.resource_id IS NOT NULL AND NOT EXISTS (
                        SELECT 1 FROM bookings_resource
                        WHERE id = NEW.resource_id AND workspace_id = NEW.workspace_id
                    ) OR NEW.location_id IS NOT NULL AND NOT EXISTS (
                        SELECT 1 FROM bookings_location
                        WHERE id = NEW.location_id AND workspace_id = NEW.workspace_id
                    ) THEN
                        {refuse("feed_within_workspace", "a feed is of its own workspace")}
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="stays",
                operation=pgtrigger.UpdateOf(*_FIXED, "revoked_at"),
                when=pgtrigger.Before,
                func=f"""
                    IF ({", ".join(f"OLD.{name}" for name in _FIXED)})
                        IS DISTINCT FROM ({", ".join(f"NEW.{name}" for name in _FIXED)})
                        OR (OLD.revoked_at IS NOT NULL
                            AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at) THEN
                        {refuse("feed_stays", "a link stays what it is, and stays revoked")}
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource or self.location or self.member}: {self.get_shown_display()}"
