"""The form by which keys are made and origins changed in the admin."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from members.models import ApiKey
from members.origins import origins_of
from members.publishable import MOST_ORIGINS


class OriginsField(forms.Field):
    """Origins separated by commas, spaces or lines, kept as browsers write them."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:
        given = str(value or "").replace(",", " ").split()
        try:
            found = origins_of(given)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None
        if len(found) > MOST_ORIGINS:
            raise forms.ValidationError(f"At most {MOST_ORIGINS} origins.")
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class ApiKeyForm(forms.ModelForm):
    """A publishable key has origins, a secret one has none."""

    origins = OriginsField(
        required=False,
        help_text="For a publishable key: where its pages come from, such as https://club.example. "
        "Separated by commas.",
    )

    class Meta:
        model = ApiKey
        fields = ("workspace", "name", "kind", "scope", "origins", "requests_per_minute")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "origins" not in self.fields or "origins" in self.errors:
            return data
        kind = data.get("kind") or self.instance.kind
        publishable = kind == ApiKey.Kind.PUBLISHABLE
        if publishable and not data.get("origins"):
            self.add_error("origins", "Name at least one origin.")
        if publishable and data.get("requests_per_minute"):
            self.add_error("requests_per_minute", "A publishable key is limited by address.")
        if not publishable and data.get("origins"):
            self.add_error("origins", "A secret key is used by servers, from no page.")
        return data
