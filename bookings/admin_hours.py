"""Opening hours in the admin: weekly, exceptions, seasons, holidays; and what they come to."""

from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from bookings.holiday_calendars import countries, country_names
from bookings.models import HolidayCalendar, Location, OpeningException, OpeningHours, Season
from bookings.models.timetables import WEEKDAYS
from bookings.spans import NotSpans, read_spans
from bookings.timetable import days_from, hours_of
from config.kernel import clock
from members.admin_scope import MANAGER, ScopedInline

_SHOWN, _MOST = 35, 366


class SpansField(forms.CharField):
    """Opening times as people write them, kept in one notation."""

    widget = UnfoldAdminTextInputWidget

    def clean(self, value: Any) -> str:
        try:
            return read_spans(super().clean(value) or "")
        except NotSpans as error:
            raise ValidationError(str(error)) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return read_spans(data or "") != (initial or "")
        except NotSpans:
            return True


class HoursInline(ScopedInline):
    model = OpeningHours
    fields = ("weekday", "opens_at", "closes_at")
    delete_rank = MANAGER
    verbose_name_plural = "opening hours"


class _WithSpans(ScopedInline):
    """Fields that hold spans are read as people write them."""

    delete_rank = MANAGER
    spans: ClassVar[tuple[str, ...]] = ("spans",)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name not in self.spans:
            return field
        return SpansField(
            label=field.label, required=False, max_length=120, help_text=field.help_text
        )


class ExceptionInline(_WithSpans):
    model = OpeningException
    fields = ("day", "spans", "label")
    verbose_name_plural = "exceptions: closed, or other hours, on one date"


class SeasonForm(forms.ModelForm):
    """What is wrong with a season as a whole stands at its name: stacked forms show it nowhere."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        for error in self.errors.pop(NON_FIELD_ERRORS, []):
            self.add_error("name", error)


class SeasonInline(_WithSpans):
    """Seven days each: one below the other."""

    model = Season
    form = SeasonForm
    template = "admin/edit_inline/stacked.html"
    spans = WEEKDAYS
    fields = (("name", "yearly"), ("first_day", "last_day"), WEEKDAYS[:4], WEEKDAYS[4:])
    verbose_name_plural = "seasons: other weekly hours for a part of the year"


class HolidayForm(forms.ModelForm):
    """Countries by name, and only subdivisions that they have."""

    country = forms.ChoiceField(widget=UnfoldAdminSelectWidget)

    class Meta:
        model = HolidayCalendar
        fields = ("country", "subdivision", "effect", "spans")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["country"]
        field.choices = [("", "—"), *country_names()]

    def clean_subdivision(self) -> str:
        given: str = self.cleaned_data["subdivision"].strip()
        known = countries().get(self.cleaned_data.get("country", ""), ())
        if given and given not in known:
            raise ValidationError(
                f"Leave it blank or give one of {', '.join(known)}." if known else "It has none."
            )
        return given


class HolidayInline(_WithSpans):
    model = HolidayCalendar
    form = HolidayForm
    max_num = 1
    fields = ("country", "subdivision", "effect", "spans")
    verbose_name_plural = "public holidays"


HOURS_INLINES = (HoursInline, ExceptionInline, SeasonInline, HolidayInline)


def hours_page(
    request: HttpRequest, model_admin: Any, location: Location, row: Any, resource_id: UUID | None
) -> HttpResponse:
    """The days to come as a member finds them, to look at; `?days=366` shows a year."""
    asked = request.GET.get("days", "")
    count = min(_MOST, int(asked)) if asked.isdecimal() and int(asked) > 0 else _SHOWN
    today = clock.now().astimezone(ZoneInfo(location.timezone)).date()
    hours = hours_of(location_id=location.pk, resource_id=resource_id)
    context = model_admin.admin_site.each_context(request) | {
        "title": f"Opening hours of {row}",
        "days": days_from(hours, today, count),
        "zone": location.timezone,
        "is_year": count >= _MOST,
        "opts": model_admin.opts,
        "back": model_admin.change_url(row.pk),
        "row": row,
    }
    return TemplateResponse(request, "admin/surehold/hours.html", context).render()
