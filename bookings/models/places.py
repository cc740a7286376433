"""Where things are, and what they are."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from config.kernel.ids import new_id
from members.models import Workspace
from members.rules import validate_timezone


class Category(models.Model):
    """What a resource is ("Meeting room"); groups equivalents across locations."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="categories")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=60)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"
        constraints = [models.UniqueConstraint("workspace", "slug", name="category_slug_unique")]

    def __str__(self) -> str:
        return self.name


class Location(models.Model):
    """A place with an address and a time zone; windows are shown in its zone."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="locations")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=60)
    address = models.TextField(blank=True)
    directions = models.TextField(blank=True, help_text="How to find the door.")
    timezone = models.CharField(max_length=64, validators=[validate_timezone])
    latitude = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(-90), MaxValueValidator(90)],
        help_text="In degrees, north positive; with the longitude, for finding what is near.",
    )
    longitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("workspace", "slug", name="location_slug_unique"),
            models.CheckConstraint(
                name="location_on_earth",
                condition=Q(latitude=None, longitude=None)
                | Q(latitude__range=(-90, 90), longitude__range=(-180, 180)),
                violation_error_message="Give latitude and longitude, in degrees, or neither.",
            ),
        ]

    def __str__(self) -> str:
        return self.name
