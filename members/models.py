"""People, workspaces and what belongs to neither bookings nor money: keys, mail, staff."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower, Now

from config.kernel.ids import new_id
from config.kernel.transitions import TransitionTable
from members.rules import validate_accent, validate_currency, validate_timezone
from members.webhook_models import MARK, WEBHOOK_TYPES_FIELD

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

NOTIFICATION_STATES = TransitionTable(
    name="notification",
    first=frozenset({"pending"}),
    moves={"pending": frozenset({"sent", "failed"}), "failed": frozenset({"pending"})},
)


class MemberManager(BaseUserManager["Member"]):
    """Members by e-mail, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> "Member":
        return self.get(email=(username or "").strip().lower())

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "Member":
        member = self.model(email=email.strip().lower(), **extra)
        if password:
            member.set_password(password)
        else:
            member.set_unusable_password()
        member.save(using=self._db)
        return member

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "Member":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **extra)


class Member(AbstractBaseUser, PermissionsMixin):
    """Somebody with an e-mail address. A password is optional: links by mail sign in."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(
        "e-mail",
        max_length=254,
        unique=True,
        error_messages={"unique": "There is a member with this e-mail already."},
    )
    name = models.CharField(max_length=200, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("may open the admin", default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[MemberManager] = MemberManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [
            models.CheckConstraint(name="member_email_lower", condition=Q(email=Lower("email"))),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.strip().lower()


class Workspace(models.Model):
    """The tenant: one operator's business, with its zone, currency, limits and Stripe account."""

    class Charges(models.TextChoices):
        PLATFORM = "platform", "on the platform's own account"
        DIRECT = "direct", "direct charges on the workspace's account"
        DESTINATION = "destination", "destination charges through the platform"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(
        max_length=60, unique=True, help_text="Its address: /w/<slug>/. Links break if it changes."
    )
    name = models.CharField(max_length=120)
    tagline = models.CharField(max_length=200, blank=True)
    timezone = models.CharField(
        max_length=64, default="UTC", validators=[validate_timezone], help_text="Europe/Berlin"
    )
    currency = models.CharField(max_length=3, default="EUR", validators=[validate_currency])
    contact_email = models.EmailField(blank=True, help_text="Where members' replies go.")
    accent = models.CharField(
        max_length=7, blank=True, validators=[validate_accent], help_text="#1f5c4a; blank for ours"
    )
    logo = models.ImageField(upload_to="logos/", blank=True)
    embed_origins = ArrayField(
        models.CharField(max_length=200),
        default=list,
        db_default=Value([], ArrayField(models.CharField(max_length=200))),
        blank=True,
        help_text="Sites that may show the calendar in their pages: https://club.example. "
        "Separated by commas; blank for none.",
    )

    hold_ttl_seconds = models.PositiveIntegerField(
        default=15 * MINUTE,
        validators=[MinValueValidator(MINUTE), MaxValueValidator(120 * MINUTE)],
        help_text="How long a slot is held while a member pays: 60 to 7200.",
    )
    hold_extension_seconds = models.PositiveIntegerField(
        default=5 * MINUTE,
        validators=[MaxValueValidator(120 * MINUTE)],
        help_text="What one extension adds; 0 for none.",
    )
    checkout_grace_seconds = models.PositiveIntegerField(
        default=30, validators=[MaxValueValidator(600)]
    )
    max_live_holds_per_member = models.PositiveIntegerField(default=3)
    max_live_holds_per_visitor = models.PositiveIntegerField(default=3)
    max_live_holds_per_address = models.PositiveIntegerField(default=20)
    waitlist_ttl_seconds = models.PositiveIntegerField(
        default=HOUR,
        db_default=HOUR,
        validators=[MinValueValidator(MINUTE), MaxValueValidator(120 * MINUTE)],
        help_text="How long whoever is next in line has to take what has become free.",
    )
    max_waiting_per_member = models.PositiveIntegerField(
        default=10, db_default=10, help_text="In how many lines one person may wait at once."
    )
    # Whether there are any BookingLimits; kept by their trigger, so that a claim need not ask.
    limits_bookings = models.BooleanField(default=False, db_default=False, editable=False)
    # Which types of event somebody subscribes to ("*": all); kept by the endpoints' trigger.
    webhook_types = WEBHOOK_TYPES_FIELD

    stripe_account_id = models.CharField(max_length=255, blank=True)
    charges = models.CharField(max_length=12, choices=Charges, default=Charges.PLATFORM)
    application_fee_basis_points = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(10_000)], help_text="100 is one per cent."
    )
    # What Stripe says of the connected account; kept by payments.
    stripe_charges_enabled = models.BooleanField(default=False, editable=False)
    stripe_details_submitted = models.BooleanField(default=False, editable=False)
    stripe_disabled_because = models.CharField(max_length=200, blank=True, editable=False)
    stripe_seen_at = models.DateTimeField(null=True, editable=False)
    stripe_next_look_at = models.DateTimeField(null=True, editable=False)
    refund_application_fee = models.BooleanField(
        default=True, help_text="A refund gives our fee back too, in proportion."
    )
    takes_delayed_methods = models.BooleanField(
        default=False, help_text="Bank debits and the like, which cannot be captured later."
    )
    processing_limit_seconds = models.PositiveIntegerField(
        default=3 * DAY,
        validators=[MinValueValidator(HOUR), MaxValueValidator(14 * DAY)],
        help_text="How long a payment under way keeps its slot.",
    )
    pay_again_seconds = models.PositiveIntegerField(
        default=DAY,
        validators=[MinValueValidator(HOUR), MaxValueValidator(14 * DAY)],
        help_text="How long a member whose payment failed afterwards has to pay again.",
    )

    series_paid_each = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Of a booking that repeats, each time is paid by itself before it takes place.",
    )
    series_pay_hours = models.PositiveIntegerField(
        default=48,
        db_default=48,
        help_text="So many hours before the start it must be paid, else it is cancelled.",
    )

    cancel_free_hours = models.PositiveIntegerField(
        default=24, help_text="Cancelling is free until so many hours before the start."
    )
    cancel_partial_hours = models.PositiveIntegerField(
        default=0, help_text="From then until so many hours before, a share is given back."
    )
    cancel_partial_percent = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(100)]
    )
    cancel_fee_minor = models.PositiveBigIntegerField(
        default=0, help_text="What a cancellation costs in any case, in minor units."
    )
    goodwill_credit_minor = models.PositiveBigIntegerField(
        default=0, help_text="Credit for a member whose payment came when the slot was gone."
    )
    credit_valid_days = models.PositiveIntegerField(
        null=True, blank=True, help_text="How long goodwill can be spent; blank for ever."
    )
    tax_name = models.CharField(max_length=40, blank=True, help_text="GST, VAT; on receipts.")
    tax_basis_points = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(10_000)],
        help_text="1500 is 15 per cent.",
    )
    tax_is_added = models.BooleanField(
        "tax is added to the prices",
        default=False,
        db_default=False,
        help_text="Otherwise prices include it.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        triggers = [MARK]
        constraints = [
            models.CheckConstraint(
                name="workspace_cancel_terms_in_order",
                condition=models.Q(
                    cancel_partial_hours__lte=models.F("cancel_free_hours"),
                    cancel_partial_percent__lte=100,
                ),
                violation_error_message="The share given back applies after the free hours.",
            ),
            models.CheckConstraint(
                name="workspace_hold_ttl_range",
                condition=models.Q(hold_ttl_seconds__range=(MINUTE, 120 * MINUTE)),
            ),
            models.CheckConstraint(
                name="workspace_waitlist_ttl_range",
                condition=models.Q(waitlist_ttl_seconds__range=(MINUTE, 120 * MINUTE)),
            ),
            models.CheckConstraint(
                name="workspace_charges_have_account",
                condition=models.Q(charges="platform") | ~models.Q(stripe_account_id=""),
                violation_error_message="Direct and destination charges need a Stripe account.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def takes_payments(self) -> bool:
        """Whether the account that is charged can be; the platform's own always can."""
        return self.charges == self.Charges.PLATFORM or self.stripe_charges_enabled

    @property
    def charging_account(self) -> str:
        """The connected account on which Stripe calls are made; empty for the platform."""
        return self.stripe_account_id if self.charges == self.Charges.DIRECT else ""


class Staff(models.Model):
    """What a member may do in one workspace's admin."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        MANAGER = "manager", "Manager"
        CLERK = "clerk", "Clerk"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="staff")
    member = models.ForeignKey(Member, on_delete=models.PROTECT, related_name="staff_roles")
    role = models.CharField(max_length=10, choices=Role, default=Role.CLERK)
    invited_at = models.DateTimeField(db_default=Now(), editable=False)
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "staff"
        constraints = [
            models.UniqueConstraint("workspace", "member", name="staff_once_per_workspace"),
        ]

    def __str__(self) -> str:
        return f"{self.member} ({self.get_role_display()})"


class MemberGroup(models.Model):
    """Members of one workspace for whom other prices or other resources may stand."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="member_groups")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=60)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", "slug", name="member_group_slug")]

    def __str__(self) -> str:
        return self.name


class GroupMembership(models.Model):
    """That a member is in a group, and until when: `ends_at` null is for good."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    group = models.ForeignKey(MemberGroup, on_delete=models.CASCADE, related_name="memberships")
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="group_memberships")
    ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint("group", "member", name="group_membership_once"),
        ]

    def __str__(self) -> str:
        return f"{self.member} in {self.group}"


class ApiKey(models.Model):
    """A key of one workspace, revocable, read or write.

    A secret key is shown once and kept as a hash. A publishable key stands in web pages: it reaches
    only what is public, from pages of its `origins`, and never confirms money; so it can be shown
    again (`shown`).
    """

    class Kind(models.TextChoices):
        SECRET = "secret", "Secret: for servers"
        PUBLISHABLE = "publishable", "Publishable: for web pages"

    class Scope(models.TextChoices):
        READ = "read", "Read"
        WRITE = "write", "Read and write"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=100)
    scope = models.CharField(max_length=5, choices=Scope, default=Scope.READ)
    hint = models.CharField(max_length=16, editable=False, help_text="The key's first characters.")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    kind = models.CharField(
        max_length=11, choices=Kind, default=Kind.SECRET, db_default=Kind.SECRET
    )
    shown = models.CharField("key", max_length=80, blank=True, db_default="", editable=False)
    origins = ArrayField(
        models.CharField(max_length=200),
        default=list,
        db_default=Value([], ArrayField(models.CharField(max_length=200))),
        blank=True,
        help_text="Where its pages come from: https://club.example. Separated by commas.",
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Blank for the default.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="api_key_kind", condition=Q(kind__in=["secret", "publishable"])
            ),
            # What is kept readable is never a secret.
            models.CheckConstraint(
                name="api_key_secret_is_not_kept", condition=Q(kind="publishable") | Q(shown="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"


class IdempotencyKey(models.Model):
    """One answer per (scope, operation, key), written in the transaction of its effect (INV-8).

    `scope` is who asks: `key:<id>`, `member:<id>` or `visitor:<id>`. `fingerprint` is a digest of
    the request. `body` is JSON, kept as text so that a replay is the same to the byte. `status`
    is null while an effect that calls Stripe is between its transactions.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    scope = models.CharField(max_length=80)
    operation = models.CharField(max_length=120)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint("scope", "operation", "key", name="idempotency_key_once"),
        ]
        indexes = [models.Index("created_at", name="idempotency_created")]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"


class Notification(models.Model):
    """One mail to be sent: rendered by whoever emits it, sent by a worker, retried by beat.

    `subject_type` and `subject_id` refer to any row without a foreign key to the right
    (design.md §2). `once` makes an effect that runs twice one mail.
    """

    kick_task = "members.send_notification"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, null=True, related_name="notifications"
    )
    kind = models.CharField(max_length=40)
    subject_type = models.CharField(max_length=40, blank=True)
    subject_id = models.CharField(max_length=40, blank=True)
    once = models.CharField(max_length=120, unique=True)
    to = models.EmailField()
    payload = models.JSONField(help_text="subject, text, html, reply_to, attachments")
    state = models.CharField(max_length=10, default="pending")
    version = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        triggers = [NOTIFICATION_STATES.trigger()]
        indexes = [
            models.Index("due_at", name="notification_due", condition=models.Q(state="pending")),
            models.Index("subject_type", "subject_id", name="notification_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.to}"
