"""What visitors say when they look for a time. Nonsense becomes the nearest sense, not an error:
these are GET requests, and a bad link should still show the place."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from bookings.rules import Rules

FAR = timedelta(days=740)


def instant(text: str) -> datetime | None:
    """A moment with a zone, in UTC, or None."""
    try:
        moment = parse_datetime(text)
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def whole_number(text: str, *, least: int, most: int, otherwise: int) -> int:
    """A number within bounds; what is not one is `otherwise`."""
    try:
        return min(most, max(least, int(text)))
    except ValueError:
        return otherwise


def a_date(text: str, *, today: date) -> date | None:
    """A date that is not absurdly far away, or None."""
    try:
        found = parse_date(text)
    except ValueError:
        return None
    return found if found and abs(found - today) < FAR else None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a resource page was asked to show."""

    first: date
    day: date
    minutes: int
    quantity: int
    start: datetime | None


def wish_from(query: QueryDict, rules: Rules, now: datetime) -> Wish:
    """Read a resource page's query. `at` is a button just pressed, `start` an earlier choice."""
    today = now.astimezone(rules.zone).date()
    pressed = instant(query.get("at", "")) or _arrival(query, rules, today)
    start = pressed or instant(query.get("start", ""))
    if start is not None and abs(start - now) > FAR:
        start = None
    first = a_date(query.get("from", ""), today=today) or today
    day = a_date(query.get("day", ""), today=today)
    if start is not None and (day is None or pressed):
        day = start.astimezone(rules.zone).date()
    day = day or first
    if not first <= day < first + timedelta(days=7):
        first = day
    return Wish(
        first=max(first, today),
        day=max(day, today),
        minutes=_stay(query, rules, today) or _minutes(query.get("minutes", ""), rules),
        quantity=whole_number(
            query.get("quantity", ""), least=1, most=max(1, rules.capacity), otherwise=1
        ),
        start=start,
    )


def _arrival(query: QueryDict, rules: Rules, today: date) -> datetime | None:
    """Where days count: the check-in on the date that was named."""
    first = a_date(query.get("arrive", ""), today=today)
    if rules.days is None or first is None:
        return None
    return rules.days.window(rules.zone, first, 1).start


def _stay(query: QueryDict, rules: Rules, today: date) -> int | None:
    """Where days count: the length from the date that was named first to the one named last."""
    first, last = (a_date(query.get(name, ""), today=today) for name in ("arrive", "leave"))
    if rules.days is None or first is None or last is None:
        return None
    days = rules.days
    count = min(days.most, max(days.least, days.count_between(first, last)))
    return days.seconds(count) // 60


def _minutes(text: str, rules: Rules) -> int:
    """A duration that the rules allow, on the step; an hour or the shortest if none is given."""
    if rules.days is not None:
        days = rules.days
        minutes = whole_number(text, least=1, most=366 * 1440, otherwise=1)
        return days.seconds(min(days.most, max(days.least, days.count_for(minutes * 60)))) // 60
    least, most, step = rules.min_seconds, rules.max_seconds, rules.step_seconds
    seconds = whole_number(text, least=1, most=most // 60, otherwise=60) * 60
    seconds = max(least, min(most, seconds))
    return -(-seconds // step) * step // 60 if -(-seconds // step) * step <= most else least // 60


class SearchForm(forms.Form):
    """The home page's search line: when, how long, how many, where."""

    when = forms.DateField(
        label="When", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    after = forms.TimeField(
        label="From", required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    minutes = forms.TypedChoiceField(
        label="How long",
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            ("", "Any"), (30, "30 min"), (60, "1 h"), (90, "1 h 30 min"), (120, "2 h"),
            (180, "3 h"), (240, "4 h"), (480, "8 h"), (1440, "1 day"),
        ],
    )  # fmt: skip
    many = forms.IntegerField(
        label="People or pieces", required=False, min_value=1, max_value=10_000
    )
    where = forms.ChoiceField(label="Where", required=False)

    def __init__(self, data: Any, *, places: list[tuple[str, str]]) -> None:
        super().__init__(data or None, auto_id="search-%s")
        self.fields["where"].choices = [("", "Anywhere"), *places]  # type: ignore[attr-defined]
        if len(places) < 2:
            del self.fields["where"]

    def clean_when(self) -> date | None:
        """A day that is absurdly far away is no day."""
        when: date | None = self.cleaned_data["when"]
        far = when is not None and abs(when - datetime.now(UTC).date()) > FAR
        return None if far else when

    def said(self) -> dict[str, Any]:
        """What was said, if it makes sense."""
        if not self.is_bound or not self.is_valid():
            return {}
        return {name: value for name, value in self.cleaned_data.items() if value}


def from_moment(said: dict[str, Any], zone: ZoneInfo, now: datetime) -> datetime:
    """The moment from which a search looks: never in the past."""
    day = said.get("when")
    if day is None and not said.get("after"):
        return now
    local = now.astimezone(zone)
    wanted = datetime.combine(day or local.date(), said.get("after") or time(0), tzinfo=zone)
    return max(now, wanted.astimezone(UTC))
