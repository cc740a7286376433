"""Durations are kept in seconds and entered in minutes."""

from decimal import Decimal
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminDecimalFieldWidget

_MINUTE = 60


class MinutesField(forms.DecimalField):
    """Seconds in the row, minutes on the form."""

    widget = UnfoldAdminDecimalFieldWidget

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, int):
            minutes = Decimal(value) / _MINUTE
            return int(minutes) if minutes == int(minutes) else minutes.quantize(Decimal("0.01"))
        return value

    def clean(self, value: Any) -> int | None:
        minutes = super().clean(value)
        return None if minutes is None else round(minutes * _MINUTE)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


def with_minutes(field: Any) -> MinutesField:
    """The form field of a `…_seconds` column, as minutes."""
    label = str(field.label or "").replace(" seconds", "").replace("ttl", "time")
    help_text = str(field.help_text).replace("60 to 7200", "1 to 120 minutes")
    return MinutesField(
        label=f"{label} (minutes)",
        required=field.required,
        help_text=help_text,
        min_value=0,
        max_value=Decimal(10_000_000),
        decimal_places=4,
    )
