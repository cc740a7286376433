"""Discount codes, and which bookings used them."""

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper

from bookings import discount_guards
from bookings.models.bookings import Booking
from bookings.models.resources import Resource
from config.kernel.ids import new_id
from config.kernel.triggers import undeletable
from members.models import Member, Workspace


class Discount(models.Model):
    """A code that takes a share or an amount off, within its limits. Its case does not matter."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="discounts", db_index=False
    )
    code = models.CharField(
        max_length=40,
        validators=[RegexValidator(r"^\S+$", "A code has no spaces.")],
        help_text="What members type. Capital or small letters are the same.",
    )
    percent = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    amount_minor = models.PositiveBigIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    resources = models.ManyToManyField(
        Resource, blank=True, related_name="discounts", help_text="None chosen: for all of them."
    )
    min_total_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    max_uses = models.PositiveIntegerField(
        "uses in all", null=True, blank=True, help_text="Blank for any number."
    )
    max_uses_each = models.PositiveIntegerField(
        "uses by one person",
        null=True,
        blank=True,
        help_text="By e-mail address and by member. Blank for any number.",
    )
    is_active = models.BooleanField("can be used", default=True, db_default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                "workspace",
                Upper("code"),
                name="discount_code_once",
                violation_error_message="There is such a code already.",
            ),
            models.CheckConstraint(
                name="discount_percent_or_amount",
                condition=Q(percent__isnull=False, percent__range=(1, 100), amount_minor=None)
                | Q(percent=None, amount_minor__isnull=False, amount_minor__gte=1),
                violation_error_message="Give a per cent or an amount, and not both.",
            ),
            models.CheckConstraint(
                name="discount_validity_in_order",
                condition=Q(valid_from=None)
                | Q(valid_until=None)
                | Q(valid_until__gt=F("valid_from")),
                violation_error_message="It ends before it begins.",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class DiscountUse(models.Model):
    """That a booking was priced with a code; it counts while the booking is not ended unused.

    `email` and `member` are those of the booking: whose use it is.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    discount = models.ForeignKey(Discount, on_delete=models.PROTECT, related_name="uses")
    booking = models.OneToOneField(Booking, on_delete=models.PROTECT, related_name="discount_use")
    email = models.EmailField(blank=True)
    member = models.ForeignKey(
        Member,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="discount_uses",
        db_index=False,
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        triggers = [
            discount_guards.use_within_limits,
            discount_guards.use_stays,
            discount_guards.use_belongs,
            *undeletable(
                "discount_use_is_history",
                unless="EXISTS (SELECT 1 FROM bookings_booking b WHERE b.id = OLD.booking_id"
                " AND b.state = 'pending_payment')",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.discount} for {self.booking}"


class DiscountResource(Discount.resources.through):  # type: ignore[name-defined]
    """For which resources a discount is: of its own workspace only (INV-9)."""

    class Meta:
        proxy = True
        triggers = [discount_guards.resource_belongs]
