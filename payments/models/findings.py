"""What the reconciler did, and what it saw that should not be."""

from django.db import models
from django.db.models import Q

from config.kernel.ids import new_id
from config.kernel.triggers import undeletable
from members.models import Workspace


class CheckRun(models.Model):
    """One run of one check; without `finished_at` it was cut short. `cursor` resumes it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=60)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    is_complete = models.BooleanField(default=False, help_text="It looked at all there was.")
    looked_at = models.PositiveIntegerField(default=0)
    healed = models.PositiveIntegerField(default=0)
    found = models.PositiveIntegerField(default=0)
    cursor = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["name", "-started_at"], name="check_run_last")]

    def __str__(self) -> str:
        return f"{self.name} {self.started_at:%F %H:%M}"


class Finding(models.Model):
    """Something that should not be, once per cause: `kind` and `subject` name it."""

    class Severity(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"

    class Resolution(models.TextChoices):
        CAUSE_GONE = "cause_gone", "The cause is gone"
        ATTACHED = "attached", "Attached to a booking"
        REBOOKED = "rebooked", "Booked anew"
        REFUNDED = "refunded", "Refunded"
        CREDITED = "credited", "Credited"
        DISMISSED = "dismissed", "Dismissed"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, null=True, blank=True, related_name="findings"
    )
    kind = models.CharField(max_length=60)
    severity = models.CharField(max_length=6, choices=Severity)
    subject_type = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=255)
    summary = models.CharField(max_length=300)
    evidence = models.JSONField(default=dict, blank=True)
    done = models.CharField(max_length=500, blank=True, help_text="What was done about it.")
    seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    seen = models.PositiveIntegerField(default=1)
    closed_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=12, choices=Resolution, blank=True)
    note = models.CharField(max_length=1000, blank=True)
    closed_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [
            models.UniqueConstraint(
                "kind",
                "subject_type",
                "subject_id",
                name="finding_once_per_cause",
                condition=Q(closed_at=None),
            ),
            models.CheckConstraint(
                name="finding_closed_with_resolution",
                condition=Q(closed_at=None, resolution="")
                | (Q(closed_at__isnull=False) & ~Q(resolution="")),
            ),
        ]
        indexes = [
            models.Index("workspace", "severity", name="finding_open", condition=Q(closed_at=None)),
        ]
        triggers = [*undeletable("findings_are_history")]

    def __str__(self) -> str:
        return self.summary
