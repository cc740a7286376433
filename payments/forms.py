"""What a press of "Hold it" says."""

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from bookings.forms import FAR, instant
from bookings.models import Resource
from bookings.picking import add_ons_said
from config.kernel.errors import InvalidInput
from holds.claims import AddOnRequest, LineRequest
from members.pages import member_of
from payments.credits import MAX_MINOR
from payments.models import Refund
from payments.models.refunds import ASKED


class HoldForm(forms.Form):
    """One resource, one window, how many. Its fields are hidden: a page filled them in."""

    start = forms.CharField(max_length=40)
    end = forms.CharField(max_length=40)
    quantity = forms.IntegerField(min_value=1, max_value=10_000, initial=1)

    def clean_start(self) -> datetime:
        return self._instant("start")

    def clean_end(self) -> datetime:
        return self._instant("end")

    def _instant(self, name: str) -> datetime:
        found = instant(self.cleaned_data[name])
        if found is None or abs(found - timezone.now()) > FAR:
            raise forms.ValidationError("This time cannot be read.")
        return found


def line_from(posted: QueryDict, resource: Resource) -> LineRequest:
    """The line that a form asks for, with its add-ons.

    Raises InvalidInput: our own forms do not get it wrong.
    """
    form = HoldForm({"quantity": "1", **posted.dict()})
    if not form.is_valid():
        raise InvalidInput("This form does not name a time. Choose one again.")
    asked: dict[str, Any] = form.cleaned_data
    add_ons = tuple(AddOnRequest(*each) for each in add_ons_said(posted))
    return LineRequest(resource.pk, asked["start"], asked["end"], asked["quantity"], add_ons)


class ChangeForm(HoldForm):
    """Where a line of a booking is to go, as the page showed it, and its terms."""

    quantity = None  # type: ignore[assignment]
    line = forms.IntegerField(min_value=0, max_value=1000)
    expects = forms.IntegerField(min_value=-MAX_MINOR, max_value=MAX_MINOR)
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1)
    to = forms.ChoiceField(choices=ASKED)

    def as_query(self) -> QueryDict:
        """The page on which this has been chosen."""
        said = self.cleaned_data
        minutes = int((said["end"] - said["start"]).total_seconds() // 60)
        found = QueryDict(mutable=True)
        start = f"{said['start']:%Y-%m-%dT%H:%MZ}"
        found.update({"line": str(said["line"]), "start": start, "minutes": str(minutes)})
        return found


def change_from(posted: QueryDict) -> ChangeForm:
    """What a press of "Move it" says. Raises InvalidInput: our own forms do not get it wrong."""
    form = ChangeForm({"to": Refund.To.CARD, **posted.dict()})
    if not form.is_valid():
        raise InvalidInput("This form does not name a time. Choose one again.")
    return form


def credit_from(request: HttpRequest) -> int:
    """How much of their credit a signed-in member chose to spend, in minor units; 0 for none.

    Whoever is not signed in has none here. Raises InvalidInput for what no page of ours sends.
    """
    chosen = request.POST.get("credit_minor", "")
    if not chosen or member_of(request) is None:
        return 0
    amount = int(chosen) if chosen.isascii() and chosen.isdigit() and len(chosen) < 12 else -1
    if not 0 <= amount <= MAX_MINOR:
        raise InvalidInput("This form names no amount. Load the page again.", field="credit_minor")
    return amount
