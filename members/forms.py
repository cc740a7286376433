"""Forms of the member's own pages."""

from django import forms


class SignInForm(forms.Form):
    """One field."""

    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "inputmode": "email"}),
        error_messages={
            "required": "Enter your e-mail address.",
            "invalid": "Enter an address like name@example.com.",
        },
    )

    def clean_email(self) -> str:
        return self.cleaned_data["email"].strip().lower()
