"""Whom a hold is for."""

from typing import Any

from django import forms


class ContactForm(forms.Form):
    """Where the confirmation goes, and in whose name."""

    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
        error_messages={
            "required": "Enter the e-mail address that the confirmation should go to.",
            "invalid": "Enter an address like name@example.com.",
        },
    )
    name = forms.CharField(
        label="Name",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"required": "Enter the name that the booking should be under."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "contact-%s"} | kwargs)
        # The browser's own bubbles would come before our list, and differ from it.
        self.use_required_attribute = False

    def clean_email(self) -> str:
        return self.cleaned_data["email"].strip().lower()
