"""A workspace's subscribers, what they are to be told, and each try to tell them.

A message is written by the transition that it tells of. The database itself adds a delivery for
each subscriber that wants it, and keeps on the workspace's row which types anybody wants: so who
writes messages asks for neither.
"""

from datetime import datetime

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now
from encrypted_fields.fields import EncryptedTextField

from config.kernel.ids import new_id
from config.kernel.triggers import refuse
from members.webhook_states import DELIVERY_STATES, ENDPOINT_STATES

MOST_ENDPOINTS = 20
# How long retries go on; and how long, of these, later news of the same booking waits its turn.
RETRY_HOURS = 72
ORDERED_MINUTES = 10

# The workspace's own trigger, below, finds out what is so.
_MARKS_WORKSPACE = """
    UPDATE members_workspace SET webhook_types = webhook_types
    WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.workspace_id ELSE NEW.workspace_id END;
    RETURN NULL;
"""
_FANS_OUT = f"""
    INSERT INTO members_webhookdelivery
        (id, endpoint_id, message_id, about, state, version, tries, first_until, give_up_at)
    SELECT gen_random_uuid(), e.id, NEW.sequence, NEW.subject_id, 'pending', 0, 0,
        clock_timestamp() + interval '{ORDERED_MINUTES} minutes',
        clock_timestamp() + interval '{RETRY_HOURS} hours'
    FROM members_webhookendpoint e
    WHERE e.workspace_id = NEW.workspace_id AND e.state = 'enabled'
      AND CASE WHEN NEW.only_for_id IS NULL
          THEN e.events = '{{}}' OR NEW.type = ANY(e.events) ELSE e.id = NEW.only_for_id END;
    RETURN NULL;
"""  # noqa: S608


class WebhookEndpoint(models.Model):
    """An address of a workspace's own that is told what happens.

    `events` are the types that it wants; empty for all. After a rotation the former secret signs as
    well until `former_secret_until`. `failing_since` is when the first attempt failed after the
    last that did not. While nothing answers there it is left alone until `rests_until`.
    """

    class Because(models.TextChoices):
        NONE = "", ""
        BY_HAND = "by_hand", "Disabled by hand"
        FAILING = "failing", "Nothing was delivered for three days"
        GONE = "gone", "It answered 410 Gone"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        "members.Workspace", on_delete=models.PROTECT, related_name="webhook_endpoints"
    )
    url = models.URLField("address", max_length=1000, help_text="https://club.example/surehold")
    description = models.CharField(max_length=200, blank=True)
    events = ArrayField(
        models.CharField(max_length=40),
        default=list,
        blank=True,
        help_text="None for all of them.",
    )
    secret = EncryptedTextField(editable=False)
    former_secret = EncryptedTextField(null=True, blank=True, editable=False)
    former_secret_until = models.DateTimeField(null=True, editable=False)
    state = models.CharField(max_length=10, default="enabled", editable=False)
    version = models.PositiveIntegerField(default=0, editable=False)
    state_since = models.DateTimeField(db_default=Now(), editable=False)
    disabled_because = models.CharField(
        max_length=10, choices=Because, default="", blank=True, editable=False
    )
    failing_since = models.DateTimeField(null=True, editable=False)
    unanswered = models.PositiveIntegerField(
        default=0, editable=False, help_text="Attempts in a row without any answer."
    )
    rests_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(name="webhook_endpoint_has_address", condition=~Q(url="")),
            models.CheckConstraint(
                name="webhook_endpoint_disabled_because",
                condition=Q(state="disabled") & ~Q(disabled_because="")
                | ~Q(state="disabled") & Q(disabled_because=""),
            ),
        ]
        triggers = [
            ENDPOINT_STATES.trigger(),
            pgtrigger.Trigger(
                name="marks_workspace",
                operation=pgtrigger.Insert
                | pgtrigger.Delete
                | pgtrigger.UpdateOf("events", "state"),
                when=pgtrigger.After,
                func=_MARKS_WORKSPACE,
            ),
            pgtrigger.Trigger(
                name="stays",
                operation=pgtrigger.UpdateOf("workspace_id"),
                when=pgtrigger.Before,
                condition=pgtrigger.Q(old__workspace_id__df=pgtrigger.F("new__workspace_id")),
                func=refuse("webhook_endpoint_stays", "an endpoint stays in its workspace"),
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.url

    @property
    def is_enabled(self) -> bool:
        return self.state == "enabled"

    def former_secrets(self, at: datetime) -> list[str]:
        """Those that still sign then, the last one first; several, with a space between them,
        where it was rotated again meanwhile."""
        until = self.former_secret_until
        return (self.former_secret or "").split() if until is not None and until > at else []


class WebhookMessage(models.Model):
    """Something that happened, as every subscriber is told it: rendered once, never changed.

    `event_id` is the same for every subscriber and attempt. `sequence` grows in the order of
    writing; of one booking that is the order of what happened, since its row is locked.
    `subject_id` is the booking that it is about, or empty.
    """

    sequence = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(default=new_id, unique=True, editable=False)
    workspace = models.ForeignKey(
        "members.Workspace", on_delete=models.PROTECT, related_name="webhook_messages"
    )
    type = models.CharField(max_length=40)
    subject_type = models.CharField(max_length=40, blank=True)
    subject_id = models.CharField(max_length=40, blank=True)
    only_for = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, null=True, related_name="+", db_index=False
    )
    happened_at = models.DateTimeField()
    data = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index("created_at", name="webhook_message_created"),
            models.Index("subject_type", "subject_id", name="webhook_message_subject"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="fans_out",
                operation=pgtrigger.Insert,
                when=pgtrigger.After,
                func=_FANS_OUT,
            ),
            pgtrigger.Trigger(
                name="keep_content",
                operation=pgtrigger.Update,
                when=pgtrigger.Before,
                func=refuse("webhook_message_never_changes", "what was told does not change"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class WebhookDelivery(models.Model):
    """One message for one subscriber, until it has it or is given up.

    `about` is the message's subject. Until `first_until` later ones about the same wait for this
    one; at `give_up_at` it has failed. The lease says that somebody is sending it now.
    """

    id = models.UUIDField(primary_key=True, default=new_id, db_default=RandomUUID(), editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    message = models.ForeignKey(
        WebhookMessage, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    about = models.CharField(max_length=40, blank=True)
    state = models.CharField(max_length=10, default="pending")
    version = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0, help_text="Attempts begun, of all replays.")
    tries_before = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Of these, before the last replay."
    )
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    leased_until = models.DateTimeField(null=True)
    first_until = models.DateTimeField()
    give_up_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                "message", "endpoint", name="webhook_delivery_once_per_endpoint"
            ),
        ]
        indexes = [
            models.Index(
                "endpoint", "due_at", name="webhook_delivery_due", condition=Q(state="pending")
            ),
            models.Index(
                "endpoint", "about", "message", name="webhook_delivery_turn",
                condition=Q(state="pending"),
            ),
            models.Index("endpoint", F("created_at").desc(), name="webhook_delivery_listed"),
        ]  # fmt: skip
        triggers = [DELIVERY_STATES.trigger()]

    def __str__(self) -> str:
        return f"{self.message.type} to {self.endpoint}"


class WebhookAttempt(models.Model):
    """One request of a delivery. Written before it is sent, so that a crash leaves its trace.

    `status` is null for no answer, `ended_at` null for one whose outcome nobody wrote down. The
    request's body is the message's.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    url = models.CharField(max_length=1000)
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(null=True)
    request_headers = models.JSONField(default=dict)
    status = models.PositiveIntegerField(null=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(blank=True, help_text="Its first 4 kB.")
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint("delivery", "number", name="webhook_attempt_once"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number}"


# --- The mark on the workspace's row ------------------------------------------------------------

WEBHOOK_TYPES_FIELD = ArrayField(
    models.CharField(max_length=40),
    default=list,
    db_default=Value([], ArrayField(models.CharField(max_length=40))),
    editable=False,
)
# PostgreSQL locks the row before this looks, so that endpoints that come and go at once see each
# other; and a workspace that is saved from an older reading does not undo the mark.
MARK = pgtrigger.Trigger(
    name="webhook_types",
    operation=pgtrigger.UpdateOf("webhook_types"),
    when=pgtrigger.Before,
    declare=[("endpoints", "integer")],
    func=f"""
        SELECT count(DISTINCT e.id),
               coalesce(array_agg(DISTINCT t ORDER BY t)
                        FILTER (WHERE e.state = 'enabled'), '{{}}')
        INTO endpoints, NEW.webhook_types
        FROM members_webhookendpoint e,
             unnest(CASE WHEN e.events = '{{}}' THEN ARRAY['*'] ELSE e.events END) t
        WHERE e.workspace_id = NEW.id AND e.state <> 'deleted';
        IF endpoints > {MOST_ENDPOINTS} THEN
            {refuse("webhook_endpoints_too_many", "a workspace has no more endpoints than that")}
        END IF;
        RETURN NEW;
    """,  # noqa: S608
)
