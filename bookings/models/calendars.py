"""Calendars elsewhere that are connected: whose they are, how they are reached, what for."""

from typing import Any

import pgtrigger
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now
from encrypted_fields.fields import EncryptedCharField, EncryptedTextField

from bookings.models.resources import HOUR, MINUTE, Resource
from config.kernel.ids import new_id
from config.kernel.triggers import deferred, refuse
from members.models import Member, Workspace

# The resource's own trigger finds out what is so.
_MARKS_RESOURCES = """
    UPDATE bookings_resource SET reads_calendars = true WHERE id IN ({ids});
    RETURN NULL;
"""
_BELONGS = (
    "a calendar serves its own workspace, blocks what is exclusive, and is written on a server"
)


class CalendarConnection(models.Model):
    """One calendar elsewhere, read for busy times or written with what is booked.

    It belongs to the workspace, or to a member of its staff (`owner`); `ConnectedResource` says for
    which resources. Passwords and tokens are encrypted at rest.
    """

    class Kind(models.TextChoices):
        CALDAV = "caldav", "CalDAV: iCloud, Fastmail, Nextcloud, Radicale"
        GOOGLE = "google", "Google Calendar"
        ICS = "ics", "An address of an ICS file, to read"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for consent"
        CONNECTED = "connected", "Connected"
        NEEDS_CONSENT = "needs_consent", "Refuses our credentials: connect it again"
        LEAVING = "leaving", "Being disconnected: our events are removed"
        DISCONNECTED = "disconnected", "Disconnected"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="calendars")
    owner = models.ForeignKey(
        Member,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="calendars",
        help_text="Whose calendar it is; blank for the workspace's own.",
    )
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=6, choices=Kind)
    url = models.URLField("address", max_length=1000, blank=True)
    username = models.CharField(max_length=254, blank=True)
    password = EncryptedCharField(max_length=254, blank=True, default="", null=True)
    refresh_token = EncryptedTextField(blank=True, default="", null=True, editable=False)
    access_token = EncryptedTextField(blank=True, default="", null=True, editable=False)
    access_token_expires_at = models.DateTimeField(null=True, editable=False)

    state = models.CharField(max_length=13, choices=State, default=State.CONNECTED, editable=False)
    # A claim reads the calendar again when what is known of it is older.
    max_age_seconds = models.PositiveIntegerField(
        "busy times are good for",
        default=5 * MINUTE,
        validators=[MinValueValidator(10), MaxValueValidator(24 * HOUR)],
        help_text="In seconds; older ones are read again before something is held.",
    )
    # How far reading has come: CalDAV's sync token, or an ICS file's entity tag.
    sync_token = models.TextField(blank=True, editable=False)
    etag = models.CharField(max_length=500, blank=True, editable=False)
    read_at = models.DateTimeField(null=True, editable=False)
    read_failing_since = models.DateTimeField(null=True, editable=False)
    read_error = models.CharField(max_length=500, blank=True, editable=False)
    # What could not be read of a calendar that was: entries that are malformed or endless.
    read_note = models.CharField(max_length=200, blank=True, editable=False, db_default="")
    next_read_at = models.DateTimeField(null=True, editable=False)
    reading_until = models.DateTimeField(null=True, editable=False)
    written_at = models.DateTimeField(null=True, editable=False)
    write_failing_since = models.DateTimeField(null=True, editable=False)
    write_error = models.CharField(max_length=500, blank=True, editable=False)
    # While it is away only one event at a time tries it, and not before this.
    write_retry_at = models.DateTimeField(null=True, editable=False)
    write_attempts = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    # The comparison of what stands in it with our bookings, and what that found last.
    check_due_at = models.DateTimeField(db_default=Now(), editable=False)
    checking_until = models.DateTimeField(null=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    check_found: Any = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), editable=False
    )
    check_error = models.CharField(max_length=500, blank=True, db_default="", editable=False)
    leaving_since = models.DateTimeField(null=True, editable=False)

    created_by = models.ForeignKey(
        Member, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    disconnected_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                name="calendar_kind", condition=Q(kind__in=["caldav", "google", "ics"])
            ),
            models.CheckConstraint(
                name="calendar_state",
                condition=Q(
                    state__in=["waiting", "connected", "needs_consent", "leaving", "disconnected"]
                ),
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="stays",
                operation=pgtrigger.UpdateOf("workspace_id", "kind"),
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__workspace_id__df=pgtrigger.F("new__workspace_id"))
                | pgtrigger.Q(old__kind__df=pgtrigger.F("new__kind")),
                func=refuse("calendar_stays", "a calendar stays what and whose it is"),
            ),
            pgtrigger.Trigger(
                name="other_address",
                operation=pgtrigger.UpdateOf("url"),
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__url__df=pgtrigger.F("new__url")),
                # What is known of the one calendar says nothing of another.
                func="""
                    NEW.sync_token = ''; NEW.etag = '';
                    NEW.read_at = NULL; NEW.next_read_at = NULL;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="marks_resources",
                operation=pgtrigger.UpdateOf("state"),
                when=pgtrigger.After,
                condition=pgtrigger.Condition(
                    "((OLD.state IN ('leaving', 'disconnected'))"
                    " <> (NEW.state IN ('leaving', 'disconnected')))"
                ),
                func=_MARKS_RESOURCES.format(
                    ids="SELECT resource_id FROM bookings_connectedresource"
                    " WHERE connection_id = NEW.id"
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ConnectedResource(models.Model):
    """What a connected calendar does for one resource.

    `reads`: its busy times block the resource (exclusive ones only, since a busy time says
    nothing of how many units). `writes`: what is booked appears in it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    connection = models.ForeignKey(
        CalendarConnection, on_delete=models.CASCADE, related_name="resources"
    )
    resource = models.ForeignKey(
        Resource, on_delete=models.PROTECT, related_name="connected_calendars"
    )
    writes = models.BooleanField("write bookings into it", default=True)
    reads = models.BooleanField("its busy times block", default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "connection",
                "resource",
                name="connected_resource_once",
                violation_error_message="It is connected with this resource already.",
            ),
            models.CheckConstraint(
                name="connected_for_something",
                condition=Q(writes=True) | Q(reads=True),
                violation_error_message="Choose what the calendar does: write, block, or both.",
            ),
        ]
        triggers = [
            deferred(
                "belongs",
                f"""
                    IF NOT EXISTS (
                        SELECT 1 FROM bookings_calendarconnection c
                        JOIN bookings_resource r ON r.workspace_id = c.workspace_id
                        WHERE c.id = NEW.connection_id AND r.id = NEW.resource_id
                          AND (r.mode = 'exclusive' OR NOT NEW.reads)
                          AND (c.kind <> 'ics' OR NOT NEW.writes)
                    ) THEN
                        {refuse("connected_resource_belongs", _BELONGS)}
                    END IF;
                    RETURN NULL;
                """,
                pgtrigger.Insert | pgtrigger.Update,
            ),
            pgtrigger.Trigger(
                name="marks_resource",
                operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
                when=pgtrigger.After,
                func=_MARKS_RESOURCES.format(ids="OLD.resource_id, NEW.resource_id"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.connection} for {self.resource}"
