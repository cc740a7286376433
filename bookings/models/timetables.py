"""When it is open other than usual: dated exceptions, seasons, public holidays.

What goes before what, and how a resource's own replace its location's, is said in `hours.py`.
"""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import (
    DateRangeField,
    IntegerRangeField,
    RangeOperators,
)
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Case, F, Func, IntegerField, Q, Value, When
from django.db.models.functions import Cast, Coalesce, ExtractDay, ExtractMonth
from django.db.models.lookups import GreaterThan

from bookings.models.places import Location
from bookings.models.resources import Resource
from bookings.spans import SPANS_PATTERN
from config.kernel.ids import new_id

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPANS_HELP = "As in “09:00-12:00, 13:00-17:00”; blank for closed."


def spans_field(**more: Any) -> models.CharField:
    """Spans of one day in the notation of `spans.py`."""
    return models.CharField(
        max_length=120, blank=True, default="", validators=[RegexValidator(SPANS_PATTERN)], **more
    )


def one_owner(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        name=name,
        condition=Q(location=None, resource__isnull=False)
        | Q(location__isnull=False, resource=None),
        violation_error_message="It belongs to a location or to a resource.",
    )


def _day_of_year(name: str) -> Any:
    """1 Feb is 201: days of whatever year, in order."""
    return Cast(ExtractMonth(name) * 100 + ExtractDay(name), IntegerField())


def _yearly_days() -> Func:
    """A yearly season's days, once and again a year (1300) later, so that any two of them meet
    here if they meet at all; one that goes over new year ends in the next."""
    first, last = _day_of_year("first_day"), _day_of_year("last_day")
    over = Case(When(GreaterThan(first, last), then=Value(1300)), default=Value(0))
    ranges = [
        Func(
            first + Value(turn),
            last + over + Value(turn),
            template="int4range(%(expressions)s, '[]')",
            output_field=IntegerRangeField(),
        )
        for turn in (0, 1300)
    ]
    return Func(*ranges, function="int4multirange", output_field=IntegerRangeField())


class OwnedByPlace(models.Model):
    """What a location says for all of its resources, or a resource for itself."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    location = models.ForeignKey(
        Location, on_delete=models.CASCADE, null=True, blank=True, related_name="%(class)ss"
    )
    resource = models.ForeignKey(
        Resource, on_delete=models.CASCADE, null=True, blank=True, related_name="%(class)ss"
    )

    class Meta:
        abstract = True


class OpeningException(OwnedByPlace):
    """Closed, or other hours, on one date: before everything else that is said of it."""

    day = models.DateField("date")
    spans = spans_field(help_text=_SPANS_HELP, verbose_name="open")
    label = models.CharField(max_length=80, blank=True, help_text="Shown as the reason.")

    class Meta:
        ordering = ["day"]
        constraints = [
            one_owner("opening_exception_of_one_owner"),
            models.UniqueConstraint(
                "location",
                "day",
                name="opening_exception_once_at_location",
                violation_error_message="There is an exception for that date already.",
            ),
            models.UniqueConstraint(
                "resource",
                "day",
                name="opening_exception_once_at_resource",
                violation_error_message="There is an exception for that date already.",
            ),
            models.CheckConstraint(
                name="opening_exception_spans", condition=Q(spans__regex=SPANS_PATTERN)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day:%d %b %Y}: {self.spans or 'closed'}"


class Season(OwnedByPlace):
    """A timetable for a part of the year, in place of the usual weekly hours."""

    name = models.CharField(max_length=80)
    first_day = models.DateField()
    last_day = models.DateField(help_text="Is part of the season.")
    yearly = models.BooleanField(
        "every year", default=False, help_text="Then the years of the two dates do not matter."
    )
    monday = spans_field()
    tuesday = spans_field()
    wednesday = spans_field()
    thursday = spans_field()
    friday = spans_field()
    saturday = spans_field()
    sunday = spans_field()

    class Meta:
        ordering = ["first_day"]
        constraints = [
            one_owner("season_of_one_owner"),
            models.CheckConstraint(
                name="season_days_in_order",
                condition=Q(yearly=True) | Q(last_day__gte=F("first_day")),
                violation_error_message="A season's last day is not before its first.",
            ),
            ExclusionConstraint(
                name="season_dates_no_overlap",
                expressions=[
                    (Coalesce("location", "resource"), RangeOperators.EQUAL),
                    (
                        Func(
                            "first_day",
                            "last_day",
                            template="daterange(%(expressions)s, '[]')",
                            output_field=DateRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
                condition=Q(yearly=False),
                violation_error_message="Two seasons overlap.",
            ),
            ExclusionConstraint(
                name="season_yearly_no_overlap",
                expressions=[
                    (Coalesce("location", "resource"), RangeOperators.EQUAL),
                    (_yearly_days(), RangeOperators.OVERLAPS),
                ],
                condition=Q(yearly=True),
                violation_error_message="Two seasons of every year overlap.",
            ),
            models.CheckConstraint(
                name="season_spans",
                condition=Q(*[(f"{weekday}__regex", SPANS_PATTERN) for weekday in WEEKDAYS]),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class HolidayCalendar(OwnedByPlace):
    """Which country's public holidays count, and what happens on them."""

    class Effect(models.TextChoices):
        CLOSED = "closed", "Closed"
        SPANS = "spans", "Open at the times given"
        USUAL = "usual", "Open as usual"

    country = models.CharField(max_length=2, help_text="Two letters, such as NZ.")
    subdivision = models.CharField(
        max_length=20, blank=True, help_text="For regional holidays, such as AUK; blank for none."
    )
    effect = models.CharField("on holidays", max_length=6, choices=Effect, default=Effect.CLOSED)
    spans = spans_field(help_text=_SPANS_HELP, verbose_name="open")

    class Meta:
        constraints = [
            one_owner("holiday_calendar_of_one_owner"),
            models.UniqueConstraint("location", name="holiday_calendar_once_at_location"),
            models.UniqueConstraint("resource", name="holiday_calendar_once_at_resource"),
            models.CheckConstraint(
                name="holiday_calendar_country", condition=Q(country__regex="^[A-Z]{2}$")
            ),
            models.CheckConstraint(
                name="holiday_calendar_effect",
                condition=Q(effect="spans", spans__regex=SPANS_PATTERN) & ~Q(spans="")
                | Q(effect__in=["closed", "usual"], spans=""),
                violation_error_message="Give times if it is open at other times, else none.",
            ),
        ]

    def __str__(self) -> str:
        return f"Public holidays of {self.country} {self.subdivision}".rstrip()
