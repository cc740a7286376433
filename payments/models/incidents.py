"""Making good after an incident: a window of time, and what was done for each who was hit."""

from django.db import models
from django.db.models import F, Q

from config.kernel.ids import new_id
from config.kernel.triggers import undeletable
from members.models import Member, Workspace
from payments.models.credits import CreditEntry


class Incident(models.Model):
    """A window in which we failed people: `[starts_at, ends_at)`, of one workspace or of all.

    The same window is the same incident, so that making it good twice tells nobody twice.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, null=True, blank=True, related_name="incidents"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    words = models.CharField(
        max_length=500, blank=True, help_text="What happened, for the mail; blank for our own."
    )
    credit_percent = models.PositiveSmallIntegerField(default=0)
    credit_minor = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    people = models.PositiveIntegerField(default=0, help_text="How many are to be told.")
    nameless = models.PositiveIntegerField(default=0, help_text="Hit, and without an address.")
    next_try_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                "workspace",
                "starts_at",
                "ends_at",
                name="incident_once_per_window",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                name="incident_window_in_order", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(
                name="incident_one_kind_of_credit",
                condition=Q(credit_percent=0) | Q(credit_percent__lte=100, credit_minor=0),
            ),
        ]
        triggers = [*undeletable("incidents_are_history")]

    def __str__(self) -> str:
        return f"{self.starts_at:%F %H:%M} to {self.ends_at:%F %H:%M}"


class Apology(models.Model):
    """What one person was sent for one incident: once."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="apologies")
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="apologies")
    email = models.EmailField()
    member = models.ForeignKey(
        Member, on_delete=models.PROTECT, null=True, related_name="apologies"
    )
    lines = models.JSONField(default=list, help_text="What they had wanted; the link offers it.")
    quoted_minor = models.PositiveBigIntegerField(default=0)
    currency = models.CharField(max_length=3)
    credit_entry = models.OneToOneField(
        CreditEntry, on_delete=models.PROTECT, null=True, related_name="apology"
    )
    created_at = models.DateTimeField()
    rebooked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at"]
        verbose_name_plural = "apologies"
        constraints = [
            models.UniqueConstraint(
                "incident", "workspace", "email", name="apology_once_per_person"
            ),
        ]
        triggers = [*undeletable("incidents_are_history")]

    def __str__(self) -> str:
        return self.email
