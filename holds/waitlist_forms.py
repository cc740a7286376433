"""What somebody who wants to wait says: a day, between when and when, how long, how many."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import QueryDict

from bookings.forms import a_date, instant, whole_number
from bookings.rules import Rules
from bookings.templatetags.surehold import duration
from holds.forms import ContactForm
from holds.waitlist import Wish
from members.models import Member

_DAY = timedelta(days=1)
_CHOICES = 48


class WaitForm(ContactForm):
    """Between two times of a day, on the clock of the place; up to the next morning if need be."""

    day = forms.DateField(
        label="Day", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    after = forms.TimeField(
        label="Not before", widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    before = forms.TimeField(
        label="Over by", widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    minutes = forms.TypedChoiceField(label="How long", coerce=int)
    quantity = forms.IntegerField(label="How many", min_value=1, initial=1)
    field_order = ("day", "after", "before", "minutes", "quantity", "email", "name")

    def __init__(self, *args: Any, rules: Rules, member: Member | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rules, self.member = rules, member
        self.fields["minutes"].choices = lengths(rules)  # type: ignore[attr-defined]
        self.fields["quantity"].max_value = max(1, rules.capacity)  # type: ignore[attr-defined]
        if rules.is_exclusive:
            del self.fields["quantity"]
        self.fields["email"].error_messages["required"] = "Enter the address that we write to."
        self.fields["name"].error_messages["required"] = "Enter your name."
        if member is not None:
            del self.fields["email"], self.fields["name"]

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if not self.errors and self.wish().last_start < self.wish().start:
            self.add_error(
                "before", "That is too early for what you want: make it later, or shorter."
            )
        return said

    def wish(self) -> Wish:
        """What a valid form asks for, in UTC."""
        said = self.cleaned_data
        start, end = _moments(said["day"], said["after"], said["before"], self.rules)
        seconds = said["minutes"] * 60
        return Wish(self.rules.resource_id, start, end, seconds, said.get("quantity", 1))

    def contact(self) -> tuple[str, str]:
        """E-mail and name: the member's own, else those given."""
        if self.member is not None:
            return self.member.email, self.member.name
        return self.cleaned_data["email"], self.cleaned_data["name"]


def lengths(rules: Rules) -> list[tuple[int, str]]:
    """The lengths that can be booked, in minutes, at most 48 of them."""
    step, seconds = rules.step_seconds, rules.min_seconds
    found: list[tuple[int, str]] = []
    while seconds <= rules.max_seconds and len(found) < _CHOICES:
        found.append((seconds // 60, duration(seconds)))
        seconds += step
    return found


def initial_from(query: QueryDict, rules: Rules, now: datetime) -> dict[str, Any]:
    """What a link to the form names: a window, perhaps a shorter length, how many."""
    today = now.astimezone(rules.zone).date()
    day = a_date(query.get("day", ""), today=today)
    start = instant(query.get("start", "")) or now + _DAY
    end = instant(query.get("end", ""))
    if end is None or end <= start:
        end = start + timedelta(seconds=max(rules.min_seconds, 3600))
    local, until = start.astimezone(rules.zone), end.astimezone(rules.zone)
    whole = int((end - start).total_seconds()) // 60
    return {
        "day": day or local.date(),
        "after": local.time().replace(second=0, microsecond=0) if query.get("start") else None,
        "before": until.time().replace(second=0, microsecond=0) if query.get("end") else None,
        "minutes": whole_number(query.get("minutes", ""), least=1, most=100_000, otherwise=whole),
        "quantity": whole_number(
            query.get("quantity", ""), least=1, most=max(1, rules.capacity), otherwise=1
        ),
    }


def _moments(day: date, after: time, before: time, rules: Rules) -> tuple[datetime, datetime]:
    until = day if before > after else day + _DAY
    start = datetime.combine(day, after, tzinfo=rules.zone)
    end = datetime.combine(until, before, tzinfo=rules.zone)
    return start.astimezone(UTC), end.astimezone(UTC)
